// What a kernel holds in registers beside the fragments of its loop, for SelectSchedule: from what ptxas 13.0 was seen to spill
// with tests/conformance/ModelCases.def.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// Fragments of a row that its transform holds at a time: two where channels that are turned stand beside others, be they turned
/// by other angles or chosen in their place.
int64_t fragmentsOfRow(mlir::Region &region);

/// Of 16 rows of queries: angles that several tables or a table's row make.
int64_t angleRegisters(mlir::Region &region);

/// Of a thread, where three warpgroups leave 160: ends of more ranges, and scalars of the launch that the mask compares with.
int64_t rangeRegisters(ir::AttentionOp op);

/// Of 16 rows: sums over the channels of the output.
int64_t outputSumRegisters(ir::AttentionOp op);

} // namespace attn
