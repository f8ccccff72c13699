// One rounding routine serves all four formats; a format is its bit counts and what its largest exponent means.
#include "attn/Float.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>

namespace attn {

namespace {

struct FloatFormat {
  int exponentBits;
  int mantissaBits;
  /// The largest exponent field holds infinity and NaN, as in IEEE 754; else only all ones is NaN (e4m3).
  bool hasInfinity;
  /// Magnitudes past the largest number, and infinities, become the largest number.
  bool saturates;

  constexpr int bias() const { return (1 << (exponentBits - 1)) - 1; }
  constexpr std::uint32_t signBit() const { return 1u << (exponentBits + mantissaBits); }
  constexpr std::uint32_t infinity() const { return ((1u << exponentBits) - 1) << mantissaBits; }
  constexpr std::uint32_t largest() const { return hasInfinity ? infinity() - 1 : signBit() - 2; }
  constexpr std::uint32_t quietNan() const {
    return hasInfinity ? infinity() | 1u << (mantissaBits - 1) : signBit() - 1;
  }
};

constexpr FloatFormat kF16 = {5, 10, true, false};
constexpr FloatFormat kBF16 = {8, 7, true, false};
constexpr FloatFormat kE4M3 = {4, 3, false, true};
constexpr FloatFormat kE5M2 = {5, 2, true, true};

} // namespace

static std::uint32_t narrow(const FloatFormat &format, double value) {
  std::uint32_t sign = std::signbit(value) ? format.signBit() : 0;
  if (std::isnan(value))
    return format.saturates ? format.quietNan() : sign | format.quietNan();
  double magnitude = std::fabs(value);
  if (magnitude == 0)
    return sign;
  std::uint32_t overflow = format.saturates ? format.largest() : format.infinity();
  if (std::isinf(magnitude))
    return sign | overflow;
  // The value is `fraction` * 2^(exponent - 52); a subnormal f64 rounds to 0 in all formats whatever its exponent.
  constexpr int kFractionBits = 52;
  auto pattern = std::bit_cast<std::uint64_t>(magnitude);
  int exponent = static_cast<int>(pattern >> kFractionBits) - 1023;
  std::uint64_t fraction = (pattern & ((std::uint64_t(1) << kFractionBits) - 1)) | std::uint64_t(1) << kFractionBits;
  // Units of the last place in the binade of the value, or of the subnormals below the smallest normal number.
  int smallest = 1 - format.bias();
  int binade = exponent < smallest ? smallest : exponent;
  if (binade > format.bias() + 1)
    return sign | overflow;
  // Bits below the units; from two more than there are on, what is dropped is less than half a unit.
  int dropped = std::min(kFractionBits - format.mantissaBits + binade - exponent, kFractionBits + 2);
  auto significand = static_cast<std::uint32_t>(fraction >> dropped);
  std::uint64_t rest = fraction & ((std::uint64_t(1) << dropped) - 1), half = std::uint64_t(1) << (dropped - 1);
  significand += rest > half || (rest == half && (significand & 1)) ? 1 : 0;
  // Adding instead of joining the fields lets a carry out of the significand raise the exponent.
  std::uint32_t bits = (static_cast<std::uint32_t>(binade - smallest) << format.mantissaBits) + significand;
  return sign | (bits > format.largest() ? overflow : bits);
}

static double widen(const FloatFormat &format, std::uint32_t bits) {
  std::uint32_t magnitude = bits & (format.signBit() - 1);
  double sign = bits & format.signBit() ? -1.0 : 1.0;
  if (format.hasInfinity ? magnitude > format.infinity() : magnitude == format.quietNan())
    return std::copysign(std::nan(""), sign);
  if (format.hasInfinity && magnitude == format.infinity())
    return sign * HUGE_VAL;
  std::uint32_t field = magnitude >> format.mantissaBits;
  std::uint32_t fraction = magnitude & ((1u << format.mantissaBits) - 1);
  if (field == 0)
    return sign * std::ldexp(static_cast<double>(fraction), 1 - format.bias() - format.mantissaBits);
  auto exponent = static_cast<std::uint64_t>(static_cast<int>(field) - format.bias() + 1023);
  return sign * std::bit_cast<double>(exponent << 52 | static_cast<std::uint64_t>(fraction) << (52 - format.mantissaBits));
}

std::uint16_t roundToF16(double value) { return static_cast<std::uint16_t>(narrow(kF16, value)); }
std::uint16_t roundToBF16(double value) { return static_cast<std::uint16_t>(narrow(kBF16, value)); }
std::uint8_t roundToE4M3(double value) { return static_cast<std::uint8_t>(narrow(kE4M3, value)); }
std::uint8_t roundToE5M2(double value) { return static_cast<std::uint8_t>(narrow(kE5M2, value)); }

float widenF16(std::uint16_t bits) { return static_cast<float>(widen(kF16, bits)); }
float widenBF16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
float widenE4M3(std::uint8_t bits) { return static_cast<float>(widen(kE4M3, bits)); }
float widenE5M2(std::uint8_t bits) { return static_cast<float>(widen(kE5M2, bits)); }

float roundToTf32(float value) {
  if (!std::isfinite(value))
    return value;
  constexpr std::uint32_t kDropped = 13; // bits
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value) + (1u << (kDropped - 1));
  return std::bit_cast<float>(bits >> kDropped << kDropped);
}

double roundTo(ElementType type, double value) {
  switch (type) {
  case ElementType::F64: return value;
  case ElementType::F32: return static_cast<float>(value);
  case ElementType::BF16: return widenBF16(roundToBF16(value));
  case ElementType::F16: return widenF16(roundToF16(value));
  case ElementType::E4M3: return widenE4M3(roundToE4M3(value));
  case ElementType::E5M2: return widenE5M2(roundToE5M2(value));
  default: break;
  }
  assert(false && "not a floating type");
  return value;
}

} // namespace attn
