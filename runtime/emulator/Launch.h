// What all CTAs of a launch share, and what each worker thread keeps for itself.
#pragma once

#include "runtime/emulator/Memory.h"
#include "runtime/emulator/Program.h"
#include "runtime/emulator/sanitizer/GlobalShadow.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <vector>

namespace attn::emulator {

/// Constant during a launch, but for the findings.
struct Launch {
  const Program *program = nullptr;
  GlobalMemory *memory = nullptr;
  LaunchConfig config;
  LaunchOptions options;
  std::vector<std::byte> parameters;
  std::uint32_t sharedBytes = 0; ///< reserved + static + dynamic: the end of the window
  std::uint32_t multiprocessors = 1;
  std::vector<std::uint32_t> registerImage; ///< the register file with constants, copied into each warp
  bool checked = true;                      ///< CheckLevel::Memory
  std::unique_ptr<GlobalShadow> globalShadow; ///< with CheckLevel::Full

  std::atomic<bool> stopped = false;
  std::mutex mutex; ///< guards what follows
  std::vector<Finding> findings;
  std::set<std::pair<std::string, std::uint32_t>> reported; ///< (id, origin)
  std::string output;

  /// Adds a finding, unless one of its kind at this instruction is there. Stops the launch unless it may go on.
  void add(Finding finding, std::uint32_t origin);
};

/// Per thread: counters, and the last allocation each instruction touched.
struct Worker {
  struct Counts {
    std::uint64_t executed = 0, lanes = 0, waits = 0;
  };
  struct MemoryCounts {
    std::uint64_t globalBytes = 0, sharedBytes = 0, sectors = 0, wavefronts = 0, conflicts = 0;
  };
  /// A range of global addresses that one allocation covers.
  struct Hit {
    DeviceAddress begin = 1, end = 0;
    bool writable = false;
    const std::atomic<bool> *defined = nullptr;
  };
  std::vector<Counts> counts;              ///< by instruction
  std::vector<MemoryCounts> memoryCounts;  ///< by origin, when asked for
  std::vector<Hit> hits;                   ///< by origin
};

} // namespace attn::emulator
