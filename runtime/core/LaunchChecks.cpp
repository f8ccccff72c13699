// Checks of where tensors lie and, where the host can see it, of what they hold; and the layout of the workspace.
#include "attn/Float.h"
#include "runtime/core/LaunchArguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace attn::runtime {

static constexpr std::uint64_t kWorkspaceAlignment = 256;

static Status refuse(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

/// Bytes of what a stride counts: an element, or the 32-bit word of bit rows.
static std::int64_t unitBytes(ElementType type) { return type == ElementType::Bit ? 4 : storageBits(type) / 8; }

static Status checkStrides(const TensorArgument &expected, const TensorView &tensor) {
  const std::size_t last = expected.dims.size() - 1;
  for (std::size_t d = 0; d <= last; ++d) {
    std::int64_t extent = tensor.shape()[d], stride = tensor.strides()[d];
    if (extent <= 1)
      continue; // never stepped over
    if (stride < 0)
      return refuse(fmt::format("`{}`: stride {} of dimension {} is negative", expected.name, stride, d));
    if (d == last) {
      if (stride != 1)
        return refuse(fmt::format("`{}`: the last dimension must be contiguous, but its stride is {}", expected.name,
                                  stride));
      continue;
    }
    if (stride == 0 && expected.role == ArgumentRole::Output)
      return refuse(fmt::format("`{}`: stride 0 of dimension {} would write {} values to one place", expected.name, d,
                                extent));
    if (stride * unitBytes(expected.type) % expected.alignment != 0)
      return refuse(fmt::format("`{}`: stride {} of dimension {} is {} bytes, which is no multiple of {}",
                                expected.name, stride, d, stride * unitBytes(expected.type), expected.alignment));
  }
  return {};
}

/// What tensor maps want beyond the alignment of their tensors.
static Status checkTensorMaps(const PlanManifest &manifest, const BoundArguments &bound) {
  for (const KernelManifest &kernel : manifest.kernels)
    for (const KernelParam &param : kernel.params) {
      if (param.kind != KernelParam::Kind::TensorMap)
        continue;
      const auto index = static_cast<std::size_t>(manifest.tensor(param.name) - manifest.tensors.data());
      if (bound.tensors[index].spanBytes().value_or(0) == 0)
        continue;
      if (Status status = checkTensorMap(param.name, param.map, bound.tensors[index]); !status)
        return status;
    }
  return {};
}

Status checkPlacement(const PlanManifest &manifest, const BoundArguments &bound) {
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    const TensorArgument &expected = manifest.tensors[i];
    const TensorView &tensor = bound.tensors[i];
    if (expected.role == ArgumentRole::Workspace)
      continue;
    auto bytes = tensor.spanBytes();
    if (bytes && *bytes == 0)
      continue; // no element, so neither address nor strides are ever used
    if (Status status = checkStrides(expected, tensor); !status)
      return status;
    if (!bytes)
      return refuse(fmt::format("`{}`: shape [{}] with strides [{}] does not fit 64-bit addresses", expected.name,
                                fmt::join(tensor.shape().values(), ", "), fmt::join(tensor.strides().values(), ", ")));
    if (tensor.address() == 0)
      return refuse(fmt::format("`{}`: its address is null", expected.name));
    if (tensor.address() % expected.alignment != 0)
      return refuse(fmt::format("`{}`: address {:#x} is not aligned to {} bytes", expected.name, tensor.address(),
                                expected.alignment));
    if (expected.role != ArgumentRole::Output)
      continue;
    for (std::size_t j = 0; j < manifest.tensors.size(); ++j)
      if (j != i && bound.tensors[j].address() == tensor.address() && bound.tensors[j].spanBytes().value_or(0) > 0)
        return refuse(fmt::format("`{}` and `{}` lie at the same address {:#x}", expected.name,
                                  manifest.tensors[j].name, tensor.address()));
  }
  return checkTensorMaps(manifest, bound);
}

template <typename T> static T readAs(const std::byte *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

static double readElement(ElementType type, const std::byte *bytes) {
  switch (type) {
  case ElementType::F64: return readAs<double>(bytes);
  case ElementType::F32: return readAs<float>(bytes);
  case ElementType::BF16: return widenBF16(readAs<std::uint16_t>(bytes));
  case ElementType::F16: return widenF16(readAs<std::uint16_t>(bytes));
  case ElementType::E4M3: return widenE4M3(readAs<std::uint8_t>(bytes));
  case ElementType::E5M2: return widenE5M2(readAs<std::uint8_t>(bytes));
  case ElementType::I32: return readAs<std::int32_t>(bytes);
  case ElementType::I16: return readAs<std::int16_t>(bytes);
  case ElementType::I8: return readAs<std::int8_t>(bytes);
  case ElementType::Bool: return readAs<std::uint8_t>(bytes);
  case ElementType::Bit: break; // bits promise nothing
  }
  return 0;
}

/// Calls `visit(row, indices)` for each row along the last dimension until it returns a failure.
template <typename Visit> static Status forEachRow(const TensorView &tensor, const std::byte *data, Visit visit) {
  const std::size_t outer = tensor.shape().rank() - 1;
  Dims index(tensor.shape());
  for (std::size_t d = 0; d < outer; ++d)
    index[d] = 0;
  while (true) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < outer; ++d)
      offset += index[d] * tensor.strides()[d];
    if (Status status = visit(data + offset * unitBytes(tensor.type()), index.values().first(outer)); !status)
      return status;
    std::size_t d = outer;
    while (d > 0 && ++index[d - 1] == tensor.shape()[d - 1])
      index[--d] = 0;
    if (d == 0)
      return {};
  }
}

/// Numbers of row `row` that count; all unless the tensor's rows are counted. `counts` is null where the host cannot see it.
static std::int64_t countedNumbers(const TensorArgument &expected, const TensorView &tensor, const std::byte *counts, std::int64_t row) {
  const std::int64_t all = tensor.shape()[tensor.shape().rank() - 1];
  if (expected.countedBy.empty())
    return all;
  if (!counts)
    return 0;
  const std::int64_t length = readAs<std::int32_t>(counts + row * static_cast<std::int64_t>(sizeof(std::int32_t)));
  return std::clamp<std::int64_t>((length + expected.countUnit - 1) / expected.countUnit, 0, all);
}

static Status checkPromises(const TensorArgument &expected, const TensorView &tensor, const std::byte *data,
                            const std::byte *counts, const BoundArguments &bound) {
  double lo = -HUGE_VAL, hi = HUGE_VAL;
  if (expected.range) {
    auto low = expected.range->lo.evaluate(bound.lookup()), high = expected.range->hi.evaluate(bound.lookup());
    if (!low || !high)
      return refuse(fmt::format("`{}`: its range `{}..{}` has no value here", expected.name, expected.range->lo.text(),
                                expected.range->hi.text()));
    lo = static_cast<double>(*low);
    hi = static_cast<double>(*high);
  }
  double mostStep = HUGE_VAL;
  if (expected.mostStep)
    if (auto step = expected.mostStep->evaluate(bound.lookup()))
      mostStep = static_cast<double>(*step);
  return forEachRow(tensor, data, [&](const std::byte *row, std::span<const std::int64_t> outer) -> Status {
    double previous = -HUGE_VAL;
    const std::int64_t count = countedNumbers(expected, tensor, counts, outer.empty() ? 0 : outer[0]);
    for (std::int64_t i = 0; i < count; ++i) {
      double value = readElement(tensor.type(), row + i * unitBytes(tensor.type()));
      std::string separator = outer.empty() ? "" : ", ";
      if (expected.range && !(value >= lo && value <= hi))
        return refuse(fmt::format("`{}`: value {} at [{}{}{}] is out of its range {}..{}", expected.name, value,
                                  fmt::join(outer, ", "), separator, i, lo, hi));
      if (expected.ascending && value < previous)
        return refuse(fmt::format("`{}` must ascend, but {} at [{}{}{}] follows {}", expected.name, value,
                                  fmt::join(outer, ", "), separator, i, previous));
      if (i > 0 && value - previous > mostStep)
        return refuse(fmt::format("`{}`: {} at [{}{}{}] is {} above the one before it, but `{}` is {}", expected.name, value,
                                  fmt::join(outer, ", "), separator, i, value - previous, expected.mostStep->text(), mostStep));
      previous = value;
    }
    return {};
  });
}

Status checkMemory(const PlanManifest &manifest, const BoundArguments &bound, DeviceDriver &device, bool checkValues) {
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    const TensorArgument &expected = manifest.tensors[i];
    const TensorView &tensor = bound.tensors[i];
    auto bytes = tensor.spanBytes();
    if (!bytes || *bytes == 0)
      continue;
    Result<const std::byte *> data = device.hostView(tensor.address(), *bytes);
    if (!data)
      return data.status().withContext(fmt::format("`{}`", expected.name));
    bool promises = expected.role == ArgumentRole::Input && expected.type != ElementType::Bit &&
                    (expected.range || expected.ascending || expected.mostStep);
    if (!checkValues || !*data || !promises)
      continue;
    const std::byte *counts = nullptr;
    if (!expected.countedBy.empty()) {
      const TensorView &lengths = bound.tensors[static_cast<std::size_t>(manifest.tensor(expected.countedBy) - manifest.tensors.data())];
      if (auto size = lengths.spanBytes(); size && *size > 0)
        if (Result<const std::byte *> seen = device.hostView(lengths.address(), *size))
          counts = *seen;
    }
    if (Status status = checkPromises(expected, tensor, *data, counts, bound); !status)
      return status;
  }
  return {};
}

Result<std::size_t> placeWorkspace(const PlanManifest &manifest, BoundArguments &bound, std::uint64_t address) {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    const TensorArgument &tensor = manifest.tensors[i];
    if (tensor.role != ArgumentRole::Workspace)
      continue;
    std::vector<std::int64_t> shape;
    for (const SizeExpr &dim : tensor.dims) {
      auto extent = dim.evaluate(bound.lookup());
      if (!extent || *extent < 0)
        return refuse(fmt::format("workspace `{}`: its size `{}` has no value here", tensor.name, dim.text()));
      shape.push_back(*extent);
    }
    TensorView view(address + end, tensor.type, shape);
    auto bytes = view.spanBytes();
    if (!bytes || *bytes > (std::uint64_t{1} << 62) - end)
      return refuse(fmt::format("workspace `{}` of shape [{}] is too large", tensor.name, fmt::join(shape, ", ")));
    bound.tensors[i] = view;
    end += (*bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  }
  return static_cast<std::size_t>(end);
}

} // namespace attn::runtime
