// Special functions of scores beside the products of their tiles.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

/// Where the special function units would be busy longer than the tensor cores, moves work of theirs to the units that add
/// and multiply: reciprocals of a score are shared by points (`reassoc` on the division), and a part of the softmax's
/// exponentials is computed by fma (`emulate` of the schedule).
void balanceUnits(ir::AttentionOp op, MmaFamily family, ir::Schedule &schedule);

} // namespace attn
