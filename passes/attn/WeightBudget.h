// What weights that are more than a softmax of scores take of a thread's registers, beside scores, probs and acc.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// Registers for 16 rows of queries, from what ptxas 13.0 was seen to spill with tests/conformance/Cases.def.
int64_t weightRegisters(ir::AttentionOp op);

} // namespace attn
