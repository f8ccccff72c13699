// Values that are not finite, in blocks of keys of which some are hidden. There a product would spread them to rows that
// do not see their key, for 0 · NaN is NaN. So they count as 0 in the products of such blocks, and the kernel notes in
// which keys it met any. Behind the loop, in a kernel that met some, they are added to the rows that do see them:
//
//   %found = keep_finite V if partial;   lo, hi := keys of the blocks with %found      (in the loop)
//   if lo < hi { for key in [lo, hi) { seen = mask(row, key);  acc += seen and not isfinite(V[key]) ? V[key] : 0 } }
//
// In a block that all rows see whole nothing is looked for: its product is what the language says.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

/// Keys, half-open: of the blocks in which values were not finite.
struct KeyRange {
  mlir::Value lo, hi;
};

/// Where the values lie, and who sees them.
struct HiddenValues {
  KernelScope &scope;
  mlir::Value tensor, head;      ///< of values, and the head's number in it
  mlir::Value mask;              ///< of the plan: kv_idx of q_idx visible
  mlir::Value keys;              ///< kv_len
  mlir::Value firstRow;          ///< q_idx of the tile's row 0
  int64_t rows;

  /// No key.
  KeyRange none() const;
  /// The values of a block with what is not finite set to 0 if the block is partial; widens `met`. `isFull` may be null.
  mlir::Value keepFinite(mlir::OpBuilder &builder, mlir::Value values, mlir::Value firstKey, int64_t blockN,
                         mlir::Value isFull, KeyRange &met) const;
  /// The sums with what was left out added; null after a message.
  mlir::Value restore(mlir::OpBuilder &builder, mlir::Value sums, const KeyRange &met) const;

private:
  mlir::Value seenBy(mlir::OpBuilder &builder, mlir::Value key) const;
  mlir::Value addRow(mlir::OpBuilder &builder, mlir::Value sums, mlir::Value seen, mlir::Value key) const;
};

} // namespace attn
