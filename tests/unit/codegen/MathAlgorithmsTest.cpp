// The mathematical functions of generated code, run on the host with the same operations, against the C library in double.
// The approximate instructions are modelled by correctly rounded ones: what is measured is the algorithm; their own error,
// 1 to 2 ulp, adds to functions that use them (docs/numerics.md).
#include "codegen/nvvm/MathDouble.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

using namespace attn::codegen;

namespace {
/// The vocabulary of Emitter.h on numbers of the host.
struct HostOps {
  float f32(double v) { return static_cast<float>(v); }
  double f64(double v) { return v; }
  std::int32_t i32(std::int64_t v) { return static_cast<std::int32_t>(v); }
  std::int64_t i64(std::int64_t v) { return v; }
  template <class T> T fadd(T a, T b) { return a + b; }
  template <class T> T fsub(T a, T b) { return a - b; }
  template <class T> T fmul(T a, T b) { return a * b; }
  template <class T> T fdiv(T a, T b) { return a / b; }
  template <class T> T fma(T a, T b, T c) { return std::fma(a, b, c); }
  template <class T> T fneg(T a) { return -a; }
  template <class T> T fabs(T a) { return std::fabs(a); }
  template <class T> T rint(T a) { return std::nearbyint(a); }
  template <class T> T fmax(T a, T b) { return std::fmax(a, b); }
  template <class T> T minimum(T a, T b) { return std::isnan(a) || a < b ? a : b; }
  template <class T> T maximum(T a, T b) { return std::isnan(a) || a > b ? a : b; }
  template <class T> bool flt(T a, T b) { return a < b; }
  template <class T> bool feq(T a, T b) { return a == b; }
  template <class T> bool ieq(T a, T b) { return a == b; }
  bool land(bool a, bool b) { return a && b; }
  template <class T> T select(bool c, T a, T b) { return c ? a : b; }
  template <class T> T iadd(T a, T b) { return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b)); }
  template <class T> T isub(T a, T b) { return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b)); }
  template <class T> T iand(T a, T b) { return a & b; }
  template <class T> T ixor(T a, T b) { return a ^ b; }
  std::int32_t shl(std::int32_t a, std::int32_t b) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) << b); }
  std::int64_t shl(std::int64_t a, std::int64_t b) { return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) << b); }
  template <class T> T ashr(T a, T b) { return a >> b; }
  std::int32_t asInt(float a) { return std::bit_cast<std::int32_t>(a); }
  float asFloat(std::int32_t a) { return std::bit_cast<float>(a); }
  std::int64_t asLong(double a) { return std::bit_cast<std::int64_t>(a); }
  double asDouble(std::int64_t a) { return std::bit_cast<double>(a); }
  /// As `cvt.rzi` does: to the nearest representable, NaN to 0.
  std::int32_t toInt(float a) { return std::isnan(a) ? 0 : static_cast<std::int32_t>(std::fmin(std::fmax(a, -2147483648.0f), 2147483520.0f)); }
  std::int32_t toInt(double a) { return std::isnan(a) ? 0 : static_cast<std::int32_t>(std::fmin(std::fmax(a, -2147483648.0), 2147483647.0)); }
  std::int64_t toLong(double a) { return std::isnan(a) ? 0 : static_cast<std::int64_t>(std::fmin(std::fmax(a, -9.2e18), 9.2e18)); }
  float toFloat(std::int32_t a) { return static_cast<float>(a); }
  double toDouble(std::int64_t a) { return static_cast<double>(a); }
  double widen(float a) { return a; }
  float narrow(double a) { return static_cast<float>(a); }
  std::int32_t longToInt(std::int64_t a) { return static_cast<std::int32_t>(a); }
  float ex2(float a) { return static_cast<float>(std::exp2(static_cast<double>(a))); }
  float rcp(float a) { return 1.0f / a; }
};
} // namespace

static double ulpsOff(float got, double want) {
  if (std::isnan(want))
    return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(want) || std::fabs(want) > FLT_MAX)
    return std::isinf(got) && std::signbit(got) == std::signbit(want) ? 0 : 1e9;
  if (std::fabs(want) < FLT_MIN)
    return std::fabs(got) <= FLT_MIN ? 0 : 1e9;
  double ulp = std::ldexp(1.0, std::ilogb(want) - 23);
  return std::fabs(got - want) / ulp;
}

static double worst(const std::function<float(float)> &got, const std::function<double(double)> &want, float lo, float hi) {
  double result = 0;
  for (int i = 0; i <= 200000; ++i) {
    float x = lo + (hi - lo) * static_cast<float>(i) / 200000.0f;
    result = std::fmax(result, ulpsOff(got(x), want(x)));
  }
  return result;
}

TEST(MathAlgorithms, Exponentials) {
  HostOps o;
  EXPECT_LT(worst([&](float x) { return math::exp(o, x); }, [](double x) { return std::exp(x); }, -87, 88.7f), 1.5);
  EXPECT_LT(worst([&](float x) { return math::exp2OnFma(o, x); }, [](double x) { return std::exp2(x); }, -125.9f, 20), 2.5);
  EXPECT_EQ(math::exp2OnFma(o, -INFINITY), 0.0f);
  EXPECT_EQ(math::exp2OnFma(o, 0.0f), 1.0f);
  EXPECT_TRUE(std::isnan(math::exp2OnFma(o, NAN)));
  EXPECT_EQ(math::exp(o, -INFINITY), 0.0f);
  EXPECT_EQ(math::exp(o, INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(math::exp(o, NAN)));
}

TEST(MathAlgorithms, SigmoidTanhErf) {
  HostOps o;
  EXPECT_LT(worst([&](float x) { return math::sigmoid(o, x); }, [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80), 3.0);
  EXPECT_LT(worst([&](float x) { return math::tanh(o, x); }, [](double x) { return std::tanh(x); }, -12, 12), 2.0);
  EXPECT_LT(worst([&](float x) { return math::tanh(o, x); }, [](double x) { return std::tanh(x); }, -0.01f, 0.01f), 1.0);
  EXPECT_LT(worst([&](float x) { return math::erf(o, x); }, [](double x) { return std::erf(x); }, -6, 6), 2.5);
  EXPECT_EQ(math::tanh(o, INFINITY), 1.0f);
  EXPECT_EQ(math::tanh(o, -INFINITY), -1.0f);
  EXPECT_TRUE(std::isnan(math::tanh(o, NAN)));
  EXPECT_EQ(math::erf(o, -INFINITY), -1.0f);
  EXPECT_TRUE(std::isnan(math::erf(o, NAN)));
}

TEST(MathAlgorithms, TangentsByReciprocals) {
  HostOps o;
  auto power = [&](float x) { return o.ex2(x * static_cast<float>(2 * math::kLog2E)); };
  double single = 0, shared = 0, sumOfSquares = 0;
  std::array<float, 4> x;
  constexpr int groups = 100000;
  std::uint32_t state = 1;
  for (int i = 0; i < groups; ++i) {
    std::array<float, 4> e;
    for (int j = 0; j < 4; ++j) {
      state = state * 1664525 + 1013904223;
      float range = i % 3 == 0 ? 0.1f : i % 3 == 1 ? 3.0f : 60.0f;
      x[j] = (static_cast<float>(state >> 8) * 0x1p-23f - 1) * range;
      e[j] = power(x[j]);
      single = std::fmax(single, std::fabs(1 + 2.0 * math::negatedLogistic(o, e[j]) - std::tanh(static_cast<double>(x[j]))));
    }
    std::array<float, 4> r = math::negatedLogistics(o, e);
    for (int j = 0; j < 4; ++j) {
      double error = 1 + 2.0 * r[j] - std::tanh(static_cast<double>(x[j]));
      shared = std::fmax(shared, std::fabs(error));
      sumOfSquares += error * error;
    }
  }
  EXPECT_LT(single, 0x1p-22);
  EXPECT_LT(shared, 0x1p-21);
  EXPECT_LT(std::sqrt(sumOfSquares / (4 * groups)), 0x1p-23);
  auto edges = math::negatedLogistics(o, std::array{INFINITY, 0.0f, 0x1p-126f, INFINITY});
  EXPECT_NEAR(edges[0], 0, 0x1p-29);
  EXPECT_EQ(edges[1], -1.0f);
  EXPECT_EQ(edges[2], -1.0f);
  EXPECT_NEAR(edges[3], 0, 0x1p-29);
  EXPECT_TRUE(std::isnan(math::negatedLogistics(o, std::array{NAN, 0.0f, 1.0f, 1.0f})[0]));
  EXPECT_TRUE(std::isnan(math::negatedLogistic(o, NAN)));
  EXPECT_EQ(math::negatedLogistic(o, INFINITY), 0.0f);
}

TEST(MathAlgorithms, Logarithms) {
  HostOps o;
  for (auto [lo, hi] : {std::pair{1e-30f, 1e-20f}, {0.01f, 0.7f}, {0.7f, 1.42f}, {1.4f, 300.0f}, {1e5f, 1e9f}, {1e20f, 3e38f}}) {
    EXPECT_LT(worst([&](float x) { return math::log(o, x); }, [](double x) { return std::log(x); }, lo, hi), 1.5) << lo;
    EXPECT_LT(worst([&](float x) { return math::log2(o, x); }, [](double x) { return std::log2(x); }, lo, hi), 1.6) << lo;
  }
  for (int e = -126; e <= 127; ++e)
    EXPECT_EQ(math::log2(o, std::ldexp(1.0f, e)), static_cast<float>(e));
  for (auto function : {+[](float x) { HostOps p; return math::log(p, x); }, +[](float x) { HostOps p; return math::log2(p, x); }}) {
    EXPECT_EQ(function(0.0f), -INFINITY);
    EXPECT_EQ(function(INFINITY), INFINITY);
    EXPECT_TRUE(std::isnan(function(-1.0f)));
    EXPECT_TRUE(std::isnan(function(NAN)));
  }
}

TEST(MathAlgorithms, ExactForms) {
  HostOps o;
  auto relative = [](double got, double want) { return std::fabs(got - want) / std::fabs(want); };
  double worstLog = 0, worstExp = 0, worstPow = 0, worstExp2 = 0;
  for (int i = 1; i < 100000; ++i) {
    double x = i * 0.0173 + 1e-3, y = (i % 1000 - 500) * 0.13;
    worstLog = std::fmax(worstLog, relative(math::logExact(o, x), std::log(x)));
    worstExp = std::fmax(worstExp, relative(math::expExact(o, y), std::exp(y)));
    worstExp2 = std::fmax(worstExp2, relative(math::exp2Exact(o, y), std::exp2(y)));
    double z = (i % 400) * 0.01;
    worstPow = std::fmax(worstPow, relative(math::powExact(o, x, z), std::pow(x, z)));
  }
  EXPECT_LT(worstLog, 4e-16);
  EXPECT_LT(worstExp, 4e-16);
  EXPECT_LT(worstExp2, 4e-16);
  EXPECT_LT(worstPow, 1e-14);
  for (int e = -300; e <= 300; ++e) {
    EXPECT_EQ(math::log2Exact(o, std::ldexp(1.0, e)), e);
    EXPECT_EQ(math::exp2Exact(o, static_cast<double>(e)), std::ldexp(1.0, e));
    // quotients that a bucket's `floor` meets
    EXPECT_EQ(math::logExact(o, std::ldexp(1.0, e)), std::log(std::ldexp(1.0, e)));
  }
  EXPECT_EQ(math::powExact(o, -2.0, 3.0), -8.0);
  EXPECT_EQ(math::powExact(o, -2.0, 2.0), 4.0);
  EXPECT_TRUE(std::isnan(math::powExact(o, -2.0, 0.5)));
  EXPECT_EQ(math::powExact(o, 0.0, 2.0), 0.0);
  EXPECT_EQ(math::powExact(o, 0.0, -1.0), INFINITY);
  EXPECT_EQ(math::powExact(o, 0.0, 0.0), 1.0);
  EXPECT_EQ(math::powExact(o, static_cast<double>(INFINITY), 1.0), INFINITY);
  EXPECT_EQ(math::powExact(o, 2.0, -2000.0), 0.0);
}

TEST(MathAlgorithms, Angles) {
  HostOps o;
  double absolute = 0, product = 0;
  for (int i = -100000; i <= 100000; ++i) {
    float x = static_cast<float>(i) * 0.37f;
    auto [sine, cosine] = math::sineCosine(o, x);
    absolute = std::fmax(absolute, std::fabs(sine - std::sin(static_cast<double>(x))));
    absolute = std::fmax(absolute, std::fabs(cosine - std::cos(static_cast<double>(x))));
    // a frequency known to more than single precision, a position to 10^5
    double frequency = std::exp2(-0.295806 * (i & 63)), quarters = frequency / 1.57079632679489661923;
    float high = static_cast<float>(quarters), low = static_cast<float>(quarters - high);
    auto turned = math::sineCosineOfProduct(o, static_cast<float>(i), high, low);
    product = std::fmax(product, std::fabs(turned.sine - std::sin(i * frequency)));
    product = std::fmax(product, std::fabs(turned.cosine - std::cos(i * frequency)));
  }
  EXPECT_LT(absolute, 1.1e-7);
  EXPECT_LT(product, 1.4e-7);
  double split = 0;
  for (int i = -100000; i <= 100000; ++i) { // a position that f32 does not hold
    double position = i * 0.3, frequency = std::exp2(-0.295806 * (i & 63)), quarters = frequency / 1.57079632679489661923;
    float high = static_cast<float>(quarters), low = static_cast<float>(quarters - high);
    float rest = static_cast<float>(position - static_cast<float>(position));
    auto turned = math::sineCosineOfProduct(o, static_cast<float>(position), high, low, &rest);
    split = std::fmax(split, std::fabs(turned.sine - std::sin(position * frequency)));
    split = std::fmax(split, std::fabs(turned.cosine - std::cos(position * frequency)));
  }
  EXPECT_LT(split, 1.4e-7);
  EXPECT_LT(worst([&](float x) { return math::sineCosine(o, x).sine; }, [](double x) { return std::sin(x); }, -0.78f, 0.78f), 1.5);
}

/// Against long double, which has 11 bits more.
static double worstOfDouble(const std::function<double(double)> &got, const std::function<long double(long double)> &want, double lo, double hi,
                            bool isAbsolute = false) {
  double result = 0;
  for (int i = 0; i <= 200000; ++i) {
    double x = lo + (hi - lo) * i / 200000;
    long double exact = want(x), ulp = isAbsolute ? 0x1p-52L : std::ldexp(1.0L, std::ilogb(exact) - 52);
    result = std::fmax(result, static_cast<double>(std::fabs(got(x) - exact) / (exact == 0 && !isAbsolute ? 0x1p-1074L : ulp)));
  }
  return result;
}

TEST(MathDouble, Exponentials) {
  HostOps o;
  auto weight = [&](double x) { return math::exp2OfWeight(o, x); };
  EXPECT_LT(worstOfDouble(weight, [](long double x) { return std::exp2(x); }, -1021.9, 1), 1);
  EXPECT_LT(worstOfDouble(weight, [](long double x) { return std::exp2(x); }, -2, 2), 1);
  EXPECT_EQ(weight(0.0), 1.0);
  EXPECT_EQ(weight(-1023.0), 0.0);
  EXPECT_EQ(weight(-1e300), 0.0);
  EXPECT_EQ(weight(-INFINITY), 0.0);
  EXPECT_TRUE(std::isnan(weight(NAN)));
  for (double x = -1023; x < -1021; x += 0x1p-10) { // where numbers end they stay small and no sign appears
    EXPECT_GE(weight(x), 0.0) << x;
    EXPECT_LT(weight(x), 0x1p-1020) << x;
  }
  EXPECT_LT(worstOfDouble([&](double x) { return math::exp2Exact(o, x); }, [](long double x) { return std::exp2(x); }, -1000, 1000), 1.5);
  EXPECT_LT(worstOfDouble([&](double x) { return math::expDouble(o, x); }, [](long double x) { return std::exp(x); }, -707.9, 707.9), 1);
  EXPECT_EQ(math::expDouble(o, static_cast<double>(-INFINITY)), 0.0);
  EXPECT_EQ(math::expDouble(o, static_cast<double>(INFINITY)), INFINITY);
  EXPECT_TRUE(std::isnan(math::expDouble(o, static_cast<double>(NAN))));
  EXPECT_LT(worstOfDouble([&](double x) { return math::logExact(o, x); }, [](long double x) { return std::log(x); }, 0.01, 30), 1.5);
  EXPECT_LT(worstOfDouble([&](double x) { return math::log2Exact(o, x); }, [](long double x) { return std::log2(x); }, 0.01, 30), 1.6);
}

TEST(MathDouble, TanhErf) {
  HostOps o;
  auto tanh = [&](double x) { return math::tanhDouble(o, x); };
  EXPECT_LT(worstOfDouble(tanh, [](long double x) { return std::tanh(x); }, -20, 20), 2.5);
  EXPECT_LT(worstOfDouble(tanh, [](long double x) { return std::tanh(x); }, -0.01, 0.011), 1);
  EXPECT_EQ(tanh(INFINITY), 1.0);
  EXPECT_EQ(tanh(-INFINITY), -1.0);
  EXPECT_EQ(tanh(-1e300), -1.0);
  EXPECT_TRUE(std::isnan(tanh(NAN)));
  auto erf = [&](double x) { return math::erfDouble(o, x); };
  EXPECT_LT(worstOfDouble(erf, [](long double x) { return std::erf(x); }, -7, 7), 4);
  EXPECT_EQ(erf(INFINITY), 1.0);
  EXPECT_EQ(erf(-INFINITY), -1.0);
  EXPECT_TRUE(std::isnan(erf(NAN)));
  auto sigmoid = [&](double x) { return 1 / (1 + math::expDouble(o, -x)); };
  EXPECT_LT(worstOfDouble(sigmoid, [](long double x) { return 1 / (1 + std::exp(-x)); }, -600, 600), 3);
}

TEST(MathDouble, Powers) {
  HostOps o;
  for (double y : {-3.5, -1.0, -0.37, 0.5, 0.9, 2.0, 17.3, 100.0})
    for (int i = 0; i <= 20000; ++i) {
      double x = 0.01 + i * 0.01;
      long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
      long double ulp = std::ldexp(1.0L, std::ilogb(exact) - 52);
      ASSERT_LE(std::fabs(math::powExact(o, x, y) - exact) / ulp, 2 + 1.5L * std::fabs(y * std::log2(static_cast<long double>(x)))) << x << " ** " << y;
      ASSERT_LT(std::fabs(1 / std::sqrt(x) - 1 / std::sqrt(static_cast<long double>(x))) * std::ldexp(1.0L, 52 - std::ilogb(1 / std::sqrt(x))), 1.5) << x;
    }
}

TEST(MathDouble, SineCosine) {
  HostOps o;
  for (double reach : {1.0, 100.0, 1e6}) {
    EXPECT_LT(worstOfDouble([&](double x) { return math::sineCosineDouble(o, x).sine; }, [](long double x) { return std::sin(x); }, -reach, reach, true), 1);
    EXPECT_LT(worstOfDouble([&](double x) { return math::sineCosineDouble(o, x).cosine; }, [](long double x) { return std::cos(x); }, -reach, reach, true), 1);
  }
  EXPECT_EQ(math::sineCosineDouble(o, 0.0).cosine, 1.0);
  EXPECT_TRUE(std::isnan(math::sineCosineDouble(o, static_cast<double>(INFINITY)).sine));
}
