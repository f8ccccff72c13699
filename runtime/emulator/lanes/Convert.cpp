// cvt between numbers, and the plain moves.
#include "runtime/emulator/lanes/Float8.h"
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

template <typename T> constexpr bool kIsSigned = T(-1) < T(0);
template <typename T> struct Limits {
  static constexpr unsigned kBits = sizeof(T) * 8;
  static constexpr T kMax = kIsSigned<T> ? T((std::uint64_t(1) << (kBits - 1)) - 1) : T(~std::uint64_t(0));
  static constexpr T kMin = kIsSigned<T> ? T(std::uint64_t(1) << (kBits - 1)) : T(0);
};

/// Integers: cut off or extend; `.sat` clamps.
template <typename To, typename From> void integers(LaneState &state, const Inst &in) {
  if (!(in.flags & kSat)) {
    forLanes<To, From>(state, in, [](From a) { return static_cast<To>(a); });
    return;
  }
  forLanes<To, From>(state, in, [](From a) {
    if (kIsSigned<From> && a < From(0)) {
      if (!kIsSigned<To>)
        return To(0);
      return static_cast<std::int64_t>(a) < static_cast<std::int64_t>(Limits<To>::kMin) ? Limits<To>::kMin : static_cast<To>(a);
    }
    return static_cast<std::uint64_t>(a) > static_cast<std::uint64_t>(Limits<To>::kMax) ? Limits<To>::kMax : static_cast<To>(a);
  });
}

ATTN_INLINE double toIntegral(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero: return __builtin_trunc(value);
  case Rounding::Down: return __builtin_floor(value);
  case Rounding::Up: return __builtin_ceil(value);
  default: return __builtin_rint(value);
  }
}

/// Float to integer: clamps to the range. NaN gives 0, or the sign bit alone for f64 sources and 64-bit results.
template <typename To, typename From> void toInteger(LaneState &state, const Inst &in) {
  Rounding rounding = static_cast<Rounding>(in.kind);
  bool ftz = (in.flags & kFtz) && sizeof(From) == 4;
  forLanes<To, From>(state, in, [&](From a) {
    constexpr double kEnd = kIsSigned<To> ? static_cast<double>(std::uint64_t(1) << (Limits<To>::kBits - 1))
                                          : static_cast<double>(std::uint64_t(1) << (Limits<To>::kBits - 1)) * 2;
    if (a != a)
      return sizeof(From) == 8 || sizeof(To) == 8 ? To(std::uint64_t(1) << (Limits<To>::kBits - 1)) : To(0);
    double value = toIntegral(ftz ? flush(static_cast<float>(a)) : a, rounding);
    if (value >= kEnd)
      return Limits<To>::kMax;
    if (value < (kIsSigned<To> ? -kEnd : 0.0))
      return Limits<To>::kMin;
    return static_cast<To>(value);
  });
}

/// The common f32 → s32 toward zero without branches.
void truncateToS32(LaneState &state, const Inst &in) {
  forLanes<std::int32_t, float>(state, in, [](float a) {
    double value = a != a ? 0.0 : a;
    value = value < 2147483647.0 ? value : 2147483647.0;
    value = value > -2147483648.0 ? value : -2147483648.0;
    return static_cast<std::int32_t>(value);
  });
}

template <typename To, typename From> [[gnu::noinline]] void toFloat(LaneState &state, const Inst &in) {
  if (in.flags & kSat)
    forLanes<To, From>(state, in, [](From a) { return a <= From(0) ? To(0) : To(1); });
  else
    forLanes<To, From>(state, in, [](From a) { return static_cast<To>(a); });
}

template <bool kBrain, typename From> void integerToHalf(LaneState &state, const Inst &in) {
  Rounding rounding = static_cast<Rounding>(in.kind);
  if (in.flags & kSat) {
    forLanes<std::uint32_t, From>(state, in, [](From a) { return a <= From(0) ? 0u : kBrain ? 0x3F80u : 0x3C00u; });
    return;
  }
  forLanes<std::uint32_t, From>(state, in, [&](From a) {
    bool negative = kIsSigned<From> && a < From(0);
    std::uint64_t magnitude = negative ? 0 - static_cast<std::uint64_t>(a) : static_cast<std::uint64_t>(a);
    double value = integerToOdd(magnitude, negative);
    return kBrain ? toBf16(value, rounding) : toF16(value, rounding);
  });
}

// Floating formats as sources and results.
struct F16 {
  using Cell = std::uint32_t;
  static ATTN_INLINE double widen(Cell bits) { return fromF16(bits & 0xFFFF); }
  static ATTN_INLINE Cell round(double value, Rounding rounding) { return toF16(value, rounding); }
  static ATTN_INLINE Cell flushed(Cell bits) { return bits; } // .ftz is about f32: ptxas folds it so too
};
struct BF16 {
  using Cell = std::uint32_t;
  static ATTN_INLINE double widen(Cell bits) { return fromBf16(bits & 0xFFFF); }
  static ATTN_INLINE Cell round(double value, Rounding rounding) { return toBf16(value, rounding); }
  static ATTN_INLINE Cell flushed(Cell bits) { return bits; }
};
struct F32 {
  using Cell = std::uint32_t;
  static ATTN_INLINE double widen(Cell bits) { return bitsTo<float>(bits); }
  static ATTN_INLINE Cell round(double value, Rounding rounding) { return narrow<8, 23>(value, rounding); }
  static ATTN_INLINE Cell flushed(Cell bits) { return bitsTo<std::uint32_t>(flush(bitsTo<float>(bits))); }
};
struct F64 {
  using Cell = std::uint64_t;
  static ATTN_INLINE double widen(Cell bits) { return bitsTo<double>(bits); }
  static ATTN_INLINE Cell round(double value, Rounding) { return bitsTo<Cell>(value); }
  static ATTN_INLINE Cell flushed(Cell bits) { return bits; }
};

/// Any float format to any other, by way of double, with every modifier.
template <typename To, typename From, bool kIntegral> void floats(LaneState &state, const Inst &in) {
  Rounding rounding = static_cast<Rounding>(in.kind);
  bool ftz = in.flags & kFtz;
  forLanes<typename To::Cell, typename From::Cell>(state, in, [&](typename From::Cell bits) {
    double value = From::widen(ftz ? From::flushed(bits) : bits);
    if (kIntegral)
      value = toIntegral(value, rounding);
    if (in.flags & kSat)
      value = value > 0 ? (value < 1 ? value : 1.0) : 0.0;
    if (in.flags & kRelu)
      value = value < 0 ? 0.0 : value == 0 ? 0.0 : value;
    typename To::Cell result = To::round(value, kIntegral ? Rounding::Nearest : rounding);
    return ftz ? To::flushed(result) : result;
  });
}

// The forms that kernels use most.
void halfToSingle(LaneState &state, const Inst &in) {
  forLanes<float, std::uint32_t>(state, in, [](std::uint32_t bits) { return canonical(fromF16(bits & 0xFFFF)); });
}
void brainToSingle(LaneState &state, const Inst &in) {
  forLanes<float, std::uint32_t>(state, in, [](std::uint32_t bits) { return canonical(fromBf16(bits & 0xFFFF)); });
}
void singleToDouble(LaneState &state, const Inst &in) {
  forLanes<double, float>(state, in, [](float a) { return static_cast<double>(a); });
}
void singleToHalf(LaneState &state, const Inst &in) {
  forLanes<std::uint32_t, float>(state, in, [](float a) { return nearestF16(a); });
}
void singleToBrain(LaneState &state, const Inst &in) {
  forLanes<std::uint32_t, float>(state, in, [](float a) { return nearestBf16(a); });
}

template <bool kTruncate> void toTensorFloat(LaneState &state, const Inst &in) {
  Rounding rounding = static_cast<Rounding>(in.kind);
  bool relu = in.flags & kRelu;
  forLanes<std::uint32_t, float>(state, in, [&](float a) {
    std::uint32_t bits = a != a ? kCanonicalNan : toTf32(a, rounding);
    return relu && a == a && (bits >> 31) ? 0u : bits;
  });
}

template <bool kBrain> ATTN_INLINE std::uint32_t reluHalf(std::uint32_t bits) {
  return (bits & 0x8000) && (bits & 0x7FFF) <= (kBrain ? 0x7F80u : 0x7C00u) ? 0 : bits;
}

/// d = {a in the high half, b in the low half}
template <bool kBrain, bool kNearest> void pack(LaneState &state, const Inst &in) {
  bool relu = in.flags & kRelu;
  auto round = [](float a) -> std::uint32_t {
    if (kNearest)
      return kBrain ? nearestBf16(a) : nearestF16(a);
    return kBrain ? toBf16(a, Rounding::Zero) : toF16(a, Rounding::Zero);
  };
  if (!relu) {
    forLanes<std::uint32_t, float, float>(state, in, [&](float a, float b) { return round(a) << 16 | round(b); });
    return;
  }
  forLanes<std::uint32_t, float, float>(state, in, [&](float a, float b) {
    return reluHalf<kBrain>(round(a)) << 16 | reluHalf<kBrain>(round(b));
  });
}

/// To nearest even; beyond the largest number it, infinities too (`.satfinite`). NaN becomes 0x7F.
template <typename To> ATTN_INLINE std::uint32_t toFloat8(float value) {
  if (value != value)
    return 0x7F;
  std::uint32_t bits = bitsTo<std::uint32_t>(value), magnitude = bits & 0x7FFFFFFF, sign = bits >> 24 & 0x80;
  if (magnitude == 0x7F800000)
    return sign | To::kLargest;
  int exponent = static_cast<int>(magnitude >> 23) - 127;
  exponent = exponent < 1 - To::kBias ? 1 - To::kBias : exponent;
  double units = bitsTo<double>(static_cast<std::uint64_t>(To::kMantissa - exponent + 1023) << 52);
  auto count = static_cast<std::uint32_t>(__builtin_rint(static_cast<double>(bitsTo<float>(magnitude)) * units));
  std::uint32_t code = (static_cast<std::uint32_t>(exponent + To::kBias - 1) << To::kMantissa) + count;
  return sign | (code < To::kLargest ? code : To::kLargest);
}

ATTN_INLINE std::uint32_t reluFloat8(std::uint32_t bits, bool relu) { return relu && (bits & 0x80) ? 0 : bits; }

/// d = {a in the upper byte, b in the lower}
template <typename To> void singlesToFloat8(LaneState &state, const Inst &in) {
  bool relu = in.flags & kRelu;
  forLanes<std::uint32_t, float, float>(state, in, [&](float a, float b) {
    return reluFloat8(toFloat8<To>(a), relu) << 8 | reluFloat8(toFloat8<To>(b), relu);
  });
}

template <typename To> void halvesToFloat8(LaneState &state, const Inst &in) {
  bool relu = in.flags & kRelu;
  forLanes<std::uint32_t, std::uint32_t>(state, in, [&](std::uint32_t pair) {
    return reluFloat8(toFloat8<To>(fromF16(pair >> 16)), relu) << 8 | reluFloat8(toFloat8<To>(fromF16(pair & 0xFFFF)), relu);
  });
}

template <typename From> void halvesFromFloat8(LaneState &state, const Inst &in) {
  bool relu = in.flags & kRelu;
  auto half = [&](std::uint32_t bits) -> std::uint32_t {
    std::uint32_t result = nearestF16(From::widen(bits));
    return relu ? reluHalf<false>(result) : result;
  };
  forLanes<std::uint32_t, std::uint32_t>(state, in, [&](std::uint32_t pair) { return half(pair >> 8 & 0xFF) << 16 | half(pair & 0xFF); });
}

template <typename To> Handler integersFrom(ptx::ScalarType from) {
  using ptx::ScalarType;
  switch (from) {
  case ScalarType::U8: return integers<To, std::uint8_t>;
  case ScalarType::U16: return integers<To, std::uint16_t>;
  case ScalarType::U32: return integers<To, std::uint32_t>;
  case ScalarType::U64: return integers<To, std::uint64_t>;
  case ScalarType::S8: return integers<To, std::int8_t>;
  case ScalarType::S16: return integers<To, std::int16_t>;
  case ScalarType::S32: return integers<To, std::int32_t>;
  case ScalarType::S64: return integers<To, std::int64_t>;
  case ScalarType::F32: return toInteger<To, float>;
  case ScalarType::F64: return toInteger<To, double>;
  default: return nullptr;
  }
}

template <template <typename> typename Table> Handler fromIntegerType(ptx::ScalarType from, Rounding rounding) {
  using ptx::ScalarType;
  switch (from) {
  case ScalarType::U8: return Table<std::uint8_t>::get(rounding);
  case ScalarType::U16: return Table<std::uint16_t>::get(rounding);
  case ScalarType::U32: return Table<std::uint32_t>::get(rounding);
  case ScalarType::U64: return Table<std::uint64_t>::get(rounding);
  case ScalarType::S8: return Table<std::int8_t>::get(rounding);
  case ScalarType::S16: return Table<std::int16_t>::get(rounding);
  case ScalarType::S32: return Table<std::int32_t>::get(rounding);
  case ScalarType::S64: return Table<std::int64_t>::get(rounding);
  default: return nullptr;
  }
}
template <typename From> struct ToSingle {
  static Handler get(Rounding rounding) { return rounded<toFloat<float, From>>(rounding); }
};
template <typename From> struct ToDouble {
  static Handler get(Rounding rounding) { return rounded<toFloat<double, From>>(rounding); }
};
template <typename From> struct ToF16 {
  static Handler get(Rounding) { return integerToHalf<false, From>; }
};
template <typename From> struct ToBf16 {
  static Handler get(Rounding) { return integerToHalf<true, From>; }
};

template <typename To> Handler floatsFrom(ptx::ScalarType from, bool integral) {
  using ptx::ScalarType;
  switch (from) {
  case ScalarType::F16: return integral ? floats<To, F16, true> : floats<To, F16, false>;
  case ScalarType::BF16: return integral ? floats<To, BF16, true> : floats<To, BF16, false>;
  case ScalarType::F32: return integral ? floats<To, F32, true> : floats<To, F32, false>;
  case ScalarType::F64: return integral ? floats<To, F64, true> : floats<To, F64, false>;
  default: return nullptr;
  }
}

Handler common(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding) {
  using ptx::ScalarType;
  if (to == ScalarType::F32 && from == ScalarType::F16)
    return halfToSingle;
  if (to == ScalarType::F32 && from == ScalarType::BF16)
    return brainToSingle;
  if (to == ScalarType::F64 && from == ScalarType::F32)
    return singleToDouble;
  if (rounding == Rounding::Nearest && from == ScalarType::F32 && to == ScalarType::F16)
    return singleToHalf;
  if (rounding == Rounding::Nearest && from == ScalarType::F32 && to == ScalarType::BF16)
    return singleToBrain;
  return nullptr;
}

void move32(LaneState &state, const Inst &in) {
  forLanes<std::uint32_t, std::uint32_t>(state, in, [](std::uint32_t a) { return a; });
}
void move64(LaneState &state, const Inst &in) {
  forLanes<std::uint64_t, std::uint64_t>(state, in, [](std::uint64_t a) { return a; });
}
void pack16(LaneState &state, const Inst &in) {
  forLanes<std::uint32_t, std::uint32_t, std::uint32_t>(
      state, in, [](std::uint32_t a, std::uint32_t b) { return (a & 0xFFFF) | b << 16; });
}
void pack64(LaneState &state, const Inst &in) {
  forLanes<std::uint64_t, std::uint32_t, std::uint32_t>(
      state, in, [](std::uint32_t a, std::uint32_t b) { return a | std::uint64_t(b) << 32; });
}

/// {list[0], list[1], …} = a, cut into pieces of 64 / kCount or 32 / kCount bits
template <typename Source, unsigned kCount> void unpack(LaneState &state, const Inst &in) {
  const Source *a = state.plane<Source>(in.a);
  constexpr unsigned kBits = sizeof(Source) * 8 / kCount;
  std::uint32_t parts[kCount][32];
  for (unsigned part = 0; part < kCount; ++part)
    for (int i = 0; i < 32; ++i)
      parts[part][i] = static_cast<std::uint32_t>(a[i] >> (kBits * part) & ((std::uint64_t(1) << kBits) - 1));
  std::uint32_t mask = state.undefined[in.a];
  for (unsigned part = 0; part < kCount; ++part) {
    state.write(in.list[part], parts[part]);
    state.setUndefined(in.list[part], mask);
  }
}

void pack16x4(LaneState &state, const Inst &in) {
  std::uint64_t result[32] = {};
  std::uint32_t mask = 0;
  for (unsigned part = 0; part < 4; ++part) {
    const std::uint32_t *source = state.plane<std::uint32_t>(in.list[part]);
    for (int i = 0; i < 32; ++i)
      result[i] |= std::uint64_t(source[i] & 0xFFFF) << (16 * part);
    mask |= state.undefined[in.list[part]];
  }
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

} // namespace

Handler convertHandler(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding, bool integral) {
  using ptx::ScalarType;
  if (to == ScalarType::TF32)
    return toTensorFloat<false>;
  if (ptx::isFloat(to) && ptx::isFloat(from)) {
    switch (to) {
    case ScalarType::F16: return floatsFrom<F16>(from, integral);
    case ScalarType::BF16: return floatsFrom<BF16>(from, integral);
    case ScalarType::F32: return floatsFrom<F32>(from, integral);
    case ScalarType::F64: return floatsFrom<F64>(from, integral);
    default: return nullptr;
    }
  }
  switch (to) {
  case ScalarType::F32: return fromIntegerType<ToSingle>(from, rounding);
  case ScalarType::F64: return fromIntegerType<ToDouble>(from, rounding);
  case ScalarType::F16: return fromIntegerType<ToF16>(from, rounding);
  case ScalarType::BF16: return fromIntegerType<ToBf16>(from, rounding);
  case ScalarType::U8: return integersFrom<std::uint8_t>(from);
  case ScalarType::U16: return integersFrom<std::uint16_t>(from);
  case ScalarType::U32: return integersFrom<std::uint32_t>(from);
  case ScalarType::U64: return integersFrom<std::uint64_t>(from);
  case ScalarType::S8: return integersFrom<std::int8_t>(from);
  case ScalarType::S16: return integersFrom<std::int16_t>(from);
  case ScalarType::S32: return integersFrom<std::int32_t>(from);
  case ScalarType::S64: return integersFrom<std::int64_t>(from);
  default: return nullptr;
  }
}

Handler convertPlainHandler(ptx::ScalarType to, ptx::ScalarType from, Rounding rounding) {
  if (to == ptx::ScalarType::S32 && from == ptx::ScalarType::F32 && rounding == Rounding::Zero)
    return truncateToS32;
  return common(to, from, rounding);
}

Handler convertPackHandler(ptx::ScalarType to, Rounding rounding) {
  bool nearest = rounding == Rounding::Nearest;
  if (to == ptx::ScalarType::BF16x2)
    return nearest ? pack<true, true> : pack<true, false>;
  return nearest ? pack<false, true> : pack<false, false>;
}

Handler convertFloat8Handler(ptx::ScalarType to, ptx::ScalarType from) {
  using ptx::ScalarType;
  if (to == ScalarType::F16x2)
    return from == ScalarType::E4M3x2 ? halvesFromFloat8<E4M3> : halvesFromFloat8<E5M2>;
  if (from == ScalarType::F32)
    return to == ScalarType::E4M3x2 ? singlesToFloat8<E4M3> : singlesToFloat8<E5M2>;
  return to == ScalarType::E4M3x2 ? halvesToFloat8<E4M3> : halvesToFloat8<E5M2>;
}

void fillMoves(LaneHandlers &handlers) {
  handlers.move32 = move32;
  handlers.move64 = move64;
  handlers.pack16 = pack16;
  handlers.unpack16 = unpack<std::uint32_t, 2>;
  handlers.pack64 = pack64;
  handlers.unpack64 = unpack<std::uint64_t, 2>;
  handlers.pack16x4 = pack16x4;
  handlers.unpack16x4 = unpack<std::uint64_t, 4>;
}

} // namespace attn::emulator::ATTN_LANES
