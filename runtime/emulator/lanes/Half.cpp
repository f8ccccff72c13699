// Arithmetic on f16 and bf16, single and in pairs. Each operation is exact in double, or rounded to odd there, and then
// rounded once to the format.
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

struct F16 {
  static ATTN_INLINE double widen(std::uint32_t bits) { return fromF16(bits & 0xFFFF); }
  static ATTN_INLINE std::uint32_t round(double value) { return toF16(value); }
  static constexpr std::uint32_t kOne = 0x3C00, kExponent = 0x7C00;
};
struct BF16 {
  static ATTN_INLINE double widen(std::uint32_t bits) { return fromBf16(bits & 0xFFFF); }
  static ATTN_INLINE std::uint32_t round(double value) { return toBf16(value); }
  static constexpr std::uint32_t kOne = 0x3F80, kExponent = 0x7F80;
};

template <typename Format> ATTN_INLINE std::uint32_t flushHalf(std::uint32_t bits) {
  return (bits & Format::kExponent) == 0 ? bits & 0x8000 : bits;
}

template <typename Format> ATTN_INLINE bool isNan(std::uint32_t bits) { return (bits & 0x7FFF) > Format::kExponent; }

/// One operation on raw halves.
template <typename Format, FloatOp kOp>
ATTN_INLINE std::uint32_t compute(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t flags) {
  if (flags & kFtz) {
    a = flushHalf<Format>(a);
    b = flushHalf<Format>(b);
    c = flushHalf<Format>(c);
  }
  double x = Format::widen(a), y = Format::widen(b);
  std::uint32_t result = 0;
  if constexpr (kOp == FloatOp::Add)
    result = Format::round(x + y);
  else if constexpr (kOp == FloatOp::Sub)
    result = Format::round(x - y);
  else if constexpr (kOp == FloatOp::Mul)
    result = Format::round(x * y);
  else if constexpr (kOp == FloatOp::Fma)
    result = Format::round(addToOdd(x * y, Format::widen(c)));
  else if constexpr (kOp == FloatOp::Neg)
    result = a ^ 0x8000;
  else if constexpr (kOp == FloatOp::Abs)
    result = a & 0x7FFF;
  else if constexpr (kOp == FloatOp::Exp2)
    result = Format::round(__builtin_exp2(x));
  else if constexpr (kOp == FloatOp::Tanh)
    result = Format::round(__builtin_tanh(x));
  else { // Min, Max
    bool aWins = kOp == FloatOp::Max ? x > y || (x == y && !(a & 0x8000)) : x < y || (x == y && (a & 0x8000));
    result = isNan<Format>(a) ? b : isNan<Format>(b) || aWins ? a : b;
    if ((flags & kNaN) && (isNan<Format>(a) || isNan<Format>(b)))
      result = 0x7FFF;
    result = isNan<Format>(result) ? 0x7FFF : result;
  }
  if (flags & kFtz)
    result = flushHalf<Format>(result);
  if (flags & kSat)
    result = isNan<Format>(result) || (result & 0x8000) ? 0 : result > Format::kOne ? Format::kOne : result;
  if ((flags & kRelu) && !isNan<Format>(result) && (result & 0x8000))
    result = 0;
  return result & 0xFFFF;
}

template <typename Format, FloatOp kOp, bool kPair> void halves(LaneState &state, const Inst &in) {
  constexpr bool kUnary =
      kOp == FloatOp::Neg || kOp == FloatOp::Abs || kOp == FloatOp::Exp2 || kOp == FloatOp::Tanh;
  constexpr bool kTernary = kOp == FloatOp::Fma;
  const std::uint32_t *a = state.plane<std::uint32_t>(in.a);
  const std::uint32_t *b = kUnary ? a : state.plane<std::uint32_t>(in.b);
  const std::uint32_t *c = kTernary ? state.plane<std::uint32_t>(in.c) : a;
  std::uint32_t result[32];
  for (int i = 0; i < 32; ++i) {
    result[i] = compute<Format, kOp>(a[i] & 0xFFFF, b[i] & 0xFFFF, c[i] & 0xFFFF, in.flags);
    if (kPair)
      result[i] |= compute<Format, kOp>(a[i] >> 16, b[i] >> 16, c[i] >> 16, in.flags) << 16;
  }
  std::uint32_t mask = state.undefined[in.a];
  mask |= kUnary ? 0 : state.undefined[in.b];
  mask |= kTernary ? state.undefined[in.c] : 0;
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

template <typename Format, bool kPair> Handler select(FloatOp op) {
  switch (op) {
  case FloatOp::Add: return halves<Format, FloatOp::Add, kPair>;
  case FloatOp::Sub: return halves<Format, FloatOp::Sub, kPair>;
  case FloatOp::Mul: return halves<Format, FloatOp::Mul, kPair>;
  case FloatOp::Fma: return halves<Format, FloatOp::Fma, kPair>;
  case FloatOp::Min: return halves<Format, FloatOp::Min, kPair>;
  case FloatOp::Max: return halves<Format, FloatOp::Max, kPair>;
  case FloatOp::Neg: return halves<Format, FloatOp::Neg, kPair>;
  case FloatOp::Abs: return halves<Format, FloatOp::Abs, kPair>;
  case FloatOp::Exp2: return halves<Format, FloatOp::Exp2, kPair>;
  case FloatOp::Tanh: return halves<Format, FloatOp::Tanh, kPair>;
  default: return nullptr;
  }
}

} // namespace

Handler halfHandler(FloatOp op, ptx::ScalarType type) {
  switch (type) {
  case ptx::ScalarType::F16: return select<F16, false>(op);
  case ptx::ScalarType::F16x2: return select<F16, true>(op);
  case ptx::ScalarType::BF16: return select<BF16, false>(op);
  case ptx::ScalarType::BF16x2: return select<BF16, true>(op);
  default: return nullptr;
  }
}

} // namespace attn::emulator::ATTN_LANES
