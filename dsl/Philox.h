// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the counter-based generator behind
// `dropout`. A number depends on its counter alone, so any kernel may compute any element in any order.
#pragma once

#include <array>
#include <cstdint>

namespace attn::dsl {

inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    std::uint64_t first = std::uint64_t{0xD2511F53} * counter[0], second = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// The uniform number in [0, 1) of one element: counter (q_idx, kv_idx / 4, b * q_heads + h, 0), key (seed, offset),
/// word kv_idx % 4, its upper 24 bits, so that f32 holds it.
inline double philoxUniform(std::uint32_t seed, std::uint32_t offset, std::uint32_t head, std::uint32_t qIdx,
                            std::uint32_t kvIdx) {
  std::array<std::uint32_t, 4> words = philox({qIdx, kvIdx / 4, head, 0}, {seed, offset});
  return (words[kvIdx % 4] >> 8) * 0x1p-24;
}

} // namespace attn::dsl
