// Writes one `attn.online_attention` between `attn.identity` and `attn.finalize` as a block program over tiles.
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/StringMap.h"

namespace attn {
namespace ir {
class OnlineAttentionOp;
class FinalizeOp;
} // namespace ir
class SplitKeys;
struct ValueSlice;

/// Fills `kernel`, whose arguments begin with the plan's; `outputs` gives the argument of `out`, `lse`, `max_score`, as
/// far as they are asked for, `workspace` the arguments for tensors that earlier kernels of the plan have made, `states` those
/// of linear attention in chunks (LinearStates.h). With `split` it is the kernel for few rows, whose keys may be split
/// (SplitKeys.h). With `slice` it has these channels of the values alone, which `out` has then. Fails with a message at what is not supported.
mlir::LogicalResult writeAttentionKernel(mlir::func::FuncOp plan, mlir::func::FuncOp kernel,
                                         ir::OnlineAttentionOp online, ir::FinalizeOp finalize,
                                         const llvm::StringMap<mlir::Value> &outputs,
                                         llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> workspace,
                                         mlir::ValueRange states, SplitKeys *split = nullptr, const ValueSlice *slice = nullptr);

} // namespace attn
