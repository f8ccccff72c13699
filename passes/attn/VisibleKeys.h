// How many keys the mask lets a tile of rows see, bounded by what is known at launch: extents and scalar arguments. For the
// choice of how many shares keys are split into (runtime/core/SplitChoice.h), which wants no device asked.
//
//   mask = causal() and q_pos - kv_pos < width,  a tile of 4 queries    →    min(kv_len, width + 3)
//
// The ranges of SolveMask.h are solved for any tile; here their lengths are bounded over all tiles, and over what is promised of
// tensors and not known: documents bound nothing, lengths of requests as their promise says.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "support/SizeExpr.h"

#include <optional>

namespace attn {

/// Never less than a tile of `queries` queries sees. Nothing where that may be all keys, whatever the launch.
std::optional<SizeExpr> mostVisibleKeys(ir::AttentionOp op, int64_t queries);

} // namespace attn
