// What rows of several vectors, and rows that `concat` made longer than `head_dim`, take beside the rows as they are stored.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

/// Bytes of shared memory of the vectors that are multiplied, beyond one of `head_dim` channels for each query and key.
int64_t furtherFeatureBytes(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family, int64_t elementBytes);

} // namespace attn
