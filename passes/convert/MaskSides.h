// Comparisons of a mask that limit keys from one side (passes/attn/MaskFacts.h), at a block of keys: those of a side on which no
// row is limited within the block need not be made there.
#pragma once

#include "passes/convert/KernelScope.h"

#include <array>

namespace attn {

class MaskSides {
public:
  enum Side : unsigned { Below, Above };

  MaskSides() = default;
  /// `facts`: the ends of the facts' keys for the work tile at hand, as region `ranges` of `op` yields them.
  MaskSides(KernelScope &scope, ir::OnlineAttentionOp op, mlir::ValueRange facts, int64_t blockN);

  bool areKnown() const { return firstBlock && endBlock; }
  /// Whether all comparisons of a side hold for all rows on the block's keys, those above on keys that there are alone.
  mlir::Value hold(mlir::OpBuilder &builder, Side side, mlir::Value block) const;
  llvm::ArrayRef<mlir::Value> comparisons(Side side) const { return sides[side]; }

private:
  mlir::Value firstBlock, endBlock;   ///< blocks from the one on, up to the other
  std::array<llvm::SmallVector<mlir::Value, 2>, 2> sides;
};

} // namespace attn
