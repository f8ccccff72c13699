#include "attn/Float.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace attn {

static const double kInfinity = std::numeric_limits<double>::infinity();

TEST(Float, EveryPatternSurvivesWideningAndRounding) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<std::uint16_t>(bits);
    float fromF16 = widenF16(half), fromBF16 = widenBF16(half);
    EXPECT_TRUE(std::isnan(fromF16) ? std::isnan(widenF16(roundToF16(fromF16))) : roundToF16(fromF16) == half) << bits;
    EXPECT_TRUE(std::isnan(fromBF16) ? std::isnan(widenBF16(roundToBF16(fromBF16))) : roundToBF16(fromBF16) == half) << bits;
  }
  for (std::uint32_t bits = 0; bits < 0x100; ++bits) {
    auto byte = static_cast<std::uint8_t>(bits);
    float fromE4M3 = widenE4M3(byte);
    EXPECT_EQ(roundToE4M3(fromE4M3), std::isnan(fromE4M3) ? 0x7f : byte);
    if (float value = widenE5M2(byte); std::isfinite(value)) {
      EXPECT_EQ(roundToE5M2(value), byte);
    }
  }
}

TEST(Float, NarrowingToHalfAgreesWithTheCompilersOwnType) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(-30, 18), significand(-2, 2);
  for (int i = 0; i < 200000; ++i) {
    double value = std::ldexp(significand(random), static_cast<int>(exponent(random)));
    EXPECT_EQ(roundToF16(value), std::bit_cast<std::uint16_t>(static_cast<_Float16>(value))) << value;
  }
}

TEST(Float, NarrowingToBrainFloatRoundsTheFloatsUpperHalf) {
  std::mt19937 random(11);
  for (int i = 0; i < 200000; ++i) {
    std::uint32_t bits = random();
    float value = std::bit_cast<float>(bits);
    if (std::isnan(value))
      continue;
    std::uint32_t expected = (bits + 0x7fff + (bits >> 16 & 1)) >> 16; // carries into infinity by itself
    EXPECT_EQ(roundToBF16(value), expected) << value;
  }
}

TEST(Float, TiesGoToEven) {
  EXPECT_EQ(roundTo(ElementType::F16, 2049), 2048);
  EXPECT_EQ(roundTo(ElementType::F16, 2051), 2052);
  EXPECT_EQ(roundTo(ElementType::BF16, 257), 256);
  EXPECT_EQ(roundTo(ElementType::BF16, 259), 260);
  EXPECT_EQ(roundTo(ElementType::E4M3, 17), 16);
  EXPECT_EQ(roundTo(ElementType::E4M3, 19), 20);
  EXPECT_EQ(roundTo(ElementType::E5M2, 9), 8);
  EXPECT_EQ(roundTo(ElementType::E5M2, 11), 12);
  // One rounding from f64: by way of f32 this tie would go down.
  EXPECT_EQ(roundTo(ElementType::F16, 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40)), 1 + std::ldexp(1.0, -10));
}

TEST(Float, Tf32KeepsElevenBitsAndRoundsTiesAway) {
  EXPECT_EQ(roundToTf32(2047), 2047);
  EXPECT_EQ(roundToTf32(2049), 2050);
  EXPECT_EQ(roundToTf32(-2049), -2050);
  EXPECT_EQ(roundToTf32(2048.9f), 2048);
  EXPECT_EQ(roundToTf32(0x1.fffp10f), 2048);
  EXPECT_EQ(roundToTf32(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(roundToTf32(std::bit_cast<float>(0x7fffffffU))));
}

TEST(Float, EndsOfTheRange) {
  EXPECT_EQ(roundTo(ElementType::F16, 65519.99), 65504);
  EXPECT_EQ(roundTo(ElementType::F16, 65520), kInfinity);
  EXPECT_EQ(roundTo(ElementType::F16, std::ldexp(1.0, -25)), 0);
  EXPECT_EQ(roundTo(ElementType::F16, std::ldexp(1.5, -25)), std::ldexp(1.0, -24));
  EXPECT_EQ(roundTo(ElementType::F16, -1e-320), 0);
  EXPECT_EQ(roundToF16(-0.0), 0x8000);
  EXPECT_EQ(roundTo(ElementType::BF16, 1e300), kInfinity);
  EXPECT_EQ(roundTo(ElementType::E4M3, 1e9), 448);
  EXPECT_EQ(roundTo(ElementType::E4M3, -kInfinity), -448);
  EXPECT_EQ(roundTo(ElementType::E4M3, std::ldexp(1.0, -9)), std::ldexp(1.0, -9));
  EXPECT_EQ(roundTo(ElementType::E5M2, kInfinity), 57344);
  EXPECT_EQ(roundTo(ElementType::E5M2, std::ldexp(1.0, -16)), std::ldexp(1.0, -16));
  EXPECT_TRUE(std::isnan(roundTo(ElementType::F16, std::nan(""))));
}

} // namespace attn
