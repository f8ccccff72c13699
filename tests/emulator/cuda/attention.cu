// Attention forward in the style of FlashAttention-2 by inline PTX: cp.async, ldmatrix, mma.sync bf16, shuffles, ex2.
// Grid (length / 64, heads), block 128: each warp owns 16 query rows of a 64 × 128 tile and walks over keys 64 at a time.
#include <cuda_bf16.h>
#include <cstdint>

constexpr int kHeadDim = 128, kTile = 64, kPitch = kHeadDim + 8; // the padding keeps ldmatrix free of bank conflicts

__device__ inline uint32_t sharedAddress(const void *pointer) { return (uint32_t)__cvta_generic_to_shared(pointer); }

__device__ inline void copyTile(__nv_bfloat16 *tile, const __nv_bfloat16 *source) {
  for (int chunk = threadIdx.x; chunk < kTile * kHeadDim / 8; chunk += blockDim.x) {
    int row = chunk / (kHeadDim / 8), column = chunk % (kHeadDim / 8) * 8;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(sharedAddress(tile + row * kPitch + column)),
                 "l"(source + row * kHeadDim + column));
  }
  asm volatile("cp.async.commit_group;");
}

__device__ inline void loadMatrices(uint32_t (&r)[4], const __nv_bfloat16 *address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(address)));
}
__device__ inline void loadTransposed(uint32_t (&r)[4], const __nv_bfloat16 *address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(address)));
}
__device__ inline void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline float exp2Approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline uint32_t packPair(float low, float high) {
  uint32_t d;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
  return d;
}

extern "C" __global__ void __launch_bounds__(128)
    attention(const __nv_bfloat16 *query, const __nv_bfloat16 *key, const __nv_bfloat16 *value, float *out, int length,
              float scaleLog2) {
  extern __shared__ __align__(16) __nv_bfloat16 shared[];
  __nv_bfloat16 *queryTile = shared, *keyTile = shared + kTile * kPitch, *valueTile = keyTile + kTile * kPitch;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  size_t head = (size_t)blockIdx.y * length * kHeadDim;
  copyTile(queryTile, query + head + (size_t)blockIdx.x * kTile * kHeadDim);

  float acc[16][4] = {}, rowMax[2] = {-INFINITY, -INFINITY}, rowSum[2] = {};
  for (int start = 0; start < length; start += kTile) {
    __syncthreads();
    copyTile(keyTile, key + head + (size_t)start * kHeadDim);
    copyTile(valueTile, value + head + (size_t)start * kHeadDim);
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();

    float scores[8][4] = {};
    for (int k = 0; k < kHeadDim; k += 16) {
      uint32_t a[4];
      loadMatrices(a, queryTile + (warp * 16 + lane % 16) * kPitch + k + lane / 16 * 8);
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[4];
        loadMatrices(b, keyTile + (n * 8 + lane % 8 + lane / 16 * 8) * kPitch + k + lane / 8 % 2 * 8);
        mma(scores[n], a, b[0], b[1]);
        mma(scores[n + 1], a, b[2], b[3]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float m = rowMax[half];
      for (int n = 0; n < 8; ++n)
        m = fmaxf(m, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      m = fmaxf(m, __shfl_xor_sync(0xFFFFFFFF, m, 1));
      m = fmaxf(m, __shfl_xor_sync(0xFFFFFFFF, m, 2));
      float correction = exp2Approximate((rowMax[half] - m) * scaleLog2), sum = 0;
      for (int n = 0; n < 8; ++n)
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[n][i] = exp2Approximate(scores[n][i] * scaleLog2 - m * scaleLog2);
          sum += scores[n][i];
        }
      rowSum[half] = rowSum[half] * correction + sum;
      rowMax[half] = m;
      for (int n = 0; n < 16; ++n) {
        acc[n][2 * half] *= correction;
        acc[n][2 * half + 1] *= correction;
      }
    }
    asm volatile("cp.async.wait_group 0;");
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      uint32_t a[4] = {packPair(scores[2 * k][0], scores[2 * k][1]), packPair(scores[2 * k][2], scores[2 * k][3]),
                       packPair(scores[2 * k + 1][0], scores[2 * k + 1][1]),
                       packPair(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < 16; n += 2) {
        uint32_t b[4];
        loadTransposed(b, valueTile + (k * 16 + lane % 16) * kPitch + n * 8 + lane / 16 * 8);
        mma(acc[n], a, b[0], b[1]);
        mma(acc[n + 1], a, b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = rowSum[half];
    sum += __shfl_xor_sync(0xFFFFFFFF, sum, 1);
    sum += __shfl_xor_sync(0xFFFFFFFF, sum, 2);
    size_t row = (size_t)blockIdx.x * kTile + warp * 16 + lane / 4 + half * 8;
    for (int n = 0; n < 16; ++n)
      for (int i = 0; i < 2; ++i)
        out[head + row * kHeadDim + n * 8 + lane % 4 * 2 + i] = acc[n][2 * half + i] / sum;
  }
}
