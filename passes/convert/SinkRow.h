// What the rows of a tile start with: the state before any key, or after a sink alone.
#pragma once

#include "passes/convert/ElementScope.h"
#include "passes/convert/SplitKeys.h"

#include <optional>

namespace attn {

struct SinkRow {
  KernelScope &scope;
  mlir::OpBuilder &builder;
  ir::OnlineAttentionOp op;
  SplitKeys *split;                  ///< null: keys have no shares
  mlir::Value firstRow;
  int64_t rows;
  std::optional<double> above;       ///< what all weights are taken above, where no row has a maximum

  /// In units of x, where scores are x · scale + shift · scale, or in log2 units where weights are above a constant; `none`
  /// without a sink. Null after a message.
  mlir::Value startOfRowMax(mlir::Value scale, mlir::Value shift, mlir::Value none);
  /// The weight of the sink itself, 2^probsOffset where the maximum is its own. Null after a message.
  mlir::Value startOfRowSum(float probsOffset);

private:
  mlir::Value ofSink(llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value sink)> change, double otherwise);
};

} // namespace attn
