// What names a kernel in the cache: everything that its code depends on.
#pragma once

#include "support/Hash.h"

#include <map>
#include <string>
#include <string_view>

namespace attn::cache {

/// Views of the caller's text.
struct CacheKeyFields {
  std::string_view canonicalText; ///< of the specification: equal meaning, equal text
  std::string_view target = {};
  std::string_view attention = {};  ///< which one of the text
  std::string_view stage = {};      ///< of the text: a specification, or IR
  std::string_view fileName = {};   ///< stands in the code's line table
  std::string_view schedule = {};
  std::map<std::string, std::string> defines = {};
  bool checked = false;
  bool tf32 = false;
  bool approximateTanh = false;
  std::string_view version = {};  ///< of the compiler, down to the build
};

Hash128 cacheKey(const CacheKeyFields &fields);

} // namespace attn::cache
