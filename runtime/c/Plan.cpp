// Modules, plans and launches for C.
#include "runtime/c/Handles.h"

#include <array>

using namespace attn;
using namespace attn::c;

static_assert(static_cast<int>(ElementType::F64) == ATTN_F64 && static_cast<int>(ElementType::BF16) == ATTN_BF16);
static_assert(static_cast<int>(ElementType::I32) == ATTN_I32 && static_cast<int>(ElementType::Bit) == ATTN_BIT);
static_assert(static_cast<int>(ArgumentInfo::Kind::Output) == ATTN_OUTPUT);
static_assert(static_cast<int>(ArgumentInfo::Kind::Scalar) == ATTN_SCALAR);

/// Arguments up to this number lie on the stack, so that a launch does not allocate.
static constexpr std::size_t kFewArguments = 16;

static Status broken(const AttnArgument &given, const std::string &what) {
  return {StatusCode::InvalidArgument, "argument `" + std::string(given.name) + "`: " + what};
}

static Result<TensorView> tensorOf(const AttnArgument &given) {
  if (given.type < ATTN_F64 || given.type > ATTN_BIT)
    return broken(given, "its type " + std::to_string(given.type) + " is none of AttnElementType");
  if (given.rank < 0 || static_cast<std::size_t>(given.rank) > Dims::kMaxRank)
    return broken(given, "its rank " + std::to_string(given.rank) + " is not in 0.." + std::to_string(Dims::kMaxRank));
  if (given.rank > 0 && !given.shape)
    return broken(given, "its shape is null");
  const auto rank = static_cast<std::size_t>(given.rank);
  const auto type = static_cast<ElementType>(given.type);
  const Dims shape{std::span(given.shape, rank)};
  return given.strides ? TensorView(given.address, type, shape, Dims(std::span(given.strides, rank)))
                       : TensorView(given.address, type, shape);
}

static Result<Argument> argumentOf(const AttnArgument &given) {
  if (!given.name)
    return Status(StatusCode::InvalidArgument, "an argument has no name");
  switch (given.kind) {
  case ATTN_TENSOR: {
    Result<TensorView> tensor = tensorOf(given);
    return tensor ? Result<Argument>(Argument(given.name, *tensor)) : tensor.status();
  }
  case ATTN_INTEGER: return Argument(given.name, given.integer);
  case ATTN_REAL: return Argument(given.name, given.real);
  case ATTN_BOOLEAN: return Argument(given.name, given.integer != 0);
  }
  return broken(given, "its kind " + std::to_string(given.kind) + " is none of AttnArgumentKind");
}

/// Calls `use` with the arguments as the runtime wants them.
template <typename Use> static Status withArguments(const AttnArgument *given, std::size_t count, Use use) {
  const Argument nothing("", std::int64_t{0});
  std::array<Argument, kFewArguments> few{nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
                                          nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing};
  std::vector<Argument> many;
  if (count > kFewArguments)
    many.assign(count, nothing);
  Argument *arguments = count > kFewArguments ? many.data() : few.data();
  for (std::size_t i = 0; i < count; ++i) {
    Result<Argument> argument = argumentOf(given[i]);
    if (!argument)
      return argument.status();
    arguments[i] = *argument;
  }
  return use(std::span<const Argument>(arguments, count));
}

/// Makes the handle of a module that came by whatever way.
static Status keepModule(const AttnDevice *device, const Result<Module> &made, AttnModule **module) {
  if (made)
    *module = new AttnModule{device->device, *made};
  return made.status();
}

extern "C" {

AttnStatus attnModuleLoad(const AttnDevice *device, const char *path, AttnModule **module) {
  return guarded([&]() -> Status {
    if (!device || !path || !module)
      return missing("attnModuleLoad", !device ? "device" : !path ? "path" : "module");
    return keepModule(device, Module::load(device->device, path), module);
  });
}

AttnStatus attnModuleParse(const AttnDevice *device, const void *bytes, size_t count, AttnModule **module) {
  return guarded([&]() -> Status {
    if (!device || !bytes || !module)
      return missing("attnModuleParse", !device ? "device" : !bytes ? "package" : "module");
    Result<Package> package = Package::parse(std::span(static_cast<const std::byte *>(bytes), count));
    return package ? keepModule(device, Module::load(device->device, *package), module) : package.status();
  });
}

AttnStatus attnModuleFromPtx(const AttnDevice *device, const char *ptx, const char *manifest, AttnModule **module) {
  return guarded([&]() -> Status {
    if (!device || !ptx || !manifest || !module)
      return missing("attnModuleFromPtx", !device ? "device" : !ptx ? "ptx" : !manifest ? "manifest" : "module");
    return keepModule(device, Module::fromPtx(device->device, ptx, manifest), module);
  });
}

void attnModuleClose(AttnModule *module) { delete module; }

AttnStatus attnModulePlan(const AttnModule *module, const char *name, AttnPlan **plan) {
  return guarded([&]() -> Status {
    if (!module || !plan)
      return missing("attnModulePlan", module ? "plan" : "module");
    Result<Plan> found = module->module.plan(textOr(name));
    if (!found)
      return found.status();
    auto handle = std::make_unique<AttnPlan>(AttnPlan{module->device, *found, std::string(found->name()),
                                                      std::string(found->target()), found->arguments(), {}});
    for (const ArgumentInfo &argument : handle->arguments) {
      auto &dims = handle->dims.emplace_back();
      for (const std::string &dim : argument.dims)
        dims.push_back(dim.c_str());
    }
    *plan = handle.release();
    return {};
  });
}

void attnPlanClose(AttnPlan *plan) { delete plan; }
const char *attnPlanName(const AttnPlan *plan) { return plan ? plan->name.c_str() : ""; }
const char *attnPlanTarget(const AttnPlan *plan) { return plan ? plan->target.c_str() : ""; }
size_t attnPlanArgumentCount(const AttnPlan *plan) { return plan ? plan->arguments.size() : 0; }

AttnStatus attnPlanArgument(const AttnPlan *plan, size_t index, AttnArgumentInfo *info) {
  return guarded([&]() -> Status {
    if (!plan || !info)
      return missing("attnPlanArgument", plan ? "info" : "plan");
    if (index >= plan->arguments.size())
      return {StatusCode::InvalidArgument, "attnPlanArgument: index " + std::to_string(index) + "; `" + plan->name +
                                               "` has " + std::to_string(plan->arguments.size()) + " arguments"};
    const ArgumentInfo &argument = plan->arguments[index];
    *info = {argument.name.c_str(),
             static_cast<AttnRole>(argument.kind),
             static_cast<AttnElementType>(argument.type),
             static_cast<int32_t>(argument.dims.size()),
             plan->dims[index].data(),
             argument.optional};
    return {};
  });
}

AttnStatus attnPlanWorkspaceBytes(const AttnPlan *plan, const AttnArgument *given, size_t count, uint32_t splits, size_t *bytes) {
  return guarded([&]() -> Status {
    if (!plan || (!given && count) || !bytes)
      return missing("attnPlanWorkspaceBytes", !plan ? "plan" : !bytes ? "bytes" : "arguments");
    return withArguments(given, count, [&](std::span<const Argument> arguments) {
      Result<std::size_t> needed = plan->plan.workspaceBytes(arguments, splits);
      if (needed)
        *bytes = *needed;
      return needed.status();
    });
  });
}

AttnStatus attnPlanLaunch(const AttnPlan *plan, void *stream, const AttnArgument *given, size_t count,
                          const AttnLaunchOptions *options) {
  return guarded([&]() -> Status {
    if (!plan || (!given && count))
      return missing("attnPlanLaunch", plan ? "arguments" : "plan");
    LaunchOptions launch;
    if (options)
      launch = {options->workspace, options->workspace_bytes, !options->skip_value_checks, options->splits};
    return withArguments(given, count, [&](std::span<const Argument> arguments) {
      return plan->plan.launch(Stream::wrap(plan->device, stream), arguments, launch);
    });
  });
}

} // extern "C"
