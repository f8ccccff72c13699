// NVVM → LLVM IR. Three things the dialect cannot say are added here: line tables, `convergent` on inline assembly (without
// it LLVM moves synchronisation across branches), and the denormal mode; then one early-cse, the only pass that pays, and
// two that keep registers where there are few (ShortLives.h, HoldLoads.h).
#include "codegen/LlvmModule.h"

#include "codegen/HoldLoads.h"
#include "codegen/ShortLives.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/AssumptionCache.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/BinaryFormat/Dwarf.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/IR/PassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"

namespace attn::codegen {

LlvmModule::LlvmModule(std::unique_ptr<llvm::LLVMContext> context, std::unique_ptr<llvm::Module> module)
    : llvmContext(std::move(context)), llvmModule(std::move(module)) {}
LlvmModule::LlvmModule(LlvmModule &&) noexcept = default;
LlvmModule &LlvmModule::operator=(LlvmModule &&other) noexcept {
  llvmModule = std::move(other.llvmModule); // before its context
  llvmContext = std::move(other.llvmContext);
  return *this;
}
LlvmModule::~LlvmModule() { llvmModule.reset(); }

void registerLlvmTranslations(mlir::DialectRegistry &registry) {
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
}

/// The first file position inside a location, however it is nested.
static mlir::FileLineColLoc findFilePosition(mlir::Location location) {
  mlir::FileLineColLoc found;
  location->walk([&](mlir::Location part) {
    if (auto position = mlir::dyn_cast<mlir::FileLineColLoc>(part)) {
      found = position;
      return mlir::WalkResult::interrupt();
    }
    return mlir::WalkResult::advance();
  });
  return found;
}

/// Gives the kernel a subprogram, under which its operations' file positions become line table entries. With
/// `DebugDirectivesOnly` the PTX gets `.file` and `.loc`, and no debug sections.
static void attachSubprogram(mlir::LLVM::LLVMFuncOp function) {
  mlir::FileLineColLoc position = findFilePosition(function.getLoc());
  if (!position)
    function.walk([&](mlir::Operation *op) {
      position = findFilePosition(op->getLoc());
      return position ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
    });
  if (!position)
    return;
  using namespace mlir::LLVM;
  mlir::MLIRContext *context = function.getContext();
  llvm::StringRef path = position.getFilename().getValue();
  auto file = DIFileAttr::get(context, llvm::sys::path::filename(path), llvm::sys::path::parent_path(path));
  auto unit = DICompileUnitAttr::get(mlir::DistinctAttr::create(mlir::UnitAttr::get(context)), llvm::dwarf::DW_LANG_C, file,
                                     mlir::StringAttr::get(context, "attnc"), /*isOptimized=*/true,
                                     DIEmissionKind::DebugDirectivesOnly);
  auto type = DISubroutineTypeAttr::get(context, {});
  auto name = function.getNameAttr();
  auto subprogram = DISubprogramAttr::get(
      context, mlir::DistinctAttr::create(mlir::UnitAttr::get(context)), unit, file, name, name, file, position.getLine(),
      position.getLine(), DISubprogramFlags::Definition | DISubprogramFlags::Optimized, type, {}, {});
  function->setLoc(mlir::FusedLoc::get(context, {position}, subprogram));
}

static void finishFunction(llvm::Function &function) {
  function.addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
  for (llvm::Instruction &instruction : llvm::instructions(function))
    if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction); call && call->isInlineAsm())
      call->setConvergent();
}

static void removeCommonSubexpressions(llvm::Module &module) {
  llvm::FunctionAnalysisManager analyses;
  analyses.registerPass([] { return llvm::PassInstrumentationAnalysis(); });
  analyses.registerPass([] { return llvm::TargetLibraryAnalysis(); });
  analyses.registerPass([] { return llvm::TargetIRAnalysis(); });
  analyses.registerPass([] { return llvm::DominatorTreeAnalysis(); });
  analyses.registerPass([] { return llvm::AssumptionAnalysis(); });
  llvm::EarlyCSEPass pass(/*UseMemorySSA=*/false);
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      pass.run(function, analyses);
}

std::unique_ptr<LlvmModule> translateToLlvm(mlir::ModuleOp module) {
  module.walk([](mlir::LLVM::LLVMFuncOp function) {
    if (!function.isExternal())
      attachSubprogram(function);
  });
  auto context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> translated = mlir::translateModuleToLLVMIR(module, *context, "attnc", /*disableVerification=*/true);
  if (!translated)
    return nullptr;
  translated->setTargetTriple(llvm::Triple("nvptx64-nvidia-cuda"));
  // Shared, constant, local and parameter addresses take 32 bits; see Ptx.cpp.
  translated->setDataLayout("e-p3:32:32-p4:32:32-p5:32:32-p6:32:32-p7:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64");
  for (llvm::Function &function : *translated)
    if (!function.isDeclaration())
      finishFunction(function);
  removeCommonSubexpressions(*translated);
  shortenLives(*translated);
  holdMathOfLoads(*translated);
  return std::make_unique<LlvmModule>(std::move(context), std::move(translated));
}

std::string printLlvm(LlvmModule &module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  // The order of uses decides the order of copies at joins: with it, text that is read back gives the same PTX.
  module.module().print(stream, nullptr, /*ShouldPreserveUseListOrder=*/true);
  // LLVM prints that order for inline assembly too, and does not read it; nothing depends on it there.
  std::string readable;
  for (llvm::StringRef rest = text; !rest.empty();) {
    auto [line, after] = rest.split('\n');
    if (!line.ltrim().starts_with("uselistorder ptr asm"))
      readable.append(line).append("\n");
    rest = after;
  }
  return readable;
}

std::unique_ptr<LlvmModule> parseLlvm(std::string_view text, std::string_view fileName, std::string *error) {
  auto context = std::make_unique<llvm::LLVMContext>();
  llvm::SMDiagnostic diagnostic;
  auto buffer = llvm::MemoryBuffer::getMemBuffer(text, fileName, /*RequiresNullTerminator=*/false);
  std::unique_ptr<llvm::Module> parsed = llvm::parseIR(*buffer, diagnostic, *context);
  if (!parsed) {
    llvm::raw_string_ostream stream(*error);
    diagnostic.print("", stream, /*ShowColors=*/false);
    return nullptr;
  }
  if (llvm::raw_string_ostream stream(*error); llvm::verifyModule(*parsed, &stream))
    return nullptr;
  return std::make_unique<LlvmModule>(std::move(context), std::move(parsed));
}

} // namespace attn::codegen
