// Scalars of point regions (score, weight) at all points of a block: a row a query of the tile, a column a key of the
// block. Where a key does not count for a row, because the mask hides it or there is no such key, another number stands:
//
//   %x = tile.map … { root }                                       once, in front of the branch
//   %y = scf.if %is_full { %x } else { tile.map %x { select(mask, x, hidden) } }
//
// Where reads are checked the mathematics stands in both branches, for it counts only where the mask lets it through; so it does
// where points share reciprocals, lest a hidden key that holds no number spoils those of others.
//
// In the masked branch of a window a block that lies at one edge is compared with that edge alone (MaskSides.h).
#pragma once

#include "passes/convert/ElementScope.h"
#include "passes/convert/MaskSides.h"

namespace attn {

struct BlockPoints {
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location location;
  mlir::Value mask;                  ///< of the plan: kv_idx of q_idx visible; null: all are
  mlir::Value keys;                  ///< kv_len
  mlir::Value firstRow, firstKey;    ///< q_idx of row 0, kv_idx of column 0
  int64_t rows, columns;
  mlir::Value isFull;                ///< all rows see all keys; null: never known
  const LookupReads *lookups = nullptr; ///< products with rows of tables that points choose
  const MaskSides *sides = nullptr;
  mlir::Value block = {};            ///< where `sides` are given: the block's number

  /// `root` at all points, `hidden` at those that do not count; null after a message. `fragments` stand for what `root` is
  /// computed from.
  mlir::Value visibleOnly(mlir::Value root, FragmentMap fragments, float hidden);
  /// `root` at all points, whether they count or not.
  mlir::Value everywhere(mlir::Value root, const FragmentMap &fragments);

  /// The same numbers, with checks of reads of rows that are made elsewhere, a diagonal at a time (DiagonalRows.h), where their
  /// points count; null after a message.
  mlir::Value checked(mlir::Value numbers, llvm::ArrayRef<ir::LoadOp> reads);

private:
  mlir::Value visibility(ElementScope &element, tile::MapOp map);
  mlir::Value write(mlir::Value root, const FragmentMap &fragments, std::optional<float> hidden, llvm::ArrayRef<mlir::Value> implied = {});
  mlir::Value writeBySide(mlir::Value root, const FragmentMap &fragments, float hidden);
};

} // namespace attn
