// Registers that the mathematics of a point takes beside its scores, for SelectSchedule: from what ptxas 13.0 was seen to spill
// with tests/conformance/Cases.def and tests/fuzz/spill_sweep.py.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

/// With 160 registers a thread (three warpgroups): those of elements on the way, where the score is more than a scaled
/// product. With 240 they are there.
int64_t scoreRegisters(ir::AttentionOp op);

/// For 16 rows of queries: addresses and words of tables in flight, what divisions and comparisons of numbers keep, and what
/// functions need on the way.
int64_t pointRegisters(ir::AttentionOp op, MmaFamily family, const ir::Schedule &schedule);

} // namespace attn
