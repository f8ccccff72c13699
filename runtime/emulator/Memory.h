// Global memory of the virtual device: one reserved range of host memory, so that an address translates by addition. Each
// allocation is surrounded by a red zone; freed ranges are not used again while fresh ones remain. A shadow bit for each
// byte says whether it was ever written.
#pragma once

#include "runtime/emulator/Emulator.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

namespace attn::emulator {

struct Allocation {
  DeviceAddress begin = 0;
  std::uint64_t size = 0;
  bool writable = true;
  std::string name; ///< of a module variable; empty for others
  /// All bytes are written: shadow bits need not be read.
  std::atomic<bool> defined = false;

  DeviceAddress end() const { return begin + size; }
};

class GlobalMemory {
public:
  static Result<std::unique_ptr<GlobalMemory>> create(std::uint64_t bytes);
  ~GlobalMemory();
  GlobalMemory(const GlobalMemory &) = delete;
  GlobalMemory &operator=(const GlobalMemory &) = delete;

  Result<DeviceAddress> allocate(std::uint64_t bytes, std::string name = {}, bool writable = true);
  Status free(DeviceAddress address);
  /// The live allocation that holds `address`; null when none does. Stays valid until it is freed.
  Allocation *find(DeviceAddress address) const;
  /// Checks [address, address + bytes) for a host call.
  Result<Allocation *> range(DeviceAddress address, std::uint64_t bytes, std::string_view call) const;
  /// "12 bytes past the end of the 1024-byte allocation at 0x…".
  std::string describe(DeviceAddress address) const;

  DeviceAddress begin() const { return kBase; }
  DeviceAddress end() const { return kBase + span; }
  std::byte *host(DeviceAddress address) const { return hostBase + (address - kBase); }
  std::byte *hostStart() const { return hostBase; }
  std::uint8_t *shadowStart() const { return shadowBase; }
  void define(DeviceAddress address, std::uint64_t bytes);
  void copyDefined(DeviceAddress destination, DeviceAddress source, std::uint64_t bytes);
  /// After a launch: notes allocations that have become wholly defined. `all`: the launch kept no shadow, so all count.
  void settle(bool all);

private:
  GlobalMemory() = default;
  DeviceAddress place(std::uint64_t bytes);

  static constexpr DeviceAddress kBase = 0x10'0000'0000;
  std::uint64_t span = 0, budget = 0, used = 0;
  DeviceAddress next = kBase;
  std::byte *hostBase = nullptr;
  std::uint8_t *shadowBase = nullptr;
  mutable std::shared_mutex mutex;
  std::map<DeviceAddress, std::unique_ptr<Allocation>> live;
  std::map<DeviceAddress, std::uint64_t> freed; ///< quarantine, for messages
};

/// Whether `count` (at most 64) shadow bits from `bit` on are all set.
bool allDefined(const std::uint8_t *shadow, std::uint64_t bit, std::uint64_t count);
void setDefined(std::uint8_t *shadow, std::uint64_t bit, std::uint64_t count, bool defined);

} // namespace attn::emulator
