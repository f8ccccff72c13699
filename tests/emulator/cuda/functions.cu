// What nvcc makes of the C library's functions, 64-bit division, printf, assertions, switches, recursion unrolled into calls,
// local arrays, and vector loads.
#include <cstdint>
#include <cstdio>

extern "C" __global__ void mathFunctions(const float *input, float *output, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  float x = input[i];
  float *row = output + 12 * i;
  row[0] = expf(x), row[1] = logf(fabsf(x) + 0.5f), row[2] = sinf(x), row[3] = cosf(3.0f * x), row[4] = tanhf(x), row[5] = erff(x);
  row[6] = powf(fabsf(x), 1.3f), row[7] = x / 3.0f, row[8] = sqrtf(fabsf(x)), row[9] = fmodf(x, 0.7f), row[10] = cbrtf(x), row[11] = lgammaf(fabsf(x) + 1.0f);
}

extern "C" __global__ void integerFunctions(const int64_t *input, int64_t *output, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  int64_t a = input[2 * i], b = input[2 * i + 1];
  int64_t *row = output + 8 * i;
  row[0] = b ? a / b : 0, row[1] = b ? a % b : 0, row[2] = __mul64hi(a, b), row[3] = __popcll(a) + __clzll(b) + __ffsll(a);
  row[4] = (int64_t)(((unsigned __int128)(uint64_t)a * (uint64_t)b + (uint64_t)a) >> 61), row[5] = (int64_t)__brevll(a);
  row[6] = (int64_t)(double)a, row[7] = (int)a / 7 + (int)b % 13;
}

__device__ __noinline__ float polynomial(const float *terms, int count, float x) {
  float value = 0;
  for (int i = count; i-- > 0;)
    value = value * x + terms[i];
  return value;
}

extern "C" __global__ void localArrays(const float *input, float *output, int degree) {
  float terms[16];
  for (int i = 0; i < degree; ++i)
    terms[(i * 7) % 16] = input[i];
  for (int i = degree; i < 16; ++i)
    terms[(i * 7) % 16] = 0;
  output[threadIdx.x] = polynomial(terms, 16, (float)threadIdx.x / 32.0f);
}

extern "C" __global__ void switches(const int *input, int *output) {
  int value = input[threadIdx.x], result;
  switch (value) {
  case 0: result = 11; break;
  case 1: result = value * 3; break;
  case 2: result = -7;
  case 3: result = 100 + value; break;
  case 4: result = value << 5; break;
  case 5: result = ~value; break;
  case 6: result = threadIdx.x; break;
  default: result = 0; break;
  }
  output[threadIdx.x] = result;
}

extern "C" __global__ void prints(int value) {
  if (threadIdx.x == 3)
    printf("thread %d of %u: %s %.3f %lld%%\n", threadIdx.x, blockDim.x, "has", value * 0.5, (long long)value << 40);
}

extern "C" __global__ void vectors(const float4 *input, float2 *output) {
  float4 a = input[threadIdx.x], b = __ldg(input + 32 + threadIdx.x);
  output[2 * threadIdx.x] = make_float2(a.x + b.w, a.y * b.z);
  output[2 * threadIdx.x + 1] = make_float2(fmaxf(a.z, b.y), fminf(a.w, b.x));
}
