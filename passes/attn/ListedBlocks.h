// Whether kernels in front of the attention look at each point of the mask and list the blocks of keys that a tile visits
// (passes/convert/BlockLists.h), entry `listed` of the schedule. The key ranges of the mask analysis hold every key that a
// tile sees, but between those there may be blocks that hide all: where keys show in periods longer than a block, and where
// a table says which do.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Why blocks cannot be listed; empty if they can.
std::string whyNotListed(ir::AttentionOp op, const ir::Schedule &schedule);

/// Whether lists may leave out so many blocks that looking at each point once pays: the reason, empty if not.
std::string whyListed(ir::AttentionOp op, const ir::Schedule &schedule);

void remarkListed(ir::AttentionOp op, const ir::Schedule &schedule);

} // namespace attn
