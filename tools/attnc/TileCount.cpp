#include "tools/attnc/TileCount.h"

#include <algorithm>

namespace attn::tools {

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

static bool overlaps(const Ranges &ranges, std::int64_t begin, std::int64_t end) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const auto &range) { return range.first < end && begin < range.second && range.first < range.second; });
}

static bool covers(const Ranges &ranges, std::int64_t begin, std::int64_t end) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const auto &range) { return range.first <= begin && end <= range.second; });
}

TileCount &TileCount::operator+=(const TileCount &other) {
  lines.insert(lines.end(), other.lines.begin(), other.lines.end());
  empty += other.empty;
  partial += other.partial;
  full += other.full;
  return *this;
}

TileCount countTiles(const std::vector<driver::TileRanges> &tiles, std::int64_t blockN, std::int64_t kvLen) {
  TileCount count;
  for (const driver::TileRanges &tile : tiles) {
    std::string line;
    for (std::int64_t begin = 0; begin < kvLen; begin += blockN) {
      bool isVisited = overlaps(tile.visit, begin, std::min(begin + blockN, kvLen));
      bool isFull = isVisited && covers(tile.full, begin, begin + blockN);
      ++(isFull ? count.full : isVisited ? count.partial : count.empty);
      line += isFull ? '#' : isVisited ? '+' : '.';
    }
    count.lines.push_back(std::move(line));
  }
  return count;
}

} // namespace attn::tools
