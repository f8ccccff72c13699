// Hashes of bytes (xxHash): 64 bits as a checksum against damage, 128 bits as a name for contents.
// Not a defence against an attacker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace attn {

std::uint64_t checksum(std::span<const std::byte> bytes);

struct Hash128 {
  std::uint64_t high = 0, low = 0;

  /// 32 lower-case hexadecimal digits.
  std::string hex() const;
  friend bool operator==(const Hash128 &, const Hash128 &) = default;
  friend auto operator<=>(const Hash128 &, const Hash128 &) = default;
};

/// Hashes a sequence of fields. Lengths are hashed too, so ("ab", "c") and ("a", "bc") differ.
class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher &) = delete;
  Hasher &operator=(const Hasher &) = delete;

  Hasher &add(std::string_view field);
  Hasher &add(std::uint64_t field);
  Hash128 finish() const;

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace attn
