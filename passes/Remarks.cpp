// See Remarks.h.
#include "passes/Remarks.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Operation.h"

namespace attn {

static llvm::StringRef spelling(RemarkCategory category) {
  switch (category) {
  case RemarkCategory::Fusion:
    return "fusion";
  case RemarkCategory::Mask:
    return "mask";
  case RemarkCategory::Schedule:
    return "schedule";
  case RemarkCategory::Pipeline:
    return "pipeline";
  }
  llvm_unreachable("all categories are handled");
}

void remark(mlir::Operation *op, RemarkCategory category, const llvm::Twine &text) {
  mlir::emitRemark(op->getLoc()) << spelling(category) << ": " << text;
}

} // namespace attn
