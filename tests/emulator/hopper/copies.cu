// Copies of the tensor memory accelerator and the synchronisation around them, through the wrappers of libcu++
// (cuda::ptx). `copy_*` load a box, write the bytes of shared memory as they lie, and store the box through a second map.
// `pipeline` has a producer warp and two consumer warpgroups that take turns.
#include <cstdint>
#include <cuda.h>
#include <cuda/ptx>

namespace ptx = cuda::ptx;

template <int kRank>
__device__ void copy(const CUtensorMap *from, const CUtensorMap *to, uint32_t *raw, uint32_t bytes, const int32_t (&at)[kRank],
                     const int32_t (&target)[kRank]) {
  extern __shared__ __align__(1024) unsigned char tile[];
  __shared__ uint64_t full;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&full, blockDim.x);
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  }
  __syncthreads();
  uint64_t token;
  if (threadIdx.x == 0) {
    token = ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &full, bytes);
    ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, tile, from, at, &full);
  } else {
    token = ptx::mbarrier_arrive(&full);
  }
  while (!ptx::mbarrier_try_wait(&full, token)) {
  }
  for (uint32_t i = threadIdx.x; i < bytes / 4; i += blockDim.x)
    raw[i] = reinterpret_cast<const uint32_t *>(tile)[i];
  ptx::fence_proxy_async(ptx::space_shared);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, to, target, tile);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
  }
}

struct Coordinates {
  int32_t from[5], to[5];
};

#define COPY(rank, ...)                                                                                                \
  extern "C" __global__ void copy_##rank##d(const __grid_constant__ CUtensorMap from, const __grid_constant__ CUtensorMap to, \
                                            uint32_t *raw, uint32_t bytes, Coordinates c) {                            \
    int32_t at[rank], target[rank];                                                                                    \
    for (int i = 0; i < rank; ++i) {                                                                                   \
      at[i] = c.from[i];                                                                                               \
      target[i] = c.to[i];                                                                                             \
    }                                                                                                                  \
    copy<rank>(&from, &to, raw, bytes, at, target);                                                                    \
  }
COPY(1)
COPY(2)
COPY(3)
COPY(4)
COPY(5)

constexpr int kStages = 3, kWidth = 64, kRows = 32;

/// out[tile][column]: sums of the column over the rows of tile `tile`, weighted by row + 1; `tiles` tiles below each other.
/// Consumer warpgroup g takes tiles of parity g, in order: named barriers 1 and 2 pass the turn.
extern "C" __global__ void __launch_bounds__(384, 1)
    pipeline(const __grid_constant__ CUtensorMap map, float *out, uint32_t *order, int tiles) {
  extern __shared__ __align__(1024) unsigned char memory[];
  __shared__ uint64_t full[kStages], empty[kStages];
  __shared__ uint32_t next;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      ptx::mbarrier_init(&full[i], 1);
      ptx::mbarrier_init(&empty[i], 4); // one lane of each warp of the warpgroup that has the tile
    }
    next = 0;
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  }
  __syncthreads();
  const int group = threadIdx.x / 128;
  if (group == 2) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x != 256)
      return;
    for (int tile = 0; tile < tiles; ++tile) {
      const int stage = tile % kStages;
      const uint32_t parity = (tile / kStages & 1) ^ 1;
      while (!ptx::mbarrier_try_wait_parity(&empty[stage], parity)) {
      }
      ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &full[stage], kWidth * kRows * 2);
      const int32_t at[2] = {0, tile * kRows};
      ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, memory + stage * kWidth * kRows * 2, &map, at, &full[stage]);
    }
    return;
  }
  asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
  const int thread = threadIdx.x % 128, column = thread % 64, half = thread / 64;
  if (group == 1)
    asm volatile("bar.arrive 1, 256;" ::: "memory"); // group 0 begins
  for (int tile = group; tile < tiles; tile += 2) {
    const int stage = tile % kStages;
    asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory");
    if (thread == 0)
      order[tile] = next++;
    while (!ptx::mbarrier_try_wait_parity(&full[stage], tile / kStages & 1)) {
    }
    float sum = 0;
    for (int row = half * kRows / 2; row < (half + 1) * kRows / 2; ++row) {
      const uint32_t offset = row * kWidth * 2 + column * 2, at = offset ^ ((offset >> 7 & 7) << 4);
      sum += float(*reinterpret_cast<const uint16_t *>(memory + stage * kWidth * kRows * 2 + at)) * (row + 1);
    }
    atomicAdd(&out[tile * kWidth + column], sum);
    __syncwarp();
    if (thread % 32 == 0)
      ptx::mbarrier_arrive(&empty[stage]);
    asm volatile("bar.arrive %0, 256;" ::"r"(2 - group) : "memory");
  }
  // As many turns as were given are taken: the last one that nobody takes.
  if (group == tiles % 2)
    asm volatile("bar.sync %0, 256;" ::"r"(1 + group) : "memory");
}
