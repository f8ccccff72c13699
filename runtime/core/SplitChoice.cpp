// See SplitChoice.h. The numbers are those of FlashAttention-3's heuristic (hopper/heuristics.h), which packs heads likewise; it counts
// how well places are used, where here the time is counted, for sums of wide rows are more bytes than many keys are.
#include "runtime/core/SplitChoice.h"

#include <algorithm>

namespace attn::runtime {

static constexpr double kFullEnough = 0.8, kNearBest = 0.85, kWorthwhile = 0.7;
static constexpr std::int64_t kFewBlocks = 4;

static std::int64_t ceilDiv(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t WorkSize::waves(std::int64_t splits) const { return ceilDiv(tiles * splits, places); }

double WorkSize::merge(std::int64_t splits) const {
  if (splits <= 1)
    return 0;
  constexpr double kRowsOfMerge = 16; // passes/convert/MergeKernel.cpp
  double merges = static_cast<double>(tiles * rows) / kRowsOfMerge, ofMerge = sums * kRowsOfMerge / static_cast<double>(rows);
  return static_cast<double>(waves(splits)) * sums + static_cast<double>(splits) * ofMerge * std::max(1.0, merges / static_cast<double>(places));
}

double WorkSize::time(std::int64_t splits) const {
  std::int64_t blocks = ceilDiv(std::max<std::int64_t>(keyBlocks, 1), splits);
  double walked = static_cast<double>(waves(splits) * (blocks + 1));
  return (walked + merge(splits)) * static_cast<double>(keys * rows);
}

std::int64_t chooseSplits(const WorkSize &work) {
  if (work.tiles <= 0 || static_cast<double>(work.tiles) >= kFullEnough * static_cast<double>(work.places) || work.keyBlocks <= kFewBlocks)
    return 1;
  std::int64_t most = std::min({kMostSplits, work.keyBlocks, work.places});
  auto brings = [&](std::int64_t splits) { // a larger share is one block smaller at least
    return splits == 1 || ceilDiv(work.keyBlocks, splits) != ceilDiv(work.keyBlocks, splits - 1);
  };
  double best = work.time(1);
  for (std::int64_t splits = 2; splits <= most; ++splits)
    if (brings(splits))
      best = std::min(best, work.time(splits));
  for (std::int64_t splits = 1; splits <= most; ++splits)
    if (brings(splits) && kNearBest * work.time(splits) <= best)
      return splits;
  return 1;
}

static std::optional<WorkSize> sizeOf(const KernelManifest &kernel, std::int64_t keys, const SizeExpr::Lookup &extents,
                                      std::uint32_t multiprocessors) {
  const TileWork &work = *kernel.work;
  auto tiles = work.tiles.evaluate(extents);
  if (!tiles)
    return std::nullopt;
  std::int64_t blocks = ceilDiv(keys, work.keys);
  if (auto visible = work.visible ? work.visible->evaluate(extents) : std::nullopt) // so many keys may begin anywhere in a block
    blocks = std::min(blocks, ceilDiv(std::max<std::int64_t>(*visible, 1) - 1, work.keys) + 1);
  return WorkSize{*tiles, blocks, std::int64_t{work.perMultiprocessor} * std::max(multiprocessors, 1u), work.rows, work.keys,
                  work.blockBytes > 0 ? static_cast<double>(work.sumBytes) / static_cast<double>(work.blockBytes) : 0};
}

std::optional<SplitChoice> chooseSplit(const PlanManifest &manifest, const SizeExpr::Lookup &extents, std::uint32_t multiprocessors,
                                       std::uint32_t asked) {
  auto keys = manifest.keys->evaluate(extents);
  if (!keys)
    return std::nullopt;
  auto whole = sizeOf(*manifest.kernel(KernelUse::Whole), *keys, extents, multiprocessors);
  auto few = sizeOf(*manifest.kernel(KernelUse::FewRows), *keys, extents, multiprocessors);
  if (!whole || !few)
    return std::nullopt;
  SplitChoice choice{.whole = *whole, .fewRows = *few};
  choice.splits = asked > 0 ? asked : chooseSplits(*few);
  choice.isForFewRows = asked > 0 || few->time(choice.splits) < kWorthwhile * whole->time(1);
  if (!choice.isForFewRows)
    choice.splits = 1;
  return choice;
}

} // namespace attn::runtime
