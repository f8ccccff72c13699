// Which comparisons of a mask limit keys from one side alone, and from where on, or up to where, they hold for all rows of a
// tile: a block of keys at one edge of a window need be compared with that edge only.
#pragma once

#include "passes/attn/SolveMask.h"

namespace attn::mask {

/// For a mask that is nothing but such comparisons, some from each side: marks those from below with `attn.fact` 0, those from
/// above with 1, and returns the keys on which all of a side hold for every row, [from, kv_len) and [0, end). Else empty.
KeySet markFacts(ir::AttentionOp op, Expressions &expressions, MaskSolver &solver);

} // namespace attn::mask
