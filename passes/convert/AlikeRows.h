// Blocks whose diagonals all choose one row of a table (RelativeRows.h): the distance is clipped for all of their queries and
// keys, as it is for most blocks of long sequences. There a product with rows of diagonals is one with a single row.
#pragma once

#include "passes/RelativeRows.h"
#include "passes/convert/BlockCorners.h"

namespace attn {

/// Whether some blocks of the table's rows may be such, decided without looking at a block.
bool mayBeAlike(KernelScope &kernel, const RelativeRow &row);

/// That this block is; null after a message, or where none may be.
mlir::Value areRowsAlike(KernelScope &kernel, mlir::OpBuilder &builder, const RelativeRow &row, const BlockCorners &corners);

} // namespace attn
