// Floating point from its definition: values as fixed-point numbers wide enough for any product of two doubles, rounded
// once. The oracle of the instruction tests; shares nothing with the emulator and uses no floating-point hardware.
#pragma once

#include <array>
#include <cstdint>

namespace attn::emulator::oracle {

struct Format {
  int exponentBits = 8, mantissaBits = 23;

  int width() const { return 1 + exponentBits + mantissaBits; }
  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  std::uint64_t infinity() const { return ((std::uint64_t(1) << exponentBits) - 1) << mantissaBits; }
  std::uint64_t sign() const { return std::uint64_t(1) << (width() - 1); }
  /// What PTX calls the canonical NaN: all ones but the sign (f64 results may be any NaN).
  std::uint64_t nan() const { return sign() - 1; }
  bool isNan(std::uint64_t bits) const { return (bits & (sign() - 1)) > infinity(); }
  bool isSubnormal(std::uint64_t bits) const { return (bits & infinity()) == 0 && (bits & (sign() - 1)) != 0; }
};

inline constexpr Format kF16{5, 10}, kBF16{8, 7}, kF32{8, 23}, kF64{11, 52}, kTF32{8, 10};

enum class Mode { Nearest, Zero, Down, Up, Away };

/// sign · magnitude · 2^-2240, with `sticky` for bits below that were lost.
class Exact {
public:
  static constexpr int kLowest = -2240, kWords = 72;

  Exact() = default;
  Exact(bool negative, unsigned __int128 significand, int exponent, bool sticky = false);

  Exact operator+(const Exact &other) const;
  bool isZero() const;
  /// Rounds once. A zero gets the sign `zeroSign`.
  std::uint64_t round(const Format &format, Mode mode, bool zeroSign = false) const;
  /// Rounds to an integer and clamps to [low, high].
  __int128 toInteger(Mode mode, __int128 low, __int128 high) const;

  bool negative = false;

private:
  int compareMagnitude(const Exact &other) const;
  int topBit() const; ///< of the magnitude; -1 for zero
  bool bit(int index) const;
  bool anyBelow(int index) const;
  /// The magnitude divided by 2^quantum (relative to the lowest bit), rounded to an integer.
  unsigned __int128 rounded(int quantum, Mode mode) const;

  std::array<std::uint64_t, kWords> magnitude{};
  bool sticky = false;
};

/// The exact value of finite `bits`.
Exact valueOf(const Format &format, std::uint64_t bits);

/// a · b + c rounded once, with all special cases of IEEE 754; the canonical NaN for NaN.
std::uint64_t fma(const Format &format, std::uint64_t a, std::uint64_t b, std::uint64_t c, Mode mode);
std::uint64_t add(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode);
std::uint64_t multiply(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode);
std::uint64_t divide(const Format &format, std::uint64_t a, std::uint64_t b, Mode mode);
std::uint64_t squareRoot(const Format &format, std::uint64_t a, Mode mode);
/// From one format to another; infinities stay, NaN becomes canonical.
std::uint64_t convert(const Format &to, const Format &from, std::uint64_t bits, Mode mode);

std::uint64_t flushed(const Format &format, std::uint64_t bits);
/// Clamps to [0, 1]; NaN gives +0 (PTX `.sat`).
std::uint64_t saturated(const Format &format, std::uint64_t bits);
/// As a double, exactly (formats up to f64).
double toDouble(const Format &format, std::uint64_t bits);

} // namespace attn::emulator::oracle
