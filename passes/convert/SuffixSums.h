// `attn.suffix_sum` in a score, block by block: the blocks of keys are visited from the last to the first, and each row
// carries what the keys of the blocks behind have summed to.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

class SuffixSums {
public:
  /// Writes a value of the score for a block of keys, 0 where a key is hidden; null after a message.
  using WriteValue = llvm::function_ref<mlir::Value(mlir::Value value, const FragmentMap &products)>;

  /// Finds the sums of region `score`, inner ones before those that are made of them.
  void find(mlir::Region &score);
  bool empty() const { return sums.empty(); }
  size_t size() const { return sums.size(); }

  /// Adds the block's sums to `products`, by the values of the region, given the sums of all blocks behind; returns those
  /// with this block.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> write(mlir::OpBuilder &builder, mlir::ValueRange carried, FragmentMap &products,
                                                        WriteValue valueOf);

private:
  llvm::SmallVector<ir::SuffixSumOp> sums;
};

} // namespace attn
