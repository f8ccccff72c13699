// Modules: choosing the code for a device, and bringing it there.
#include "attn/Module.h"

#include "attn/Package.h"
#include "runtime/core/ModuleContent.h"
#include "support/GpuTarget.h"
#include "support/NearestName.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace attn {

using runtime::ModuleContent;
using runtime::PlanContent;

namespace runtime {

std::vector<std::string> extentsOf(const PlanManifest &manifest) {
  std::vector<std::string> names;
  auto collect = [&](const SizeExpr &expr) {
    for (std::string &name : expr.names())
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(std::move(name));
  };
  auto collectRange = [&](const std::optional<ValueRange> &range) {
    if (range) {
      collect(range->lo);
      collect(range->hi);
    }
  };
  for (const TensorArgument &tensor : manifest.tensors) {
    std::for_each(tensor.dims.begin(), tensor.dims.end(), collect);
    collectRange(tensor.range);
    if (tensor.mostStep)
      collect(*tensor.mostStep);
  }
  for (const ScalarArgument &scalar : manifest.scalars)
    collectRange(scalar.range);
  for (const ExtentCheck &check : manifest.checks)
    collect(check.mustBeZero);
  for (const KernelManifest &kernel : manifest.kernels) {
    std::for_each(kernel.grid.begin(), kernel.grid.end(), collect);
    for (const KernelParam &param : kernel.params)
      if (param.kind == KernelParam::Kind::Extent)
        collect(*SizeExpr::parse(param.name)); // a parsed manifest's sizes parse
  }
  if (manifest.keys) {
    collect(*manifest.keys);
    std::erase(names, kSplitsExtent); // the launch's own choice
  }
  return names;
}

template <typename List> static std::size_t indexOf(const List &list, std::string_view name) {
  auto found = std::find_if(list.begin(), list.end(), [&](const auto &item) { return item.name == name; });
  return static_cast<std::size_t>(found - list.begin());
}

static PreparedParam prepare(const PlanManifest &manifest, const KernelParam &param) {
  PreparedParam out{.kind = param.kind, .dim = param.dim};
  if (param.kind == KernelParam::Kind::Extent)
    out.size = *SizeExpr::parse(param.name);
  else if (param.kind == KernelParam::Kind::Scalar)
    out.index = indexOf(manifest.scalars, param.name);
  else
    out.index = indexOf(manifest.tensors, param.name);
  if (param.kind == KernelParam::Kind::TensorMap)
    out.map = &param.map;
  return out;
}

Status PlanContent::ensureLoaded(DeviceDriver &device) const {
  std::call_once(once, [&] { outcome = load(device).withContext(fmt::format("loading `{}`", manifest.name)); });
  return outcome;
}

Status PlanContent::load(DeviceDriver &device) const {
  for (const KernelManifest &kernel : manifest.kernels)
    if (kernel.sharedBytes > device.info().sharedBytesPerBlock)
      return {StatusCode::Unsupported,
              fmt::format("shared memory: kernel `{}` needs {} bytes a block, `{}` ({}) allows {}", kernel.name,
                          kernel.sharedBytes, device.info().name, device.info().description,
                          device.info().sharedBytesPerBlock)};
  auto loaded = device.load({.name = manifest.name, .target = manifest.target, .ptx = ptx, .cubin = cubin});
  if (!loaded)
    return loaded.status();
  code = std::move(*loaded);
  for (const KernelManifest &kernel : manifest.kernels) {
    Result<std::unique_ptr<DeviceKernel>> entry = code->kernel(kernel);
    if (!entry)
      return entry.status();
    PreparedKernel &out = prepared.emplace_back();
    out.manifest = &kernel;
    out.code = std::move(*entry);
    for (const KernelParam &param : kernel.params)
      out.params.push_back(prepare(manifest, param));
  }
  return {};
}

} // namespace runtime

static Result<std::unique_ptr<PlanContent>> makePlan(std::string_view manifestJson, std::string_view ptx,
                                                     std::span<const std::byte> cubin) {
  std::string error;
  auto manifest = parseManifest(manifestJson, &error);
  if (!manifest)
    return Status(StatusCode::Corrupt, error);
  auto plan = std::make_unique<PlanContent>();
  plan->extents = runtime::extentsOf(*manifest);
  plan->manifest = std::move(*manifest);
  plan->ptx = ptx;
  plan->cubin.assign(cubin.begin(), cubin.end());
  return plan;
}

/// Higher is better; nothing when code for `target` does not run on the device.
static std::optional<unsigned> suitability(std::string_view target, const DeviceInfo &device) {
  const GpuTarget *row = findGpuTarget(target);
  if (!row || !row->runsOn(device.computeCapability))
    return std::nullopt;
  return row->computeCapability + (row->architectureSpecific ? 1000 : 0);
}

Result<Module> Module::load(const Device &device, const Package &package) {
  auto content = std::make_shared<ModuleContent>();
  content->device = device.driver();
  std::vector<std::string> names;
  for (const PackageEntry &entry : package.entries())
    if (std::find(names.begin(), names.end(), entry.plan) == names.end())
      names.push_back(entry.plan);
  for (const std::string &name : names) {
    const PackageEntry *best = nullptr;
    unsigned bestRank = 0;
    std::vector<std::string_view> targets;
    for (const PackageEntry &entry : package.entries()) {
      if (entry.plan != name)
        continue;
      targets.push_back(entry.target);
      auto rank = suitability(entry.target, device.info());
      if (rank && (!best || *rank > bestRank)) {
        best = &entry;
        bestRank = *rank;
      }
    }
    if (!best)
      return Status(StatusCode::Unsupported,
                    fmt::format("plan `{}`: the package has code for {}, none of which runs on `{}` ({})", name,
                                fmt::join(targets, ", "), device.info().name, device.info().description));
    auto plan = makePlan(best->manifestJson, best->ptx, best->cubin);
    if (!plan)
      return plan.status().withContext(fmt::format("plan `{}`", name));
    content->plans.push_back(std::move(*plan));
  }
  return Module(std::move(content));
}

Result<Module> Module::load(const Device &device, const std::string &packagePath) {
  Result<Package> package = Package::read(packagePath);
  if (!package)
    return package.status();
  Result<Module> module = load(device, *package);
  return module ? std::move(module) : module.status().withContext(packagePath);
}

Result<Module> Module::fromPtx(const Device &device, std::string_view ptx, std::string_view manifestJson) {
  auto plan = makePlan(manifestJson, ptx, {});
  if (!plan)
    return plan.status();
  const PlanManifest &manifest = (*plan)->manifest;
  if (findGpuTarget(manifest.target) && !suitability(manifest.target, device.info()))
    return Status(StatusCode::Unsupported,
                  fmt::format("plan `{}`: code for {} does not run on `{}` ({})", manifest.name, manifest.target,
                              device.info().name, device.info().description));
  auto content = std::make_shared<ModuleContent>();
  content->device = device.driver();
  content->plans.push_back(std::move(*plan));
  return Module(std::move(content));
}

std::vector<std::string> Module::planNames() const {
  std::vector<std::string> names;
  for (const auto &plan : content->plans)
    names.push_back(plan->manifest.name);
  return names;
}

Result<Plan> Module::plan(std::string_view name) const {
  if (name.empty() && content->plans.size() != 1)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("the module has {} plans, so one must be named{}", content->plans.size(),
                              nameHint("", planNames())));
  for (const auto &plan : content->plans) {
    if (!name.empty() && plan->manifest.name != name)
      continue;
    if (Status status = plan->ensureLoaded(*content->device); !status)
      return status;
    return Plan(content, plan.get());
  }
  return Status(StatusCode::NotFound,
                fmt::format("the module has no plan `{}`{}", name, nameHint(name, planNames())));
}

} // namespace attn
