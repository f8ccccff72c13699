// Linear attention in chunks (LinearForm.h). A kernel before the attention's sums for each head what the keys of the first
// blocks give, n = 0, 1, 2, … blocks of BN:
//
//   states[b, g, n] = Σ_{j < n·BN} k_j v_jᵀ / max(n, 1)·BN         [head_dim, head_dim_v] of the values' type
//   sums[b, g, n]   = Σ_{j < n·BN} k'_j                            [head_dim] f32, for the sum that divides
//
// and a tile of queries, all rows of which see the first n blocks whole, starts from
//
//   acc = (q · states[b, g, n]) · n·BN · factors,   row_sum = (q' · sums[b, g, n]) · factors
//
// and meets the remaining keys point by point. Means and not sums are rounded to 16 bits: their size does not grow with n.
// Where all tiles see all keys whole there is one state, n = kv_len / BN.
#pragma once

#include "passes/LinearForm.h"
#include "passes/convert/ElementScope.h"

namespace attn {

class LinearStates {
public:
  /// Nothing where the schedule does not ask for chunks.
  static std::optional<LinearStates> of(ir::OnlineAttentionOp op);

  /// The tensors between the two kernels: states, and sums if something divides.
  llvm::SmallVector<tile::TileTensorType, 2> workspaceTypes() const;
  static llvm::StringRef workspaceName(unsigned number) { return number == 0 ? "states.0" : "sums.0"; }

  /// Writes the first kernel; `workspace` are its arguments of the types above.
  mlir::LogicalResult writeKernel(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, mlir::ValueRange workspace,
                                  llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> bindings) const;

  /// The number of blocks that come as a state, where keys below `full` are seen whole.
  mlir::Value blocks(KernelScope &scope, mlir::Location location, mlir::Value full) const;
  /// What a tile starts from; null after a message.
  mlir::Value startOfAcc(KernelScope &scope, mlir::OpBuilder &builder, mlir::Value states, mlir::ValueRange queryOperands,
                         mlir::Value blocks, mlir::Value zero) const;
  mlir::Value startOfRowSum(KernelScope &scope, mlir::OpBuilder &builder, mlir::Value sums, mlir::ValueRange queryOperands,
                            mlir::Value blocks, mlir::Value zero) const;

private:
  LinearStates(ir::OnlineAttentionOp op, const LinearForm &form, int64_t blockN, bool isOne)
      : op(op), form(form), blockN(blockN), isOne(isOne) {}

  int64_t featureLength(const BilinearTerm &term) const;
  mlir::Value entry(KernelScope &scope, mlir::Value blocks) const { return isOne ? scope.constant(0) : blocks; }
  mlir::Value factor(KernelScope &scope, const BilinearTerm &term, mlir::Value first) const;

  mutable ir::OnlineAttentionOp op;
  LinearForm form;
  int64_t blockN;
  bool isOne;   ///< one state for all tiles
};

} // namespace attn
