// What a tensor map says about its tensor at one launch: the layout of the manifest together with the address, extents and
// strides of the argument. Devices encode it for their tensor memory accelerator.
#pragma once

#include "attn/Status.h"
#include "attn/Buffer.h"
#include "runtime/manifest/KernelManifest.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace attn::runtime {

inline constexpr std::size_t kMaxTensorMapRank = 5;
/// Bytes that divide addresses and strides (CUDA driver, cuTensorMapEncodeTiled).
inline constexpr std::uint64_t kTensorMapGranule = 16;

/// As a kernel parameter holds it; what the bytes mean is the device's own affair.
struct alignas(64) TensorMapObject {
  std::array<std::byte, 128> bytes{};
};

/// Dimensions in the map's order, the contiguous one first; only the first `rank` entries count.
struct TensorMapSource {
  ElementType type = ElementType::F32;
  std::uint32_t rank = 0;
  std::uint64_t address = 0;
  std::array<std::uint64_t, kMaxTensorMapRank> extents{};     ///< at least 1 each
  std::array<std::uint64_t, kMaxTensorMapRank - 1> strides{}; ///< bytes; of dimensions 1, 2, …
  std::array<std::uint32_t, kMaxTensorMapRank> box{};
  std::uint32_t swizzle = 0;
};

/// Whether the accelerator can reach `tensor`: address and strides. `name` is for the message.
Status checkTensorMap(std::string_view name, const TensorMapLayout &layout, const TensorView &tensor);

/// Of a tensor with elements that passed `checkTensorMap`.
TensorMapSource tensorMapSource(const TensorMapLayout &layout, const TensorView &tensor);

} // namespace attn::runtime
