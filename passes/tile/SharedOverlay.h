// Buffers that lie on a ring's slot in kernels with roles, where all storage lives throughout and bytes are short.
#pragma once

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/MapVector.h"

namespace attn {

/// For each `tile.alloc` whose uses can all stand between the last read of a ring's only entry and its release: that ring.
/// The release moves behind them, so that the producer fills the slot again when the buffer is done with. A ring carries
/// one buffer.
llvm::MapVector<tile::AllocOp, tile::RingOp> overlayBuffers(mlir::func::FuncOp kernel);

} // namespace attn
