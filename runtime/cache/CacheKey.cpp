#include "runtime/cache/CacheKey.h"

namespace attn::cache {

Hash128 cacheKey(const CacheKeyFields &fields) {
  Hasher hasher;
  hasher.add(fields.canonicalText).add(fields.target).add(fields.schedule).add(fields.version);
  hasher.add(fields.attention).add(fields.stage).add(fields.fileName);
  hasher.add(std::uint64_t{fields.checked}).add(std::uint64_t{fields.tf32}).add(std::uint64_t{fields.approximateTanh}).add(fields.defines.size());
  for (const auto &[name, value] : fields.defines)
    hasher.add(name).add(value);
  return hasher.finish();
}

} // namespace attn::cache
