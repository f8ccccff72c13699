// What rows of tables that the distance chooses (passes/RelativeRows.h) take of a thread's registers, for SelectSchedule.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Whether the kernel has warp roles on targets with them: products with rows of diagonals are a warp's own beside those of
/// warpgroups (passes/DiagonalLimits.h). Else all products are mma.sync's.
bool areDiagonalsBesideRoles(ir::AttentionOp op);

/// Of 16 rows of queries, beside scores, probs and sums. `isOverlapped`: probs of the block before are in use meanwhile.
int64_t diagonalRegisters(ir::AttentionOp op, const ir::Schedule &schedule, bool isOverlapped);

/// Of all rows: addresses and lanes of diagonals, and operands on the way.
int64_t diagonalOperandRegisters(ir::AttentionOp op, bool isOverlapped);

} // namespace attn
