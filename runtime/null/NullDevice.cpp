#include "runtime/null/NullDevice.h"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace attn::runtime {

static constexpr std::size_t kAlignment = 512;

namespace {

using Clock = std::chrono::steady_clock;

/// When it was recorded last.
struct NullEvent {
  std::optional<Clock::time_point> when;
};

class NullKernel final : public DeviceKernel {
public:
  Status launch(const LaunchShape &, std::span<void *const>, void *) override { return {}; }
};

class NullCode final : public DeviceCode {
public:
  explicit NullCode(const CodeImage &image) : name(image.name), ptx(image.ptx) {}

  Result<std::unique_ptr<DeviceKernel>> kernel(const KernelManifest &manifest) override {
    // Nothing here reads PTX, but an entry that the text does not even name is a wrong manifest.
    if (ptx.find(".entry " + manifest.name) == std::string::npos)
      return Status(StatusCode::NotFound, fmt::format("`{}` has no kernel `{}`", name, manifest.name));
    return std::unique_ptr<DeviceKernel>(std::make_unique<NullKernel>());
  }

private:
  std::string name, ptx;
};

class NullDevice final : public DeviceDriver {
public:
  NullDevice(const GpuTarget &limits, std::uint32_t multiprocessors) {
    deviceInfo.name = "null";
    deviceInfo.description = fmt::format("checks only, limits of {}", limits.name);
    deviceInfo.computeCapability = limits.computeCapability;
    deviceInfo.compileTarget = limits.name;
    deviceInfo.sharedBytesPerBlock = limits.sharedBytesPerBlock;
    deviceInfo.multiprocessors = multiprocessors;
    deviceInfo.memoryBytes = std::uint64_t{16} << 30;
  }
  ~NullDevice() override {
    for (const auto &[address, bytes] : allocations)
      ::operator delete(reinterpret_cast<void *>(address), std::align_val_t(kAlignment));
  }

  const DeviceInfo &info() const override { return deviceInfo; }
  Status synchronize() override { return {}; }

  Result<DeviceAddress> allocate(std::size_t bytes) override {
    void *memory = bytes <= deviceInfo.memoryBytes
                       ? ::operator new(bytes ? bytes : 1, std::align_val_t(kAlignment), std::nothrow)
                       : nullptr;
    if (!memory)
      return Status(StatusCode::OutOfMemory, fmt::format("allocation of {} bytes on `null` failed", bytes));
    std::lock_guard lock(mutex);
    return allocations.emplace(reinterpret_cast<DeviceAddress>(memory), bytes).first->first;
  }

  Status free(DeviceAddress address) override {
    std::lock_guard lock(mutex);
    if (allocations.erase(address) == 0)
      return {StatusCode::InvalidArgument, fmt::format("free: {:#x} is not an allocation", address)};
    ::operator delete(reinterpret_cast<void *>(address), std::align_val_t(kAlignment));
    return {};
  }

  Status upload(DeviceAddress destination, std::span<const std::byte> source, void *, bool) override {
    Status status = checkRange(destination, source.size());
    if (status && !source.empty())
      std::memcpy(reinterpret_cast<void *>(destination), source.data(), source.size());
    return status;
  }

  Status download(std::span<std::byte> destination, DeviceAddress source, void *, bool) override {
    Status status = checkRange(source, destination.size());
    if (status && !destination.empty())
      std::memcpy(destination.data(), reinterpret_cast<const void *>(source), destination.size());
    return status;
  }

  Status fill(DeviceAddress destination, std::byte value, std::size_t bytes) override {
    Status status = checkRange(destination, bytes);
    if (status)
      std::memset(reinterpret_cast<void *>(destination), static_cast<int>(value), bytes);
    return status;
  }

  Result<const std::byte *> hostView(DeviceAddress address, std::size_t bytes) override {
    if (Status status = checkRange(address, bytes); !status)
      return status;
    return reinterpret_cast<const std::byte *>(address);
  }

  Result<void *> createStream() override { return static_cast<void *>(new char); }
  void destroyStream(void *stream) override { delete static_cast<char *>(stream); }
  Status synchronizeStream(void *) override { return {}; }

  Result<void *> createEvent() override { return static_cast<void *>(new NullEvent); }
  void destroyEvent(void *event) override { delete static_cast<NullEvent *>(event); }
  Status recordEvent(void *event, void *) override {
    static_cast<NullEvent *>(event)->when = Clock::now();
    return {};
  }
  Status synchronizeEvent(void *) override { return {}; }
  Status streamWaitEvent(void *, void *) override { return {}; }
  Result<double> elapsedMilliseconds(void *begin, void *end) override {
    auto from = static_cast<NullEvent *>(begin)->when, to = static_cast<NullEvent *>(end)->when;
    if (!from || !to)
      return Status(StatusCode::InvalidArgument, "elapsed time: an event was never recorded");
    return std::chrono::duration<double, std::milli>(*to - *from).count();
  }

  Status encodeTensorMap(const TensorMapSource &, TensorMapObject &) override { return {}; }

  Result<std::unique_ptr<DeviceCode>> load(const CodeImage &image) override {
    return std::unique_ptr<DeviceCode>(std::make_unique<NullCode>(image));
  }

private:
  Status checkRange(DeviceAddress address, std::size_t bytes) {
    std::lock_guard lock(mutex);
    auto above = allocations.upper_bound(address);
    if (above != allocations.begin()) {
      auto [start, size] = *std::prev(above);
      if (address - start <= size && bytes <= size - (address - start))
        return {};
    }
    return {StatusCode::InvalidArgument,
            fmt::format("{} bytes at {:#x} do not lie in one allocation of `null`", bytes, address)};
  }

  DeviceInfo deviceInfo;
  std::mutex mutex;
  std::map<DeviceAddress, std::size_t> allocations;
};

} // namespace

Result<std::shared_ptr<DeviceDriver>> openNullDevice(const GpuTarget &limits, std::uint32_t multiprocessors) {
  return std::shared_ptr<DeviceDriver>(std::make_shared<NullDevice>(limits, multiprocessors));
}

} // namespace attn::runtime
