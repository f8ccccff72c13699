// See SuffixSums.h.
//
//   scf.for … iter_args(%carry = 0) {                 block n - 1, n - 2, … (BlockRanges.h)
//     %x = the value, 0 at hidden keys                NaN · 0 would be NaN: they are chosen, not multiplied
//     %sums, %total = tile.suffix_sum %x, %carry
//     … map of the score, in which %sums is an input …
//     yield %total }
//
// Blocks that are not visited hold no visible key and would add nothing.
#include "passes/convert/SuffixSums.h"

#include "ir/tile/ScanOps.h"

using namespace mlir;

namespace attn {

void SuffixSums::find(Region &score) {
  sums.clear();
  score.walk([&](ir::SuffixSumOp op) { sums.push_back(op); }); // in one block: what is used stands before its use
}

FailureOr<SmallVector<Value>> SuffixSums::write(OpBuilder &builder, ValueRange carried, FragmentMap &products, WriteValue valueOf) {
  SmallVector<Value> totals;
  for (auto [op, carry] : llvm::zip(sums, carried)) {
    Value value = valueOf(op.getValue(), products);
    if (!value)
      return failure();
    auto sum = tile::SuffixSumOp::create(builder, op.getLoc(), value.getType(), carry.getType(), value, carry);
    products[op.getResult()] = {sum.getSums(), 0};
    totals.push_back(sum.getTotal());
  }
  return totals;
}

} // namespace attn
