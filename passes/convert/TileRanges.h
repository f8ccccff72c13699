// Region `ranges` of an attention for the work tile at hand.
#pragma once

#include "passes/convert/KernelScope.h"

namespace attn {

/// Ends of key ranges, half-open pairs.
struct TileRanges {
  llvm::SmallVector<mlir::Value> visit, full, facts;
};

/// Those of the tile of `queries` queries from `first` on, written in the work tile; nothing after a message.
mlir::FailureOr<TileRanges> writeTileRanges(KernelScope &scope, mlir::Region &ranges, mlir::Value first, int64_t queries);

} // namespace attn
