// Whether a plan has a kernel for few rows of queries, whose keys may be split among blocks (passes/convert/SplitKeys.h): entry
// `split` of the schedule asks for it.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

namespace attn {

/// Why keys cannot be split; empty if they can.
std::string whyNotSplit(ir::AttentionOp op);

/// How many query heads of a key head share tiles of few rows, of `group` that may: a tile's rows are whole queries.
int64_t packOfFewRows(int64_t group, int64_t blockM);

/// Makes a row of the table one for few rows: the smallest tile that all targets have. Of keys and values that its warps change each
/// has as many rows as the others.
void shrinkToFewRows(ir::AttentionOp op, ir::Schedule &schedule);

/// The schedule of `op`, which is `whole`, with the one for few rows in it.
mlir::DictionaryAttr withFewRows(ir::AttentionOp op, const ir::Schedule &whole, const ir::Schedule &few);

/// Says what was chosen, or why nothing was.
void remarkSplit(ir::AttentionOp op, const ir::Schedule &few);
void warnUnsplit(ir::AttentionOp op, llvm::StringRef reason);

} // namespace attn
