#include "runtime/cuda/CudaDevice.h"

#include "runtime/cuda/CudaDriver.h"
#include "support/GpuTarget.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string>

namespace attn::runtime {

using namespace cuda;

namespace {

/// The context, current on this thread for the life of this.
class CurrentContext {
public:
  CurrentContext(const CudaDriver &driver, CudaContext context)
      : driver(driver), status(driver.check(driver.cuCtxPushCurrent_v2(context), "cuCtxPushCurrent")) {}
  ~CurrentContext() {
    CudaContext popped = nullptr;
    if (status)
      driver.cuCtxPopCurrent_v2(&popped);
  }
  CurrentContext(const CurrentContext &) = delete;

  const CudaDriver &driver;
  const Status status;
};

class CudaDevice final : public DeviceDriver {
public:
  CudaDevice(const CudaDriver &driver, CudaOrdinal ordinal, CudaContext context, DeviceInfo info)
      : driver(driver), ordinal(ordinal), context(context), deviceInfo(std::move(info)) {}
  ~CudaDevice() override { driver.cuDevicePrimaryCtxRelease_v2(ordinal); }

  const DeviceInfo &info() const override { return deviceInfo; }

  Status synchronize() override {
    return call("cuCtxSynchronize", [&] { return driver.cuCtxSynchronize(); });
  }

  Result<DeviceAddress> allocate(std::size_t bytes) override {
    CudaAddress address = 0;
    Status status = call("cuMemAlloc", [&] { return driver.cuMemAlloc_v2(&address, bytes ? bytes : 1); });
    if (!status)
      return status.withContext(fmt::format("allocation of {} bytes on `{}`", bytes, deviceInfo.name));
    return address;
  }
  Status free(DeviceAddress address) override {
    return call("cuMemFree", [&] { return driver.cuMemFree_v2(address); });
  }

  Status upload(DeviceAddress destination, std::span<const std::byte> source, void *stream, bool wait) override {
    if (source.empty())
      return {};
    return call("cuMemcpyHtoD", [&] {
      return wait ? driver.cuMemcpyHtoD_v2(destination, source.data(), source.size())
                  : driver.cuMemcpyHtoDAsync_v2(destination, source.data(), source.size(), asStream(stream));
    });
  }
  Status download(std::span<std::byte> destination, DeviceAddress source, void *stream, bool wait) override {
    if (destination.empty())
      return {};
    return call("cuMemcpyDtoH", [&] {
      return wait ? driver.cuMemcpyDtoH_v2(destination.data(), source, destination.size())
                  : driver.cuMemcpyDtoHAsync_v2(destination.data(), source, destination.size(), asStream(stream));
    });
  }
  Status fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    if (bytes == 0)
      return {};
    return call("cuMemsetD8", [&] {
      return driver.cuMemsetD8_v2(destination, static_cast<unsigned char>(value), bytes);
    });
  }
  Result<const std::byte *> hostView(DeviceAddress, std::size_t) override {
    return static_cast<const std::byte *>(nullptr);
  }

  Result<void *> createStream() override {
    static constexpr unsigned kNonBlocking = 1;
    CudaStream stream = nullptr;
    Status status = call("cuStreamCreate", [&] { return driver.cuStreamCreate(&stream, kNonBlocking); });
    if (!status)
      return status;
    return static_cast<void *>(stream);
  }
  void destroyStream(void *stream) override {
    static_cast<void>(call("cuStreamDestroy", [&] { return driver.cuStreamDestroy_v2(asStream(stream)); }));
  }
  Status synchronizeStream(void *stream) override {
    return call("cuStreamSynchronize", [&] { return driver.cuStreamSynchronize(asStream(stream)); });
  }

  Result<void *> createEvent() override {
    CudaEvent event = nullptr;
    Status status = call("cuEventCreate", [&] { return driver.cuEventCreate(&event, 0); });
    if (!status)
      return status;
    return static_cast<void *>(event);
  }
  void destroyEvent(void *event) override {
    static_cast<void>(call("cuEventDestroy", [&] { return driver.cuEventDestroy_v2(asEvent(event)); }));
  }
  Status recordEvent(void *event, void *stream) override {
    return call("cuEventRecord", [&] { return driver.cuEventRecord(asEvent(event), asStream(stream)); });
  }
  Status synchronizeEvent(void *event) override {
    return call("cuEventSynchronize", [&] { return driver.cuEventSynchronize(asEvent(event)); });
  }
  Status streamWaitEvent(void *stream, void *event) override {
    return call("cuStreamWaitEvent", [&] { return driver.cuStreamWaitEvent(asStream(stream), asEvent(event), 0); });
  }
  Result<double> elapsedMilliseconds(void *begin, void *end) override {
    float milliseconds = 0;
    Status status = call("cuEventElapsedTime",
                         [&] { return driver.cuEventElapsedTime(&milliseconds, asEvent(begin), asEvent(end)); });
    if (!status)
      return status;
    return static_cast<double>(milliseconds);
  }

  Status encodeTensorMap(const TensorMapSource &source, TensorMapObject &map) override;
  Result<std::unique_ptr<DeviceCode>> load(const CodeImage &image) override;

  /// Runs one driver call with the context current.
  template <typename Function> Status call(std::string_view name, Function function) const {
    CurrentContext current(driver, context);
    return current.status ? driver.check(function(), name) : current.status;
  }

  const CudaDriver &driver;

private:
  static CudaStream asStream(void *stream) { return static_cast<CudaStream>(stream); }
  static CudaEvent asEvent(void *event) { return static_cast<CudaEvent>(event); }
  Result<CudaModule> loadImage(const void *bytes) const;

  CudaOrdinal ordinal;
  CudaContext context;
  DeviceInfo deviceInfo;
};

class CudaKernel final : public DeviceKernel {
public:
  CudaKernel(CudaDevice &device, CudaFunction function) : device(device), function(function) {}

  Status launch(const LaunchShape &shape, std::span<void *const> arguments, void *stream) override {
    return device.call("cuLaunchKernel", [&] {
      return device.driver.cuLaunchKernel(function, shape.grid[0], shape.grid[1], shape.grid[2], shape.threads, 1, 1,
                                          shape.sharedBytes, static_cast<CudaStream>(stream),
                                          const_cast<void **>(arguments.data()), nullptr);
    });
  }

private:
  CudaDevice &device;
  CudaFunction function;
};

class CudaCode final : public DeviceCode {
public:
  CudaCode(CudaDevice &device, CudaModule module) : device(device), module(module) {}
  ~CudaCode() override {
    static_cast<void>(device.call("cuModuleUnload", [&] { return device.driver.cuModuleUnload(module); }));
  }

  Result<std::unique_ptr<DeviceKernel>> kernel(const KernelManifest &manifest) override {
    const CudaDriver &driver = device.driver;
    CudaFunction function = nullptr;
    int maxThreads = 0, staticShared = 0;
    Status status = device.call("cuModuleGetFunction", [&] {
      return driver.cuModuleGetFunction(&function, module, manifest.name.c_str());
    });
    if (status)
      status = device.call("cuFuncGetAttribute", [&] {
        CudaResult result = driver.cuFuncGetAttribute(&maxThreads, kMaxThreadsPerBlock, function);
        return result == kSuccess ? driver.cuFuncGetAttribute(&staticShared, kStaticSharedBytes, function) : result;
      });
    if (!status)
      return status.withContext(fmt::format("kernel `{}`", manifest.name));
    if (manifest.threads > static_cast<unsigned>(maxThreads))
      return Status(StatusCode::Unsupported, fmt::format("kernel `{}` wants {} threads a block; its registers allow {}",
                                                         manifest.name, manifest.threads, maxThreads));
    std::uint64_t shared = std::uint64_t{manifest.sharedBytes} + static_cast<unsigned>(staticShared);
    if (shared > device.info().sharedBytesPerBlock)
      return Status(StatusCode::Unsupported,
                    fmt::format("shared memory: kernel `{}` needs {} bytes a block, {} of them static; `{}` allows {}",
                                manifest.name, shared, staticShared, device.info().name,
                                device.info().sharedBytesPerBlock));
    // Above 48 KiB dynamic shared memory must be asked for; below, asking changes nothing.
    status = device.call("cuFuncSetAttribute", [&] {
      return driver.cuFuncSetAttribute(function, kMaxDynamicSharedBytes, static_cast<int>(manifest.sharedBytes));
    });
    if (!status)
      return status.withContext(fmt::format("kernel `{}`: {} bytes of shared memory", manifest.name,
                                            manifest.sharedBytes));
    return std::unique_ptr<DeviceKernel>(std::make_unique<CudaKernel>(device, function));
  }

private:
  CudaDevice &device; // the module content that owns this keeps the device open
  CudaModule module;
};

} // namespace

Result<CudaModule> CudaDevice::loadImage(const void *bytes) const {
  std::array<char, 8192> errors{};
  std::array<int, 2> options = {kErrorLog, kErrorLogBytes};
  // The driver takes sizes as values in the pointers.
  std::array<void *, 2> values = {errors.data(), reinterpret_cast<void *>(errors.size())};
  CudaModule module = nullptr;
  Status status = call("cuModuleLoadDataEx", [&] {
    return driver.cuModuleLoadDataEx(&module, bytes, options.size(), options.data(), values.data());
  });
  if (status)
    return module;
  errors.back() = 0;
  std::string log = errors.data();
  while (!log.empty() && (log.back() == '\n' || log.back() == ' '))
    log.pop_back();
  return Status(status.code(), log.empty() ? status.message() : status.message() + "\n" + log);
}

/// The driver takes whatever is no ELF file for text and reads on to a 0, which a damaged cubin need not have.
static bool isElf(std::span<const std::byte> bytes) {
  static constexpr std::string_view kMagic = "\x7f" "ELF";
  return bytes.size() > kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<std::unique_ptr<DeviceCode>> CudaDevice::load(const CodeImage &image) {
  Result<CudaModule> module = Status(StatusCode::NotFound, "no cubin");
  // A cubin suits one generation of GPUs; where it does not load, the PTX does.
  if (isElf(image.cubin))
    module = loadImage(image.cubin.data());
  if (!module) {
    std::string text(image.ptx); // ends in 0, as the driver wants it
    module = loadImage(text.c_str());
  }
  if (!module)
    return module.status().withContext(fmt::format("PTX of `{}` for {}", image.name, image.target));
  return std::unique_ptr<DeviceCode>(std::make_unique<CudaCode>(*this, *module));
}

static TensorMapType tensorMapType(ElementType type) {
  switch (type) {
  case ElementType::F64: return kTensorMapF64;
  case ElementType::F32: return kTensorMapF32;
  case ElementType::BF16: return kTensorMapBF16;
  case ElementType::F16: return kTensorMapF16;
  case ElementType::I32: return kTensorMapI32;
  case ElementType::I16: return kTensorMapU16; // copies care for width alone
  case ElementType::E4M3:
  case ElementType::E5M2:
  case ElementType::I8:
  case ElementType::Bool:
  case ElementType::Bit: break; // no map of bits passes the manifest's checks
  }
  return kTensorMapU8;
}

Status CudaDevice::encodeTensorMap(const TensorMapSource &source, TensorMapObject &map) {
  static_assert(sizeof(CudaTensorMap) == sizeof map.bytes);
  static constexpr std::array<std::uint32_t, kMaxTensorMapRank> kEveryElement = {1, 1, 1, 1, 1};
  if (!driver.cuTensorMapEncodeTiled)
    return {StatusCode::Unsupported, "the CUDA driver has no `cuTensorMapEncodeTiled`; a driver of CUDA 12 or later is needed"};
  const TensorMapSwizzle swizzle = source.swizzle == 128  ? kSwizzle128
                                   : source.swizzle == 64 ? kSwizzle64
                                   : source.swizzle == 32 ? kSwizzle32
                                                          : kSwizzleNone;
  CudaTensorMap encoded;
  // The addresses are the device's; the driver's interface spells them as pointers.
  Status status = call("cuTensorMapEncodeTiled", [&] {
    return driver.cuTensorMapEncodeTiled(&encoded, tensorMapType(source.type), source.rank,
                                         reinterpret_cast<void *>(source.address), source.extents.data(),
                                         source.strides.data(), source.box.data(), kEveryElement.data(),
                                         kInterleaveNone, swizzle, kPromotion256, kFillZero);
  });
  if (status)
    std::memcpy(map.bytes.data(), &encoded, sizeof encoded);
  return status;
}

static Result<DeviceInfo> describe(const CudaDriver &driver, int ordinal, CudaOrdinal device) {
  std::array<char, 256> name{};
  int major = 0, minor = 0, multiprocessors = 0, shared = 0, clock = 0, l2Bytes = 0;
  std::size_t memory = 0;
  auto attribute = [&](int &value, DeviceAttribute which) { return driver.cuDeviceGetAttribute(&value, which, device); };
  for (CudaResult result :
       {driver.cuDeviceGetName(name.data(), static_cast<int>(name.size()) - 1, device),
        attribute(major, kComputeCapabilityMajor), attribute(minor, kComputeCapabilityMinor),
        attribute(multiprocessors, kMultiprocessorCount), attribute(shared, kMaxSharedMemoryPerBlockOptin),
        driver.cuDeviceTotalMem_v2(&memory, device)})
    if (Status status = driver.check(result, "reading the device's attributes"); !status)
      return status;
  DeviceInfo info;
  info.name = fmt::format("cuda:{}", ordinal);
  info.computeCapability = static_cast<unsigned>(major * 10 + minor);
  info.description = fmt::format("{}, compute capability {}.{}", name.data(), major, minor);
  info.sharedBytesPerBlock = static_cast<std::uint32_t>(shared);
  info.multiprocessors = static_cast<std::uint32_t>(multiprocessors);
  info.memoryBytes = memory;
  if (attribute(clock, kClockKilohertz) == kSuccess && clock > 0) // newer drivers may stop telling it
    info.clockMhz = static_cast<std::uint32_t>(clock) / 1000;
  if (attribute(l2Bytes, kL2Bytes) == kSuccess && l2Bytes > 0)
    info.l2Bytes = static_cast<std::uint64_t>(l2Bytes);
  const GpuTarget *target = compileTarget(info.computeCapability);
  if (!target)
    return Status(StatusCode::Unsupported,
                  fmt::format("{}: code is made for sm_80 and later GPUs", info.description));
  info.compileTarget = target->name;
  return info;
}

Result<int> cudaDeviceCount() {
  Result<const CudaDriver *> driver = loadCudaDriver();
  if (!driver)
    return driver.status();
  int count = 0;
  if (Status status = (*driver)->check((*driver)->cuDeviceGetCount(&count), "cuDeviceGetCount"); !status)
    return status;
  if (count == 0)
    return Status(StatusCode::NotFound, "the CUDA driver has no device");
  return count;
}

Result<std::shared_ptr<DeviceDriver>> openCudaDevice(int ordinal) {
  Result<int> count = cudaDeviceCount();
  if (!count)
    return count.status();
  if (ordinal >= *count)
    return Status(StatusCode::NotFound, fmt::format("there are {} CUDA devices, so numbers go to {}", *count, *count - 1));
  const CudaDriver &driver = **loadCudaDriver();
  CudaOrdinal device = 0;
  if (Status status = driver.check(driver.cuDeviceGet(&device, ordinal), "cuDeviceGet"); !status)
    return status;
  Result<DeviceInfo> info = describe(driver, ordinal, device);
  if (!info)
    return info.status();
  CudaContext context = nullptr;
  if (Status status = driver.check(driver.cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain"); !status)
    return status;
  return std::shared_ptr<DeviceDriver>(std::make_shared<CudaDevice>(driver, device, context, std::move(*info)));
}

} // namespace attn::runtime
