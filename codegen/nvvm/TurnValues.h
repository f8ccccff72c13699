// Columns of a buffer of 8-bit floats as the rows of another: values, whose keys then lie along the rows.
#pragma once

#include "codegen/nvvm/KernelContext.h"

namespace attn::codegen {

/// Whether a `tile.widen` turns its rows: elements stay what they are.
bool isTurned(tile::BufferType from, tile::BufferType to);

/// Writes the columns of `source` to `target`, by all warps of the role.
void turnValues(KernelContext &kernel, Emitter &e, tile::BufferType from, mlir::Value source, tile::BufferType to, mlir::Value target);

} // namespace attn::codegen
