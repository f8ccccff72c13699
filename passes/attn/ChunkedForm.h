// Whether linear attention (passes/LinearForm.h) is computed in chunks, in time that grows with kv_len, or as it is written,
// point by point: entry `chunked` of the schedule.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Whether weights are products of features.
bool isLinearAttention(ir::AttentionOp op);

/// Why linear attention is computed point by point; empty if it can come in chunks.
std::string whyNotChunked(ir::AttentionOp op);

/// Bytes of shared memory that a tile's state takes.
int64_t stateBytes(ir::AttentionOp op, const ir::Schedule &schedule);

/// Says which form was chosen; nothing for other attentions.
void remarkLinearForm(ir::AttentionOp op, const ir::Schedule &schedule, bool isAskedFor);

} // namespace attn
