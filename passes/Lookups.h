// Products of a query row with a row of a small table that each point chooses for itself: `dot(query, table[r])` with r a
// clipped distance (Shaw) or a sum of gates (CoPE). All products of a row with the table's few rows are made once a tile
// of queries, as one matrix product; a point reads its own.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// Rows of a table up to which its products with a tile of queries are kept in shared memory.
inline constexpr int64_t kMostLookupRows = 128;
/// Numbers of such a table, where there is another way: they are a right operand as a whole.
inline constexpr int64_t kMostLookupNumbers = 128 * 128;

struct Lookup {
  ir::DotOp dot;
  ir::LoadOp load;
  unsigned feature = 0;  ///< of the query
  unsigned dim = 0;      ///< of the table: its index is the point's, the others are of the request and the head
  int64_t rows = 0;      ///< of the table along `dim`

  mlir::Value index() const { return ir::LoadOp(load).getIndices()[dim]; }
  /// Whether the same products serve both.
  bool sharesProducts(const Lookup &other) const;
  /// Whether the table's rows are operands of that type as they lie in memory: for copies of 16 bytes, and for tensor maps
  /// of at most five dimensions.
  bool isCopied(mlir::Type element) const;
  /// Columns of the products of a tile: whole tiles of 16 rows.
  int64_t columns() const { return (rows + 15) / 16 * 16; }
  /// Elements from one row of the products to the next: reads of one column by the eight rows of a warp's access meet
  /// different banks.
  int64_t pitch() const { return columns() + 4; }
};

/// The lookup that `dot`, in a region `score` whose first arguments are the query's features, is; nothing for others: a
/// row that query or key alone choose, a table of unknown or many rows, rows chosen by several indices.
std::optional<Lookup> findLookup(ir::DotOp dot, unsigned queryFeatures);

/// All of a score, each table's products once: of lookups that share them the first.
llvm::SmallVector<Lookup> findLookupTables(mlir::Region &score, unsigned queryFeatures);

/// Whether a value is computed from dots or sums over keys, beside positions and parameters.
bool dependsOnScores(mlir::Value value);

/// Whether an index is surely one of `rows` rows, whatever the point.
bool isWithin(mlir::Value index, int64_t rows);

} // namespace attn
