// Attributes on a plan's arguments that say where the rows of requests lie (layouts ragged and paged), for the launch check.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace attn::ir {

/// `attn.most_step = "q_len"`: a number is at most that much above the one before it.
inline constexpr llvm::StringLiteral kMostStepAttr = "attn.most_step";
/// `attn.counted_by = ["kv_lens", 64]`: of row b the first ceil(kv_lens[b] / 64) numbers count, the others may be anything.
inline constexpr llvm::StringLiteral kCountedByAttr = "attn.counted_by";

} // namespace attn::ir
