// Products of warpgroups as CUTLASS makes them: layouts, descriptors and fragments come from CuTe's layout algebra, tiles
// from tensor maps. C (64 × N, row-major, f32) = A (64 × K) · B (K × N), one warpgroup, 64 of K at a time.
//
// The names say: element type, N, how A and B lie in memory (k: k contiguous; m or n: the other dimension), and the swizzle
// in bytes; `registers` has A in registers.
//
// The compiled text contains code of CUTLASS (https://github.com/NVIDIA/cutlass), copyright NVIDIA CORPORATION & AFFILIATES,
// BSD 3-clause licence, in LICENSE-CUTLASS beside this file.
#include <cuda.h>
#include <cute/arch/mma_sm90_gmma.hpp>
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cute/tensor.hpp>
#include <cutlass/arch/barrier.h>
#include <cutlass/gemm/collective/builders/sm90_common.inl>

using namespace cute;
using Barrier = cutlass::arch::ClusterTransactionBarrier;

template <class Element, int kBytes, GMMA::Major kMajor> constexpr auto atom() {
  if constexpr (kMajor == GMMA::Major::K) {
    if constexpr (kBytes == 128) return GMMA::Layout_K_SW128_Atom<Element>{};
    else if constexpr (kBytes == 64) return GMMA::Layout_K_SW64_Atom<Element>{};
    else if constexpr (kBytes == 32) return GMMA::Layout_K_SW32_Atom<Element>{};
    else return GMMA::Layout_K_INTER_Atom<Element>{};
  } else {
    if constexpr (kBytes == 128) return GMMA::Layout_MN_SW128_Atom<Element>{};
    else if constexpr (kBytes == 64) return GMMA::Layout_MN_SW64_Atom<Element>{};
    else if constexpr (kBytes == 32) return GMMA::Layout_MN_SW32_Atom<Element>{};
    else return GMMA::Layout_MN_INTER_Atom<Element>{};
  }
}

/// Panels of one swizzle row each, one after another: along K where k is contiguous, else along M or N.
template <class Element, int kBytes, GMMA::Major kMajor, int kExtent> constexpr auto tileLayout() {
  auto shape = Shape<Int<kExtent>, _64>{};
  if constexpr (kMajor == GMMA::Major::K)
    return tile_to_shape(atom<Element, kBytes, kMajor>(), shape, Step<_1, _2>{});
  else
    return tile_to_shape(atom<Element, kBytes, kMajor>(), shape, Step<_2, _1>{});
}

template <class Element, int kBytes, GMMA::Major kMajor, int kExtent>
__device__ void load(const CUtensorMap *map, Barrier &barrier, Element *shared, int k) {
  constexpr int kWidth = (kBytes ? kBytes : 16) / sizeof(Element);
  auto *full = reinterpret_cast<uint64_t *>(&barrier);
  constexpr uint64_t kNormal = static_cast<uint64_t>(TMA::CacheHintSm90::EVICT_NORMAL);
  if constexpr (kMajor == GMMA::Major::K)
    for (int panel = 0; panel < 64 / kWidth; ++panel)
      SM90_TMA_LOAD_2D::copy(map, full, kNormal, shared + panel * kWidth * kExtent, k + panel * kWidth, 0);
  else
    for (int panel = 0; panel < kExtent / kWidth; ++panel)
      SM90_TMA_LOAD_2D::copy(map, full, kNormal, shared + panel * kWidth * 64, panel * kWidth, k);
}

template <class Element, int kN, GMMA::Major kMajorA, GMMA::Major kMajorB, int kBytesA, int kBytesB, bool kRegisters>
__device__ void multiply(const CUtensorMap *mapA, const CUtensorMap *mapB, float *out, int depth) {
  extern __shared__ __align__(1024) unsigned char memory[];
  Element *a = reinterpret_cast<Element *>(memory), *b = a + 64 * 64;
  __shared__ uint64_t word;
  Barrier &full = *reinterpret_cast<Barrier *>(&word);
  using Tile = Shape<_64, Int<kN>, _64>;
  auto sA = make_tensor(make_smem_ptr(a), tileLayout<Element, kBytesA, kMajorA, 64>());
  auto sB = make_tensor(make_smem_ptr(b), tileLayout<Element, kBytesB, kMajorB, kN>());
  auto mma = [] {
    if constexpr (kRegisters)
      return make_tiled_mma(GMMA::rs_op_selector<Element, Element, float, Tile, kMajorA, kMajorB>());
    else
      return make_tiled_mma(GMMA::ss_op_selector<Element, Element, float, Tile, kMajorA, kMajorB>());
  }();
  if (threadIdx.x == 0) {
    cute::prefetch_tma_descriptor(mapA);
    full.init(1);
    cutlass::arch::fence_barrier_init();
  }
  __syncthreads();
  auto thread = mma.get_thread_slice(threadIdx.x);
  auto gC = make_tensor(make_gmem_ptr(out), Shape<_64, Int<kN>>{}, Stride<Int<kN>, _1>{});
  auto tCgC = thread.partition_C(gC);
  auto tCrC = thread.make_fragment_C(tCgC);
  clear(tCrC);
  uint32_t phase = 0;
  for (int k = 0; k < depth; k += 64, phase ^= 1) {
    if (threadIdx.x == 0) {
      full.arrive_and_expect_tx((64 + kN) * 64 * sizeof(Element));
      load<Element, kBytesA, kMajorA, 64>(mapA, full, a, k);
      load<Element, kBytesB, kMajorB, kN>(mapB, full, b, k);
    }
    full.wait(phase);
    auto tCsA = thread.partition_A(sA);
    auto tCsB = thread.partition_B(sB);
    auto tCrA = thread.make_fragment_A(tCsA);
    auto tCrB = thread.make_fragment_B(tCsB);
    if constexpr (kRegisters)
      copy(tCsA, tCrA);
    warpgroup_fence_operand(tCrC);
    warpgroup_arrive();
    gemm(mma, tCrA, tCrB, tCrC);
    warpgroup_commit_batch();
    warpgroup_wait<0>();
    warpgroup_fence_operand(tCrC);
    __syncthreads();
  }
  copy(tCrC, tCgC);
}

#define KERNEL(name, element, n, majorA, majorB, bytesA, bytesB, registers)                                            \
  extern "C" __global__ void __launch_bounds__(128, 1)                                                                 \
      name(const __grid_constant__ CUtensorMap mapA, const __grid_constant__ CUtensorMap mapB, float *out, int depth) { \
    multiply<element, n, GMMA::Major::majorA, GMMA::Major::majorB, bytesA, bytesB, registers>(&mapA, &mapB, out, depth); \
  }

using F16 = cutlass::half_t;
using BF16 = cutlass::bfloat16_t;
KERNEL(f16_64_kk_128, F16, 64, K, K, 128, 128, false)
KERNEL(f16_128_kn_128, F16, 128, K, MN, 128, 128, false)
KERNEL(bf16_256_kn_128, BF16, 256, K, MN, 128, 128, false)
KERNEL(bf16_64_mn_128, BF16, 64, MN, MN, 128, 128, false)
KERNEL(bf16_32_kk_64, BF16, 32, K, K, 64, 64, false)
KERNEL(f16_32_mn_64, F16, 32, MN, MN, 64, 64, false)
KERNEL(f16_16_kk_32, F16, 16, K, K, 32, 32, false)
KERNEL(f16_32_mn_32, F16, 32, MN, MN, 32, 32, false)
KERNEL(bf16_24_kk_0, BF16, 24, K, K, 0, 0, false)
KERNEL(bf16_16_mn_0, BF16, 16, MN, MN, 0, 0, false)
KERNEL(f16_8_kk_128, F16, 8, K, K, 128, 128, false)
KERNEL(bf16_24_mk_128_64, BF16, 24, MN, K, 128, 64, false)
KERNEL(f16_64_kn_128_registers, F16, 64, K, MN, 128, 128, true)
KERNEL(bf16_8_kk_64_registers, BF16, 8, K, K, 64, 64, true)
