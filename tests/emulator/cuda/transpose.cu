// A matrix transposed through a padded tile of shared memory, any size, for elements of 1, 2, 4 and 8 bytes; and a matrix
// of halves transposed by 8×8 blocks with ldmatrix.trans.
#include <cstdint>

template <typename T> __device__ void transposeTile(const T *input, T *output, int rows, int columns) {
  __shared__ T tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += 8)
    if (x < columns && y + i < rows)
      tile[threadIdx.y + i][threadIdx.x] = input[(size_t)(y + i) * columns + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x, y = blockIdx.x * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += 8)
    if (x < rows && y + i < columns)
      output[(size_t)(y + i) * rows + x] = tile[threadIdx.x][threadIdx.y + i];
}

extern "C" __global__ void transpose8(const uint8_t *input, uint8_t *output, int rows, int columns) { transposeTile(input, output, rows, columns); }
extern "C" __global__ void transpose16(const uint16_t *input, uint16_t *output, int rows, int columns) { transposeTile(input, output, rows, columns); }
extern "C" __global__ void transpose32(const float *input, float *output, int rows, int columns) { transposeTile(input, output, rows, columns); }
extern "C" __global__ void transpose64(const double *input, double *output, int rows, int columns) { transposeTile(input, output, rows, columns); }

// One warp, 16×16 halves.
extern "C" __global__ void transposeMatrices(const uint4 *input, uint32_t *output) {
  __shared__ uint4 tile[32];
  tile[threadIdx.x] = input[threadIdx.x];
  __syncwarp();
  uint32_t address = (uint32_t)__cvta_generic_to_shared(&tile[threadIdx.x % 16 * 2 + threadIdx.x / 16]), r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
  int g = threadIdx.x / 4, t = threadIdx.x % 4; // matrices: rows 0-7 and 8-15 of columns 0-7, then of columns 8-15
  output[g * 8 + t] = r[0];
  output[g * 8 + t + 4] = r[1];
  output[(g + 8) * 8 + t] = r[2];
  output[(g + 8) * 8 + t + 4] = r[3];
}
