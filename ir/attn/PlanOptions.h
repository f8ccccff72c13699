// What a caller asks of a plan beside its meaning: unit attributes on its function.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace attn::ir {

/// Each `tanh` that reaches a score by sums and constant factors may be the target's instruction, relative error 2^-11.
inline constexpr llvm::StringLiteral kApproximateTanhAttr = "attn.approximate_tanh";

} // namespace attn::ir
