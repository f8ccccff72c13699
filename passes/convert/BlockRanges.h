// From the key ranges of region `ranges` to blocks of keys: which blocks a work tile visits, in which order, and
// which of them are full.
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/ValueRange.h"

namespace attn {

class BlockRanges {
public:
  /// Visited and full key ranges as half-open pairs; what does not change in the loop is written at `work`.
  BlockRanges(mlir::OpBuilder &work, mlir::Location location, mlir::ValueRange visit, mlir::ValueRange full,
              int64_t blockN);

  /// How many blocks are visited, at least one: a tile that sees no key has one masked block.
  mlir::Value count() const { return shown ? shown : total; }
  /// From here on only `count` blocks are visited, those of iterations from `first` on so far.
  void visitOnly(mlir::Value first, mlir::Value count) { firstShown = first, shown = count; }
  /// From here on visits the `count` blocks of a tile's list (BlockLists.h), whose row of `list` stands at `place`; of an empty
  /// one block 0, as a partial one.
  void visitListed(mlir::OpBuilder &work, mlir::Value list, mlir::ValueRange place, mlir::Value count);
  /// The first key that no visited range reaches.
  mlir::Value end() const { return lastKey; }
  /// The block of iteration `i`: the last one first.
  mlir::Value block(mlir::OpBuilder &builder, mlir::Value i) const;
  /// Is every key of `block` visible to every row; null if no block can be.
  mlir::Value isFull(mlir::OpBuilder &builder, mlir::Value block) const;

private:
  struct Range {
    mlir::Value lo, hi;   ///< blocks, half-open
  };
  void visitBlocks(mlir::OpBuilder &work, mlir::ValueRange keys);
  mlir::Value listedBlock(mlir::OpBuilder &builder, mlir::Value i) const;
  void visitSorted(mlir::OpBuilder &work, llvm::MutableArrayRef<Range> ranges);
  mlir::Value number(mlir::OpBuilder &builder, int64_t value) const;

  mlir::Location location;
  int64_t blockN;
  llvm::SmallVector<Range> visited, fulls;
  mlir::Value total, lastKey;
  mlir::Value firstShown, shown;   ///< null: all are
  mlir::Value list, listed;        ///< null: as ranges say
  llvm::SmallVector<mlir::Value> placeOfList;
};

} // namespace attn
