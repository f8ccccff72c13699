// See KernelThreads.h. Each kernel is translated into an LLVM module and context of its own, which no other thread touches; the
// MLIR module is read by one thread, while the back end works on the kernels before. Symbols outside kernels (the shared memory, tables
// of constants) have names that are one in the whole module, so that equal lines mean the same.
#include "codegen/KernelThreads.h"

#include "codegen/LlvmModule.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSet.h"

#include <algorithm>
#include <thread>
#include <vector>

namespace attn::codegen {

using llvm::StringRef;

//===----------------------------------------------------------------------===//
// One text
//===----------------------------------------------------------------------===//

namespace {
/// A PTX module as LLVM prints it: `.version`, `.target`, `.address_size`; declarations; one kernel; `.file` lines.
struct PtxParts {
  StringRef head, before, kernel, behind;
};
} // namespace

static std::optional<PtxParts> partsOf(StringRef text) {
  constexpr StringRef kLastOfHead = ".address_size", kEntry = "\n.visible .entry ", kEnd = "\n}\n";
  std::size_t last = text.find(kLastOfHead), head = last == StringRef::npos ? last : text.find('\n', last);
  std::size_t entry = text.find(kEntry), end = text.rfind(kEnd);
  if (head == StringRef::npos || entry == StringRef::npos || end == StringRef::npos || head > entry || entry > end)
    return std::nullopt;
  ++head, ++entry, end += kEnd.size();
  return PtxParts{text.take_front(head), text.slice(head, entry), text.slice(entry, end), text.drop_front(end)};
}

/// Lines that say something and have not been there.
static void addNewLines(StringRef lines, llvm::StringSet<> &known, std::string &out) {
  for (StringRef rest = lines; !rest.empty();) {
    auto [line, after] = rest.split('\n');
    rest = after;
    StringRef statement = line.trim();
    if (!statement.empty() && !statement.starts_with("//") && known.insert(line).second)
      out.append(line).append("\n");
  }
}

/// Whether no number stands for two files.
static bool agreeOnFiles(StringRef lines) {
  llvm::StringSet<> numbers;
  for (StringRef rest = lines; !rest.empty();) {
    auto [line, after] = rest.split('\n');
    rest = after;
    StringRef statement = line.trim();
    if (statement.consume_front(".file") && !numbers.insert(statement.ltrim().split(' ').first).second)
      return false;
  }
  return true;
}

std::optional<std::string> joinPtx(std::span<const std::string> texts) {
  llvm::StringSet<> known;
  std::string before, kernels, behind;
  std::optional<StringRef> head;
  for (const std::string &text : texts) {
    auto parts = partsOf(text);
    if (!parts || (head && *head != parts->head))
      return std::nullopt;
    head = parts->head;
    addNewLines(parts->before, known, before);
    addNewLines(parts->behind, known, behind);
    kernels.append("\n").append(parts->kernel);
  }
  if (!head || !agreeOnFiles(behind))
    return std::nullopt;
  return (*head + "\n" + before + kernels + behind).str();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

static std::vector<mlir::LLVM::LLVMFuncOp> kernelsOf(mlir::ModuleOp module) {
  std::vector<mlir::LLVM::LLVMFuncOp> kernels;
  for (auto function : module.getOps<mlir::LLVM::LLVMFuncOp>())
    if (!function.isExternal())
      kernels.push_back(function);
  return kernels;
}

/// A copy of the module that has but one of its kernels, and what that uses.
static mlir::OwningOpRef<mlir::ModuleOp> moduleOf(mlir::LLVM::LLVMFuncOp kernel) {
  auto module = kernel->getParentOfType<mlir::ModuleOp>();
  mlir::OwningOpRef<mlir::ModuleOp> copy = mlir::cast<mlir::ModuleOp>(module->cloneWithoutRegions());
  mlir::OpBuilder builder(module.getContext());
  copy->getBodyRegion().emplaceBlock();
  builder.setInsertionPointToEnd(copy->getBody());
  for (mlir::Operation &op : module.getBody()->getOperations()) {
    auto function = mlir::dyn_cast<mlir::LLVM::LLVMFuncOp>(op);
    bool isOther = function && !function.isExternal() && function != kernel;
    bool isUnused = mlir::isa<mlir::SymbolOpInterface>(op) && function != kernel && mlir::SymbolTable::symbolKnownUseEmpty(&op, kernel);
    if (!isOther && !isUnused)
      builder.clone(op);
  }
  return copy;
}

static std::optional<std::string> emitTogether(mlir::ModuleOp module, const PtxOptions &options, std::string *error) {
  std::unique_ptr<LlvmModule> translated = translateToLlvm(module);
  return translated ? emitPtx(*translated, options, error) : std::nullopt;
}

std::optional<std::string> emitKernels(mlir::ModuleOp module, const PtxOptions &options, std::string *error) {
  std::vector<mlir::LLVM::LLVMFuncOp> kernels = kernelsOf(module);
  if (kernels.size() < 2)
    return emitTogether(module, options, error);
  PtxOptions own = options;
  std::vector<std::unique_ptr<LlvmModule>> modules;
  for (mlir::LLVM::LLVMFuncOp kernel : kernels) {
    mlir::OwningOpRef<mlir::ModuleOp> copy = moduleOf(kernel);
    modules.push_back(translateToLlvm(*copy));
    if (!modules.back())
      return std::nullopt;
    own.version = std::max(own.version, versionOf(*modules.back()));
  }
  std::vector<std::string> texts(kernels.size()), errors(kernels.size());
  std::vector<std::thread> threads;
  auto emit = [&](std::size_t number) {
    texts[number] = emitPtx(*modules[number], own, &errors[number]).value_or("");
  };
  for (std::size_t number = 1; number < modules.size(); ++number)
    threads.emplace_back(emit, number);
  emit(0);
  for (std::thread &thread : threads)
    thread.join();
  for (const std::string &wrong : errors)
    if (!wrong.empty()) {
      *error = wrong;
      return std::nullopt;
    }
  std::optional<std::string> joined = joinPtx(texts);
  return joined ? joined : emitTogether(module, options, error);
}

} // namespace attn::codegen
