// The blocks of keys that a tile visits where kernels list them (passes/attn/ListedBlocks.h), found by looking at each point
// as those kernels do.
#pragma once

#include "driver/Compiler.h"
#include "passes/attn/EvaluateRegion.h"

namespace attn::driver {

/// Takes the ranges of a tile to what its list holds: whole blocks of `blockN` keys. Fails where the mask depends on what is
/// not given.
Status listBlocks(mlir::Region &mask, const RegionInputs &inputs, std::int64_t blockN, TileRanges &tile);

} // namespace attn::driver
