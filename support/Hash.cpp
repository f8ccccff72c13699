#include "support/Hash.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL // nothing to link, so nothing for an installed library to find
#include <xxhash.h>

#include <new>

namespace attn {

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string Hash128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

struct Hasher::State {
  XXH3_state_t *state = XXH3_createState();
  State() {
    if (!state)
      throw std::bad_alloc();
    XXH3_128bits_reset(state);
  }
  ~State() { XXH3_freeState(state); }
};

Hasher::Hasher() : state(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

Hasher &Hasher::add(std::string_view field) {
  add(static_cast<std::uint64_t>(field.size()));
  XXH3_128bits_update(state->state, field.data(), field.size());
  return *this;
}

Hasher &Hasher::add(std::uint64_t field) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i)
    bytes[i] = static_cast<unsigned char>(field >> (8 * i));
  XXH3_128bits_update(state->state, bytes, sizeof bytes);
  return *this;
}

Hash128 Hasher::finish() const {
  XXH128_hash_t hash = XXH3_128bits_digest(state->state);
  return {hash.high64, hash.low64};
}

} // namespace attn
