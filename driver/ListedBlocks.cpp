// See ListedBlocks.h.
#include "driver/ListedBlocks.h"

#include "ir/attn/AttnDialect.h"
#include "passes/IndexRuns.h"
#include "passes/attn/EvaluateMaskRow.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace attn::driver {

namespace {
/// What a tile sees of a block.
struct Block {
  std::int64_t seen = 0, points = 0;
};
} // namespace

static bool meets(const std::vector<KeyInterval> &ranges, std::int64_t begin, std::int64_t end) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const KeyInterval &range) { return range.first < end && begin < range.second; });
}

static bool holds(const std::vector<KeyInterval> &ranges, std::int64_t begin, std::int64_t end) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const KeyInterval &range) { return range.first <= begin && end <= range.second; });
}

static void append(std::vector<KeyInterval> &ranges, std::int64_t begin, std::int64_t end) {
  if (!ranges.empty() && ranges.back().second == begin)
    ranges.back().second = end;
  else
    ranges.push_back({begin, end});
}

Status listBlocks(mlir::Region &mask, const RegionInputs &inputs, std::int64_t blockN, TileRanges &tile) {
  const std::int64_t kvLen = inputs.extent("kv_len").value_or(0), count = (kvLen + blockN - 1) / blockN;
  mlir::Value visible = ir::yieldedBy(mask).front();
  const std::int64_t keyStep = std::gcd(runLength(visible, ir::IndexKind::kv_idx), blockN);
  const std::int64_t rowStep = std::max<std::int64_t>(1, std::gcd(runLength(visible, ir::IndexKind::q_idx), tile.firstRow));
  std::int64_t first = kvLen, last = 0; // keys that are looked at
  std::vector<Block> blocks(static_cast<std::size_t>(count));
  for (std::int64_t j = 0; j < count; ++j)
    if (meets(tile.visit, j * blockN, (j + 1) * blockN) && !holds(tile.full, j * blockN, (j + 1) * blockN)) {
      first = std::min(first, j * blockN);
      last = std::max(last, std::min((j + 1) * blockN, kvLen));
    }
  for (std::int64_t row = tile.firstRow; row <= tile.lastRow; row += rowStep) {
    std::string reason;
    auto points = evaluateMaskRow(mask, inputs, row, first, last, keyStep, &reason);
    if (!points)
      return Status(StatusCode::InvalidArgument, fmt::format("the tiles depend on what is not given: {}", reason));
    for (std::size_t i = 0; i < points->size(); ++i) {
      Block &block = blocks[static_cast<std::size_t>((first + static_cast<std::int64_t>(i) * keyStep) / blockN)];
      block.seen += (*points)[i];
      ++block.points;
    }
  }
  TileRanges listed{tile.firstRow, tile.lastRow, {}, {}};
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int64_t begin = j * blockN, end = begin + blockN;
    if (!meets(tile.visit, begin, end))
      continue;
    const Block &block = blocks[static_cast<std::size_t>(j)];
    const bool isFull = holds(tile.full, begin, end) || (block.points > 0 && block.seen == block.points && end <= kvLen);
    if (!isFull && block.seen == 0)
      continue;
    append(listed.visit, begin, std::min(end, kvLen));
    if (isFull)
      append(listed.full, begin, end);
  }
  tile = std::move(listed);
  return {};
}

} // namespace attn::driver
