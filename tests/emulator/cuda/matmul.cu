// Matrix products on tensor cores by the instructions themselves: f16 with ldmatrix and cp.async in two stages, tf32 and s8
// with plain loads. One warp computes 16×8 (f16: a block of 4 warps computes 32×32). Sizes are multiples of the tile.
#include <cuda_fp16.h>
#include <cstdint>

constexpr int kTileK = 32, kPitch = kTileK + 8; // the padding keeps ldmatrix free of bank conflicts

__device__ uint32_t sharedAddress(const void *pointer) { return (uint32_t)__cvta_generic_to_shared(pointer); }

__device__ void copyTile(__half (*tile)[kPitch], const __half *source, int pitch) {
  for (int chunk = threadIdx.x; chunk < 32 * kTileK / 8; chunk += blockDim.x) {
    int row = chunk / (kTileK / 8), column = chunk % (kTileK / 8) * 8;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(&tile[row][column])),
                 "l"(source + (size_t)row * pitch + column));
  }
}

// c[m][n] = a[m][k] · bT[n][k]ᵀ
extern "C" __global__ void __launch_bounds__(128) matmulHalf(const __half *a, const __half *bT, float *c, int n, int k) {
  __shared__ __align__(16) __half tileA[2][32][kPitch], tileB[2][32][kPitch];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = warp % 2 * 16, column = warp / 2 * 16;
  const __half *rowsA = a + (size_t)blockIdx.y * 32 * k, *rowsB = bT + (size_t)blockIdx.x * 32 * k;
  float acc[2][4] = {};
  copyTile(tileA[0], rowsA, k);
  copyTile(tileB[0], rowsB, k);
  asm volatile("cp.async.commit_group;");
  for (int step = 0; step * kTileK < k; ++step) {
    int stage = step % 2;
    if ((step + 1) * kTileK < k) {
      copyTile(tileA[1 - stage], rowsA + (step + 1) * kTileK, k);
      copyTile(tileB[1 - stage], rowsB + (step + 1) * kTileK, k);
    }
    asm volatile("cp.async.commit_group;\ncp.async.wait_group 1;");
    __syncthreads();
    for (int inner = 0; inner < kTileK; inner += 16) {
      uint32_t x[4], y[4];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                   : "r"(sharedAddress(&tileA[stage][row + lane % 16][inner + lane / 16 * 8])));
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(y[0]), "=r"(y[1]), "=r"(y[2]), "=r"(y[3])
                   : "r"(sharedAddress(&tileB[stage][column + lane % 8 + lane / 16 * 8][inner + lane / 8 % 2 * 8])));
      for (int half = 0; half < 2; ++half)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(acc[half][0]), "+f"(acc[half][1]), "+f"(acc[half][2]), "+f"(acc[half][3])
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[2 * half]), "r"(y[2 * half + 1]));
    }
    __syncthreads();
  }
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 4; ++i)
      c[(size_t)(blockIdx.y * 32 + row + lane / 4 + i / 2 * 8) * n + blockIdx.x * 32 + column + half * 8 + lane % 4 * 2 + i % 2] = acc[half][i];
}

extern "C" __global__ void matmulTf32(const float *a, const float *bT, float *c, int n, int k) {
  int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const float *rowA = a + (size_t)(blockIdx.y * 16 + g) * k, *rowB = bT + (size_t)(blockIdx.x * 8 + g) * k;
  float acc[4] = {};
  for (int inner = 0; inner < k; inner += 8) {
    uint32_t x[4], y[2];
    float values[6] = {rowA[inner + t], rowA[8 * k + inner + t], rowA[inner + t + 4], rowA[8 * k + inner + t + 4], rowB[inner + t], rowB[inner + t + 4]};
    for (int i = 0; i < 4; ++i)
      asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x[i]) : "f"(values[i]));
    for (int i = 0; i < 2; ++i)
      asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y[i]) : "f"(values[4 + i]));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                 : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
  }
  for (int i = 0; i < 4; ++i)
    c[(size_t)(blockIdx.y * 16 + g + i / 2 * 8) * n + blockIdx.x * 8 + t * 2 + i % 2] = acc[i];
}

extern "C" __global__ void matmulBytes(const int8_t *a, const int8_t *bT, int *c, int n, int k) {
  int g = threadIdx.x / 4, t = threadIdx.x % 4, acc[4] = {};
  const int8_t *rowA = a + (size_t)(blockIdx.y * 16 + g) * k, *rowB = bT + (size_t)(blockIdx.x * 8 + g) * k;
  auto word = [](const int8_t *pointer) { return *reinterpret_cast<const uint32_t *>(pointer); };
  for (int inner = 0; inner < k; inner += 32)
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])
                 : "r"(word(rowA + inner + 4 * t)), "r"(word(rowA + 8 * k + inner + 4 * t)), "r"(word(rowA + inner + 4 * t + 16)),
                   "r"(word(rowA + 8 * k + inner + 4 * t + 16)), "r"(word(rowB + inner + 4 * t)), "r"(word(rowB + inner + 4 * t + 16)));
  for (int i = 0; i < 4; ++i)
    c[(size_t)(blockIdx.y * 16 + g + i / 2 * 8) * n + blockIdx.x * 8 + t * 2 + i % 2] = acc[i];
}
