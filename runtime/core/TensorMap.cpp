#include "runtime/core/TensorMap.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn::runtime {

static constexpr std::uint64_t kStrideLimit = std::uint64_t{1} << 40;

static Status refuse(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

static std::uint64_t elementBytes(ElementType type) { return storageBits(type) / 8; }

Status checkTensorMap(std::string_view name, const TensorMapLayout &layout, const TensorView &tensor) {
  if (tensor.address() % kTensorMapGranule != 0)
    return refuse(fmt::format("`{}`: address {:#x} is not aligned to {} bytes, which the tensor memory accelerator needs",
                              name, tensor.address(), kTensorMapGranule));
  for (std::size_t i = 1; i < layout.dims.size(); ++i) {
    const std::uint32_t dim = layout.dims[i];
    if (tensor.shape()[dim] <= 1)
      continue; // never stepped over
    const std::int64_t stride = tensor.strides()[dim];
    const std::uint64_t bytes = static_cast<std::uint64_t>(stride) * elementBytes(tensor.type());
    if (stride < 0 || bytes % kTensorMapGranule != 0 || bytes >= kStrideLimit)
      return refuse(fmt::format("`{}`: stride {} of dimension {} is {} bytes; the tensor memory accelerator needs a "
                                "multiple of {} below 2^40",
                                name, stride, dim, stride * static_cast<std::int64_t>(elementBytes(tensor.type())),
                                kTensorMapGranule));
  }
  return {};
}

TensorMapSource tensorMapSource(const TensorMapLayout &layout, const TensorView &tensor) {
  TensorMapSource out;
  out.type = tensor.type();
  out.rank = static_cast<std::uint32_t>(layout.dims.size());
  out.address = tensor.address();
  out.swizzle = layout.swizzle;
  for (std::size_t i = 0; i < layout.dims.size(); ++i) {
    const std::uint32_t dim = layout.dims[i];
    out.extents[i] = static_cast<std::uint64_t>(tensor.shape()[dim]);
    out.box[i] = layout.box[i];
    if (i == 0)
      continue;
    // Callers may give any stride to a dimension of one element; the encoder still wants a well-formed one.
    const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.strides()[dim]) * elementBytes(out.type);
    out.strides[i - 1] = out.extents[i] > 1 ? bytes : kTensorMapGranule;
  }
  return out;
}

} // namespace attn::runtime
