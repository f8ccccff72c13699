#include "tools/attnc/SpecModule.h"

#include "attn/Jit.h"
#include "attn/Package.h"
#include "tools/attnc/TensorFile.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstring>
#include <span>

namespace attn::tools {

void DeviceOption::addTo(CLI::App &command) {
  command.add_option("--device", name, "auto, cuda, cuda:N, emulator or null")->capture_default_str()->type_name("NAME");
  command.add_option("--completion", completion, "emulator: when cp.async lands: eager, lazy or random")->capture_default_str()->type_name("WHEN");
  command.add_option("--completion-seed", seed, "emulator: seed of --completion random")->type_name("N");
  command.add_flag("--sanitize", sanitize, "emulator: all checks");
}

Result<Device> DeviceOption::open(const std::string &target) const {
  DeviceOptions options;
  options.target = target;
  if (completion == "lazy")
    options.emulator.completion = EmulatorOptions::Completion::Lazy;
  else if (completion == "random")
    options.emulator.completion = EmulatorOptions::Completion::Random;
  else if (completion != "eager")
    return Status(StatusCode::InvalidArgument, fmt::format("--completion {}: expects eager, lazy or random", completion));
  if (seed)
    options.emulator.seed = *seed;
  if (sanitize)
    options.emulator.checks = EmulatorOptions::Checks::Full;
  options.emulator.keepCounters = keepCounters;
  options.multiprocessors = multiprocessors;
  return Device::open(name, options);
}

Result<jit::JitSession::Kernel> compiledKernel(const driver::CompileRequest &request) {
  jit::Options options;
  options.note = printNote;
  return jit::findKernel(request, options);
}

/// The virtual GPU is the one that `--target` names, which a package does not choose.
static Status withTargetHint(const Status &status, const Device &device, const Package &package) {
  if (status.code() != StatusCode::Unsupported || device.info().name.starts_with("cuda") || package.entries().empty())
    return status;
  return Status(status.code(), fmt::format("{}; `--target {}` takes that GPU's limits", status.message(), package.entries().front().target));
}

Result<Plan> loadPlan(const Device &device, const SpecOptions &options) {
  if (options.path.ends_with(".pkg")) {
    Result<std::string> bytes = readFile(options.path);
    if (!bytes)
      return bytes.status();
    Result<Package> package = Package::parse(std::as_bytes(std::span(*bytes)), options.path);
    if (!package)
      return package.status();
    Result<Module> module = Module::load(device, *package);
    if (!module)
      return withTargetHint(module.status(), device, *package);
    return module->plan(options.attention);
  }
  Result<driver::CompileRequest> request = options.request();
  if (!request)
    return request.status();
  Result<jit::JitSession::Kernel> kernel = compiledKernel(*request);
  if (!kernel)
    return kernel.status();
  Result<Module> module = Module::fromPtx(device, (*kernel)->ptx, (*kernel)->manifestJson);
  if (!module)
    return module.status();
  return module->plan();
}

} // namespace attn::tools
