#include "runtime/emulator/EmulatorDevice.h"

#include "runtime/core/Config.h"
#include "runtime/emulator/TensorMap.h"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <mutex>
#include <utility>

namespace attn::runtime {

namespace {

using Clock = std::chrono::steady_clock;

struct EmulatorEvent {
  std::optional<Clock::time_point> when;
};

class EmulatorDevice final : public DeviceDriver {
public:
  EmulatorDevice(const GpuTarget &limits, std::uint32_t multiprocessors, std::unique_ptr<emulator::VirtualGpu> gpu,
                 const emulator::LaunchOptions &options)
      : gpu(std::move(gpu)), options(options), hasTma(limits.hasTma) {
    deviceInfo.name = "emulator";
    deviceInfo.description = fmt::format("virtual GPU, limits of {}", limits.name);
    deviceInfo.computeCapability = limits.computeCapability;
    deviceInfo.compileTarget = limits.name;
    deviceInfo.sharedBytesPerBlock = limits.sharedBytesPerBlock;
    deviceInfo.multiprocessors = multiprocessors;
    deviceInfo.memoryBytes = emulator::GpuOptions().memoryBytes;
  }

  const DeviceInfo &info() const override { return deviceInfo; }
  Status synchronize() override { return {}; }

  Result<DeviceAddress> allocate(std::size_t bytes) override { return gpu->allocate(bytes); }
  Status free(DeviceAddress address) override { return gpu->free(address); }
  Status upload(DeviceAddress destination, std::span<const std::byte> source, void *, bool) override {
    return gpu->copyIn(destination, source);
  }
  Status download(std::span<std::byte> destination, DeviceAddress source, void *, bool) override {
    return gpu->copyOut(destination, source);
  }
  Status fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    return gpu->memset(destination, value, bytes);
  }
  Result<const std::byte *> hostView(DeviceAddress address, std::size_t bytes) override {
    Result<std::byte *> pointer = gpu->hostPointer(address, bytes);
    if (!pointer)
      return pointer.status();
    return static_cast<const std::byte *>(*pointer);
  }

  Result<void *> createStream() override { return static_cast<void *>(new char); }
  void destroyStream(void *stream) override { delete static_cast<char *>(stream); }
  Status synchronizeStream(void *) override { return {}; }

  Result<void *> createEvent() override { return static_cast<void *>(new EmulatorEvent); }
  void destroyEvent(void *event) override { delete static_cast<EmulatorEvent *>(event); }
  Status recordEvent(void *event, void *) override {
    static_cast<EmulatorEvent *>(event)->when = Clock::now();
    return {};
  }
  Status synchronizeEvent(void *) override { return {}; }
  Status streamWaitEvent(void *, void *) override { return {}; }
  Result<double> elapsedMilliseconds(void *begin, void *end) override {
    auto from = static_cast<EmulatorEvent *>(begin)->when, to = static_cast<EmulatorEvent *>(end)->when;
    if (!from || !to)
      return Status(StatusCode::InvalidArgument, "elapsed time: an event was never recorded");
    return std::chrono::duration<double, std::milli>(*to - *from).count();
  }

  Status encodeTensorMap(const TensorMapSource &source, TensorMapObject &map) override {
    if (!hasTma)
      return {StatusCode::Unsupported, fmt::format("{} has no tensor memory accelerator", deviceInfo.description)};
    emulator::TensorMap out{.address = source.address,
                            .rank = source.rank,
                            .elementBytes = storageBits(source.type) / 8,
                            .extents = source.extents,
                            .strides = source.strides,
                            .box = source.box,
                            .swizzle = source.swizzle};
    return emulator::encodeTensorMap(out, map.bytes);
  }

  Result<std::unique_ptr<DeviceCode>> load(const CodeImage &image) override;

  Status launch(const emulator::PtxModule &module, const std::string &entry, const LaunchShape &shape,
                std::span<void *const> arguments) {
    emulator::LaunchConfig config{.grid = {shape.grid[0], shape.grid[1], shape.grid[2]},
                                  .block = {shape.threads, 1, 1},
                                  .dynamicSharedBytes = shape.sharedBytes};
    emulator::LaunchReport report = gpu->launch(module, entry, config, arguments, options);
    Status status = report.status;
    std::lock_guard lock(mutex);
    if (options.countMemory)
      kept.push_back({entry, shape.grid, shape.threads, report.counters});
    last = std::move(report);
    return status;
  }
  void unload(const emulator::PtxModule &module) { gpu->unload(module); }

  std::vector<LaunchCounters> takeCounters() override {
    std::lock_guard lock(mutex);
    return std::exchange(kept, {});
  }
  std::optional<emulator::LaunchReport> lastReport() {
    std::lock_guard lock(mutex);
    return last;
  }

private:
  DeviceInfo deviceInfo;
  std::unique_ptr<emulator::VirtualGpu> gpu;
  emulator::LaunchOptions options;
  bool hasTma;
  std::mutex mutex; // of what follows
  std::vector<LaunchCounters> kept;
  std::optional<emulator::LaunchReport> last;
};

class EmulatorKernel final : public DeviceKernel {
public:
  EmulatorKernel(EmulatorDevice &device, const emulator::PtxModule &module, std::string entry)
      : device(device), module(module), entry(std::move(entry)) {}

  Status launch(const LaunchShape &shape, std::span<void *const> arguments, void *) override {
    return device.launch(module, entry, shape, arguments);
  }

private:
  EmulatorDevice &device;
  const emulator::PtxModule &module;
  std::string entry;
};

class EmulatorCode final : public DeviceCode {
public:
  EmulatorCode(EmulatorDevice &device, emulator::PtxModule module) : device(device), module(std::move(module)) {}
  ~EmulatorCode() override { device.unload(module); }

  Result<std::unique_ptr<DeviceKernel>> kernel(const KernelManifest &manifest) override {
    const emulator::EntryInfo *entry = module.entry(manifest.name);
    if (!entry)
      return Status(StatusCode::NotFound, fmt::format("the PTX has no entry `{}`", manifest.name));
    if (Status status = checkParameters(manifest, *entry); !status)
      return status;
    std::uint64_t shared = std::uint64_t{manifest.sharedBytes} + entry->staticSharedBytes;
    if (shared > device.info().sharedBytesPerBlock)
      return Status(StatusCode::Unsupported,
                    fmt::format("shared memory: kernel `{}` needs {} bytes a block, {} of them static; `{}` allows {}",
                                manifest.name, shared, entry->staticSharedBytes, device.info().description,
                                device.info().sharedBytesPerBlock));
    return std::unique_ptr<DeviceKernel>(std::make_unique<EmulatorKernel>(device, module, manifest.name));
  }

private:
  /// Code and manifest must speak of the same parameters, or a launch would read past its arguments.
  static Status checkParameters(const KernelManifest &manifest, const emulator::EntryInfo &entry) {
    if (manifest.params.size() != entry.parameters.size())
      return {StatusCode::InvalidArgument, fmt::format("kernel `{}` has {} parameters, but the manifest names {}",
                                                       manifest.name, entry.parameters.size(), manifest.params.size())};
    for (std::size_t i = 0; i < manifest.params.size(); ++i) {
      KernelParam::Kind kind = manifest.params[i].kind;
      bool wide = kind == KernelParam::Kind::Pointer || kind == KernelParam::Kind::Stride;
      std::size_t bytes = kind == KernelParam::Kind::TensorMap ? emulator::kTensorMapBytes : wide ? 8 : 4;
      if (entry.parameters[i].size != bytes)
        return {StatusCode::InvalidArgument,
                fmt::format("kernel `{}`: parameter {} (`{}`) has {} bytes, but the manifest says {}", manifest.name, i,
                            manifest.params[i].name, entry.parameters[i].size, bytes)};
      if (kind == KernelParam::Kind::TensorMap && entry.parameters[i].alignment % emulator::kTensorMapAlignment != 0)
        return {StatusCode::InvalidArgument,
                fmt::format("kernel `{}`: parameter {} (`{}`) is a tensor map and must be aligned to {} bytes, not {}",
                            manifest.name, i, manifest.params[i].name, emulator::kTensorMapAlignment,
                            entry.parameters[i].alignment)};
    }
    return {};
  }

  EmulatorDevice &device; // the module content that owns this keeps the device open
  emulator::PtxModule module;
};

} // namespace

Result<std::unique_ptr<DeviceCode>> EmulatorDevice::load(const CodeImage &image) {
  Result<emulator::PtxModule> module = emulator::PtxModule::parse(image.ptx, fmt::format("{}.ptx", image.name));
  if (!module)
    return module.status();
  return std::unique_ptr<DeviceCode>(std::make_unique<EmulatorCode>(*this, std::move(*module)));
}

/// Options of the caller, then of the environment, then the defaults.
static Result<emulator::LaunchOptions> launchOptions(const EmulatorOptions &given) {
  emulator::LaunchOptions out;
  auto checks = wordSetting(Setting::EmulatorChecks, {"off", "memory", "full"});
  auto completion = wordSetting(Setting::EmulatorCompletion, {"eager", "lazy", "random"});
  auto seed = numberSetting(Setting::EmulatorSeed);
  auto threads = numberSetting(Setting::EmulatorThreads);
  auto stepLimit = numberSetting(Setting::EmulatorStepLimit);
  for (const Status &status :
       {checks.status(), completion.status(), seed.status(), threads.status(), stepLimit.status()})
    if (!status)
      return status;
  if (*threads && **threads > 1024)
    return Status(StatusCode::InvalidArgument, fmt::format("{}: {} CPU threads; the limit is 1024",
                                                           variableOf(Setting::EmulatorThreads), **threads));
  if (given.checks)
    out.checks = static_cast<emulator::CheckLevel>(*given.checks);
  else if (*checks)
    out.checks = static_cast<emulator::CheckLevel>(**checks);
  if (given.completion)
    out.completion = static_cast<emulator::AsyncCompletion>(*given.completion);
  else if (*completion)
    out.completion = static_cast<emulator::AsyncCompletion>(**completion);
  out.seed = given.seed ? *given.seed : seed->value_or(0);
  out.threads = given.threads ? *given.threads : static_cast<unsigned>(threads->value_or(0));
  out.stepLimit = given.stepLimit ? *given.stepLimit : stepLimit->value_or(0);
  out.keepGoing = given.keepGoing;
  out.countMemory = given.keepCounters;
  return out;
}

static_assert(static_cast<int>(EmulatorOptions::Checks::Full) == static_cast<int>(emulator::CheckLevel::Full));
static_assert(static_cast<int>(EmulatorOptions::Completion::Random) ==
              static_cast<int>(emulator::AsyncCompletion::Random));

Result<std::shared_ptr<DeviceDriver>> openEmulatorDevice(const GpuTarget &limits, std::uint32_t multiprocessors,
                                                         const EmulatorOptions &given) {
  Result<emulator::LaunchOptions> options = launchOptions(given);
  if (!options)
    return options.status();
  emulator::GpuOptions gpuOptions{.sharedBytesPerBlock = limits.sharedBytesPerBlock, .multiprocessors = multiprocessors};
  Result<std::unique_ptr<emulator::VirtualGpu>> gpu = emulator::VirtualGpu::create(gpuOptions);
  if (!gpu)
    return gpu.status();
  return std::shared_ptr<DeviceDriver>(std::make_shared<EmulatorDevice>(limits, multiprocessors, std::move(*gpu), *options));
}

std::optional<emulator::LaunchReport> lastLaunchReport(const Device &device) {
  auto *emulator = dynamic_cast<EmulatorDevice *>(device.driver().get());
  return emulator ? emulator->lastReport() : std::nullopt;
}

} // namespace attn::runtime
