// The structures of DLPack (https://dmlc.github.io/dlpack, version 0.8 and the types of 1.1), laid out as its C header
// does, so that a `DLTensor *` of any framework can be cast to a `dlpack::Tensor *` and back.
#pragma once

#include <cstdint>

namespace attn::dlpack {

enum DeviceType : std::int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3, kExternal = 12, kCudaManaged = 13 };

enum TypeCode : std::uint8_t {
  kInt = 0,
  kUInt = 1,
  kFloat = 2,
  kBfloat = 4,
  kBool = 6,
  kFloat8E4M3Fn = 10,
  kFloat8E5M2 = 12,
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct DlDevice {
  std::int32_t type;
  std::int32_t id;
};

struct Tensor {
  void *data;
  DlDevice device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t *shape;
  std::int64_t *strides; ///< in elements; null: contiguous
  std::uint64_t byteOffset;
};

/// Whoever receives one calls `deleter(self)` when done.
struct ManagedTensor {
  Tensor tensor;
  void *context;
  void (*deleter)(ManagedTensor *self);
};

static_assert(sizeof(void *) != 8 || (sizeof(Tensor) == 48 && sizeof(ManagedTensor) == 64));

} // namespace attn::dlpack
