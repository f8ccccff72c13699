// The CUDA driver library, opened at run time: nothing links CUDA and nothing includes its headers. Constants are those
// of the driver interface, which keeps them for compatibility (CUDA Driver API reference, "Data types").
#pragma once

#include "attn/Result.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace attn::runtime::cuda {

using CudaResult = int;
using CudaOrdinal = int;
using CudaAddress = std::uint64_t;
using CudaContext = struct CUctx_st *;
using CudaStream = struct CUstream_st *;
using CudaEvent = struct CUevent_st *;
using CudaModule = struct CUmod_st *;
using CudaFunction = struct CUfunc_st *;
struct alignas(64) CudaTensorMap {
  std::uint64_t opaque[16];
};

inline constexpr CudaResult kSuccess = 0, kInvalidValue = 1, kMemoryError = 2, kNoDevice = 100, kInvalidImage = 200,
                            kNoBinaryForGpu = 209, kInvalidPtx = 218, kUnsupportedPtxVersion = 222, kNotFound = 500;

enum DeviceAttribute : int {
  kClockKilohertz = 13,
  kMultiprocessorCount = 16,
  kL2Bytes = 38,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedMemoryPerBlockOptin = 97,
};
enum FunctionAttribute : int { kMaxThreadsPerBlock = 0, kStaticSharedBytes = 1, kMaxDynamicSharedBytes = 8 };
enum TensorMapType : int {
  kTensorMapU8 = 0,
  kTensorMapU16 = 1,
  kTensorMapI32 = 3,
  kTensorMapF16 = 6,
  kTensorMapF32 = 7,
  kTensorMapF64 = 8,
  kTensorMapBF16 = 9
};
enum TensorMapSwizzle : int { kSwizzleNone = 0, kSwizzle32 = 1, kSwizzle64 = 2, kSwizzle128 = 3 };
enum TensorMapChoices : int { kInterleaveNone = 0, kPromotion256 = 3, kFillZero = 0 };
enum JitOption : int { kInfoLog = 3, kInfoLogBytes = 4, kErrorLog = 5, kErrorLogBytes = 6 };

/// The entry points, of CudaFunctions.def.
struct CudaDriver {
#define CUDA_FUNCTION(name, ...) CudaResult (*name)(__VA_ARGS__) = nullptr;
#include "runtime/cuda/CudaFunctions.def"
#undef CUDA_FUNCTION

  /// Ok, or the driver's own name and sentence for `result`, after `call`.
  Status check(CudaResult result, std::string_view call) const;
};

/// The driver, opened and initialised; stays so until the program ends. The library is `libcuda.so.1` or what
/// ATTN_CUDA_LIBRARY names; each path is opened once, and a failure is reported again at each call.
Result<const CudaDriver *> loadCudaDriver();

} // namespace attn::runtime::cuda
