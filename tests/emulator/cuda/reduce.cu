// Sums by a tree in shared memory and by shuffles, a maximum with its position, and a scan of a block.
#include <cstdint>

extern "C" __global__ void sumTree(const float *input, float *output, int count) {
  __shared__ float partial[256];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
    sum += input[i];
  partial[threadIdx.x] = sum;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      partial[threadIdx.x] += partial[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    output[blockIdx.x] = partial[0];
}

extern "C" __global__ void sumShuffle(const double *input, double *output, int count) {
  __shared__ double perWarp[32];
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    sum += input[i];
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_down_sync(0xFFFFFFFF, sum, step);
  if (threadIdx.x % 32 == 0)
    perWarp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < blockDim.x / 32 ? perWarp[threadIdx.x] : 0;
    for (int step = 16; step > 0; step /= 2)
      sum += __shfl_xor_sync(0xFFFFFFFF, sum, step);
    if (threadIdx.x == 0)
      *output = sum;
  }
}

struct Best {
  float value;
  int index;
};

extern "C" __global__ void argMax(const float *input, Best *output, int count) {
  Best best = {-INFINITY, -1};
  for (int i = threadIdx.x; i < count; i += 32)
    if (input[i] > best.value)
      best = {input[i], i};
  for (int step = 16; step > 0; step /= 2) {
    float value = __shfl_xor_sync(0xFFFFFFFF, best.value, step);
    int index = __shfl_xor_sync(0xFFFFFFFF, best.index, step);
    if (value > best.value || (value == best.value && index < best.index))
      best = {value, index};
  }
  if (threadIdx.x == 0)
    *output = best;
}

extern "C" __global__ void scan(const int *input, int *output, int count) {
  __shared__ int totals[32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int value = threadIdx.x < count ? input[threadIdx.x] : 0, sum = value;
  for (int step = 1; step < 32; step *= 2) {
    int other = __shfl_up_sync(0xFFFFFFFF, sum, step);
    if (lane >= step)
      sum += other;
  }
  if (lane == 31)
    totals[warp] = sum;
  __syncthreads();
  for (int i = 0; i < warp; ++i)
    sum += totals[i];
  if (threadIdx.x < count)
    output[threadIdx.x] = sum;
}

// Each block's minimum by redux.sync, and how many threads and whether any or all hold a bit, by barrier reductions.
extern "C" __global__ void votes(const unsigned *input, unsigned *output) {
  unsigned value = input[blockIdx.x * blockDim.x + threadIdx.x];
  unsigned count = __syncthreads_count(value & 1), any = __syncthreads_or(value & 2), all = __syncthreads_and(value & 4);
  unsigned least = __reduce_min_sync(0xFFFFFFFF, value), ballot = __ballot_sync(0xFFFFFFFF, value & 1);
  unsigned same = __match_any_sync(0xFFFFFFFF, value & 7);
  unsigned *row = output + (blockIdx.x * blockDim.x + threadIdx.x) * 6;
  row[0] = count, row[1] = any != 0, row[2] = all != 0, row[3] = least, row[4] = ballot, row[5] = same;
}
