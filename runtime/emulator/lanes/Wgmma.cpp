// wgmma: D (64 × N) of a warpgroup += A (64 × 16) · B (16 × N), with 16-bit factors and f32 sums; with 8-bit factors 32 deep.
//
// A and B are widened once into plain matrices; then each warp's 16 rows of D are formed in blocks of 16 columns. With
// g = lane / 4 and t = lane % 4, register 4j + i of D holds row g + 8(i >> 1), column 8j + 2t + (i & 1) of the warp's rows
// (PTX ISA 9.7.15.5.1): the planes of registers 4j and 4j + 1 interleave to the rows of an 8 × 8 block. As in Mma.cpp, the
// exact products are added in the order of k, fused where the CPU can.
#include "runtime/emulator/lanes/Float8.h"
#include "runtime/emulator/lanes/LaneHandlers.h"
#include "runtime/emulator/lanes/LaneState.h"
#include "runtime/emulator/lanes/Loops.h"
#include "runtime/emulator/lanes/Numerics.h"

namespace attn::emulator::ATTN_LANES {
namespace {

using Float4 [[gnu::vector_size(16)]] = float;
using Float8 [[gnu::vector_size(32), gnu::aligned(4)]] = float;
using Float16 [[gnu::vector_size(64), gnu::aligned(4)]] = float;
using Half8 [[gnu::vector_size(16), gnu::aligned(2)]] = std::uint16_t;

constexpr unsigned kDepth = 16, kMaxColumns = 256, kRows = 64;
#ifdef __AVX512F__
constexpr unsigned kRowBlock = 16; // sums in registers: one of 16 floats a row
#else
constexpr unsigned kRowBlock = 4;
#endif

ATTN_INLINE Half8 loadUnit(const std::byte *at) {
  Half8 unit;
  __builtin_memcpy(&unit, at, sizeof(unit));
  return unit;
}

template <bool kBrain> ATTN_INLINE void widen(Half8 unit, float *out) {
#ifdef __F16C__
  if constexpr (!kBrain) {
    __m128i halves;
    __builtin_memcpy(&halves, &unit, sizeof(halves));
    _mm256_storeu_ps(out, _mm256_cvtph_ps(halves));
    return;
  }
#endif
  for (int i = 0; i < 8; ++i)
    out[i] = kBrain ? bitsTo<float>(std::uint32_t(unit[i]) << 16) : fromF16(unit[i]);
}

ATTN_INLINE void transpose8(Half8 (&m)[8]) {
  Half8 pair[8], quad[8];
  for (int i = 0; i < 8; i += 2) {
    pair[i] = __builtin_shufflevector(m[i], m[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pair[i + 1] = __builtin_shufflevector(m[i], m[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      quad[i + j] = __builtin_shufflevector(pair[i + j], pair[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quad[i + j + 2] = __builtin_shufflevector(pair[i + j], pair[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int j = 0; j < 4; ++j) {
    m[j] = __builtin_shufflevector(quad[j], quad[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    m[j + 4] = __builtin_shufflevector(quad[j], quad[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// out[u * stride + 8 · v …] from the units (u, v): eight elements along the inner dimension of the result.
template <bool kBrain>
ATTN_INLINE void gather(const std::byte *shared, const std::uint32_t *units, unsigned outer, unsigned inner, unsigned stride,
                        float *out) {
  for (unsigned u = 0; u < outer; ++u)
    for (unsigned v = 0; v < inner; ++v)
      widen<kBrain>(loadUnit(shared + units[u * inner + v]), out + u * stride + 8 * v);
}

/// The same for units whose eight elements lie along the outer dimension: unit (v, u) covers out rows 8u …, column v.
template <bool kBrain>
ATTN_INLINE void gatherTransposed(const std::byte *shared, const std::uint32_t *units, unsigned outer, unsigned inner,
                                  unsigned stride, float *out) {
  const unsigned blocks = outer / 8;
  for (unsigned u = 0; u < blocks; ++u)
    for (unsigned v = 0; v < inner; v += 8) {
      Half8 m[8];
      for (int i = 0; i < 8; ++i)
        m[i] = loadUnit(shared + units[(v + i) * blocks + u]);
      transpose8(m);
      for (int i = 0; i < 8; ++i)
        widen<kBrain>(m[i], out + (8 * u + i) * stride + v);
    }
}

/// A register of A holds runs of eight k: lanes 4g … 4g + 3 those of row g + 8(r & 1), from k = 8(r >> 1).
template <bool kBrain> ATTN_INLINE void loadRegisters(const LaneState &warp, const std::uint32_t *list, float *out) {
  for (unsigned r = 0; r < 4; ++r) {
    const std::byte *plane = reinterpret_cast<const std::byte *>(warp.plane<std::uint32_t>(list[r]));
    for (unsigned g = 0; g < 8; ++g)
      widen<kBrain>(loadUnit(plane + 16 * g), out + (g + 8 * (r & 1)) * kDepth + 8 * (r >> 1));
  }
}

ATTN_INLINE Float8 loadRow(const LaneState &warp, const std::uint32_t *pair, unsigned g) {
  Float4 even, odd;
  __builtin_memcpy(&even, warp.plane<float>(pair[0]) + 4 * g, sizeof(even));
  __builtin_memcpy(&odd, warp.plane<float>(pair[1]) + 4 * g, sizeof(odd));
  return __builtin_shufflevector(even, odd, 0, 4, 1, 5, 2, 6, 3, 7);
}

ATTN_INLINE void storeRow(LaneState &warp, const std::uint32_t *pair, unsigned g, Float8 row) {
  Float4 even = __builtin_shufflevector(row, row, 0, 2, 4, 6), odd = __builtin_shufflevector(row, row, 1, 3, 5, 7);
  __builtin_memcpy(warp.plane<float>(pair[0]) + 4 * g, &even, sizeof(even));
  __builtin_memcpy(warp.plane<float>(pair[1]) + 4 * g, &odd, sizeof(odd));
}

/// Registers 2 · (row / 8) and the next of the 8-column block `block` of D.
ATTN_INLINE const std::uint32_t *pairOf(const std::uint32_t *list, unsigned block, unsigned row) {
  return list + 4 * block + 2 * (row / 8);
}

ATTN_INLINE Float16 canonical(Float16 sum) {
  using Bits [[gnu::vector_size(64), gnu::aligned(4)]] = std::int32_t;
  Bits bits;
  Bits isNumber = sum == sum;
  __builtin_memcpy(&bits, &sum, sizeof(bits));
  bits = (bits & isNumber) | (~isNumber & 0x7FFFFFFF);
  __builtin_memcpy(&sum, &bits, sizeof(sum));
  return sum;
}

/// 16 columns from `8 · block` of the warp's rows. With one block of eight left, the upper half is not kept.
ATTN_INLINE void multiplyBlock(LaneState &warp, const ProductTile &tile, const float *a, const float *b, unsigned stride,
                               unsigned block) {
  const bool both = 8 * (block + 1) < tile.columns;
  for (unsigned first = 0; first < 16; first += kRowBlock) {
    Float16 sum[kRowBlock];
    for (unsigned i = 0; i < kRowBlock; ++i) {
      Float8 low{}, high{};
      if (tile.accumulate) {
        low = loadRow(warp, pairOf(tile.list, block, first + i), (first + i) % 8);
        if (both)
          high = loadRow(warp, pairOf(tile.list, block + 1, first + i), (first + i) % 8);
      }
      sum[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    for (unsigned k = 0; k < kDepth; ++k) {
      Float16 factor;
      __builtin_memcpy(&factor, b + k * stride + 8 * block, sizeof(factor));
      for (unsigned i = 0; i < kRowBlock; ++i)
        sum[i] = sum[i] + a[(first + i) * kDepth + k] * factor;
    }
    for (unsigned i = 0; i < kRowBlock; ++i) {
      sum[i] = canonical(sum[i]);
      storeRow(warp, pairOf(tile.list, block, first + i), (first + i) % 8,
               __builtin_shufflevector(sum[i], sum[i], 0, 1, 2, 3, 4, 5, 6, 7));
      if (both)
        storeRow(warp, pairOf(tile.list, block + 1, first + i), (first + i) % 8,
                 __builtin_shufflevector(sum[i], sum[i], 8, 9, 10, 11, 12, 13, 14, 15));
    }
  }
}

template <bool kBrain> void multiply(const ProductTile &tile) {
  alignas(64) float a[kRows * kDepth], b[kDepth * kMaxColumns];
  const unsigned stride = (tile.columns + 15) / 16 * 16;
  if (tile.columns % 16 != 0) // the columns that fill up the last block
    for (unsigned k = 0; k < kDepth; ++k)
      __builtin_memset(b + k * stride + tile.columns, 0, 8 * sizeof(float));
  if (tile.transposeB)
    gather<kBrain>(tile.shared, tile.unitsB, kDepth, tile.columns / 8, stride, b);
  else
    gatherTransposed<kBrain>(tile.shared, tile.unitsB, kDepth, tile.columns, stride, b);
  for (unsigned w = 0; w < 4 && !tile.unitsA; ++w)
    if (tile.warps[w])
      loadRegisters<kBrain>(*tile.warps[w], tile.list + tile.columns / 2, a + 16 * w * kDepth);
  if (tile.unitsA && tile.transposeA)
    gatherTransposed<kBrain>(tile.shared, tile.unitsA, kRows, kDepth, kDepth, a);
  else if (tile.unitsA)
    gather<kBrain>(tile.shared, tile.unitsA, kRows, kDepth / 8, kDepth, a);
  for (unsigned w = 0; w < 4; ++w) {
    if (!tile.warps[w])
      continue;
    for (unsigned i = 16 * w * kDepth; tile.negate && i < 16 * (w + 1) * kDepth; ++i)
      a[i] = -a[i];
    for (unsigned block = 0; 8 * block < tile.columns; block += 2)
      multiplyBlock(*tile.warps[w], tile, a + 16 * w * kDepth, b, stride, block);
  }
}

/// K-major factors of 8 bits: two units of sixteen a row of A and a column of B.
void multiplyFloat8(const ProductTile &tile) {
  alignas(64) float a[kRows * kFloat8Depth], b[kFloat8Depth * kMaxColumns];
  const bool isWideA = tile.a == ptx::ScalarType::E5M2, isWideB = tile.b == ptx::ScalarType::E5M2; // of exponents
  const unsigned stride = tile.columns;
  for (unsigned column = 0; column < tile.columns; ++column) {
    float depth[kFloat8Depth];
    for (unsigned unit = 0; unit < 2; ++unit)
      widenFloat8(isWideB, tile.shared + tile.unitsB[2 * column + unit], 16, depth + 16 * unit);
    for (unsigned k = 0; k < kFloat8Depth; ++k)
      b[k * stride + column] = depth[k];
  }
  for (unsigned row = 0; row < kRows; ++row) {
    const LaneState *warp = tile.warps[row / 16];
    for (unsigned unit = 0; warp && unit < 2; ++unit) {
      // register r holds of lanes 4g … 4g + 3 the row g + 8(r & 1), from k = 16(r >> 1)
      const std::byte *bytes = tile.unitsA ? tile.shared + tile.unitsA[2 * row + unit]
                                           : reinterpret_cast<const std::byte *>(warp->plane<std::uint32_t>(tile.list[tile.columns / 2 + row / 8 % 2 + 2 * unit]) + 4 * (row % 8));
      widenFloat8(isWideA, bytes, 16, a + row * kFloat8Depth + 16 * unit);
    }
  }
  for (unsigned row = 0; row < kRows; ++row) {
    LaneState *warp = tile.warps[row / 16];
    if (!warp)
      continue;
    float *factors = a + row * kFloat8Depth;
    for (unsigned k = 0; tile.negate && k < kFloat8Depth; ++k)
      factors[k] = -factors[k];
    for (unsigned block = 0; 8 * block < tile.columns; ++block) {
      const std::uint32_t *pair = pairOf(tile.list, block, row % 16);
      Float8 sum{};
      if (tile.accumulate)
        sum = loadRow(*warp, pair, row % 8);
      sum = addFloat8Products(sum, factors, b + 8 * block, stride);
      for (int i = 0; i < 8; ++i)
        sum[i] = emulator::ATTN_LANES::canonical(sum[i]);
      storeRow(*warp, pair, row % 8, sum);
    }
  }
}

} // namespace

void warpgroupProduct(const ProductTile &tile) {
  switch (tile.a) {
  case ptx::ScalarType::BF16: return multiply<true>(tile);
  case ptx::ScalarType::E4M3:
  case ptx::ScalarType::E5M2: return multiplyFloat8(tile);
  default: return multiply<false>(tile);
  }
}

} // namespace attn::emulator::ATTN_LANES
