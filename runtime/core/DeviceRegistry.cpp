// Device names to drivers, and the public device handle.
#include "attn/Device.h"
#include "runtime/core/Config.h"
#include "runtime/core/DeviceDriver.h"
#include "runtime/cuda/CudaDevice.h"
#include "runtime/emulator/EmulatorDevice.h"
#include "runtime/null/NullDevice.h"
#include "support/GpuTarget.h"
#include "support/NearestName.h"

#include <fmt/format.h>

#include <charconv>

namespace attn {

using runtime::DeviceDriver;

/// The row of the target asked for: by the options, the environment, else sm_80.
static Result<const GpuTarget *> limitsOf(const DeviceOptions &options) {
  std::string name = options.target;
  if (name.empty())
    name = runtime::textSetting(runtime::Setting::EmulatorTarget).value_or("sm_80");
  if (const GpuTarget *target = findGpuTarget(name))
    return target;
  return Status(StatusCode::NotFound, fmt::format("unknown target `{}`{}", name, nameHint(name, gpuTargetNames())));
}

/// By the options, the environment, else as many as an A100 has.
static Result<std::uint32_t> multiprocessorsOf(const DeviceOptions &options) {
  static constexpr std::uint64_t kDefault = 108, kMost = 65535;
  auto setting = runtime::numberSetting(runtime::Setting::EmulatorMultiprocessors);
  if (!setting)
    return setting.status();
  std::uint64_t count = options.multiprocessors ? *options.multiprocessors : setting->value_or(kDefault);
  if (count == 0 || count > kMost)
    return Status(StatusCode::InvalidArgument, fmt::format("{} multiprocessors; the number is from 1 to {}", count, kMost));
  return static_cast<std::uint32_t>(count);
}

/// The N of `cuda:N`; 0 for `cuda`.
static std::optional<int> cudaOrdinal(std::string_view name) {
  if (name == "cuda")
    return 0;
  if (!name.starts_with("cuda:"))
    return std::nullopt;
  int ordinal = -1;
  std::string_view digits = name.substr(5);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  bool valid = error == std::errc() && end == digits.data() + digits.size() && ordinal >= 0;
  return valid ? std::optional(ordinal) : std::nullopt;
}

static Result<std::shared_ptr<DeviceDriver>> openNamed(std::string_view name, const DeviceOptions &options) {
  if (auto ordinal = cudaOrdinal(name))
    return runtime::openCudaDevice(*ordinal);
  if (name != "emulator" && name != "null") {
    const std::vector<std::string> names = {"auto", "cuda", "cuda:0", "emulator", "null"};
    return Status(StatusCode::NotFound, fmt::format("unknown device `{}`{}", name, nameHint(name, names)));
  }
  Result<const GpuTarget *> limits = limitsOf(options);
  if (!limits)
    return limits.status();
  Result<std::uint32_t> multiprocessors = multiprocessorsOf(options);
  if (!multiprocessors)
    return multiprocessors.status();
  return name == "emulator" ? runtime::openEmulatorDevice(**limits, *multiprocessors, options.emulator)
                            : runtime::openNullDevice(**limits, *multiprocessors);
}

Result<Device> Device::open(std::string_view name, const DeviceOptions &options) {
  std::string chosen(name);
  if (chosen == "auto")
    chosen = runtime::textSetting(runtime::Setting::Device).value_or("auto");
  if (chosen == "auto")
    chosen = runtime::cudaDeviceCount().isOk() ? "cuda:0" : "emulator";
  Result<std::shared_ptr<DeviceDriver>> driver = openNamed(chosen, options);
  if (!driver)
    return driver.status().withContext(fmt::format("opening device `{}`", chosen));
  return Device(*driver);
}

std::vector<std::string> Device::available() {
  std::vector<std::string> names;
  if (Result<int> count = runtime::cudaDeviceCount())
    for (int i = 0; i < *count; ++i)
      names.push_back(fmt::format("cuda:{}", i));
  names.push_back("emulator");
  names.push_back("null");
  return names;
}

const DeviceInfo &Device::info() const { return shared->info(); }
Status Device::synchronize() const { return shared->synchronize(); }
std::vector<LaunchCounters> Device::takeCounters() const { return shared->takeCounters(); }

} // namespace attn
