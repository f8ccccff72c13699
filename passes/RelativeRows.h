// Rows of a table that the distance of key and query chooses: Transformer-XL, DeBERTa, Shaw. A tile of R queries and C
// keys meets R + C - 1 of them, one a diagonal, so a product with them is a matrix product and a skew.
#pragma once

#include "ir/attn/AttnDialect.h"

#include <optional>

namespace attn {

/// A vector that is a function of the distance alone, besides request and head.
struct RelativeRow {
  mlir::Value row;
  ir::LoadOp load;   ///< the row of a table itself, chosen by the index of dimension `dim`; null: computed
  unsigned dim = 0;
};

/// `dot` of a feature with such a row.
struct RelativeProduct {
  ir::DotOp dot;
  RelativeRow row;
  bool ofKey = false;    ///< whose feature
  unsigned feature = 0;  ///< of that side
};

/// Nothing for rows of another kind, as those that query or key choose by themselves.
std::optional<RelativeRow> findRelativeRow(mlir::Value row);

/// What `dot` is, in a region `score` whose first arguments are the query's features; nothing for other products, lookups
/// (Lookups.h) among them.
std::optional<RelativeProduct> findRelativeProduct(ir::DotOp dot, unsigned queryFeatures);

/// All of an attention's score.
llvm::SmallVector<RelativeProduct> findRelativeProducts(mlir::Region &score, unsigned queryFeatures);

/// The rows that region `weight` adds to the value, of any kind.
llvm::SmallVector<mlir::Value> rowsAddedToValue(mlir::Region &weight);

/// The rows of tables that a vector is computed from, itself included.
llvm::SmallVector<ir::LoadOp> loadsBehind(mlir::Value row);

bool hasRelativeRows(ir::AttentionOp op);

/// Bytes of shared memory of the rows that a tile of `blockM` queries and `blockN` keys meets, of all tables.
int64_t relativeRowBytes(ir::AttentionOp op, int64_t blockM, int64_t blockN);

} // namespace attn
