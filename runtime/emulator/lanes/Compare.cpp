// Comparisons and selections.
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

template <CompareOp kOp, typename T> ATTN_INLINE bool holds(T a, T b) {
  if constexpr (kOp == CompareOp::Eq)
    return a == b;
  else if constexpr (kOp == CompareOp::Ne)
    return !(a == b) && a == a && b == b;
  else if constexpr (kOp == CompareOp::Lt || kOp == CompareOp::Lo)
    return a < b;
  else if constexpr (kOp == CompareOp::Le || kOp == CompareOp::Ls)
    return a <= b;
  else if constexpr (kOp == CompareOp::Gt || kOp == CompareOp::Hi)
    return a > b;
  else if constexpr (kOp == CompareOp::Ge || kOp == CompareOp::Hs)
    return a >= b;
  else if constexpr (kOp == CompareOp::Equ) // unordered forms: true for NaN
    return !(a < b) && !(a > b);
  else if constexpr (kOp == CompareOp::Neu)
    return !(a == b);
  else if constexpr (kOp == CompareOp::Ltu)
    return !(a >= b);
  else if constexpr (kOp == CompareOp::Leu)
    return !(a > b);
  else if constexpr (kOp == CompareOp::Gtu)
    return !(a <= b);
  else if constexpr (kOp == CompareOp::Geu)
    return !(a < b);
  else if constexpr (kOp == CompareOp::Num)
    return a == a && b == b;
  else
    return a != a || b != b;
}

// How a source word becomes a value: kinds of half precision are widened to float.
template <typename T> struct Plain {
  using Value = T;
  using Source = Word<T>;
  static ATTN_INLINE T value(Source word, std::uint32_t) { return fromWord<T>(word); }
};
struct Single {
  using Value = float;
  using Source = std::uint32_t;
  static ATTN_INLINE float value(Source word, std::uint32_t flags) {
    float number = fromWord<float>(word);
    return flags & kFtz ? flush(number) : number;
  }
};
template <bool kBrain, unsigned kShift> struct HalfOf {
  using Value = float;
  using Source = std::uint32_t;
  static ATTN_INLINE float value(Source word, std::uint32_t flags) {
    std::uint32_t bits = word >> kShift & 0xFFFF;
    if ((flags & kFtz) && !kBrain)
      bits = (bits & 0x7C00) == 0 ? bits & 0x8000 : bits;
    return kBrain ? fromBf16(bits) : fromF16(bits);
  }
};

template <CompareOp kOp, typename Read> ATTN_INLINE std::uint32_t compareMask(LaneState &state, const Inst &in) {
  const auto *a = state.plane<typename Read::Source>(in.a);
  const auto *b = state.plane<typename Read::Source>(in.b);
  return laneMask([&](int i) {
    return holds<kOp, typename Read::Value>(Read::value(a[i], in.flags), Read::value(b[i], in.flags));
  });
}

ATTN_INLINE std::uint32_t combine(Combine form, std::uint32_t mask, std::uint32_t other) {
  switch (form) {
  case Combine::And: return mask & other;
  case Combine::Or: return mask | other;
  case Combine::Xor: return mask ^ other;
  default: return mask;
  }
}

/// The predicate operand of the combining forms, and its undefined lanes.
ATTN_INLINE std::uint32_t joined(LaneState &state, const Inst &in, std::uint32_t mask, std::uint32_t &undefinedMask) {
  undefinedMask = state.undefined[in.a] | state.undefined[in.b];
  Combine form = static_cast<Combine>(in.kind);
  if (form == Combine::None)
    return mask;
  undefinedMask |= state.predicatesUndefined[in.p1];
  return combine(form, mask, state.predicate(in.p1, in.flags & kNegateP1));
}

/// setp: p0 = compare join p1; p2 = !compare join p1.
template <CompareOp kOp, typename Read> void setPredicate(LaneState &state, const Inst &in) {
  std::uint32_t mask = compareMask<kOp, Read>(state, in), undefinedMask = 0;
  std::uint32_t first = joined(state, in, mask, undefinedMask);
  std::uint32_t second = joined(state, in, ~mask, undefinedMask);
  state.writePredicate(in.p0, first, undefinedMask);
  if (in.p2 != kNoPredicate)
    state.writePredicate(in.p2, second, undefinedMask);
}

/// setp on pairs: p0 for the low halves, p2 for the high ones.
template <CompareOp kOp, bool kBrain> void setPredicatePair(LaneState &state, const Inst &in) {
  std::uint32_t undefinedMask = 0;
  std::uint32_t low = joined(state, in, compareMask<kOp, HalfOf<kBrain, 0>>(state, in), undefinedMask);
  std::uint32_t high = joined(state, in, compareMask<kOp, HalfOf<kBrain, 16>>(state, in), undefinedMask);
  state.writePredicate(in.p0, low, undefinedMask);
  if (in.p2 != kNoPredicate)
    state.writePredicate(in.p2, high, undefinedMask);
}

/// set: the word in imm where the comparison holds, else 0.
template <CompareOp kOp, typename Read> void setWord(LaneState &state, const Inst &in) {
  std::uint32_t undefinedMask = 0;
  std::uint32_t mask = joined(state, in, compareMask<kOp, Read>(state, in), undefinedMask);
  std::uint32_t result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = mask >> i & 1 ? static_cast<std::uint32_t>(in.imm) : 0;
  state.write(in.d, result);
  state.setUndefined(in.d, undefinedMask);
}
template <CompareOp kOp, bool kBrain> void setWordPair(LaneState &state, const Inst &in) {
  std::uint32_t undefinedMask = 0;
  std::uint32_t low = joined(state, in, compareMask<kOp, HalfOf<kBrain, 0>>(state, in), undefinedMask);
  std::uint32_t high = joined(state, in, compareMask<kOp, HalfOf<kBrain, 16>>(state, in), undefinedMask);
  std::uint32_t one = static_cast<std::uint32_t>(in.imm), result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = (low >> i & 1 ? one : 0) | (high >> i & 1 ? one << 16 : 0);
  state.write(in.d, result);
  state.setUndefined(in.d, undefinedMask);
}

template <CompareOp kOp, typename Read> struct Pair { // setp and set of one comparison
  static Handler handlerOf(bool word) { return word ? setWord<kOp, Read> : setPredicate<kOp, Read>; }
};

template <CompareOp kOp> Handler ofType(ptx::ScalarType type, bool word) {
  using ptx::ScalarType;
  constexpr bool kUnsignedOnly =
      kOp == CompareOp::Lo || kOp == CompareOp::Ls || kOp == CompareOp::Hi || kOp == CompareOp::Hs;
  constexpr bool kFloatOnly = kOp >= CompareOp::Equ;
  if constexpr (!kFloatOnly) {
    switch (type) {
    case ScalarType::B16:
    case ScalarType::U16: return Pair<kOp, Plain<std::uint16_t>>::handlerOf(word);
    case ScalarType::B32:
    case ScalarType::U32: return Pair<kOp, Plain<std::uint32_t>>::handlerOf(word);
    case ScalarType::B64:
    case ScalarType::U64: return Pair<kOp, Plain<std::uint64_t>>::handlerOf(word);
    default: break;
    }
    if constexpr (!kUnsignedOnly)
      switch (type) {
      case ScalarType::S16: return Pair<kOp, Plain<std::int16_t>>::handlerOf(word);
      case ScalarType::S32: return Pair<kOp, Plain<std::int32_t>>::handlerOf(word);
      case ScalarType::S64: return Pair<kOp, Plain<std::int64_t>>::handlerOf(word);
      default: break;
      }
  }
  if constexpr (!kUnsignedOnly)
    switch (type) {
    case ScalarType::F32: return Pair<kOp, Single>::handlerOf(word);
    case ScalarType::F64: return Pair<kOp, Plain<double>>::handlerOf(word);
    case ScalarType::F16: return Pair<kOp, HalfOf<false, 0>>::handlerOf(word);
    case ScalarType::BF16: return Pair<kOp, HalfOf<true, 0>>::handlerOf(word);
    case ScalarType::F16x2: return word ? setWordPair<kOp, false> : setPredicatePair<kOp, false>;
    case ScalarType::BF16x2: return word ? setWordPair<kOp, true> : setPredicatePair<kOp, true>;
    default: break;
    }
  return nullptr;
}

Handler find(CompareOp op, ptx::ScalarType type, bool word) {
  switch (op) {
  case CompareOp::Eq: return ofType<CompareOp::Eq>(type, word);
  case CompareOp::Ne: return ofType<CompareOp::Ne>(type, word);
  case CompareOp::Lt: return ofType<CompareOp::Lt>(type, word);
  case CompareOp::Le: return ofType<CompareOp::Le>(type, word);
  case CompareOp::Gt: return ofType<CompareOp::Gt>(type, word);
  case CompareOp::Ge: return ofType<CompareOp::Ge>(type, word);
  case CompareOp::Lo: return ofType<CompareOp::Lo>(type, word);
  case CompareOp::Ls: return ofType<CompareOp::Ls>(type, word);
  case CompareOp::Hi: return ofType<CompareOp::Hi>(type, word);
  case CompareOp::Hs: return ofType<CompareOp::Hs>(type, word);
  case CompareOp::Equ: return ofType<CompareOp::Equ>(type, word);
  case CompareOp::Neu: return ofType<CompareOp::Neu>(type, word);
  case CompareOp::Ltu: return ofType<CompareOp::Ltu>(type, word);
  case CompareOp::Leu: return ofType<CompareOp::Leu>(type, word);
  case CompareOp::Gtu: return ofType<CompareOp::Gtu>(type, word);
  case CompareOp::Geu: return ofType<CompareOp::Geu>(type, word);
  case CompareOp::Num: return ofType<CompareOp::Num>(type, word);
  case CompareOp::Nan: return ofType<CompareOp::Nan>(type, word);
  }
  return nullptr;
}

/// d = p1 ? a : b. Only the operand that was chosen makes the result undefined.
template <typename W> void select(LaneState &state, const Inst &in) {
  const W *a = state.plane<W>(in.a), *b = state.plane<W>(in.b);
  std::uint32_t chosen = state.predicate(in.p1, in.flags & kNegateP1);
  W result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = chosen >> i & 1 ? a[i] : b[i];
  std::uint32_t mask = (state.undefined[in.a] & chosen) | (state.undefined[in.b] & ~chosen) |
                       state.predicatesUndefined[in.p1];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

/// d = c >= 0 ? a : b, with c an s32 or f32.
template <typename W, typename C> void selectSign(LaneState &state, const Inst &in) {
  const W *a = state.plane<W>(in.a), *b = state.plane<W>(in.b);
  const std::uint32_t *c = state.plane<std::uint32_t>(in.c);
  bool ftz = in.flags & kFtz;
  std::uint32_t chosen = laneMask([&](int i) {
    C value = fromWord<C>(c[i]);
    if constexpr (static_cast<C>(0.5) != C(0))
      value = ftz ? flush(value) : value;
    return value >= 0;
  });
  W result[32];
  for (int i = 0; i < 32; ++i)
    result[i] = chosen >> i & 1 ? a[i] : b[i];
  std::uint32_t mask = (state.undefined[in.a] & chosen) | (state.undefined[in.b] & ~chosen) | state.undefined[in.c];
  state.write(in.d, result);
  state.setUndefined(in.d, mask);
}

} // namespace

Handler compareHandler(CompareOp op, ptx::ScalarType type) { return find(op, type, false); }
Handler setHandler(CompareOp op, ptx::ScalarType type, ptx::ScalarType) { return find(op, type, true); }

Handler selectHandler(ptx::ScalarType type) {
  return ptx::bitWidth(type) == 64 ? select<std::uint64_t> : select<std::uint32_t>;
}

Handler selectBySignHandler(ptx::ScalarType type, ptx::ScalarType sign) {
  bool wide = ptx::bitWidth(type) == 64;
  if (sign == ptx::ScalarType::F32)
    return wide ? selectSign<std::uint64_t, float> : selectSign<std::uint32_t, float>;
  return wide ? selectSign<std::uint64_t, std::int32_t> : selectSign<std::uint32_t, std::int32_t>;
}

} // namespace attn::emulator::ATTN_LANES
