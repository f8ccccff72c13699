// Devices: a GPU through the CUDA driver, the virtual GPU, or one that only checks.
#pragma once

#include "attn/Counters.h"
#include "attn/Result.h"
#include "attn/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

namespace runtime {
class DeviceDriver;
}

/// How the virtual GPU runs kernels. What is not set here comes from the environment (docs/runtime.md), else from the
/// defaults named.
struct EmulatorOptions {
  enum class Checks : std::uint8_t { Off, Memory, Full };
  /// When asynchronous copies land. Correct kernels compute the same under all three.
  enum class Completion : std::uint8_t { Eager, Lazy, Random };

  std::optional<Checks> checks = {};           ///< Memory
  std::optional<Completion> completion = {};   ///< Eager
  std::optional<std::uint64_t> seed = {};      ///< of Random; 0
  std::optional<unsigned> threads = {};        ///< of the CPU; 0, which means one for each core
  std::optional<std::uint64_t> stepLimit = {}; ///< warp instructions of one block before it counts as endless; 0: no limit
  bool keepGoing = false;                 ///< go on after a finding and report all of them
  bool keepCounters = false;              ///< keep what each launch executed for `Device::takeCounters` (slower)
};

struct DeviceOptions {
  /// Emulator and null device: take the limits of this target; empty: `sm_80`. A GPU has its own.
  std::string target = {};
  /// Emulator and null device: multiprocessors, which bound the blocks of kernels whose blocks do tile after tile; unset:
  /// the environment's (docs/runtime.md), else 108. A GPU has its own.
  std::optional<std::uint32_t> multiprocessors = {};
  EmulatorOptions emulator = {};
};

struct DeviceInfo {
  std::string name;                      ///< as `Device::open` takes it: `cuda:0`, `emulator`, `null`
  std::string description;               ///< for people: `NVIDIA H200`
  unsigned computeCapability = 0;        ///< times ten
  std::string compileTarget;             ///< what to compile for, best first choice: `sm_80`
  std::uint32_t sharedBytesPerBlock = 0; ///< with opt-in
  std::uint32_t multiprocessors = 0;
  std::uint64_t memoryBytes = 0;
  std::uint64_t l2Bytes = 0;             ///< 0 where it is not known
  std::uint32_t clockMhz = 0;            ///< highest clock of the multiprocessors; 0 where it is not known
};

/// A handle: copies share one open device, which closes with the last of them and of the buffers, streams and modules
/// made on it. Thread-safe.
///
///     Result<Device> device = Device::open("auto");
///     if (!device)
///       return device.status();
class Device {
public:
  /// `auto` (a GPU if there is one, else the emulator; ATTN_DEVICE decides if set), `cuda` or `cuda:N`, `emulator`,
  /// `null`. Fails with what was tried and why it did not work.
  static Result<Device> open(std::string_view name = "auto", const DeviceOptions &options = {});
  /// Names of the devices that can be opened here.
  static std::vector<std::string> available();

  const DeviceInfo &info() const;
  /// Waits for all work on the device.
  Status synchronize() const;

  /// What the launches since the last call executed, oldest first, and forgets it. Empty but on the emulator, opened with
  /// `EmulatorOptions::keepCounters`.
  ///
  ///     Result<Device> device = Device::open("emulator", {.target = "sm_90a", .emulator = {.keepCounters = true}});
  ///     … plan.launch(…) …
  ///     for (const LaunchCounters &launch : device->takeCounters()) … launch.counters.tensorMacs
  std::vector<LaunchCounters> takeCounters() const;

  const std::shared_ptr<runtime::DeviceDriver> &driver() const { return shared; } ///< for the library itself
  explicit Device(std::shared_ptr<runtime::DeviceDriver> driver) : shared(std::move(driver)) {}

private:
  std::shared_ptr<runtime::DeviceDriver> shared;
};

} // namespace attn
