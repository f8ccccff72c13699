// The rows that the diagonals of a tile of queries and keys choose (RelativeRows.h), as an operand of `tile.diagonal_dot`
// and `tile.diagonal_sum`: rows of a table gathered by copies that the table's type allows, else computed an element at a time.
#pragma once

#include "passes/RelativeRows.h"
#include "passes/convert/ElementScope.h"
#include "passes/convert/ValueSlice.h"

namespace attn {

/// For the tile of `point`, at the builder's place; elements of `element`, `columns` of them a row, 0 beyond the channels and
/// where an index is out of range. `slice`: the row's channels that are wanted, or null. Null after a message.
mlir::Value diagonalRows(KernelScope &kernel, mlir::OpBuilder &builder, const RelativeRow &row, const Frame &point,
                         int64_t columns, mlir::Type element, const ValueSlice *slice = nullptr);

/// What stands for the rows of a block in which all are one (AlikeRows.h).
struct RowForAll {
  mlir::Value rows;    ///< of the first diagonals, as many as a product takes
  mlir::Value isAlike;
};
inline constexpr int64_t kRowsForAll = 16;

/// Whether a table has such blocks, and rows that come by copies, which then are left out.
bool hasRowForAll(KernelScope &kernel, const RelativeRow &row, mlir::Type element);
/// Null after a message.
RowForAll rowForAll(KernelScope &kernel, mlir::OpBuilder &builder, const RelativeRow &row, const Frame &point, int64_t columns,
                    mlir::Type element, const ValueSlice *slice = nullptr);

} // namespace attn
