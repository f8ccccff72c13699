// Attention on rows of f64: what of it is compiled, and the registers that it takes. Elsewhere f64 is a type like others: regions,
// scores and sums are of that type (`ir::computeType`), and products are mma.sync's (codegen/nvvm/DotDouble.cpp).
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

/// Whether query and key are of f64; what stands beside them then is, too, once `checkDoubleRows` holds.
bool hasDoubleRows(ir::AttentionOp op);

/// Refuses, at its place, what is not compiled for rows of f64.
mlir::LogicalResult checkDoubleRows(ir::AttentionOp op, const GpuTarget &target);

/// Registers of a thread for 16 rows of queries in the loop over keys.
int64_t doubleLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule);

} // namespace attn
