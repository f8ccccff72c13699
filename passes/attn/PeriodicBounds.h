// Bounds beside a remainder, moved to where the remainder lets them be reached.
#pragma once

#include "passes/attn/KeyExpressions.h"

namespace attn::mask {

/// A condition that is equal to `mask` at every point, with tighter bounds where a conjunction fixes a remainder:
///
///   x ≤ w and x % c == 0     →     x ≤ c·⌊w / c⌋ and x % c == 0
///
/// Rows are quantified for each comparison by itself, so that what two of them say together has to be said by one.
const Predicate *tightenBounds(Expressions &expressions, const Predicate *mask);

} // namespace attn::mask
