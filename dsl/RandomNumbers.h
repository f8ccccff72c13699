// What generated test data are drawn from.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace attn::dsl {

/// SplitMix64, and what is drawn from it: the same numbers everywhere, which the standard's distributions do not promise.
class Random {
public:
  explicit Random(std::uint64_t seed) : state(seed * 0x9E3779B97F4A7C15 + 0x853C49E6748FEA9B) {}

  std::uint64_t next() {
    std::uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  double normal() {
    return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(2 * std::numbers::pi * uniform());
  }
  /// Both included.
  double integer(double lo, double hi) { return std::min(hi, lo + std::floor((hi - lo + 1) * uniform())); }

private:
  std::uint64_t state;
};

/// Tensors of different names differ under one seed.
inline std::uint64_t hashOf(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

} // namespace attn::dsl
