// From the `llvm` and `nvvm` dialects to LLVM IR ready for code generation.
//
// Few passes run, and on purpose (dialects.md, 5.6): quality comes from the lowering, and the usual pipelines undo it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm
namespace mlir {
class DialectRegistry;
class ModuleOp;
} // namespace mlir

namespace attn::codegen {

/// An LLVM module and the context it lives in.
class LlvmModule {
public:
  LlvmModule(std::unique_ptr<llvm::LLVMContext> context, std::unique_ptr<llvm::Module> module);
  LlvmModule(LlvmModule &&) noexcept;
  LlvmModule &operator=(LlvmModule &&) noexcept;
  ~LlvmModule();

  llvm::Module &module() { return *llvmModule; }

private:
  std::unique_ptr<llvm::LLVMContext> llvmContext;
  std::unique_ptr<llvm::Module> llvmModule;
};

/// Registers the translations that `translateToLlvm` needs: builtin, llvm, nvvm. Before the context first loads them.
void registerLlvmTranslations(mlir::DialectRegistry &registry);

/// Translates a module of `llvm.func` kernels; kernels with locations get line tables, so that PTX has `.loc` lines. Marks
/// inline assembly convergent, flushes f32 denormals, removes common subexpressions. Null after a diagnostic on failure.
/// The translations must have been registered. Takes the module as its own: locations of functions change.
std::unique_ptr<LlvmModule> translateToLlvm(mlir::ModuleOp module);

/// LLVM IR as text, and back. Parsing fails with null and `*error`.
std::string printLlvm(LlvmModule &module);
std::unique_ptr<LlvmModule> parseLlvm(std::string_view text, std::string_view fileName, std::string *error);

} // namespace attn::codegen
