#include "tools/attnc/PlanRun.h"

#include "attn/Stream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

namespace attn::tools {

static Status invalid(std::string message) { return Status(StatusCode::InvalidArgument, std::move(message)); }

Result<HostTensor> fitTensor(const HostTensor &tensor, const TensorArgument &argument, bool cast) {
  if (tensor.type == argument.type)
    return tensor;
  if (argument.type == ElementType::Bit && tensor.type == ElementType::Bool)
    return tensor.converted(ElementType::Bit);
  if (argument.type == ElementType::Bit && tensor.type == ElementType::I32 && !tensor.shape.empty()) {
    HostTensor words = tensor;                                      // rows packed already, lowest bit first
    words.type = ElementType::Bit;
    words.shape.back() *= 32;
    return words;
  }
  bool bothFloat = isFloat(tensor.type) && isFloat(argument.type);
  bool widening = bothFloat && storageBits(tensor.type) < storageBits(argument.type);
  if (widening || (bothFloat && cast))
    return tensor.converted(argument.type);
  return invalid(fmt::format("`{}`: is {}, the specification wants {}{}", argument.name, spelling(tensor.type), spelling(argument.type),
                             bothFloat ? " (--cast rounds it)" : ""));
}

/// True when `size` is the given number, binding a bare name that is still free. Expressions are checked later.
static Status bindDim(const SizeExpr &size, std::int64_t actual, const std::string &where, std::map<std::string, std::int64_t> &extents) {
  std::optional<std::string_view> name = size.asName();
  if (name && !extents.contains(std::string(*name))) {
    extents.emplace(std::string(*name), actual);
    return {};
  }
  std::optional<std::int64_t> wanted = size.evaluate([&](std::string_view key) -> std::optional<std::int64_t> {
    auto found = extents.find(std::string(key));
    return found == extents.end() ? std::nullopt : std::optional(found->second);
  });
  if (wanted && *wanted != actual)
    return invalid(fmt::format("{} is {}, but `{}` is {}", where, actual, size.text(), *wanted));
  return {};
}

Result<std::map<std::string, std::int64_t>> bindExtents(const PlanManifest &manifest, const PlanInputs &inputs) {
  std::map<std::string, std::int64_t> extents;
  std::set<std::string> scalars;
  for (const ScalarArgument &scalar : manifest.scalars)
    scalars.insert(scalar.name);
  for (const auto &[name, value] : inputs.values)
    if (!scalars.contains(name)) {
      if (value != std::floor(value) || value < 0)
        return invalid(fmt::format("`{}` is {}: an extent is a number of things", name, value));
      extents.emplace(name, static_cast<std::int64_t>(value));
    }
  for (int round = 0; round < 2; ++round)                           // the second round sees every name bound
    for (const TensorArgument &argument : manifest.tensors) {
      if (argument.role != ArgumentRole::Input)
        continue;
      auto found = inputs.tensors.find(argument.name);
      if (found == inputs.tensors.end()) {
        std::vector<std::string> dims;
        for (const SizeExpr &dim : argument.dims)
          dims.push_back(dim.text());
        return invalid(fmt::format("input `{}` is missing: {}[{}]", argument.name, spelling(argument.type), fmt::join(dims, ", ")));
      }
      const std::vector<std::int64_t> &shape = found->second.shape;
      if (shape.size() != argument.dims.size())
        return invalid(fmt::format("`{}` has {} dimensions, the specification wants {}", argument.name, shape.size(), argument.dims.size()));
      for (std::size_t d = 0; d < shape.size(); ++d) {
        if (argument.type == ElementType::Bit && d + 1 == shape.size())
          continue;                                                 // packed words round the last size up
        if (Status status = bindDim(argument.dims[d], shape[d], fmt::format("dimension {} of `{}`", d, argument.name), extents); !status)
          return status;
      }
    }
  return extents;
}

namespace {
struct DeviceTensor {
  const TensorArgument *argument;
  std::vector<std::int64_t> shape;
  Buffer buffer;
};
} // namespace

static Result<std::vector<std::int64_t>> shapeOf(const TensorArgument &argument, const std::map<std::string, std::int64_t> &extents) {
  std::vector<std::int64_t> shape;
  for (const SizeExpr &dim : argument.dims) {
    std::optional<std::int64_t> size = dim.evaluate([&](std::string_view key) -> std::optional<std::int64_t> {
      auto found = extents.find(std::string(key));
      return found == extents.end() ? std::nullopt : std::optional(found->second);
    });
    if (!size)
      return invalid(fmt::format("size `{}` of `{}` is not known; give it with --shape", dim.text(), argument.name));
    if (*size < 0 || *size > (std::int64_t(1) << 32))
      return invalid(fmt::format("size `{}` of `{}` is {}", dim.text(), argument.name, *size));
    shape.push_back(*size);
  }
  return shape;
}

static Result<DeviceTensor> makeDeviceTensor(const Device &device, const TensorArgument &argument, const PlanInputs &inputs,
                                             const std::map<std::string, std::int64_t> &extents) {
  Result<std::vector<std::int64_t>> shape = shapeOf(argument, extents);
  if (!shape)
    return shape.status();
  auto given = inputs.tensors.find(argument.name);
  bool isInput = argument.role == ArgumentRole::Input;
  std::size_t bytes = isInput ? given->second.bytes.size() : HostTensor(argument.type, *shape).bytes.size();
  Result<Buffer> buffer = Buffer::allocate(device, bytes);
  if (!buffer)
    return buffer.status().withContext(argument.name);
  if (isInput && bytes)
    if (Status status = buffer->upload(given->second.bytes); !status)
      return status.withContext(argument.name);
  return DeviceTensor{&argument, std::move(*shape), std::move(*buffer)};
}

Result<NamedTensors> runPlan(const Device &device, const Plan &plan, const PlanInputs &inputs) {
  const PlanManifest &manifest = plan.manifest();
  Result<std::map<std::string, std::int64_t>> extents = bindExtents(manifest, inputs);
  if (!extents)
    return extents.status();
  std::vector<DeviceTensor> tensors;
  for (const TensorArgument &argument : manifest.tensors) {
    if (argument.role == ArgumentRole::Workspace)
      continue;
    Result<DeviceTensor> tensor = makeDeviceTensor(device, argument, inputs, *extents);
    if (!tensor)
      return tensor.status();
    tensors.push_back(std::move(*tensor));
  }
  std::vector<Argument> arguments;
  for (const DeviceTensor &tensor : tensors)
    arguments.emplace_back(tensor.argument->name, tensor.buffer.view(tensor.argument->type, Dims(tensor.shape)));
  for (const auto &[name, value] : inputs.values) {
    bool isFloat = false;
    for (const ScalarArgument &scalar : manifest.scalars)
      isFloat |= scalar.name == name && scalar.type == ElementType::F32;
    if (isFloat)
      arguments.emplace_back(name, value);
    else
      arguments.emplace_back(name, static_cast<std::int64_t>(value));
  }
  Result<std::size_t> workspaceBytes = plan.workspaceBytes(arguments);
  if (!workspaceBytes)
    return workspaceBytes.status();
  Result<Buffer> workspace = Buffer::allocate(device, *workspaceBytes);
  if (!workspace)
    return workspace.status().withContext("workspace");
  Stream stream = Stream::defaultOf(device);
  if (Status status = plan.launch(stream, arguments, {.workspace = workspace->address(), .workspaceBytes = *workspaceBytes}); !status)
    return status;
  if (Status status = stream.synchronize(); !status)
    return status;
  NamedTensors outputs;
  for (const DeviceTensor &tensor : tensors) {
    if (tensor.argument->role != ArgumentRole::Output)
      continue;
    HostTensor host(tensor.argument->type, tensor.shape);
    if (!host.bytes.empty())
      if (Status status = tensor.buffer.download(host.bytes); !status)
        return status.withContext(tensor.argument->name);
    outputs.emplace(tensor.argument->name, std::move(host));
  }
  return outputs;
}

} // namespace attn::tools
