// Products of two vectors of one row in a score: |q|² and |k|² of a distance, lengths that a cosine is divided by. Those of the
// query stay in the kernel, once a row of a tile; those of the key are made once, by a kernel before, and read as a number a key.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// Whether `dot`, in a score whose first arguments are the query's features, multiplies two features of one side.
bool isOfOneRow(ir::DotOp dot, unsigned queryFeatures);

/// Replaces products of two vectors of the key by reads of what a transform of the keys makes. Those whose keys depend on the
/// query head stay.
void readKeyNumbers(ir::AttentionOp op);

/// Registers that places of such numbers take beside copies out of pages, for SelectSchedule: ptxas 13.0 was seen to spill without them.
int64_t keyNumberRegisters(ir::AttentionOp op);

} // namespace attn
