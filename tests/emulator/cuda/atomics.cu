// A histogram through shared memory, a list that threads append to, a lock, and a sum over the grid by the last block.
#include <cstdint>

extern "C" __global__ void histogram(const uint8_t *input, unsigned *bins, int count) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    atomicAdd(&local[input[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i])
      atomicAdd(&bins[i], local[i]);
}

extern "C" __global__ void append(const int *input, int *list, unsigned *length, int count, int threshold) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && input[i] > threshold)
    list[atomicInc(length, 0xFFFFFFFF)] = input[i];
}

extern "C" __global__ void extremes(const float *input, int *results, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  int value = (int)floorf(input[i] * 1000.0f);
  atomicMax(&results[0], value);
  atomicMin(&results[1], value);
  atomicXor(&results[2], value);
}

// One thread of each block at a time, by a lock of compare and swap.
extern "C" __global__ void locked(int *lock, double *total) {
  if (threadIdx.x == 0) {
    while (atomicCAS(lock, 0, 1) != 0)
      __nanosleep(20);
    __threadfence();
    double old = *(volatile double *)total;
    *(volatile double *)total = old * 0.5 + 1.0;
    __threadfence();
    atomicExch(lock, 0);
  }
}

extern "C" __global__ void sumByLastBlock(const float *input, float *partial, unsigned *done, float *result) {
  __shared__ bool isLast;
  float sum = 0;
  for (int i = 0; i < 4; ++i)
    sum += input[(blockIdx.x * 32 + threadIdx.x) * 4 + i];
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xFFFFFFFF, sum, step);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    isLast = atomicAdd(done, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (isLast && threadIdx.x == 0) {
    float all = 0;
    for (int i = 0; i < gridDim.x; ++i)
      all += ((volatile float *)partial)[i];
    *result = all;
  }
}
