#include "support/NearestName.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace attn {

static char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// Edit distance with swaps of neighbours (optimal string alignment), rows i-2, i-1 and i kept.
static std::size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      bool same = lower(a[i - 1]) == lower(b[j - 1]);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same ? 0 : 1)});
      bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped)
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::optional<std::string_view> nearestName(std::string_view name, std::span<const std::string> candidates) {
  std::optional<std::string_view> best;
  std::size_t bestDistance = 0;
  for (const std::string &candidate : candidates) {
    std::size_t longest = std::max(name.size(), candidate.size());
    std::size_t allowed = std::min(std::max<std::size_t>(longest / 3, 2), longest > 0 ? longest - 1 : 0);
    std::size_t distance = editDistance(name, candidate);
    if (distance <= allowed && (!best || distance < bestDistance)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

std::string nameHint(std::string_view name, std::span<const std::string> candidates) {
  if (auto nearest = nearestName(name, candidates))
    return "; did you mean `" + std::string(*nearest) + "`?";
  std::string list;
  for (const std::string &candidate : candidates)
    list += (list.empty() ? "; there " + std::string(candidates.size() == 1 ? "is" : "are") + " `" : ", `") + candidate + "`";
  return list;
}

} // namespace attn
