// Plans: from checked arguments to launches.
#include "attn/Plan.h"

#include "runtime/core/LaunchArguments.h"
#include "runtime/core/ModuleContent.h"
#include "runtime/core/SplitChoice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

namespace attn {

using runtime::BoundArguments;
using runtime::PreparedKernel;
using runtime::PreparedParam;

static constexpr std::size_t kMaxParams = 512; // as the manifest's check has it
static constexpr std::uint64_t kWorkspaceAlignment = 256;

static Status refuse(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

namespace {

/// Values of one kernel's parameters, on the stack, as a launch wants them.
struct PackedParams {
  std::array<std::uint64_t, kMaxParams> values;
  std::array<void *, kMaxParams> pointers;
  std::vector<runtime::TensorMapObject> maps; // as many as there are parameters, or none
};

} // namespace

template <typename T> static void store(std::uint64_t &slot, T value) { std::memcpy(&slot, &value, sizeof value); }

static Status packParam(const PlanManifest &manifest, const PreparedParam &param, const BoundArguments &bound,
                        std::uint64_t &slot) {
  switch (param.kind) {
  case KernelParam::Kind::Pointer: store(slot, bound.tensors[param.index].address()); return {};
  case KernelParam::Kind::Stride: store(slot, bound.tensors[param.index].strides()[param.dim]); return {};
  case KernelParam::Kind::Extent: {
    auto value = param.size.evaluate(bound.lookup());
    if (!value || *value < std::numeric_limits<std::int32_t>::min() || *value > std::numeric_limits<std::int32_t>::max())
      return refuse(fmt::format("the size `{}` does not fit 32 bits here", param.size.text()));
    store(slot, static_cast<std::int32_t>(*value));
    return {};
  }
  case KernelParam::Kind::Scalar:
    if (manifest.scalars[param.index].type == ElementType::F32)
      store(slot, static_cast<float>(bound.scalars[param.index]));
    else
      store(slot, static_cast<std::int32_t>(bound.scalars[param.index]));
    return {};
  case KernelParam::Kind::TensorMap: return refuse("a tensor map does not fit a slot"); // packMap does these
  }
  return {};
}

/// A tensor without elements gets the map of one element somewhere: encoders take no size of 0 and no null address, and
/// kernels copy nothing from a tensor without rows.
static Status packMap(const PlanManifest &manifest, const PreparedParam &param, const BoundArguments &bound,
                      runtime::DeviceDriver &device, runtime::TensorMapObject &map) {
  const TensorView &tensor = bound.tensors[param.index];
  runtime::TensorMapSource source = runtime::tensorMapSource(*param.map, tensor);
  if (tensor.spanBytes().value_or(0) == 0) {
    source.extents.fill(1);
    source.strides.fill(runtime::kTensorMapGranule);
    for (const TensorView &other : bound.tensors)
      if (other.spanBytes().value_or(0) > 0 && other.address() % kWorkspaceAlignment == 0)
        source.address = other.address();
    if (source.address == 0)
      return {}; // nothing at all has elements
  }
  Status status = device.encodeTensorMap(source, map);
  return status.withContext(fmt::format("tensor map of `{}`", manifest.tensors[param.index].name));
}

/// Nothing when the grid is empty.
static Result<std::optional<runtime::LaunchShape>> shapeOf(const KernelManifest &kernel, const BoundArguments &bound,
                                                           const DeviceInfo &device) {
  static constexpr std::array<std::int64_t, 3> kLimits = {std::numeric_limits<std::int32_t>::max(), 65535, 65535};
  runtime::LaunchShape shape{.threads = kernel.threads, .sharedBytes = kernel.sharedBytes};
  bool empty = false;
  for (std::size_t i = 0; i < 3; ++i) {
    auto size = kernel.grid[i].evaluate(bound.lookup());
    if (!size || *size < 0 || *size > kLimits[i])
      return refuse(fmt::format("grid dimension {} of kernel `{}`, `{}`{}, must be in 0..{}", i, kernel.name,
                                kernel.grid[i].text(), size ? fmt::format(" = {}", *size) : "", kLimits[i]));
    shape.grid[i] = static_cast<std::uint32_t>(*size);
    empty |= *size == 0;
  }
  if (std::uint64_t most = std::uint64_t{kernel.blocksPerMultiprocessor} * device.multiprocessors; most > 0)
    shape.grid[0] = static_cast<std::uint32_t>(std::min<std::uint64_t>(shape.grid[0], most));
  return empty ? std::optional<runtime::LaunchShape>() : std::optional(shape);
}

static Status launchKernel(const PlanManifest &manifest, const PreparedKernel &kernel, const BoundArguments &bound,
                           runtime::DeviceDriver &device, void *stream) {
  auto shape = shapeOf(*kernel.manifest, bound, device.info());
  if (!shape)
    return shape.status();
  if (!*shape)
    return {};
  PackedParams packed;
  for (std::size_t i = 0; i < kernel.params.size(); ++i) {
    if (kernel.params[i].kind == KernelParam::Kind::TensorMap) {
      packed.maps.resize(kernel.params.size());
      if (Status status = packMap(manifest, kernel.params[i], bound, device, packed.maps[i]); !status)
        return status;
      packed.pointers[i] = &packed.maps[i];
      continue;
    }
    packed.values[i] = 0;
    if (Status status = packParam(manifest, kernel.params[i], bound, packed.values[i]); !status)
      return status;
    packed.pointers[i] = &packed.values[i];
  }
  return kernel.code->launch(**shape, std::span(packed.pointers).first(kernel.params.size()), stream);
}

/// Chooses the kernels of a plan whose keys may be split, and binds the number of shares.
static Status chooseKernels(const PlanManifest &manifest, const DeviceInfo &device, std::uint32_t asked, BoundArguments &bound) {
  if (asked > runtime::kMostAskedSplits)
    return refuse(fmt::format("splits: {} is more than {}", asked, runtime::kMostAskedSplits));
  if (!manifest.keys)
    return {};
  auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
    for (std::size_t i = 0; i < manifest.scalars.size(); ++i)
      if (manifest.scalars[i].name == name && manifest.scalars[i].type == ElementType::I32)
        return static_cast<std::int64_t>(bound.scalars[i]);
    return bound.extent(name);
  };
  auto choice = runtime::chooseSplit(manifest, number, device.multiprocessors, asked);
  if (!choice)
    return refuse(fmt::format("the size `{}`, by which keys are split, has no value here", manifest.keys->text()));
  bound.isForFewRows = choice->isForFewRows;
  bound.splits = choice->splits;
  bound.extents.push_back({kSplitsExtent, choice->splits, "the launch"});
  return {};
}

static bool isLaunched(KernelUse use, const BoundArguments &bound) {
  switch (use) {
  case KernelUse::Always: return true;
  case KernelUse::Whole: return !bound.isForFewRows;
  case KernelUse::FewRows: return bound.isForFewRows;
  case KernelUse::Ahead:
  case KernelUse::Merge: return bound.isForFewRows && bound.splits > 1;
  }
  return true;
}

/// Everything that is checked before a launch.
static Result<BoundArguments> prepareLaunch(const runtime::PlanContent &plan, const runtime::ModuleContent &module,
                                            const Stream &stream, std::span<const Argument> arguments,
                                            const LaunchOptions &options) {
  if (stream.driver() != module.device)
    return refuse("the stream belongs to another device than the plan");
  Result<BoundArguments> bound = runtime::bindArguments(plan.manifest, plan.extents, arguments);
  if (!bound)
    return bound;
  if (Status status = chooseKernels(plan.manifest, module.device->info(), options.splits, *bound); !status)
    return status;
  Result<std::size_t> workspace = runtime::placeWorkspace(plan.manifest, *bound, options.workspace);
  if (!workspace)
    return workspace.status();
  if (options.workspaceBytes < *workspace)
    return refuse(fmt::format("workspace: the plan needs {} bytes for these shapes, but got {}", *workspace,
                              options.workspaceBytes));
  if (*workspace > 0 && (options.workspace == 0 || options.workspace % kWorkspaceAlignment != 0))
    return refuse(fmt::format("workspace: address {:#x} is null or not aligned to {} bytes", options.workspace,
                              kWorkspaceAlignment));
  if (Status status = runtime::checkPlacement(plan.manifest, *bound); !status)
    return status;
  if (Status status = runtime::checkMemory(plan.manifest, *bound, *module.device, options.checkValues); !status)
    return status;
  return bound;
}

Status Plan::launch(const Stream &stream, std::span<const Argument> arguments, const LaunchOptions &options) const {
  auto context = [&] { return fmt::format("launch of `{}`", plan->manifest.name); };
  Result<BoundArguments> bound = prepareLaunch(*plan, *module, stream, arguments, options);
  if (!bound)
    return bound.status().withContext(context());
  for (const PreparedKernel &kernel : plan->kernels()) {
    if (!isLaunched(kernel.manifest->use, *bound))
      continue;
    if (Status status = launchKernel(plan->manifest, kernel, *bound, *module->device, stream.native()); !status)
      return status.withContext(context());
  }
  return {};
}

Status Plan::launch(const Stream &stream, std::initializer_list<Argument> arguments,
                    const LaunchOptions &options) const {
  return launch(stream, std::span(arguments.begin(), arguments.size()), options);
}

Result<std::size_t> Plan::workspaceBytes(std::span<const Argument> arguments, std::uint32_t splits) const {
  Result<BoundArguments> bound = runtime::bindArguments(plan->manifest, plan->extents, arguments);
  Status chosen = bound ? chooseKernels(plan->manifest, module->device->info(), splits, *bound) : bound.status();
  Result<std::size_t> bytes = chosen ? runtime::placeWorkspace(plan->manifest, *bound, 0) : chosen;
  return bytes ? bytes : bytes.status().withContext(fmt::format("workspace of `{}`", plan->manifest.name));
}

Result<std::size_t> Plan::workspaceBytes(std::initializer_list<Argument> arguments, std::uint32_t splits) const {
  return workspaceBytes(std::span(arguments.begin(), arguments.size()), splits);
}

std::string_view Plan::name() const { return plan->manifest.name; }
std::string_view Plan::target() const { return plan->manifest.target; }
const PlanManifest &Plan::manifest() const { return plan->manifest; }

std::vector<ArgumentInfo> Plan::arguments() const {
  std::vector<ArgumentInfo> out;
  for (const TensorArgument &tensor : plan->manifest.tensors) {
    if (tensor.role == ArgumentRole::Workspace)
      continue;
    ArgumentInfo info{.name = tensor.name, .type = tensor.type};
    info.kind = tensor.role == ArgumentRole::Input ? ArgumentInfo::Kind::Input : ArgumentInfo::Kind::Output;
    for (const SizeExpr &dim : tensor.dims)
      info.dims.push_back(dim.text());
    out.push_back(std::move(info));
  }
  for (const ScalarArgument &scalar : plan->manifest.scalars)
    out.push_back({.name = scalar.name,
                   .kind = ArgumentInfo::Kind::Scalar,
                   .type = scalar.type,
                   .optional = scalar.defaultValue.has_value()});
  return out;
}

} // namespace attn
