// The end of a tile of rows: from the state of its rows to out, lse and max_score in memory.
#pragma once

#include "passes/convert/ElementScope.h"

#include "llvm/ADT/StringMap.h"

namespace attn {

/// The state of a tile's rows: `rowMax` in units of `scale`, log2.
struct RowState {
  mlir::Value rowMax, rowSum, sums, scale;
};

class RowOutputs {
public:
  /// Changes where stores end: takes the first row of queries that is not stored. May be null.
  using ChangeEnd = llvm::function_ref<mlir::Value(mlir::Value end)>;

  /// `tensors` gives the argument of `out`, `lse`, `max_score`, as far as they are asked for; `frame` the rows, and the columns
  /// of their sums, which are those of channel `firstChannel` and the next ones.
  RowOutputs(KernelScope &scope, ir::FinalizeOp finalize, const llvm::StringMap<mlir::Value> &tensors, const Frame &frame, int64_t firstChannel = 0)
      : scope(scope), finalize(finalize), tensors(tensors), frame(frame), firstChannel(firstChannel) {}

  mlir::LogicalResult write(mlir::OpBuilder &builder, const RowState &state, ChangeEnd changeEnd = nullptr);

private:
  mlir::Value outRow(mlir::OpBuilder &builder, mlir::Value fragment);
  mlir::Value maxScore(mlir::OpBuilder &builder, const RowState &state);

  KernelScope &scope;
  ir::FinalizeOp finalize;
  const llvm::StringMap<mlir::Value> &tensors;
  Frame frame;
  int64_t firstChannel;
};

} // namespace attn
