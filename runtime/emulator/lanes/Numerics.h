// Number formats: f16, bf16 and tf32 to and from float and double, bit by bit, under every rounding mode. Everything is
// forced inline or in the instruction set's namespace (see LaneState.h).
#pragma once

#include "runtime/emulator/lanes/LaneHandlers.h"
#include "runtime/emulator/lanes/LaneState.h"

#ifdef __F16C__
#include <immintrin.h>
#endif

#ifndef ATTN_LANES
#define ATTN_LANES shared
#endif

namespace attn::emulator::ATTN_LANES {

template <typename To, typename From> ATTN_INLINE To bitsTo(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

inline constexpr std::uint32_t kCanonicalNan = 0x7FFFFFFF;

/// The exact value of an f16.
ATTN_INLINE float fromF16(std::uint32_t half) {
  std::uint32_t magnitude = half & 0x7FFF;
  // Placed as an f32 the exponent is 112 too small; the product is exact, subnormals included.
  std::uint32_t bits = bitsTo<std::uint32_t>(bitsTo<float>(magnitude << 13) * 0x1p112f);
  bits = magnitude >= 0x7C00 ? (magnitude << 13) | 0x7F800000 : bits;
  return bitsTo<float>(bits | (half & 0x8000) << 16);
}

ATTN_INLINE float fromBf16(std::uint32_t half) { return bitsTo<float>(half << 16); }

/// Rounds to a format of `kExponent` and `kMantissa` bits once. NaN becomes all ones without the sign.
template <int kExponent, int kMantissa>
ATTN_INLINE std::uint32_t narrow(double value, Rounding rounding) {
  constexpr int kBias = (1 << (kExponent - 1)) - 1;
  constexpr std::uint32_t kInfinity = ((1u << kExponent) - 1) << kMantissa;
  std::uint64_t bits = bitsTo<std::uint64_t>(value);
  std::uint32_t sign = static_cast<std::uint32_t>(bits >> 63) << (kExponent + kMantissa);
  std::uint64_t magnitude = bits & ~(std::uint64_t(1) << 63);
  if (magnitude > 0x7FF0000000000000)
    return kInfinity | ((1u << kMantissa) - 1);
  if (magnitude == 0x7FF0000000000000)
    return sign | kInfinity;
  if (magnitude == 0)
    return sign;
  int exponent = static_cast<int>(magnitude >> 52) - 1023;
  std::uint64_t significand = (magnitude & 0xFFFFFFFFFFFFF) | (magnitude >> 52 ? std::uint64_t(1) << 52 : 0);
  int below = exponent < 1 - kBias ? 1 - kBias - exponent : 0; // how far under the smallest normal
  int shift = 52 - kMantissa + below;
  std::uint64_t kept = shift > 54 ? 0 : significand >> shift;
  std::uint64_t rest = shift > 54 ? 1 : significand & ((std::uint64_t(1) << shift) - 1);
  std::uint64_t half = shift > 54 ? 2 : std::uint64_t(1) << (shift - 1);
  bool up = false;
  if (rounding == Rounding::Nearest)
    up = rest > half || (rest == half && (kept & 1));
  else if (rounding == Rounding::NearestAway)
    up = rest >= half;
  else if (rounding != Rounding::Zero)
    up = rest != 0 && (rounding == Rounding::Up) == (sign == 0);
  std::int64_t biased = below ? 0 : static_cast<std::int64_t>(exponent + kBias - 1) << kMantissa;
  std::int64_t result = biased + static_cast<std::int64_t>(kept) + up;
  if (result >= static_cast<std::int64_t>(kInfinity)) {
    bool toInfinity = rounding == Rounding::Nearest || rounding == Rounding::NearestAway ||
                      (rounding != Rounding::Zero && (rounding == Rounding::Up) == (sign == 0));
    return sign | (toInfinity ? kInfinity : kInfinity - 1);
  }
  return sign | static_cast<std::uint32_t>(result);
}

ATTN_INLINE std::uint32_t toF16(double value, Rounding rounding = Rounding::Nearest) {
  return narrow<5, 10>(value, rounding);
}
ATTN_INLINE std::uint32_t toBf16(double value, Rounding rounding = Rounding::Nearest) {
  return narrow<8, 7>(value, rounding);
}

/// Round to nearest even, fast: the form that kernels use.
ATTN_INLINE std::uint32_t nearestF16(float value) {
#ifdef __F16C__
  std::uint32_t half = _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
  return (half & 0x7FFF) > 0x7C00 ? 0x7FFF : half;
#else
  return toF16(value);
#endif
}

ATTN_INLINE std::uint32_t nearestBf16(float value) {
  std::uint32_t bits = bitsTo<std::uint32_t>(value);
  std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FFF : rounded;
}

/// Rounds a float to tf32, which keeps its place in 32 bits with 10 bits of mantissa.
ATTN_INLINE std::uint32_t toTf32(float value, Rounding rounding) {
  return narrow<8, 10>(value, rounding) << 13;
}

/// a + b rounded to odd: rounding the result once more to a narrower format equals rounding the exact sum once.
ATTN_INLINE double addToOdd(double a, double b) {
  double sum = a + b;
  double aPart = sum - b, bPart = sum - aPart;
  double error = (a - aPart) + (b - bPart); // two-sum (Knuth): a + b = sum + error exactly
  std::uint64_t bits = bitsTo<std::uint64_t>(sum);
  bool finite = (bits & 0x7FF0000000000000) != 0x7FF0000000000000;
  if (error == 0 || !finite || (bits & 1))
    return sum;
  bool away = (error > 0) == (sum > 0);
  return bitsTo<double>(away ? bits + 1 : bits - 1);
}

/// A 64-bit integer to double, rounded to odd (see addToOdd).
ATTN_INLINE double integerToOdd(std::uint64_t magnitude, bool negative) {
  double high = static_cast<double>(magnitude >> 32) * 0x1p32;
  double value = addToOdd(high, static_cast<double>(magnitude & 0xFFFFFFFF));
  return negative ? -value : value;
}

ATTN_INLINE float canonical(float value) { return value != value ? bitsTo<float>(kCanonicalNan) : value; }

/// Subnormals to zero of the same sign.
ATTN_INLINE float flush(float value) {
  std::uint32_t bits = bitsTo<std::uint32_t>(value);
  return bitsTo<float>((bits & 0x7F800000) == 0 ? bits & 0x80000000 : bits);
}

ATTN_INLINE float saturate(float value) {
  value = value > 0 ? value : 0.0f; // NaN too
  return value < 1 ? value : 1.0f;
}

} // namespace attn::emulator::ATTN_LANES
