// Rows of values that no query of the tile sees, on targets whose copies know no `limit`.
#pragma once

#include "ir/tile/TileDialect.h"

#include "mlir/IR/Builders.h"

namespace attn {

/// Sets the rows of entry `entry`, from row `limit` of the tensor on, to 0 where there are such rows: a product would
/// spread what is not finite in them, for 0 · NaN is no 0. `firstRow` is the entry's first row of `dim` of `tensor`. The
/// rows are not looked at, and the entry is not awaited, when all of them count.
void clearRowsBeyond(mlir::OpBuilder &builder, mlir::Location location, tile::AwaitOp await, mlir::Value entry,
                     mlir::Value tensor, unsigned dim, mlir::Value firstRow, mlir::Value limit);

} // namespace attn
