// Remarks: what a pass decided, for `attnc explain` and for tests. A remark is a located diagnostic that begins with its
// category.
#pragma once

#include "llvm/ADT/Twine.h"

namespace mlir {
class Operation;
} // namespace mlir

namespace attn {

/// The categories: `fusion`, `mask`, `schedule`, `pipeline`.
enum class RemarkCategory { Fusion, Mask, Schedule, Pipeline };

void remark(mlir::Operation *op, RemarkCategory category, const llvm::Twine &text);

} // namespace attn
