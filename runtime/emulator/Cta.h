// A CTA: its warps, shared memory and named barriers. Runs on one thread at a time and can be put aside and resumed.
#pragma once

#include "runtime/emulator/AsyncEngine.h"
#include "runtime/emulator/Warp.h"
#include "runtime/emulator/sanitizer/Sanitizer.h"

#include <array>
#include <memory>
#include <random>
#include <vector>

namespace attn::emulator {

/// One of the sixteen named barriers. Arrival counts threads, a whole warp as 32 even where lanes are missing.
struct NamedBarrier {
  enum class Use : std::uint8_t { None, Plain, CountReduce, AndReduce, OrReduce };
  std::uint32_t expected = 0; ///< threads; 0: all that live
  std::uint32_t arrived = 0;
  std::uint32_t generation = 0;
  Use use = Use::None;
  std::uint32_t count = 0; ///< lanes whose predicate holds
  std::uint32_t lanes = 0; ///< lanes that brought a predicate
  std::uint32_t result = 0;
  std::vector<std::uint32_t> lanesOfWarp; ///< who arrived in this generation
  const Inst *first = nullptr;
};

class Cta {
public:
  Cta(Launch &launch, Worker &worker, Dim3 position, std::uint64_t linearIndex);

  /// Runs up to about `steps` warp instructions. True when the CTA has ended, well or not.
  bool run(std::uint64_t steps, Worker &onWorker);

  // Called by warps
  void warpExited(Warp &warp);
  void lanesExited();
  /// One fragment arrives at a barrier. `waits`: it stays until the barrier completes.
  void arrive(Warp &warp, const Inst &in, unsigned id, std::uint32_t count, NamedBarrier::Use use, bool waits,
              std::uint32_t predicate);
  /// Gives a released fragment the result of its reduction.
  void deliver(Warp &warp, const Inst &in, unsigned barrier);

  Launch &launch;
  Dim3 position;
  std::uint32_t number; ///< of the CTA in launch order
  std::uint32_t smid = 0;
  std::vector<std::byte> shared; ///< from offset 0 of the window
  std::vector<std::uint8_t> sharedShadow;
  std::mt19937_64 random;
  std::vector<std::unique_ptr<Warp>> warps;
  AsyncEngine async;
  std::unique_ptr<Sanitizer> sanitizer; ///< null below CheckLevel::Full
  std::uint64_t executed = 0;

private:
  std::uint32_t expectedThreads(const NamedBarrier &barrier) const;
  void completeIfFull(unsigned id);
  void complete(unsigned id);
  void reportDeadlock();
  bool finish();
  Warp *nextReady();
  void setSpecialRegisters(Warp &warp);

  std::array<NamedBarrier, 16> barriers;
  std::size_t nextWarp = 0;
};

} // namespace attn::emulator
