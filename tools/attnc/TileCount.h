// How many key tiles the mask's analysis leaves empty, partial and full, and a picture of them.
#pragma once

#include "driver/Compiler.h"

#include <string>
#include <vector>

namespace attn::tools {

/// Tiles of one head.
struct TileCount {
  std::vector<std::string> lines;            ///< a line a query tile: `.` empty, `+` partial, `#` full
  std::size_t empty = 0, partial = 0, full = 0;

  /// Adds another head's tiles: the counts and the lines below.
  TileCount &operator+=(const TileCount &other);
};

/// A block is full when the kernel does not evaluate the mask in it, partial when it does; the ragged last block is
/// partial, since its end is masked.
TileCount countTiles(const std::vector<driver::TileRanges> &tiles, std::int64_t blockN, std::int64_t kvLen);

} // namespace attn::tools
