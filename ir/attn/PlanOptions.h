// What a caller asks of a plan beside its meaning, and what passes found out about its attention: attributes by name.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace attn::ir {

/// On the plan, a unit: each `tanh` that reaches a score by sums and constant factors may be the target's instruction, relative
/// error 2^-11.
inline constexpr llvm::StringLiteral kApproximateTanhAttr = "attn.approximate_tanh";

/// On an online attention, f64: scores are so bounded that weights are 2^(s - this) for all rows, in log2 units; no row needs a
/// maximum (passes/attn/BoundedScores.h).
inline constexpr llvm::StringLiteral kWeightsAboveAttr = "attn.weights_above";

} // namespace attn::ir
