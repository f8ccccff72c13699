// One compilation's context: the dialects, the text, and the diagnostics as they would appear on screen.
#pragma once

#include "attn/Result.h"
#include "driver/Compiler.h"
#include "dsl/TypedSpec.h"

#include "llvm/Support/SourceMgr.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <string>
#include <vector>

namespace mlir {
class SourceMgrDiagnosticHandler;
}

namespace attn::driver {

class Session {
public:
  explicit Session(const CompileRequest &request);
  ~Session();

  /// Runs from `request.from` up to and with `stage` (Attn, Tile or Nvvm). 
  Result<mlir::OwningOpRef<mlir::ModuleOp>> lower(Stage stage);

  /// The passes after `from` up to and with `to`, on a module that `lower` gave.
  Status continueTo(mlir::ModuleOp module, Stage from, Stage to);
  /// The one attention that the request means.
  Result<std::unique_ptr<dsl::TypedSpec>> analyzeOne();

  mlir::MLIRContext &context() { return mlirContext; }
  llvm::SourceMgr &sources() { return sourceMgr; }
  /// A failure with all diagnostics so far.
  Status failure(std::string_view otherwise) const;
  /// What was said without failing, rendered.
  std::string warnings() const;
  const std::vector<std::string> &remarks() const { return remarkLines; }

private:
  Result<mlir::OwningOpRef<mlir::ModuleOp>> start();

  const CompileRequest &request;
  mlir::MLIRContext mlirContext;
  llvm::SourceMgr sourceMgr;
  std::string rendered;
  std::vector<std::string> remarkLines;
  std::unique_ptr<llvm::raw_ostream> stream;
  std::unique_ptr<mlir::SourceMgrDiagnosticHandler> printer;
};

} // namespace attn::driver
