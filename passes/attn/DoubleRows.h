// Attention on rows of f64: the registers that it takes. Elsewhere f64 is a type like others: regions,
// scores and sums are of that type (`ir::computeType`), and products are mma.sync's (codegen/nvvm/DotDouble.cpp).
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Whether query and key are of f64; what stands beside them then is, too.
bool hasDoubleRows(ir::AttentionOp op);

/// Registers of a thread for 16 rows of queries in the loop over keys, beside sums of rows of `valueLength`.
int64_t doubleLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule, int64_t valueLength);

} // namespace attn
