// The rows that the diagonals of a tile of queries and keys choose (RelativeRows.h), as an operand of `tile.diagonal_dot`
// and `tile.diagonal_sum`: rows of a table gathered by copies that the table's type allows, else computed an element at a time.
#pragma once

#include "passes/RelativeRows.h"
#include "passes/convert/ElementScope.h"

namespace attn {

/// For the tile of `point`, at the builder's place; elements of `element`, `columns` of them a row, 0 beyond the channels and
/// where an index is out of range. Null after a message.
mlir::Value diagonalRows(KernelScope &kernel, mlir::OpBuilder &builder, const RelativeRow &row, const Frame &point,
                         int64_t columns, mlir::Type element);

} // namespace attn
