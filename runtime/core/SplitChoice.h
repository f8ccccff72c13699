// How a launch runs a plan whose keys may be split: by the kernel for all rows or by that for few, and into how many shares the
// latter's keys are dealt.
//
// Blocks run in waves, one for each place that the device has. A wave takes as long as one block: its keys times the rows of its
// tile. So a kernel takes waves · (key blocks of a share + 1) · keys · rows of a tile; the one stands for what a block does
// before its first key and after its last. Several shares cost as much as the keys of so many bytes: each writes its sums, and a block
// of the merge reads those of 16 rows of all shares. The kernel for few rows is taken where that is less than seven tenths of the
// other's: its tiles overlap less.
#pragma once

#include "runtime/manifest/KernelManifest.h"

#include <cstdint>

namespace attn::runtime {

/// More shares than that are not worth their merge (FlashAttention-3 has the same limit).
inline constexpr std::int64_t kMostSplits = 128;
/// More than that nobody may ask for.
inline constexpr std::int64_t kMostAskedSplits = 1024;

/// A kernel's work with the extents of a launch.
struct WorkSize {
  std::int64_t tiles = 0;       ///< of rows
  std::int64_t keyBlocks = 0;   ///< that a tile may visit
  std::int64_t places = 1;      ///< blocks that the device runs at a time
  std::int64_t rows = 0, keys = 0;   ///< of a tile
  double sums = 0;              ///< of a tile in one share, in blocks of keys: bytes by bytes

  /// Waves of blocks, each with that part of the keys.
  std::int64_t waves(std::int64_t splits) const;
  /// What sums cost, in blocks of keys.
  double merge(std::int64_t splits) const;
  /// In keys times rows that a place does one after the other.
  double time(std::int64_t splits) const;
};

/// Into how many shares to split keys: 1 where tiles fill four fifths of the places, or have four blocks of keys or fewer; else
/// the fewest shares that are at least 0.85 times as fast as any other number.
std::int64_t chooseSplits(const WorkSize &work);

struct SplitChoice {
  bool isForFewRows = false;
  std::int64_t splits = 1;
  WorkSize whole, fewRows;
};

/// The choice for a plan with `keys`. `extents` gives whole-numbered scalars, too, by which a mask may bound what tiles see.
/// `asked`: a number of shares that the caller wants, 0 for none. Nothing when a size has no value; without that of a bound all keys
/// count.
std::optional<SplitChoice> chooseSplit(const PlanManifest &manifest, const SizeExpr::Lookup &extents, std::uint32_t multiprocessors,
                                       std::uint32_t asked);

} // namespace attn::runtime
