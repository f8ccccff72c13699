// Fills whose rows lie in memory as 8-bit floats and are multiplied in a wider type (`tile.fill`, C3), taken apart into a
// copy of the bytes, which hardware makes, and the widening, which threads do:
//
//   fill %kr[%i] from %key       →     acquire %raw[%i]   fill %raw[%i] from %key   %bytes = await %raw[%i]
//                                      widen %kr[%i] from %bytes                     release %raw[%i]
#pragma once

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <optional>

namespace attn {

/// Whether the entry has other elements than the tensor.
bool isWidened(tile::FillOp fill);

/// Takes apart all of a kernel whose rows are whole chunks of 16 bytes; the others stay. Raw entries have a ring of one stage
/// for each ring that is filled so. With `sharedBytes`, those whose ring the kernel's shared memory has room for, in order of
/// the program: rows of the others threads widen as they copy them.
void splitWidenedFills(mlir::func::FuncOp kernel, std::optional<int64_t> sharedBytes = {});

/// Lets a fill bring its bytes to the ring `raw`, from where a `tile.widen` makes the entry.
void splitFill(tile::FillOp fill, mlir::Value raw);

/// In the work of a producer, which runs through `loop` once a tile: lets the copy of each raw entry in the loop start when
/// the one before it has been widened (of a ring with more stages, while that one is waited for), the first one in front of the loop. Entries may lag behind the loop's count; the one
/// that then is filled behind the loop is fetched in its last round.
void fetchRawAhead(mlir::scf::ForOp loop);

} // namespace attn
