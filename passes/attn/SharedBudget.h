// Bytes of shared memory that a schedule's tiles take, as far as they are known before tiles are written: AllocateShared has the
// last word.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

int64_t predictedSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target, MmaFamily family);

} // namespace attn
