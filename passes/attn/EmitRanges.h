// Writes key sets into region `ranges` of an attention.
#pragma once

#include "passes/attn/SolveMask.h"

namespace attn::mask {

/// Fills the empty `region` with a block (first, last) that yields the sets: may as `visit`, must as `full`, and `facts`.
void emitRanges(mlir::Region &region, mlir::Location location, Expressions &expressions, const KeySets &sets, const KeySet &facts);

} // namespace attn::mask
