// Writes one `attn.transform` as a block program: rows are loaded, changed and stored, a tile of rows at a time.
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace attn {
namespace ir {
class TransformOp;
}

/// Fills `kernel`, whose arguments begin with the plan's. `source` and `result` are its tensors for the operand and the
/// result of `op`. Fails with a message at what is not supported.
mlir::LogicalResult writeTransformKernel(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, ir::TransformOp op,
                                         mlir::Value source, mlir::Value result);

} // namespace attn
