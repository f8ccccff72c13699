// What a kind of device must do. The public handles (attn/Device.h and its neighbours) check their arguments and call
// this; `cuda`, `emulator` and `null` implement it. To add a device, start from runtime/null.
//
// All functions are thread-safe. Handles of streams and events are the driver's own; a null stream is the default one.
#pragma once

#include "attn/Device.h"
#include "runtime/core/TensorMap.h"
#include "runtime/manifest/KernelManifest.h"

#include <array>
#include <memory>
#include <span>
#include <string>

namespace attn::runtime {

using DeviceAddress = std::uint64_t;

/// Shape of one launch. No dimension of the grid is 0.
struct LaunchShape {
  std::array<std::uint32_t, 3> grid{1, 1, 1};
  std::uint32_t threads = 1;
  std::uint32_t sharedBytes = 0;
};

/// One entry of loaded code. Lives as long as its DeviceCode.
class DeviceKernel {
public:
  virtual ~DeviceKernel() = default;
  /// `arguments` points at the values of the parameters, in order; they are read before this returns. Neither
  /// allocates device memory nor waits for the stream (a device without asynchrony finishes the work instead).
  virtual Status launch(const LaunchShape &shape, std::span<void *const> arguments, void *stream) = 0;
};

/// PTX or a cubin, loaded.
class DeviceCode {
public:
  virtual ~DeviceCode() = default;
  /// Fails when there is no such entry or it cannot have the threads, shared memory or parameters asked for.
  virtual Result<std::unique_ptr<DeviceKernel>> kernel(const KernelManifest &manifest) = 0;
};

/// Code for one target; `name` is for messages.
struct CodeImage {
  std::string_view name;
  std::string_view target;
  std::string_view ptx;
  std::span<const std::byte> cubin; ///< may be empty
};

class DeviceDriver {
public:
  virtual ~DeviceDriver() = default;

  virtual const DeviceInfo &info() const = 0;
  virtual Status synchronize() = 0;

  /// Aligned to 256 bytes at least. 0 bytes give an address too.
  virtual Result<DeviceAddress> allocate(std::size_t bytes) = 0;
  virtual Status free(DeviceAddress address) = 0;
  /// With `wait` done on return, else queued on `stream`.
  virtual Status upload(DeviceAddress destination, std::span<const std::byte> source, void *stream, bool wait) = 0;
  virtual Status download(std::span<std::byte> destination, DeviceAddress source, void *stream, bool wait) = 0;
  virtual Status fill(DeviceAddress destination, std::byte value, std::size_t bytes) = 0;
  /// Where the host can read these bytes: null if the device keeps them to itself. Fails when the device can tell that
  /// they do not lie in one allocation.
  virtual Result<const std::byte *> hostView(DeviceAddress address, std::size_t bytes) = 0;

  virtual Result<void *> createStream() = 0;
  virtual void destroyStream(void *stream) = 0;
  virtual Status synchronizeStream(void *stream) = 0;

  virtual Result<void *> createEvent() = 0;
  virtual void destroyEvent(void *event) = 0;
  virtual Status recordEvent(void *event, void *stream) = 0;
  virtual Status synchronizeEvent(void *event) = 0;
  virtual Status streamWaitEvent(void *stream, void *event) = 0;
  virtual Result<double> elapsedMilliseconds(void *begin, void *end) = 0;

  /// Writes what a kernel parameter of kind TensorMap holds. Fails when the device has no tensor memory accelerator.
  virtual Status encodeTensorMap(const TensorMapSource &source, TensorMapObject &map) = 0;

  virtual Result<std::unique_ptr<DeviceCode>> load(const CodeImage &image) = 0;

  /// Of the launches since the last call; a device that does not count has none.
  virtual std::vector<LaunchCounters> takeCounters() { return {}; }
};

} // namespace attn::runtime
