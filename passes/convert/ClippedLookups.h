// Blocks of keys in which all points look up one row of a table: the distance is clipped for all of them. That holds for most
// blocks of long sequences under a clipped distance (Shaw), and turns the read of a point into one of its row of queries.
#pragma once

#include "passes/convert/BlockCorners.h"
#include "passes/convert/ElementScope.h"

namespace attn {

class ClippedLookups {
public:
  ClippedLookups(KernelScope &kernel, mlir::OpBuilder &builder, const BlockCorners &corners)
      : kernel(kernel), builder(builder), corners(corners) {}

  /// Finds the lookups that `root` is computed from, `fragments` aside. False where there are none, or one of them has an
  /// index that does not rise or fall with the query and with the key: then nothing may be said of it at the corners.
  bool find(mlir::Value root, const FragmentMap &fragments, const LookupReads &lookups);

  /// Whether all points of the block read the same row; null after a message.
  mlir::Value holds();
  /// Where it does: the products with that row, one a query, beside `fragments`.
  FragmentMap withRows(FragmentMap fragments, int64_t rows);

private:
  KernelScope &kernel;
  mlir::OpBuilder &builder;
  BlockCorners corners;
  llvm::SmallVector<std::pair<mlir::Value, LookupRead>> found; ///< by the results of the dots
  llvm::DenseMap<mlir::Value, mlir::Value> columns;            ///< of indices, at the corner where they are least
};

} // namespace attn
