// Arithmetic on f32 and f64, and the approximate functions, which are computed correctly rounded or nearly so.
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

struct Add { template <typename T> T operator()(T a, T b) const { return a + b; } };
struct Sub { template <typename T> T operator()(T a, T b) const { return a - b; } };
struct Mul { template <typename T> T operator()(T a, T b) const { return a * b; } };
struct Div { template <typename T> T operator()(T a, T b) const { return a / b; } };
/// Computed as a · (1 / b), so that a divisor above 2^126 gives 0, or NaN under an infinity (PTX ISA 9.7.3.8).
struct DivApprox {
  float operator()(float a, float b) const {
    float divisor = __builtin_fabsf(b);
    return divisor > 0x1p126f && divisor < __builtin_inff() ? a * __builtin_copysignf(0.0f, b) : a / b;
  }
};
struct Reciprocal { template <typename T> T operator()(T a) const { return 1 / a; } };
struct Fma {
  float operator()(float a, float b, float c) const { return __builtin_fmaf(a, b, c); }
  double operator()(double a, double b, double c) const { return __builtin_fma(a, b, c); }
};
struct Sqrt {
  float operator()(float a) const { return __builtin_sqrtf(a); }
  double operator()(double a) const { return __builtin_sqrt(a); }
};
struct Rsqrt {
  float operator()(float a) const { return static_cast<float>(1 / __builtin_sqrt(static_cast<double>(a))); }
  double operator()(double a) const { return 1 / __builtin_sqrt(a); }
};

/// 2^x in double by a polynomial on [-1/2, 1/2] whose error is far below half an ulp of f32.
struct Exp2 {
  float operator()(float a) const {
    constexpr double kTerms[] = { // ln(2)^k / k!
        1.0, 0.69314718055994529, 0.24022650695910072, 0.055504108664821583,
        0.0096181291076284769, 0.0013333558146428443, 0.00015403530393381609,
        1.5252733804059841e-05, 1.321548679014431e-06, 1.01780860092397e-07,
        7.0549116208011234e-09, 4.4455382718708116e-10, 2.5678435993488206e-11};
    constexpr double kShift = 0x1.8p52; // adding it rounds to an integer, whose bits end the sum
    double x = a;
    x = x > -200.0 ? x : -200.0;
    x = x < 200.0 ? x : 200.0;
    double shifted = x + kShift;
    double f = x - (shifted - kShift);
    double value = kTerms[12];
    for (int i = 11; i >= 0; --i)
      value = value * f + kTerms[i];
    std::uint64_t power = bitsTo<std::uint64_t>(shifted) << 52;
    double result = bitsTo<double>(bitsTo<std::uint64_t>(value) + power);
    return a != a ? a : static_cast<float>(result);
  }
};
struct Log2 { float operator()(float a) const { return static_cast<float>(__builtin_log2(static_cast<double>(a))); } };
struct Sin { float operator()(float a) const { return static_cast<float>(__builtin_sin(static_cast<double>(a))); } };
struct Cos { float operator()(float a) const { return static_cast<float>(__builtin_cos(static_cast<double>(a))); } };
struct Tanh { float operator()(float a) const { return static_cast<float>(__builtin_tanh(static_cast<double>(a))); } };

template <bool kFtz, typename Op> struct Single {
  template <typename... Ts> float operator()(Ts... values) const {
    float result = canonical(kFtz ? Op{}(flush(values)...) : Op{}(values...));
    return kFtz ? flush(result) : result;
  }
};

/// add, sub, mul, fma: `.sat` is a second pass over the result.
template <bool kFtz, typename Op, typename... Sources> [[gnu::noinline]] void single(LaneState &state, const Inst &in) {
  if (in.flags & kSat)
    forLanes<float, Sources...>(state, in, [](auto... values) { return saturate(Single<kFtz, Op>{}(values...)); });
  else
    forLanes<float, Sources...>(state, in, Single<kFtz, Op>{});
}

/// f64 NaNs: quiet, positive, as hardware makes them from invalid operations.
template <typename Op> struct Double {
  template <typename... Ts> double operator()(Ts... values) const {
    double result = Op{}(values...);
    return result != result ? bitsTo<double>(std::uint64_t(0x7FF8000000000000)) : result;
  }
};

ATTN_INLINE bool negative(float value) { return bitsTo<std::uint32_t>(value) >> 31; }
ATTN_INLINE bool negative(double value) { return bitsTo<std::uint64_t>(value) >> 63; }

/// −0 is below +0; one NaN gives the other operand unless `propagate`.
template <bool kMax, typename T> ATTN_INLINE T extreme(T a, T b, bool propagate) {
  bool aWins = kMax ? a > b || (a == b && !negative(a)) : a < b || (a == b && negative(a));
  T result = aWins ? a : b;
  result = b != b ? a : result;
  result = a != a ? b : result;
  return propagate && (a != a || b != b) ? a + b : result;
}

template <bool kMax, bool kFlush> void singleExtreme(LaneState &state, const Inst &in) {
  bool propagate = in.flags & kNaN, xorSign = in.flags & kXorSign;
  forLanes<float, float, float>(state, in, [&](float a, float b) {
    a = kFlush ? flush(a) : a;
    b = kFlush ? flush(b) : b;
    std::uint32_t sign = (bitsTo<std::uint32_t>(a) ^ bitsTo<std::uint32_t>(b)) & 0x80000000;
    if (xorSign) {
      a = __builtin_fabsf(a);
      b = __builtin_fabsf(b);
    }
    float result = canonical(extreme<kMax>(a, b, propagate));
    return xorSign && result == result ? bitsTo<float>(bitsTo<std::uint32_t>(result) | sign) : result;
  });
}
template <bool kMax> void doubleExtreme(LaneState &state, const Inst &in) {
  forLanes<double, double, double>(state, in, [](double a, double b) { return extreme<kMax>(a, b, false); });
}

template <bool kFtz> struct Neg {
  float operator()(float a) const { return -(kFtz ? flush(a) : a); }
  double operator()(double a) const { return -a; }
};
template <bool kFtz> struct Abs {
  float operator()(float a) const { return __builtin_fabsf(kFtz ? flush(a) : a); }
  double operator()(double a) const { return __builtin_fabs(a); }
};
/// copysign d, a, b: the sign of a on the magnitude of b.
struct CopySign {
  float operator()(float a, float b) const { return __builtin_copysignf(b, a); }
  double operator()(double a, double b) const { return __builtin_copysign(b, a); }
};

/// The crude f64 forms look at the high half of their argument and fill the high half of the result (PTX ISA 9.7.3.14).
template <typename Op> struct Coarse {
  static ATTN_INLINE double high(double value) { return bitsTo<double>(bitsTo<std::uint64_t>(value) & 0xFFFFFFFF00000000); }
  static ATTN_INLINE double flushDouble(double value) {
    std::uint64_t bits = bitsTo<std::uint64_t>(value);
    return bitsTo<double>(bits & 0x7FF0000000000000 ? bits : bits & 0x8000000000000000);
  }
  double operator()(double a) const { return flushDouble(high(Double<Op>{}(flushDouble(high(a))))); }
};

template <bool kFtz> Handler singleHandler(FloatOp op, Rounding rounding) {
  switch (op) {
  case FloatOp::Add: return rounded<single<kFtz, Add, float, float>>(rounding);
  case FloatOp::Sub: return rounded<single<kFtz, Sub, float, float>>(rounding);
  case FloatOp::Mul: return rounded<single<kFtz, Mul, float, float>>(rounding);
  case FloatOp::Fma: return rounded<single<kFtz, Fma, float, float, float>>(rounding);
  case FloatOp::Div: return rounded<handler<Single<kFtz, Div>, float, float, float>>(rounding);
  case FloatOp::DivApprox: return handler<Single<kFtz, DivApprox>, float, float, float>;
  case FloatOp::Reciprocal: return rounded<handler<Single<kFtz, Reciprocal>, float, float>>(rounding);
  case FloatOp::Sqrt: return rounded<handler<Single<kFtz, Sqrt>, float, float>>(rounding);
  case FloatOp::Min: return singleExtreme<false, kFtz>;
  case FloatOp::Max: return singleExtreme<true, kFtz>;
  case FloatOp::Neg: return handler<Neg<kFtz>, float, float>;
  case FloatOp::Abs: return handler<Abs<kFtz>, float, float>;
  case FloatOp::Rsqrt: return handler<Single<kFtz, Rsqrt>, float, float>;
  case FloatOp::Exp2: return handler<Single<kFtz, Exp2>, float, float>;
  case FloatOp::Log2: return handler<Single<kFtz, Log2>, float, float>;
  case FloatOp::Sin: return handler<Single<kFtz, Sin>, float, float>;
  case FloatOp::Cos: return handler<Single<kFtz, Cos>, float, float>;
  case FloatOp::Tanh: return handler<Single<false, Tanh>, float, float>;
  case FloatOp::CopySign: return handler<CopySign, float, float, float>;
  default: return nullptr;
  }
}

Handler doubleHandler(FloatOp op, Rounding rounding) {
  switch (op) {
  case FloatOp::Add: return rounded<handler<Double<Add>, double, double, double>>(rounding);
  case FloatOp::Sub: return rounded<handler<Double<Sub>, double, double, double>>(rounding);
  case FloatOp::Mul: return rounded<handler<Double<Mul>, double, double, double>>(rounding);
  case FloatOp::Fma: return rounded<handler<Double<Fma>, double, double, double, double>>(rounding);
  case FloatOp::Div: return rounded<handler<Double<Div>, double, double, double>>(rounding);
  case FloatOp::Reciprocal: return rounded<handler<Double<Reciprocal>, double, double>>(rounding);
  case FloatOp::Sqrt: return rounded<handler<Double<Sqrt>, double, double>>(rounding);
  case FloatOp::Rsqrt: return handler<Double<Rsqrt>, double, double>;
  case FloatOp::ReciprocalCoarse: return handler<Coarse<Reciprocal>, double, double>;
  case FloatOp::RsqrtCoarse: return handler<Coarse<Rsqrt>, double, double>;
  case FloatOp::Min: return doubleExtreme<false>;
  case FloatOp::Max: return doubleExtreme<true>;
  case FloatOp::Neg: return handler<Neg<false>, double, double>;
  case FloatOp::Abs: return handler<Abs<false>, double, double>;
  case FloatOp::CopySign: return handler<CopySign, double, double, double>;
  default: return nullptr;
  }
}

} // namespace

Handler floatHandler(FloatOp op, ptx::ScalarType type, Rounding rounding, bool ftz) {
  if (type == ptx::ScalarType::F64)
    return doubleHandler(op, rounding);
  if (type != ptx::ScalarType::F32)
    return nullptr;
  return ftz ? singleHandler<true>(op, rounding) : singleHandler<false>(op, rounding);
}

} // namespace attn::emulator::ATTN_LANES
