// Tensor maps of the virtual GPU: what hardware keeps opaque, here a plain record with a checksum, so that anything else
// that reaches a TMA instruction is noticed (T02).
#pragma once

#include "attn/Status.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace attn::emulator {

inline constexpr std::size_t kTensorMapBytes = 128, kTensorMapAlignment = 64;
inline constexpr unsigned kMaxTensorRank = 5;

/// A tensor in global memory and the box that one instruction copies of it. Dimension 0 is contiguous; only the first
/// `rank` entries count. Elements beyond the tensor read as 0 and are not written.
struct TensorMap {
  std::uint64_t address = 0;
  unsigned rank = 0, elementBytes = 0;
  std::array<std::uint64_t, kMaxTensorRank> extents{};
  std::array<std::uint64_t, kMaxTensorRank - 1> strides{}; ///< bytes; of dimensions 1, 2, …
  std::array<std::uint32_t, kMaxTensorRank> box{};
  unsigned swizzle = 0; ///< bytes of the pattern in shared memory; 0 for none

  /// Of a whole box in shared memory.
  std::uint32_t boxBytes() const {
    std::uint32_t bytes = elementBytes;
    for (unsigned i = 0; i < rank; ++i)
      bytes *= box[i];
    return bytes;
  }
};

/// Refuses what cuTensorMapEncodeTiled refuses (CUDA driver API, "Tensor Map Object Managment").
Status encodeTensorMap(const TensorMap &map, std::span<std::byte, kTensorMapBytes> bytes);

/// Nothing when `encodeTensorMap` did not write these bytes.
std::optional<TensorMap> decodeTensorMap(std::span<const std::byte, kTensorMapBytes> bytes);

} // namespace attn::emulator
