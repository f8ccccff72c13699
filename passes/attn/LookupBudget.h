// What lookups in products with small tables (Lookups.h) and sums over keys take of a tile's registers and shared memory.
// From what ptxas 13.0 was seen to spill with tests/conformance/Cases.def.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Whether `inner` is a row of a table that no point reads itself: products with it are looked up.
bool isOfLookup(ir::AttentionOp op, mlir::Operation *inner);

/// Registers for 16 rows of queries in the loop over keys; `isBesideProducts`: while products run on their own.
int64_t lookupRegisters(ir::AttentionOp op, const ir::Schedule &schedule, bool isBesideProducts);

/// Registers of a thread before the loop, where tables become operands a number at a time.
int64_t tableRegisters(ir::AttentionOp op, const ir::Schedule &schedule);

int64_t lookupBytes(ir::AttentionOp op, const ir::Schedule &schedule);

} // namespace attn
