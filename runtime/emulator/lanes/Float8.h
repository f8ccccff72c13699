// 8-bit floats: what they stand for, and how tensor cores add their products.
//
// The PTX ISA leaves the precision of such sums open. What was found on Hopper and Ada (DeepSeek-V3, arXiv 2412.19437, 3.5.2;
// SageAttention2, arXiv 2411.10958): the 32 products of a step and the sum that they are added to are aligned to the largest
// exponent of all, what lies 13 places below its leading bit is cut off, and the rest is added exactly. So it is here.
#pragma once

#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {

/// e4m3 has its largest exponent for numbers too, but for one NaN; e5m2 is as IEEE 754 has it.
struct E4M3 {
  static constexpr int kMantissa = 3, kBias = 7;
  static constexpr std::uint32_t kLargest = 0x7E;
  static ATTN_INLINE float widen(std::uint32_t bits) {
    std::uint32_t magnitude = bits & 0x7F;
    // Placed as an f32 the exponent is 120 too small; the product is exact, subnormals included.
    float value = bitsTo<float>(magnitude << 20) * 0x1p120f;
    return magnitude == 0x7F ? bitsTo<float>(kCanonicalNan) : bits & 0x80 ? -value : value;
  }
};
struct E5M2 {
  static constexpr int kMantissa = 2, kBias = 15;
  static constexpr std::uint32_t kLargest = 0x7B;
  static ATTN_INLINE float widen(std::uint32_t bits) { return canonical(fromF16((bits & 0xFF) << 8)); }
};

inline constexpr unsigned kFloat8Depth = 32;  ///< of a step
inline constexpr int kFloat8SumPlaces = 13;   ///< behind the leading bit of the largest summand

/// Numbers of one type from bytes.
ATTN_INLINE void widenFloat8(bool isE5M2, const std::byte *bytes, unsigned count, float *out) {
  for (unsigned i = 0; i < count; ++i) {
    auto bits = static_cast<std::uint32_t>(bytes[i]);
    out[i] = isE5M2 ? E5M2::widen(bits) : E4M3::widen(bits);
  }
}

using Sums8 [[gnu::vector_size(32), gnu::aligned(4)]] = float;

/// sum + Σ a[k] · b[k · stride …] for eight columns.
ATTN_INLINE Sums8 addFloat8Products(Sums8 sum, const float *a, const float *b, unsigned stride) {
  using Bits8 [[gnu::vector_size(32), gnu::aligned(4)]] = std::int32_t;
  constexpr std::int32_t kInfinity = 0x7F800000, kPlace = 1 << 23;
  auto bitsOf = [](Sums8 value) { return bitsTo<Bits8>(value); };
  Sums8 products[kFloat8Depth];
  Bits8 largest = bitsOf(sum) & 0x7FFFFFFF;
  for (unsigned k = 0; k < kFloat8Depth; ++k) {
    Sums8 factor;
    __builtin_memcpy(&factor, b + k * stride, sizeof(factor));
    products[k] = a[k] * factor;
    Bits8 magnitude = bitsOf(products[k]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  Bits8 exponent = largest & kInfinity;
  bool isFinite = true;
  for (int i = 0; i < 8; ++i)
    isFinite &= exponent[i] != kInfinity;
  if (!isFinite) { // NaN and infinities spread as in any sum
    for (const Sums8 &product : products)
      sum = sum + product;
    return sum;
  }
  Bits8 least = exponent * 0 + 50 * kPlace; // far below the least product, 2^-32
  exponent = exponent > least ? exponent : least;
  Bits8 unit = exponent - kFloat8SumPlaces * kPlace;
  auto inverse = bitsTo<Sums8>(254 * kPlace - unit);
  Bits8 total = __builtin_convertvector(sum * inverse, Bits8); // towards 0
  for (const Sums8 &product : products)
    total += __builtin_convertvector(product * inverse, Bits8);
  return __builtin_convertvector(total, Sums8) * bitsTo<Sums8>(unit);
}

} // namespace attn::emulator::ATTN_LANES
