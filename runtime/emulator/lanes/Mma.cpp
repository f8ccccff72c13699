// mma.sync. With g = lane / 4 and t = lane % 4 (PTX ISA 9.7.14.5), the words of lanes 4g … 4g+3 of an A register are a run
// of row g, those of a B register a run of column g; an accumulator register pair interleaves to a run of row g. So a
// fragment becomes a matrix by copying runs:
//
//   16-bit A, register r:  row g + 8(r & 1),  k from 8(r >> 1), two a word        B:  column g, k from 8r
//   tf32   A, register r:  row g + 8(r & 1),  k from 4(r >> 1), one a word        B:  column g, k from 4r
//   8-bit  A, register r:  row g + 8(r & 1),  k from 16(r >> 1), four a word      B:  column g, k from 16r
//   f64    A, register r:  row g + 8(r & 1),  k from 4(r >> 1), one a pair        B:  column g, k from 4r
//   C and D, register i:   row g + 8(i >> 1), column 2t + (i & 1)
//
// Products of 16-bit factors are exact in f32; they are added in the order of k. This file is compiled with contraction,
// so that CPUs with FMA use it: with exact products that does not change a result inside the range of f32.
#include "runtime/emulator/lanes/Float8.h"
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

using Vector4 [[gnu::vector_size(16)]] = float;
using Vector8 [[gnu::vector_size(32), gnu::aligned(32)]] = float;

/// Where the registers of one mma are in Inst::list.
struct Registers {
  const std::uint32_t *d, *a, *b, *c;
  unsigned countA, countB, countC;
};

/// 64 halves of a register plane to 64 floats.
template <bool kBrain> ATTN_INLINE void widen(const std::uint32_t *plane, float *out) {
  for (int i = 0; i < 32; ++i) {
    out[2 * i] = kBrain ? bitsTo<float>(plane[i] << 16) : fromF16(plane[i] & 0xFFFF);
    out[2 * i + 1] = kBrain ? bitsTo<float>(plane[i] & 0xFFFF0000) : fromF16(plane[i] >> 16);
  }
}
#ifdef __F16C__
template <> ATTN_INLINE void widen<false>(const std::uint32_t *plane, float *out) {
  for (int i = 0; i < 8; ++i) {
    __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(plane + 4 * i));
    _mm256_storeu_ps(out + 8 * i, _mm256_cvtph_ps(halves));
  }
}
#endif

ATTN_INLINE Vector8 interleave(Vector4 a, Vector4 b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5, 2, 6, 3, 7); }

/// rows[k][n] from columns[n][k], 8 × 8.
ATTN_INLINE void transpose8(const float *columns, Vector8 *rows) {
  Vector8 in[8], pair[8], quad[8];
  for (int i = 0; i < 8; ++i)
    __builtin_memcpy(&in[i], columns + 8 * i, sizeof(Vector8));
  for (int i = 0; i < 4; ++i) {
    pair[2 * i] = __builtin_shufflevector(in[2 * i], in[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pair[2 * i + 1] = __builtin_shufflevector(in[2 * i], in[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      quad[4 * i + j] = __builtin_shufflevector(pair[4 * i + j], pair[4 * i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quad[4 * i + j + 2] = __builtin_shufflevector(pair[4 * i + j], pair[4 * i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int j = 0; j < 4; ++j) {
    rows[j] = __builtin_shufflevector(quad[j], quad[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    rows[j + 4] = __builtin_shufflevector(quad[j], quad[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// c[row] += Σ_k a[row][k] · b[k], eight rows at a time so that the sums stay in registers. `a` holds the fragments'
/// runs: eight k of a row are contiguous, the next eight are 128 floats further (the register two later).
template <unsigned kRuns, int kOfRun = 8> ATTN_INLINE void multiply(const float *a, const Vector8 *b, Vector8 *c) {
  for (int rowBlock = 0; rowBlock < 2; ++rowBlock) {
    Vector8 sum[8];
    for (int row = 0; row < 8; ++row)
      sum[row] = c[8 * rowBlock + row];
    for (unsigned run = 0; run < kRuns; ++run)
      for (int k = 0; k < kOfRun; ++k) {
        Vector8 factor = b[8 * run + k];
        const float *column = a + 128 * run + 64 * rowBlock + k;
        for (int row = 0; row < 8; ++row)
          sum[row] = sum[row] + column[8 * row] * factor;
      }
    for (int row = 0; row < 8; ++row)
      c[8 * rowBlock + row] = sum[row];
  }
}

ATTN_INLINE void loadSingles(LaneState &state, const std::uint32_t *registers, Vector8 *c) {
  for (int half = 0; half < 2; ++half) {
    const float *even = state.plane<float>(registers[2 * half]), *odd = state.plane<float>(registers[2 * half + 1]);
    for (int row = 0; row < 8; ++row) {
      Vector4 a, b;
      __builtin_memcpy(&a, even + 4 * row, sizeof(a));
      __builtin_memcpy(&b, odd + 4 * row, sizeof(b));
      c[8 * half + row] = interleave(a, b);
    }
  }
}

ATTN_INLINE void storeSingles(LaneState &state, const std::uint32_t *registers, const Vector8 *c) {
  for (int half = 0; half < 2; ++half) {
    alignas(64) std::uint32_t even[32], odd[32];
    for (int row = 0; row < 8; ++row) {
      Vector8 value = c[8 * half + row];
      Vector4 a = __builtin_shufflevector(value, value, 0, 2, 4, 6), b = __builtin_shufflevector(value, value, 1, 3, 5, 7);
      __builtin_memcpy(even + 4 * row, &a, sizeof(a));
      __builtin_memcpy(odd + 4 * row, &b, sizeof(b));
    }
    state.write(registers[2 * half], even);
    state.write(registers[2 * half + 1], odd);
  }
}

ATTN_INLINE void loadHalves(LaneState &state, const std::uint32_t *registers, Vector8 *c) {
  for (int half = 0; half < 2; ++half) {
    float values[64];
    widen<false>(state.plane<std::uint32_t>(registers[half]), values);
    for (int row = 0; row < 8; ++row)
      __builtin_memcpy(&c[8 * half + row], values + 8 * row, sizeof(Vector8));
  }
}

ATTN_INLINE void storeHalves(LaneState &state, const std::uint32_t *registers, const Vector8 *c) {
  for (int half = 0; half < 2; ++half) {
    std::uint32_t words[32];
    for (int i = 0; i < 32; ++i) {
      const Vector8 &row = c[8 * half + i / 4];
      words[i] = nearestF16(row[2 * (i % 4)]) | nearestF16(row[2 * (i % 4) + 1]) << 16;
    }
    state.write(registers[half], words);
  }
}

/// NaN results are 0x7FFFFFFF (PTX ISA 9.7.14.5.14 leaves their payload open; this is what hardware gives).
ATTN_INLINE void canonicalise(Vector8 *c) {
  for (int row = 0; row < 16; ++row)
    for (int n = 0; n < 8; ++n)
      c[row][n] = canonical(c[row][n]);
}

/// Undefined inputs: an element of D is undefined when its row of A, its column of B or its C is.
ATTN_INLINE std::uint32_t anyUndefined(const LaneState &state, const std::uint32_t *list, unsigned count) {
  std::uint32_t mask = 0;
  for (unsigned i = 0; i < count; ++i)
    mask |= state.undefined[list[i]];
  return mask;
}

/// Spreads each lane's bit to the four lanes of its group g.
ATTN_INLINE std::uint32_t spreadGroups(std::uint32_t mask) {
  std::uint32_t any = (mask | mask >> 1 | mask >> 2 | mask >> 3) & 0x11111111;
  return any * 15;
}

/// `kRowHalves`: how many blocks of eight rows D has; D has two columns a lane.
template <unsigned kRowHalves> void propagate(LaneState &state, const Registers &in, bool halfAccumulator) {
  std::uint32_t all = anyUndefined(state, in.a, in.countA) | anyUndefined(state, in.b, in.countB) |
                      anyUndefined(state, in.c, in.countC);
  if (all == 0) {
    for (unsigned i = 0; i < in.countC; ++i)
      state.setUndefined(in.d[i], 0);
    return;
  }
  std::uint32_t rows[2] = {0, 0};
  for (unsigned r = 0; r < in.countA; ++r)
    rows[r % kRowHalves] |= state.undefined[in.a[r]];
  std::uint32_t columnGroups = spreadGroups(anyUndefined(state, in.b, in.countB)) & 0x11111111;
  std::uint32_t columns[2] = {0, 0}; // lanes whose column 2t, 2t + 1 is undefined
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned odd = 0; odd < 2; ++odd)
      columns[odd] |= (columnGroups >> (4 * (2 * (lane % 4) + odd)) & 1) << lane;
  std::uint32_t result[4] = {};
  for (unsigned i = 0; i < in.countC; ++i) {
    unsigned rowHalf = halfAccumulator ? i : i >> 1;
    std::uint32_t column = halfAccumulator ? columns[0] | columns[1] : columns[i & 1];
    result[i] = state.undefined[in.c[i]] | spreadGroups(rows[rowHalf % kRowHalves]) | column;
  }
  for (unsigned i = 0; i < in.countC; ++i)
    state.setUndefined(in.d[i], result[i]);
}

ATTN_INLINE Registers registersOf(const Inst &in, unsigned countA, unsigned countB, unsigned countC) {
  const std::uint32_t *list = in.list;
  return {list, list + countC, list + countC + countA, list + countC + countA + countB, countA, countB, countC};
}

template <bool kBrain, unsigned kRuns, bool kHalfSums> void mmaHalf(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 2 * kRuns, kRuns, kHalfSums ? 2 : 4);
  alignas(64) float a[128 * kRuns], columns[64 * kRuns];
  Vector8 b[8 * kRuns], c[16];
  for (unsigned r = 0; r < 2 * kRuns; ++r)
    widen<kBrain>(state.plane<std::uint32_t>(registers.a[r]), a + 64 * r);
  for (unsigned r = 0; r < kRuns; ++r) {
    widen<kBrain>(state.plane<std::uint32_t>(registers.b[r]), columns + 64 * r);
    transpose8(columns + 64 * r, b + 8 * r);
  }
  if (kHalfSums)
    loadHalves(state, registers.c, c);
  else
    loadSingles(state, registers.c, c);
  multiply<kRuns>(a, b, c);
  canonicalise(c);
  propagate<2>(state, registers, kHalfSums);
  if (kHalfSums)
    storeHalves(state, registers.d, c);
  else
    storeSingles(state, registers.d, c);
}

/// The 32 numbers of a register plane, runs of four, to every eighth float from `out` on.
ATTN_INLINE void placeTf32(const std::uint32_t *plane, float *out) {
  for (int i = 0; i < 32; ++i)
    out[8 * (i / 4) + i % 4] = bitsTo<float>(plane[i] & 0xFFFFE000);
}

/// Products of two tf32 numbers are exact in f32 as well.
template <unsigned kRuns> void mmaTf32(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 2 * kRuns, kRuns, 4);
  alignas(64) float a[128] = {}, columns[64] = {};
  Vector8 b[8], c[16];
  for (unsigned r = 0; r < 2 * kRuns; ++r)
    placeTf32(state.plane<std::uint32_t>(registers.a[r]), a + 64 * (r % 2) + 4 * (r / 2));
  for (unsigned r = 0; r < kRuns; ++r)
    placeTf32(state.plane<std::uint32_t>(registers.b[r]), columns + 4 * r);
  transpose8(columns, b);
  loadSingles(state, registers.c, c);
  multiply<1, 4 * kRuns>(a, b, c);
  canonicalise(c);
  propagate<2>(state, registers, false);
  storeSingles(state, registers.d, c);
}

/// Inst::kind: bit 0 A is signed, bit 1 B is signed.
template <unsigned kRuns> void mmaInteger(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 2 * kRuns, kRuns, 4);
  auto element = [&](std::uint32_t slot, unsigned index, bool isSigned) -> std::int32_t {
    std::uint32_t word = state.plane<std::uint32_t>(slot)[index / 4] >> (8 * (index % 4));
    return isSigned ? std::int32_t(static_cast<std::int8_t>(word)) : std::int32_t(word & 0xFF);
  };
  std::uint32_t result[4][32];
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned n = 0; n < 8; ++n) {
      unsigned i = 2 * (row / 8) + n % 2, lane = 4 * (row % 8) + n / 2;
      std::int64_t sum = static_cast<std::int32_t>(state.plane<std::uint32_t>(registers.c[i])[lane]);
      for (unsigned k = 0; k < 16 * kRuns; ++k)
        sum += std::int64_t(element(registers.a[row / 8 + 2 * (k / 16)], 16 * (row % 8) + k % 16, in.kind & 1)) *
               element(registers.b[k / 16], 16 * n + k % 16, in.kind & 2);
      if (in.flags & kSat)
        sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
      result[i][lane] = static_cast<std::uint32_t>(sum);
    }
  propagate<2>(state, registers, false);
  for (unsigned i = 0; i < 4; ++i)
    state.write(registers.d[i], result[i]);
}

/// Inst::kind: bit 0 A is e5m2, bit 1 B is.
void mmaFloat8(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 4, 2, 4);
  alignas(64) float a[16 * kFloat8Depth], b[kFloat8Depth * 8];
  auto runOf = [&](std::uint32_t slot, unsigned g) { return reinterpret_cast<const std::byte *>(state.plane<std::uint32_t>(slot) + 4 * g); };
  for (unsigned g = 0; g < 8; ++g) {
    for (unsigned r = 0; r < 4; ++r)
      widenFloat8(in.kind & 1, runOf(registers.a[r], g), 16, a + (g + 8 * (r & 1)) * kFloat8Depth + 16 * (r >> 1));
    float column[kFloat8Depth];
    for (unsigned r = 0; r < 2; ++r)
      widenFloat8(in.kind & 2, runOf(registers.b[r], g), 16, column + 16 * r);
    for (unsigned k = 0; k < kFloat8Depth; ++k)
      b[8 * k + g] = column[k];
  }
  Vector8 c[16];
  loadSingles(state, registers.c, c);
  for (unsigned row = 0; row < 16; ++row)
    c[row] = addFloat8Products(c[row], a + row * kFloat8Depth, b, 8);
  canonicalise(c);
  propagate<2>(state, registers, false);
  storeSingles(state, registers.d, c);
}

void mmaDouble(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 1, 1, 2);
  const double *a = state.plane<double>(registers.a[0]), *b = state.plane<double>(registers.b[0]);
  std::uint64_t result[2][32];
  for (unsigned i = 0; i < 2; ++i)
    for (unsigned lane = 0; lane < 32; ++lane) {
      double sum = state.plane<double>(registers.c[i])[lane];
      for (unsigned k = 0; k < 4; ++k)
        sum = __builtin_fma(a[4 * (lane / 4) + k], b[4 * (2 * (lane % 4) + i) + k], sum);
      result[i][lane] = bitsTo<std::uint64_t>(sum);
    }
  propagate<1>(state, registers, false);
  for (unsigned i = 0; i < 2; ++i)
    state.write(registers.d[i], result[i]);
}

/// m16n8kK: 16 rows, K = 4 kRuns; each product and its addition rounded as one, in the order of k.
template <unsigned kRuns> void mmaTallDouble(LaneState &state, const Inst &in) {
  Registers registers = registersOf(in, 2 * kRuns, kRuns, 4);
  std::uint64_t result[4][32];
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned lane = 0; lane < 32; ++lane) {
      double sum = state.plane<double>(registers.c[i])[lane];
      for (unsigned k = 0; k < 4 * kRuns; ++k) {
        double a = state.plane<double>(registers.a[i / 2 + 2 * (k / 4)])[4 * (lane / 4) + k % 4];
        double b = state.plane<double>(registers.b[k / 4])[4 * (2 * (lane % 4) + i % 2) + k % 4];
        sum = __builtin_fma(a, b, sum);
      }
      result[i][lane] = bitsTo<std::uint64_t>(sum);
    }
  propagate<2>(state, registers, false);
  for (unsigned i = 0; i < 4; ++i)
    state.write(registers.d[i], result[i]);
}

} // namespace

Handler mmaHandler(MmaKind kind, unsigned k, bool halfSums) {
  switch (kind) {
  case MmaKind::F16:
    if (halfSums)
      return k == 16 ? mmaHalf<false, 2, true> : mmaHalf<false, 1, true>;
    return k == 16 ? mmaHalf<false, 2, false> : mmaHalf<false, 1, false>;
  case MmaKind::BF16: return k == 16 ? mmaHalf<true, 2, false> : mmaHalf<true, 1, false>;
  case MmaKind::TF32: return k == 8 ? mmaTf32<2> : mmaTf32<1>;
  case MmaKind::Integer: return k == 32 ? mmaInteger<2> : mmaInteger<1>;
  case MmaKind::Double: return mmaDouble;
  case MmaKind::TallDouble: return k == 16 ? mmaTallDouble<4> : k == 8 ? mmaTallDouble<2> : mmaTallDouble<1>;
  case MmaKind::Float8: return mmaFloat8;
  }
  return nullptr;
}

} // namespace attn::emulator::ATTN_LANES
