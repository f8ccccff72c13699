// A number of a score that depends on the distance of key and query alone and costs much: a kernel in front of the attention's
// computes it once a head, for all distances that there are, and points read it there, or strips do for them (BuildStrips):
//
//   table[b, h, i] = value where kv_idx - q_idx = i - (q_len - 1),  0 ≤ i < q_len + kv_len
//
// Strips have BM + BN - 1 numbers for each block; without a table a distance is computed again for each block that has it. A number
// that does not depend on the request, or on the head, is in the table once. Of several such numbers the costliest is taken.
#pragma once

#include "passes/convert/KernelScope.h"

namespace attn {

class DistanceTable {
public:
  /// Nothing where no such number costs enough.
  static std::optional<DistanceTable> of(ir::OnlineAttentionOp op);

  static llvm::StringRef workspaceName() { return "distances.0"; }
  /// The table's type as an argument of the plan.
  ir::AttnTensorType type() const;

  /// Writes the kernel; `table` is its argument.
  mlir::LogicalResult writeKernel(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, mlir::Value table) const;
  /// From here on the score reads the number from `table`, an argument of the plan.
  void readIn(mlir::Value table) const;
  void remark() const;

private:
  explicit DistanceTable(ir::OnlineAttentionOp op) : op(op) {}

  mutable ir::OnlineAttentionOp op;
  mlir::Value value;            ///< of region `score`
  int64_t cost = 0;             ///< in operations
  bool ofRequests = false, ofHeads = false;
};

} // namespace attn
