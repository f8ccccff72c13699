// The arithmetic of Exact.h.
#include "tests/unit/emulator/Exact.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator::oracle {

namespace {
struct Parts {
  std::uint64_t significand = 0;
  int exponent = 0; ///< value = significand · 2^exponent
};
} // namespace

static Parts partsOf(const Format &format, std::uint64_t bits) {
  std::uint64_t mantissa = bits & ((std::uint64_t(1) << format.mantissaBits) - 1);
  int exponent = static_cast<int>((bits & format.infinity()) >> format.mantissaBits);
  int lowest = 1 - format.bias() - format.mantissaBits;
  if (exponent == 0)
    return {mantissa, lowest};
  return {mantissa | std::uint64_t(1) << format.mantissaBits, lowest + exponent - 1};
}

static bool isNegative(const Format &format, std::uint64_t bits) { return bits & format.sign(); }
static bool isInfinite(const Format &format, std::uint64_t bits) { return (bits & (format.sign() - 1)) == format.infinity(); }
static bool isZero(const Format &format, std::uint64_t bits) { return (bits & (format.sign() - 1)) == 0; }

Exact::Exact(bool negative, unsigned __int128 significand, int exponent, bool sticky) : negative(negative), sticky(sticky) {
  int shift = exponent - kLowest, word = shift / 64, bits = shift % 64;
  std::uint64_t low = static_cast<std::uint64_t>(significand), high = static_cast<std::uint64_t>(significand >> 64);
  magnitude[word] = low << bits;
  magnitude[word + 1] = high << bits | (bits ? low >> (64 - bits) : 0);
  magnitude[word + 2] = bits ? high >> (64 - bits) : 0;
}

bool Exact::isZero() const { return topBit() < 0 && !sticky; }

int Exact::topBit() const {
  for (int i = kWords - 1; i >= 0; --i)
    if (magnitude[i])
      return 64 * i + 63 - std::countl_zero(magnitude[i]);
  return -1;
}

bool Exact::bit(int index) const { return index >= 0 && (magnitude[index / 64] >> (index % 64) & 1); }

bool Exact::anyBelow(int index) const {
  if (sticky)
    return true;
  for (int i = 0; i < kWords && 64 * i < index; ++i) {
    std::uint64_t mask = index - 64 * i >= 64 ? ~std::uint64_t(0) : (std::uint64_t(1) << (index - 64 * i)) - 1;
    if (magnitude[i] & mask)
      return true;
  }
  return false;
}

int Exact::compareMagnitude(const Exact &other) const {
  for (int i = kWords - 1; i >= 0; --i)
    if (magnitude[i] != other.magnitude[i])
      return magnitude[i] < other.magnitude[i] ? -1 : 1;
  return 0;
}

Exact Exact::operator+(const Exact &other) const {
  bool swap = negative != other.negative && compareMagnitude(other) < 0;
  const Exact &large = swap ? other : *this, &small = swap ? *this : other;
  bool subtract = negative != other.negative;
  Exact sum;
  sum.negative = large.negative;
  unsigned __int128 carry = subtract ? 1 : 0;
  for (int i = 0; i < kWords; ++i) {
    carry += static_cast<unsigned __int128>(large.magnitude[i]) + (subtract ? ~small.magnitude[i] : small.magnitude[i]);
    sum.magnitude[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  return sum;
}

unsigned __int128 Exact::rounded(int quantum, Mode mode) const {
  unsigned __int128 kept = 0;
  for (int i = topBit(); i >= quantum; --i)
    kept = kept << 1 | (bit(i) ? 1 : 0);
  bool half = bit(quantum - 1), rest = anyBelow(std::max(quantum - 1, 0)), up = false;
  switch (mode) {
  case Mode::Nearest: up = half && (rest || (kept & 1)); break;
  case Mode::Away: up = half; break;
  case Mode::Zero: break;
  case Mode::Down: up = negative && (half || rest); break;
  case Mode::Up: up = !negative && (half || rest); break;
  }
  return kept + (up ? 1 : 0);
}

std::uint64_t Exact::round(const Format &format, Mode mode, bool zeroSign) const {
  if (isZero())
    return zeroSign ? format.sign() : 0;
  int lowestQuantum = 1 - format.bias() - format.mantissaBits - kLowest;
  int quantum = std::max(topBit() - format.mantissaBits, lowestQuantum);
  std::uint64_t significand = static_cast<std::uint64_t>(rounded(quantum, mode));
  // A significand that grew by a bit carries into the exponent by itself.
  std::uint64_t base = static_cast<std::uint64_t>(quantum - lowestQuantum) << format.mantissaBits;
  std::uint64_t bits = base + significand;
  if (bits >= format.infinity()) {
    bool toInfinity = mode == Mode::Nearest || mode == Mode::Away || (mode == Mode::Up && !negative) || (mode == Mode::Down && negative);
    bits = toInfinity ? format.infinity() : format.infinity() - 1;
  }
  return bits | (negative ? format.sign() : 0);
}

__int128 Exact::toInteger(Mode mode, __int128 low, __int128 high) const {
  if (topBit() >= -kLowest + 100)
    return negative ? low : high;
  __int128 value = static_cast<__int128>(rounded(-kLowest, mode));
  return std::clamp(negative ? -value : value, low, high);
}

Exact valueOf(const Format &format, std::uint64_t bits) {
  Parts parts = partsOf(format, bits);
  return Exact(isNegative(format, bits), parts.significand, parts.exponent);
}

std::uint64_t fma(const Format &format, std::uint64_t a, std::uint64_t b, std::uint64_t c, Mode mode) {
  if (format.isNan(a) || format.isNan(b) || format.isNan(c))
    return format.nan();
  bool sign = isNegative(format, a) != isNegative(format, b);
  if (isInfinite(format, a) || isInfinite(format, b)) {
    bool invalid = isZero(format, a) || isZero(format, b) || (isInfinite(format, c) && isNegative(format, c) != sign);
    return invalid ? format.nan() : format.infinity() | (sign ? format.sign() : 0);
  }
  if (isInfinite(format, c))
    return c;
  Parts x = partsOf(format, a), y = partsOf(format, b);
  Exact product(sign, static_cast<unsigned __int128>(x.significand) * y.significand, x.exponent + y.exponent);
  bool bothZero = product.isZero() && isZero(format, c);
  bool zeroSign = bothZero && sign == isNegative(format, c) ? sign : mode == Mode::Down;
  return (product + valueOf(format, c)).round(format, mode, zeroSign);
}

std::uint64_t add(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode) {
  std::uint64_t one = static_cast<std::uint64_t>(format.bias()) << format.mantissaBits;
  return fma(format, a, one, b, mode);
}

std::uint64_t multiply(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode) {
  bool sign = isNegative(format, a) != isNegative(format, b);
  return fma(format, a, b, sign ? format.sign() : 0, mode); // + 0 of the product's own sign changes nothing
}

std::uint64_t divide(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode) {
  bool sign = isNegative(format, a) != isNegative(format, b);
  std::uint64_t signBit = sign ? format.sign() : 0;
  if (format.isNan(a) || format.isNan(b) || (isInfinite(format, a) && isInfinite(format, b)) ||
      (isZero(format, a) && isZero(format, b)))
    return format.nan();
  if (isInfinite(format, a) || isZero(format, b))
    return format.infinity() | signBit;
  if (isInfinite(format, b) || isZero(format, a))
    return signBit;
  Parts x = partsOf(format, a), y = partsOf(format, b);
  int shiftX = std::countl_zero(x.significand), shiftY = std::countl_zero(y.significand);
  unsigned __int128 dividend = static_cast<unsigned __int128>(x.significand << shiftX) << 63;
  std::uint64_t divisor = y.significand << shiftY;
  int exponent = (x.exponent - shiftX - 63) - (y.exponent - shiftY);
  return Exact(sign, dividend / divisor, exponent, dividend % divisor != 0).round(format, mode);
}

std::uint64_t squareRoot(const Format &format, std::uint64_t a, Mode mode) {
  if (isZero(format, a))
    return a;
  if (format.isNan(a) || isNegative(format, a))
    return format.nan();
  if (isInfinite(format, a))
    return a;
  Parts x = partsOf(format, a);
  int shift = 64 + std::countl_zero(x.significand) - 2;
  if ((x.exponent - shift) % 2)
    --shift;
  unsigned __int128 radicand = static_cast<unsigned __int128>(x.significand) << shift;
  std::uint64_t root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    std::uint64_t candidate = root | std::uint64_t(1) << bit;
    if (static_cast<unsigned __int128>(candidate) * candidate <= radicand)
      root = candidate;
  }
  bool rest = static_cast<unsigned __int128>(root) * root != radicand;
  return Exact(false, root, (x.exponent - shift) / 2, rest).round(format, mode);
}

std::uint64_t convert(const Format &to, const Format &from, std::uint64_t bits, Mode mode) {
  if (from.isNan(bits))
    return to.nan();
  std::uint64_t sign = isNegative(from, bits) ? to.sign() : 0;
  if (isInfinite(from, bits))
    return to.infinity() | sign;
  return valueOf(from, bits).round(to, mode, sign != 0);
}

std::uint64_t flushed(const Format &format, std::uint64_t bits) {
  return format.isSubnormal(bits) ? bits & format.sign() : bits;
}

std::uint64_t saturated(const Format &format, std::uint64_t bits) {
  std::uint64_t one = static_cast<std::uint64_t>(format.bias()) << format.mantissaBits;
  if (format.isNan(bits) || isNegative(format, bits))
    return 0;
  return std::min(bits, one);
}

double toDouble(const Format &format, std::uint64_t bits) {
  std::uint64_t wide = format.isNan(bits) ? 0x7FF8000000000000 : convert(kF64, format, bits, Mode::Nearest);
  double value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

} // namespace attn::emulator::oracle
