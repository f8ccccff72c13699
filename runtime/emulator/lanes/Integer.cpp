// Integer and bit operations.
#include "runtime/emulator/lanes/Loops.h"

namespace attn::emulator::ATTN_LANES {
namespace {

template <typename T> struct WidthOf { static constexpr unsigned kBits = sizeof(T) * 8; };
template <typename T> struct Types;
template <> struct Types<std::uint16_t> { using Unsigned = std::uint16_t; using Wide = std::uint32_t; };
template <> struct Types<std::int16_t> { using Unsigned = std::uint16_t; using Wide = std::int32_t; };
template <> struct Types<std::uint32_t> { using Unsigned = std::uint32_t; using Wide = std::uint64_t; };
template <> struct Types<std::int32_t> { using Unsigned = std::uint32_t; using Wide = std::int64_t; };
template <> struct Types<std::uint64_t> { using Unsigned = std::uint64_t; using Wide = unsigned __int128; };
template <> struct Types<std::int64_t> { using Unsigned = std::uint64_t; using Wide = __int128; };
template <typename T> using Unsigned = typename Types<T>::Unsigned;
template <typename T> using Wide = typename Types<T>::Wide;
template <typename T> constexpr bool kIsSigned = T(-1) < T(0);

ATTN_INLINE std::int32_t clampTo32(std::int64_t value) {
  value = value > INT32_MAX ? INT32_MAX : value;
  return static_cast<std::int32_t>(value < INT32_MIN ? INT32_MIN : value);
}

// Arithmetic that wraps is done unsigned, in at least 32 bits.
struct Add { template <typename T> T operator()(T a, T b) const { return T(Unsigned<T>(a) + Unsigned<T>(b)); } };
struct Sub { template <typename T> T operator()(T a, T b) const { return T(Unsigned<T>(a) - Unsigned<T>(b)); } };
struct AddSat { std::int32_t operator()(std::int32_t a, std::int32_t b) const { return clampTo32(std::int64_t(a) + b); } };
struct SubSat { std::int32_t operator()(std::int32_t a, std::int32_t b) const { return clampTo32(std::int64_t(a) - b); } };
struct MulLo { template <typename T> T operator()(T a, T b) const { return T(std::uint64_t(a) * std::uint64_t(b)); } };
struct MulHi { template <typename T> T operator()(T a, T b) const { return T((Wide<T>(a) * Wide<T>(b)) >> WidthOf<T>::kBits); } };
struct MulWide { template <typename T> Wide<T> operator()(T a, T b) const { return Wide<T>(a) * Wide<T>(b); } };
struct MadLo { template <typename T> T operator()(T a, T b, T c) const { return Add{}(MulLo{}(a, b), c); } };
struct MadHi { template <typename T> T operator()(T a, T b, T c) const { return Add{}(MulHi{}(a, b), c); } };
struct MadHiSat {
  std::int32_t operator()(std::int32_t a, std::int32_t b, std::int32_t c) const {
    return clampTo32(std::int64_t(MulHi{}(a, b)) + c);
  }
};
template <typename T> struct MadWide {
  Wide<T> operator()(T a, T b, Wide<T> c) const { return Add{}(MulWide{}(a, b), c); }
};
template <typename T> ATTN_INLINE std::int64_t product24(T a, T b) {
  if constexpr (kIsSigned<T>)
    return std::int64_t(std::int32_t(std::uint32_t(a) << 8) >> 8) * (std::int32_t(std::uint32_t(b) << 8) >> 8);
  else
    return std::int64_t(a & 0xFFFFFF) * std::int64_t(b & 0xFFFFFF);
}
struct Mul24Lo { template <typename T> T operator()(T a, T b) const { return T(product24(a, b)); } };
struct Mul24Hi { template <typename T> T operator()(T a, T b) const { return T(product24(a, b) >> 16); } };
struct Mad24Lo { template <typename T> T operator()(T a, T b, T c) const { return Add{}(Mul24Lo{}(a, b), c); } };
struct Mad24Hi { template <typename T> T operator()(T a, T b, T c) const { return Add{}(Mul24Hi{}(a, b), c); } };
// The ISA leaves division by zero open; hardware gives all ones, and the dividend as remainder.
struct Div {
  template <typename T> T operator()(T a, T b) const {
    if (b == 0)
      return T(-1);
    if constexpr (kIsSigned<T>)
      if (b == T(-1))
        return T(0 - Unsigned<T>(a));
    return T(a / b);
  }
};
struct Rem {
  template <typename T> T operator()(T a, T b) const {
    if (b == 0)
      return a;
    if constexpr (kIsSigned<T>)
      if (b == T(-1))
        return 0;
    return T(a % b);
  }
};
struct Neg { template <typename T> T operator()(T a) const { return T(0 - Unsigned<T>(a)); } };
struct Abs { template <typename T> T operator()(T a) const { return a < 0 ? Neg{}(a) : a; } };
struct MinRelu { std::int32_t operator()(std::int32_t a, std::int32_t b) const { return std::max(std::min(a, b), 0); } };
struct MaxRelu { std::int32_t operator()(std::int32_t a, std::int32_t b) const { return std::max(std::max(a, b), 0); } };
struct Min { template <typename T> T operator()(T a, T b) const { return a < b ? a : b; } };
struct Max { template <typename T> T operator()(T a, T b) const { return a > b ? a : b; } };
struct Sad {
  template <typename T> T operator()(T a, T b, T c) const { return Add{}(c, a < b ? Sub{}(b, a) : Sub{}(a, b)); }
};
struct And { template <typename T> T operator()(T a, T b) const { return a & b; } };
struct Or { template <typename T> T operator()(T a, T b) const { return a | b; } };
struct Xor { template <typename T> T operator()(T a, T b) const { return a ^ b; } };
struct Not { template <typename T> T operator()(T a) const { return T(~a); } };
struct Cnot { template <typename T> T operator()(T a) const { return a == 0; } };
struct Shl {
  template <typename T> T operator()(T a, std::uint32_t b) const {
    return b >= WidthOf<T>::kBits ? T(0) : T(std::uint64_t(a) << (b & 63));
  }
};
struct Shr {
  template <typename T> T operator()(T a, std::uint32_t b) const {
    constexpr unsigned kBits = WidthOf<T>::kBits;
    if constexpr (kIsSigned<T>)
      return T(a >> (b >= kBits ? kBits - 1 : b));
    else
      return b >= kBits ? T(0) : T(a >> (b & (kBits - 1)));
  }
};
template <bool kLeft, bool kClamp> struct Shf {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    std::uint32_t n = kClamp ? (c > 32 ? 32 : c) : c & 31;
    std::uint64_t pair = std::uint64_t(b) << 32 | a;
    return static_cast<std::uint32_t>(kLeft ? (n == 32 ? pair << 32 : pair << n) >> 32 : pair >> n);
  }
};
struct Bfe {
  template <typename T> T operator()(T a, std::uint32_t b, std::uint32_t c) const {
    constexpr unsigned kBits = WidthOf<T>::kBits;
    unsigned position = b & 0xFF, length = c & 0xFF;
    T shifted = Shr{}(a, position);
    if (length == 0)
      return 0;
    if (length >= kBits)
      return shifted;
    unsigned unused = kBits - length;
    if constexpr (kIsSigned<T>)
      return position + length >= kBits ? shifted : T(T(Unsigned<T>(shifted) << unused) >> unused);
    else
      return T(T(shifted << unused) >> unused);
  }
};
struct Bfind {
  template <typename T> std::uint32_t operator()(T a) const {
    Unsigned<T> bits = kIsSigned<T> && a < 0 ? Unsigned<T>(~a) : Unsigned<T>(a);
    return bits == 0 ? 0xFFFFFFFF : 63u - static_cast<unsigned>(__builtin_clzll(bits));
  }
};
struct BfindShift {
  template <typename T> std::uint32_t operator()(T a) const {
    std::uint32_t position = Bfind{}(a);
    return position == 0xFFFFFFFF ? position : WidthOf<T>::kBits - 1 - position;
  }
};
template <bool kClamp> struct Bmsk {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b) const {
    unsigned position = kClamp ? (a > 32 ? 32 : a) : a & 31, length = kClamp ? (b > 32 ? 32 : b) : b & 31;
    std::uint64_t ones = (std::uint64_t(1) << length) - 1;
    return static_cast<std::uint32_t>(ones << position);
  }
};
template <bool kClamp> struct Szext {
  template <typename T> T operator()(T a, std::uint32_t b) const {
    unsigned width = kClamp ? (b > 32 ? 32 : b) : b & 31;
    return width == 0 ? T(0) : T(T(std::uint32_t(a) << (32 - width)) >> (32 - width));
  }
};
struct Brev {
  template <typename T> T operator()(T a) const {
    T result = 0;
    for (unsigned i = 0; i < WidthOf<T>::kBits; ++i)
      result = T(result << 1 | (a >> i & 1));
    return result;
  }
};
struct Popc { template <typename T> std::uint32_t operator()(T a) const { return static_cast<std::uint32_t>(__builtin_popcountll(a)); } };
struct Clz {
  template <typename T> std::uint32_t operator()(T a) const {
    return a == 0 ? WidthOf<T>::kBits : static_cast<std::uint32_t>(__builtin_clzll(a)) - (64 - WidthOf<T>::kBits);
  }
};

ATTN_INLINE std::uint32_t permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  std::uint64_t bytes = std::uint64_t(b) << 32 | a;
  std::uint32_t result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    unsigned pick = selector >> (4 * i);
    std::uint32_t byte = bytes >> (8 * (pick & 7)) & 0xFF;
    result |= (pick & 8 ? (byte & 0x80 ? 0xFFu : 0u) : byte) << (8 * i);
  }
  return result;
}
struct Prmt {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const { return permute(a, b, c); }
};
/// The special modes: one selector for each value of c's low two bits.
template <std::uint32_t k0, std::uint32_t k1, std::uint32_t k2, std::uint32_t k3> struct PrmtMode {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    unsigned mode = c & 3;
    return permute(a, b, mode == 0 ? k0 : mode == 1 ? k1 : mode == 2 ? k2 : k3);
  }
};
template <typename T> ATTN_INLINE std::int32_t field(std::uint32_t word, unsigned bit) {
  return static_cast<T>(word >> bit);
}
template <typename A, typename B> struct Dp4a {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    for (unsigned i = 0; i < 4; ++i)
      c += std::uint32_t(field<A>(a, 8 * i) * field<B>(b, 8 * i));
    return c;
  }
};
template <typename A, typename B, unsigned kFirst> struct Dp2a {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    for (unsigned i = 0; i < 2; ++i)
      c += std::uint32_t(field<A>(a, 16 * i)) * std::uint32_t(field<B>(b, 8 * (i + kFirst)));
    return c;
  }
};

void lop3(LaneState &state, const Inst &in) {
  std::uint32_t minterm[8];
  for (unsigned k = 0; k < 8; ++k)
    minterm[k] = in.imm >> k & 1 ? kFullMask : 0;
  forLanes<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>(
      state, in, [&](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
        std::uint32_t result = 0;
        for (unsigned k = 0; k < 8; ++k)
          result |= minterm[k] & (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
        return result;
      });
}

/// bfi has four sources: a, b, position c, and the length in the list.
template <typename T> void bfi(LaneState &state, const Inst &in) {
  const std::uint32_t *length = state.plane<std::uint32_t>(in.list[0]);
  const Word<T> *a = state.plane<Word<T>>(in.a), *b = state.plane<Word<T>>(in.b);
  const std::uint32_t *position = state.plane<std::uint32_t>(in.c);
  constexpr unsigned kBits = WidthOf<T>::kBits;
  Word<T> result[32];
  for (int i = 0; i < 32; ++i) {
    unsigned at = position[i] & 0xFF, count = length[i] & 0xFF;
    T ones = count >= kBits ? T(-1) : T((T(1) << count) - 1);
    T mask = at >= kBits ? T(0) : T(ones << at);
    T moved = at >= kBits ? T(0) : T(T(a[i]) << at);
    result[i] = (moved & mask) | (T(b[i]) & T(~mask));
  }
  std::uint32_t mask = state.undefined[in.a] | state.undefined[in.b] | state.undefined[in.c] |
                       state.undefined[in.list[0]];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

/// The extended-precision chain: product or sum with the carry of the condition code in, and out where `kOut`.
template <typename T, int kForm, bool kIn, bool kOut, bool kSubtract> void carry(LaneState &state, const Inst &in) {
  // kForm: 0 a ± b, 1 lo(a·b) + c, 2 hi(a·b) + c
  const Word<T> *a = state.plane<Word<T>>(in.a), *b = state.plane<Word<T>>(in.b);
  const Word<T> *c = kForm ? state.plane<Word<T>>(in.c) : b;
  Word<T> result[32];
  std::uint32_t out = 0;
  for (int i = 0; i < 32; ++i) {
    Wide<T> product = Wide<T>(T(a[i])) * Wide<T>(T(b[i]));
    T left = kForm == 0 ? T(a[i]) : kForm == 1 ? T(product) : T(product >> WidthOf<T>::kBits);
    T right = T(c[i]);
    T carryIn = kIn ? *state.carry >> i & 1 : 0;
    T sum = kSubtract ? T(left - right - carryIn) : T(left + right + carryIn);
    bool carryOut = kSubtract ? left < right || (carryIn && left == right) : sum < left || (carryIn && sum == left);
    result[i] = sum;
    out |= std::uint32_t(carryOut) << i;
  }
  std::uint32_t mask = state.undefined[in.a] | state.undefined[in.b] | (kForm ? state.undefined[in.c] : 0);
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
  if (kOut)
    *state.carry = (*state.carry & ~state.exec) | (out & state.exec);
}

template <typename T> Handler arithmetic(IntegerOp op) {
  switch (op) {
  case IntegerOp::Add: return handler<Add, T, T, T>;
  case IntegerOp::Sub: return handler<Sub, T, T, T>;
  case IntegerOp::MulLo: return handler<MulLo, T, T, T>;
  case IntegerOp::MulHi: return handler<MulHi, T, T, T>;
  case IntegerOp::MadLo: return handler<MadLo, T, T, T, T>;
  case IntegerOp::MadHi: return handler<MadHi, T, T, T, T>;
  case IntegerOp::Div: return handler<Div, T, T, T>;
  case IntegerOp::Rem: return handler<Rem, T, T, T>;
  case IntegerOp::Min: return handler<Min, T, T, T>;
  case IntegerOp::Max: return handler<Max, T, T, T>;
  case IntegerOp::Sad: return handler<Sad, T, T, T, T>;
  case IntegerOp::Shr: return handler<Shr, T, T, std::uint32_t>;
  case IntegerOp::Neg: return handler<Neg, T, T>;
  default: break;
  }
  if constexpr (kIsSigned<T>)
    if (op == IntegerOp::Abs)
      return handler<Abs, T, T>;
  if constexpr (std::is_same_v<T, std::int32_t>) {
    if (op == IntegerOp::MinRelu)
      return handler<MinRelu, T, T, T>;
    if (op == IntegerOp::MaxRelu)
      return handler<MaxRelu, T, T, T>;
  }
  return nullptr;
}

template <typename T> Handler widening(IntegerOp op) {
  switch (op) {
  case IntegerOp::MulWide: return handler<MulWide, Wide<T>, T, T>;
  case IntegerOp::MadWide: return handler<MadWide<T>, Wide<T>, T, T, Wide<T>>;
  default: return nullptr;
  }
}

template <typename T> Handler fields(IntegerOp op) { // 32 and 64 bits, signed and unsigned
  switch (op) {
  case IntegerOp::Bfe: return handler<Bfe, T, T, std::uint32_t, std::uint32_t>;
  case IntegerOp::Bfind: return handler<Bfind, std::uint32_t, T>;
  case IntegerOp::BfindShift: return handler<BfindShift, std::uint32_t, T>;
  default: return nullptr;
  }
}

template <typename T> Handler only32(IntegerOp op) {
  switch (op) {
  case IntegerOp::Mul24Lo: return handler<Mul24Lo, T, T, T>;
  case IntegerOp::Mul24Hi: return handler<Mul24Hi, T, T, T>;
  case IntegerOp::Mad24Lo: return handler<Mad24Lo, T, T, T, T>;
  case IntegerOp::Mad24Hi: return handler<Mad24Hi, T, T, T, T>;
  case IntegerOp::SzextClamp: return handler<Szext<true>, T, T, std::uint32_t>;
  case IntegerOp::SzextWrap: return handler<Szext<false>, T, T, std::uint32_t>;
  default: return nullptr;
  }
}

template <typename T> Handler bits(IntegerOp op) {
  switch (op) {
  case IntegerOp::And: return handler<And, T, T, T>;
  case IntegerOp::Or: return handler<Or, T, T, T>;
  case IntegerOp::Xor: return handler<Xor, T, T, T>;
  case IntegerOp::Not: return handler<Not, T, T>;
  case IntegerOp::Cnot: return handler<Cnot, T, T>;
  case IntegerOp::Shl: return handler<Shl, T, T, std::uint32_t>;
  case IntegerOp::Brev: return handler<Brev, T, T>;
  case IntegerOp::Popc: return handler<Popc, std::uint32_t, T>;
  case IntegerOp::Clz: return handler<Clz, std::uint32_t, T>;
  case IntegerOp::Bfi: return bfi<T>;
  default: return nullptr;
  }
}

template <typename T> Handler carries(IntegerOp op) {
  switch (op) {
  case IntegerOp::AddCc: return carry<T, 0, false, true, false>;
  case IntegerOp::Addc: return carry<T, 0, true, false, false>;
  case IntegerOp::AddcCc: return carry<T, 0, true, true, false>;
  case IntegerOp::SubCc: return carry<T, 0, false, true, true>;
  case IntegerOp::Subc: return carry<T, 0, true, false, true>;
  case IntegerOp::SubcCc: return carry<T, 0, true, true, true>;
  case IntegerOp::MadLoCc: return carry<T, 1, false, true, false>;
  case IntegerOp::MadcLo: return carry<T, 1, true, false, false>;
  case IntegerOp::MadcLoCc: return carry<T, 1, true, true, false>;
  default: break;
  }
  return nullptr;
}

/// The high half of a product depends on the sign of its factors.
template <typename T> void carryHigh(LaneState &state, const Inst &in, bool withCarry, bool writesCarry) {
  using U = Unsigned<T>;
  const Word<T> *a = state.plane<Word<T>>(in.a), *b = state.plane<Word<T>>(in.b), *c = state.plane<Word<T>>(in.c);
  Word<T> result[32];
  std::uint32_t out = 0;
  for (int i = 0; i < 32; ++i) {
    U high = U(MulHi{}(T(a[i]), T(b[i])));
    U carryIn = withCarry ? *state.carry >> i & 1 : 0;
    U sum = U(high + U(c[i]) + carryIn);
    out |= std::uint32_t(sum < high || (carryIn && sum == high)) << i;
    result[i] = sum;
  }
  std::uint32_t mask = state.undefined[in.a] | state.undefined[in.b] | state.undefined[in.c];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
  if (writesCarry)
    *state.carry = (*state.carry & ~state.exec) | (out & state.exec);
}
template <typename T, bool kIn, bool kOut> void carryHighForm(LaneState &state, const Inst &in) {
  carryHigh<T>(state, in, kIn, kOut);
}
template <typename T> Handler carriesHigh(IntegerOp op) {
  switch (op) {
  case IntegerOp::MadHiCc: return carryHighForm<T, false, true>;
  case IntegerOp::MadcHi: return carryHighForm<T, true, false>;
  case IntegerOp::MadcHiCc: return carryHighForm<T, true, true>;
  default: return nullptr;
  }
}

Handler special32(IntegerOp op) {
  using U = std::uint32_t;
  switch (op) {
  case IntegerOp::ShfLeftClamp: return handler<Shf<true, true>, U, U, U, U>;
  case IntegerOp::ShfLeftWrap: return handler<Shf<true, false>, U, U, U, U>;
  case IntegerOp::ShfRightClamp: return handler<Shf<false, true>, U, U, U, U>;
  case IntegerOp::ShfRightWrap: return handler<Shf<false, false>, U, U, U, U>;
  case IntegerOp::BmskClamp: return handler<Bmsk<true>, U, U, U>;
  case IntegerOp::BmskWrap: return handler<Bmsk<false>, U, U, U>;
  case IntegerOp::Prmt: return handler<Prmt, U, U, U, U>;
  case IntegerOp::PrmtF4e: return handler<PrmtMode<0x3210, 0x4321, 0x5432, 0x6543>, U, U, U, U>;
  case IntegerOp::PrmtB4e: return handler<PrmtMode<0x5670, 0x6701, 0x7012, 0x0123>, U, U, U, U>;
  case IntegerOp::PrmtRc8: return handler<PrmtMode<0x0000, 0x1111, 0x2222, 0x3333>, U, U, U, U>;
  case IntegerOp::PrmtEcl: return handler<PrmtMode<0x3210, 0x3211, 0x3222, 0x3333>, U, U, U, U>;
  case IntegerOp::PrmtEcr: return handler<PrmtMode<0x0000, 0x1110, 0x2210, 0x3210>, U, U, U, U>;
  case IntegerOp::PrmtRc16: return handler<PrmtMode<0x1010, 0x3232, 0x1010, 0x3232>, U, U, U, U>;
  case IntegerOp::Lop3: return lop3;
  case IntegerOp::AddSat: return handler<AddSat, std::int32_t, std::int32_t, std::int32_t>;
  case IntegerOp::SubSat: return handler<SubSat, std::int32_t, std::int32_t, std::int32_t>;
  case IntegerOp::MadHiSat: return handler<MadHiSat, std::int32_t, std::int32_t, std::int32_t, std::int32_t>;
  default: return nullptr;
  }
}

template <typename A, typename B, typename A16> Handler dot(IntegerOp op) {
  using U = std::uint32_t;
  switch (op) {
  case IntegerOp::Dp4a: return handler<Dp4a<A, B>, U, U, U, U>;
  case IntegerOp::Dp2aLo: return handler<Dp2a<A16, B, 0>, U, U, U, U>;
  case IntegerOp::Dp2aHi: return handler<Dp2a<A16, B, 2>, U, U, U, U>;
  default: return nullptr;
  }
}

Handler dotProduct(IntegerOp op, bool aSigned, bool bSigned) {
  using U = std::uint8_t;
  using S = std::int8_t;
  if (aSigned)
    return bSigned ? dot<S, S, std::int16_t>(op) : dot<S, U, std::int16_t>(op);
  return bSigned ? dot<U, S, std::uint16_t>(op) : dot<U, U, std::uint16_t>(op);
}

Handler firstOf(Handler a, Handler b, Handler c = nullptr, Handler d = nullptr) {
  return a ? a : b ? b : c ? c : d;
}

} // namespace

Handler integerHandler(IntegerOp op, ptx::ScalarType type, ptx::ScalarType b) {
  using ptx::ScalarType;
  if (op == IntegerOp::Dp4a || op == IntegerOp::Dp2aLo || op == IntegerOp::Dp2aHi)
    return dotProduct(op, type == ScalarType::S32, b == ScalarType::S32);
  switch (type) {
  case ScalarType::B16: return firstOf(bits<std::uint16_t>(op), arithmetic<std::uint16_t>(op));
  case ScalarType::U16: return firstOf(arithmetic<std::uint16_t>(op), widening<std::uint16_t>(op));
  case ScalarType::S16: return firstOf(arithmetic<std::int16_t>(op), widening<std::int16_t>(op));
  case ScalarType::B32: return firstOf(bits<std::uint32_t>(op), special32(op), arithmetic<std::uint32_t>(op));
  case ScalarType::U32:
    if (Handler found = firstOf(carries<std::uint32_t>(op), carriesHigh<std::uint32_t>(op)))
      return found;
    return firstOf(arithmetic<std::uint32_t>(op), widening<std::uint32_t>(op), fields<std::uint32_t>(op),
                   only32<std::uint32_t>(op));
  case ScalarType::S32:
    if (Handler found = firstOf(carries<std::uint32_t>(op), carriesHigh<std::int32_t>(op), special32(op)))
      return found;
    return firstOf(arithmetic<std::int32_t>(op), widening<std::int32_t>(op), fields<std::int32_t>(op),
                   only32<std::int32_t>(op));
  case ScalarType::B64: return firstOf(bits<std::uint64_t>(op), arithmetic<std::uint64_t>(op));
  case ScalarType::U64:
    if (Handler found = firstOf(carries<std::uint64_t>(op), carriesHigh<std::uint64_t>(op)))
      return found;
    return firstOf(arithmetic<std::uint64_t>(op), fields<std::uint64_t>(op));
  case ScalarType::S64:
    if (Handler found = firstOf(carries<std::uint64_t>(op), carriesHigh<std::int64_t>(op)))
      return found;
    return firstOf(arithmetic<std::int64_t>(op), fields<std::int64_t>(op));
  default: return nullptr;
  }
}

} // namespace attn::emulator::ATTN_LANES
