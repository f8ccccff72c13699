// Attentions with rows of more than 256 channels, or 128 of f64 (passes/WideRows.h): what of the language they take, and what their
// tiles need.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

namespace attn {

bool isWide(ir::AttentionOp op);
/// Whether value rows are the first channels of stored key rows, so that one buffer serves both.
bool isValueInKey(ir::AttentionOp op);

/// Whether kernels of slices can compute a wide attention; and whether tiles with columns in parts cannot, so that they must.
bool fitsSlices(ir::AttentionOp op);
bool needsSlices(ir::AttentionOp op);
/// Whether a schedule makes slices of values.
bool hasSlices(ir::AttentionOp op, const ir::Schedule &schedule);
/// Channels of a tile's sums, all parts together.
int64_t sumChannels(ir::AttentionOp op, const ir::Schedule &schedule);

/// Refuses, located, what neither of the two takes; nothing for other attentions.
mlir::LogicalResult checkWideHeads(ir::AttentionOp op, const GpuTarget &target);

/// Bytes of shared memory of a schedule with parts: query, keys, values, probabilities, what parts exchange, and the bytes of
/// 8-bit rows in front of their widening; of those the ones that there is room for, where no tile is smaller.
int64_t wideSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target, MmaFamily family);
/// The same of a kernel with a slice of the values.
int64_t slicedSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule);
/// Registers a thread that scores, probs and acc take for 16 rows.
int64_t wideLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family);
/// Keys of a block come in steps of so many: those of products, or columns of a part, whole panels where matrix units read
/// probabilities from shared memory by themselves.
int64_t granuleOfWideKeys(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family);
/// Says what is in parts, and what of the query stays in registers; nothing where nothing is.
void remarkParts(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family);

/// Where warpgroups multiply by parts, each reads the whole query for its part of a block's keys, and shared memory is what they
/// wait for: lets each warp hold as many channels in registers as there is room for beside the `registers` that are predicted.
void keepQueryChannels(ir::AttentionOp op, MmaFamily family, int64_t registers, ir::Schedule &schedule);

/// How many query heads of a key head share a tile if nothing else is asked for: as many as a tile has rows for. Rows that
/// are (query, head) need two more registers, of which tiles in parts have enough, and keys of 1 KiB are read once for them.
int64_t packOfWide(int64_t groupSize, int64_t blockM);

} // namespace attn
