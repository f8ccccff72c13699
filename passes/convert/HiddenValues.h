// Values that are not finite, in blocks of keys of which some are hidden. There a product would spread them to rows that
// do not see their key, for 0 · NaN is NaN. So they count as 0 in the products of such blocks, and the kernel notes the
// first key of a block in which it met any: one register. Behind the loop, in a kernel that met some, they are added to the
// rows that do see them:
//
//   %found = keep_finite V if partial;   from := first key of the first block with %found                  (in the loop)
//   for key in [from, last visited) { seen = mask(row, key);  acc += seen and not isfinite(V[key]) ? V[key] : 0 }
//
// In a block that all rows see whole nothing is looked for: its product is what the language says. Not so of f32 operands,
// whose product takes them in parts: every block is looked through. Behind the loop the
// weights are no longer known: where they may be 0 or below, NaN is added for an infinity.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

/// Where the values lie, and who sees them.
struct HiddenValues {
  KernelScope &scope;
  mlir::Value tensor, head;      ///< of values, and the head's number in it
  mlir::Value mask;              ///< of the plan: kv_idx of q_idx visible; null: always
  mlir::Value keys;              ///< kv_len
  mlir::Value end;               ///< the first key behind those that are visited
  mlir::Value firstRow;          ///< q_idx of the tile's row 0
  int64_t rows;
  bool weightsArePositive;       ///< then an infinity stays one of its sign, else it becomes NaN
  mlir::Value row = {};          ///< of the plan, at a point: what is restored instead of the value,
  mlir::Type rowElement = {};    ///< rounded to this,
  int64_t firstChannel = 0;      ///< from that channel on

  /// No key: behind all.
  mlir::Value none() const;
  /// The values of a block with what is not finite set to 0 if the block is partial, and the first key of a block with
  /// such values so far. `isFull` may be null. `clearsUnseen`: keys that are not visited count as 0, unread; else that has
  /// been done as they were copied.
  std::pair<mlir::Value, mlir::Value> keepFinite(mlir::OpBuilder &builder, mlir::Value values, mlir::Value firstKey,
                                                 mlir::Value isFull, mlir::Value from, bool clearsUnseen = false) const;
  /// The sums with what was left out added; null after a message.
  mlir::Value restore(mlir::OpBuilder &builder, mlir::Value sums, mlir::Value from) const;

private:
  mlir::Value seenBy(mlir::OpBuilder &builder, mlir::Value key) const;
  mlir::Value element(ElementScope &place, mlir::Value key, mlir::Value exists) const;
  mlir::Value addRow(mlir::OpBuilder &builder, mlir::Value sums, mlir::Value seen, mlir::Value key) const;
};

} // namespace attn
