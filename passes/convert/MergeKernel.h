// Writes the kernel that merges what the shares of a split plan leave (SplitKeys.h).
#pragma once

#include "passes/convert/SplitKeys.h"

#include "llvm/ADT/StringMap.h"

namespace attn {

/// Fills `kernel`, whose arguments begin with the plan's; `outputs` gives the argument of `out`, `lse`, `max_score`, as far as
/// they are asked for, `workspace` the arguments for tensors that earlier kernels of the plan have made.
mlir::LogicalResult writeMergeKernel(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, ir::OnlineAttentionOp online,
                                     ir::FinalizeOp finalize, const llvm::StringMap<mlir::Value> &outputs,
                                     llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> workspace, const SplitPlan &split,
                                     const SplitArguments &arguments);

} // namespace attn
