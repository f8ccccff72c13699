#include "tools/attnc/PlanRun.h"

#include "attn/Stream.h"
#include "tools/attnc/RequestLengths.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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
  std::string_view hint = bothFloat ? " (--cast rounds it)" : argument.type == ElementType::Bool ? ": an array of truths (numpy: `astype(bool)`)" : "";
  return invalid(fmt::format("`{}`: is {}, the specification wants {}{}", argument.name, spelling(tensor.type), spelling(argument.type), hint));
}

/// True when `size` is the given number, binding a bare name that is still free. Expressions are checked later.
static Status bindDim(const SizeExpr &size, std::int64_t actual, const std::string &where, std::map<std::string, std::int64_t> &extents) {
  std::optional<std::string_view> name = size.asName();
  if (name && !extents.contains(std::string(*name))) {
    extents.emplace(std::string(*name), actual);
    return {};
  }
  if (size.kind() == SizeExpr::Kind::Add && size.rhs().constant()) // `batch + 1`
    if (auto shifted = size.lhs().asName(); shifted && !extents.contains(std::string(*shifted))) {
      extents.emplace(std::string(*shifted), actual - *size.rhs().constant());
      return {};
    }
  std::optional<std::int64_t> wanted = size.evaluate([&](std::string_view key) -> std::optional<std::int64_t> {
    auto found = extents.find(std::string(key));
    return found == extents.end() ? std::nullopt : std::optional(found->second);
  });
  if (wanted && *wanted != actual)
    return invalid(size.constant() ? fmt::format("{} is {}, but is {} in the specification", where, actual, *wanted)
                                   : fmt::format("{} is {}, but `{}` is {}", where, actual, size.text(), *wanted));
  return {};
}

/// Of a key or value with other heads than the query, where the specification has one number for both: they share heads, or the
/// query's dimensions are in another order.
static std::string_view hintOfHeads(const TensorArgument &argument, std::size_t d, std::int64_t actual, std::int64_t queryHeads) {
  bool isOfKeys = argument.name == "key" || argument.name == "value";
  if (!isOfKeys || argument.dims[d].text() != "q_heads")
    return "";
  bool areShared = actual > 0 && queryHeads % actual == 0;
  return areShared ? "; `kv_heads: any` in the specification lets key and value have fewer heads"
                   : "; `layout: bshd` has the rows before the heads, `bhsd` the heads before the rows";
}

/// A scalar that neither the specification nor `--shape` gives a value.
static Status checkScalars(const PlanManifest &manifest, const PlanInputs &inputs) {
  for (const ScalarArgument &scalar : manifest.scalars)
    if (!scalar.defaultValue && !inputs.values.contains(scalar.name))
      return invalid(fmt::format("`{}` is missing: {} without a default; `--shape {}=…` gives it", scalar.name, spelling(scalar.type), scalar.name));
  return {};
}

Result<std::map<std::string, std::int64_t>> bindExtents(const PlanManifest &manifest, const PlanInputs &inputs) {
  if (Status status = checkScalars(manifest, inputs); !status)
    return status;
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
          return invalid(status.message() + std::string(hintOfHeads(argument, d, shape[d], extents.contains("q_heads") ? extents.at("q_heads") : 0)));
      }
    }
  return extents;
}

/// What fills the gaps of inputs (a NaN in every floating type, -1 in integers), and outputs before the launch.
static constexpr std::byte kGap{0xFF};

static std::int64_t unitBytes(ElementType type) { return std::max(1U, type == ElementType::Bit ? 4 : storageBits(type) / 8); }

static std::vector<std::int64_t> stridesOf(const TensorArgument &argument, const std::vector<std::int64_t> &shape, MemoryOrder order) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  if (shape.empty())
    return strides;
  std::int64_t unit = unitBytes(argument.type);
  std::int64_t step = argument.type == ElementType::Bit ? (shape.back() + 31) / 32 : shape.back();
  auto outer = static_cast<std::int64_t>(shape.size()) - 1;
  for (std::int64_t i = 0; i < outer; ++i) {
    std::int64_t d = order == MemoryOrder::Gaps ? i : outer - 1 - i;
    if (order == MemoryOrder::Gaps) { // no more aligned than the plan asks for
      std::int64_t multiple = std::max<std::int64_t>(1, argument.alignment / unit);
      step = (step / multiple + 1) * multiple;
    }
    strides[static_cast<std::size_t>(d)] = step;
    step *= std::max<std::int64_t>(1, shape[static_cast<std::size_t>(d)]);
  }
  return strides;
}

/// Calls `visit(packed, placed)` with the byte offsets of each row along the last dimension, packed and in memory.
template <class Visit> static void forEachRow(const Placement &tensor, Visit visit) {
  std::int64_t rows = 1, unit = unitBytes(tensor.argument->type);
  std::size_t outer = tensor.shape.empty() ? 0 : tensor.shape.size() - 1;
  for (std::size_t d = 0; d < outer; ++d)
    rows *= tensor.shape[d];
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t rest = row, place = 0;
    for (std::size_t d = outer; d-- > 0; rest /= tensor.shape[d])
      place += rest % tensor.shape[d] * tensor.strides[d];
    visit(static_cast<std::size_t>(row * tensor.rowBytes), static_cast<std::size_t>(place * unit));
  }
}

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

static std::size_t spanBytes(const Placement &tensor) {
  std::size_t end = 0;
  forEachRow(tensor, [&](std::size_t, std::size_t place) { end = std::max(end, place + static_cast<std::size_t>(tensor.rowBytes)); });
  return end;
}

static Result<DeviceTensor> makeDeviceTensor(const Device &device, const TensorArgument &argument, const PlanInputs &inputs,
                                             const std::map<std::string, std::int64_t> &extents, MemoryOrder order) {
  Result<std::vector<std::int64_t>> shape = shapeOf(argument, extents);
  if (!shape)
    return shape.status();
  bool isInput = argument.role == ArgumentRole::Input;
  const HostTensor host = isInput ? inputs.tensors.find(argument.name)->second : HostTensor(argument.type, *shape);
  Placement placement{&argument, *shape, stridesOf(argument, *shape, order), host.rowBytes()};
  std::vector<std::byte> image(spanBytes(placement), kGap);
  Result<Buffer> buffer = Buffer::allocate(device, image.size());
  if (!buffer)
    return buffer.status().withContext(argument.name);
  if (isInput)
    forEachRow(placement, [&](std::size_t packed, std::size_t place) {
      std::memcpy(image.data() + place, host.bytes.data() + packed, static_cast<std::size_t>(host.rowBytes()));
    });
  // Contiguous outputs stay unwritten, so that the virtual GPU sees reads of what no kernel wrote.
  if (!image.empty() && (isInput || order == MemoryOrder::Gaps))
    if (Status status = buffer->upload(image); !status)
      return status.withContext(argument.name);
  return DeviceTensor{std::move(placement), std::move(*buffer)};
}

static Result<HostTensor> readBack(const DeviceTensor &tensor) {
  const Placement &placement = tensor.placement;
  HostTensor host(placement.argument->type, placement.shape);
  std::vector<std::byte> image(tensor.buffer.size());
  if (image.empty())
    return host;
  if (Status status = tensor.buffer.download(image); !status)
    return status.withContext(placement.argument->name);
  forEachRow(placement, [&](std::size_t packed, std::size_t place) {
    std::memcpy(host.bytes.data() + packed, image.data() + place, static_cast<std::size_t>(placement.rowBytes));
    std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(place), placement.rowBytes, kGap);
  });
  auto written = std::find_if(image.begin(), image.end(), [](std::byte byte) { return byte != kGap; });
  if (written != image.end())
    return Status(StatusCode::DeviceError,
                  fmt::format("`{}`: byte {} lies between rows and was written", placement.argument->name, written - image.begin()));
  return host;
}

/// Tensors by address, and numbers of the type that the plan takes.
static std::vector<Argument> launchArguments(const PlanManifest &manifest, const std::vector<DeviceTensor> &tensors,
                                             const std::map<std::string, double> &values) {
  std::vector<Argument> arguments;
  for (const auto &[placement, buffer] : tensors)
    arguments.emplace_back(placement.argument->name,
                           TensorView(buffer.address(), placement.argument->type, Dims(placement.shape), Dims(placement.strides)));
  for (const auto &[name, value] : values) {
    ElementType type = ElementType::I32;
    for (const ScalarArgument &scalar : manifest.scalars)
      if (scalar.name == name)
        type = scalar.type;
    if (type == ElementType::F32)
      arguments.emplace_back(name, value);
    else if (type == ElementType::Bool)
      arguments.emplace_back(name, value != 0);
    else
      arguments.emplace_back(name, static_cast<std::int64_t>(value));
  }
  return arguments;
}

Result<PlanLaunch> PlanLaunch::prepare(const Device &device, const Plan &plan, const PlanInputs &given, MemoryOrder order) {
  const PlanManifest &manifest = plan.manifest();
  PlanInputs inputs = given;
  addLongestLengths(manifest, inputs);
  Result<std::map<std::string, std::int64_t>> extents = bindExtents(manifest, inputs);
  if (!extents)
    return extents.status();
  PlanLaunch launch(plan);
  for (const TensorArgument &argument : manifest.tensors) {
    if (argument.role == ArgumentRole::Workspace)
      continue;
    Result<DeviceTensor> tensor = makeDeviceTensor(device, argument, inputs, *extents, order);
    if (!tensor)
      return tensor.status();
    launch.tensors.push_back(std::move(*tensor));
  }
  for (const auto &[name, value] : inputs.values)
    launch.values.emplace(name, value);
  launch.arguments = launchArguments(manifest, launch.tensors, launch.values);
  launch.splits = inputs.splits;
  Result<std::size_t> workspaceBytes = plan.workspaceBytes(launch.arguments, launch.splits);
  if (!workspaceBytes)
    return workspaceBytes.status();
  Result<Buffer> workspace = Buffer::allocate(device, *workspaceBytes);
  if (!workspace)
    return workspace.status().withContext("workspace");
  launch.workspace.emplace(std::move(*workspace));
  launch.workspaceBytes = *workspaceBytes;
  return launch;
}

Status PlanLaunch::enqueue(const Stream &stream, bool checkValues) const {
  return plan.launch(stream, arguments,
                     {.workspace = workspace->address(), .workspaceBytes = workspaceBytes, .checkValues = checkValues, .splits = splits});
}

std::size_t PlanLaunch::tensorBytes() const {
  std::size_t bytes = 0;
  for (const DeviceTensor &tensor : tensors)
    bytes += tensor.buffer.size();
  return bytes;
}

Result<NamedTensors> PlanLaunch::outputs() const {
  NamedTensors outputs;
  for (const DeviceTensor &tensor : tensors) {
    if (tensor.placement.argument->role != ArgumentRole::Output)
      continue;
    Result<HostTensor> host = readBack(tensor);
    if (!host)
      return host.status();
    outputs.emplace(tensor.placement.argument->name, std::move(*host));
  }
  return outputs;
}

Result<NamedTensors> runPlan(const Device &device, const Plan &plan, const PlanInputs &inputs, MemoryOrder order) {
  Result<PlanLaunch> launch = PlanLaunch::prepare(device, plan, inputs, order);
  if (!launch)
    return launch.status();
  Stream stream = Stream::defaultOf(device);
  if (Status status = launch->enqueue(stream); !status)
    return status;
  if (Status status = stream.synchronize(); !status)
    return status;
  return launch->outputs();
}

} // namespace attn::tools
