// Over how many neighbouring rows or keys a value of a region stays the same: a table of blocks, `blocks[q_idx // 64, kv_idx // 64]`,
// for 64 of each.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// A number n such that `value` is the same at i and j wherever i // n = j // n, i and j of index `kind`; 0 if it does not
/// depend on that index.
int64_t runLength(mlir::Value value, ir::IndexKind kind);

} // namespace attn
