// The kernel cache on disk: what it holds, and emptying it. Just-in-time compilation fills it (attn/Jit.h).
#pragma once

#include "attn/Result.h"
#include "attn/Status.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace attn {

/// One kernel in the cache directory.
struct CacheEntry {
  std::string key;   ///< 32 hexadecimal digits
  std::string plan;  ///< empty when the entry is damaged; such an entry counts as absent
  std::string target;
  std::uint64_t bytes = 0;
  std::chrono::system_clock::time_point lastUsed;
};

/// Where entries lie: ATTN_CACHE_DIR, else `attnc` under XDG_CACHE_HOME or ~/.cache; empty when none can be named.
std::string cacheDirectory();

/// Most recently used first. An absent directory is an empty cache. `directory` empty: the default one.
Result<std::vector<CacheEntry>> listCache(const std::string &directory = {});

struct CacheCleared {
  std::size_t entries = 0;
  std::uint64_t bytes = 0;
};
/// Removes every entry, and nothing that is not one.
Result<CacheCleared> clearCache(const std::string &directory = {});

} // namespace attn
