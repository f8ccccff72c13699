// The accesses of a launch to global memory, of all its CTAs, for the check whether they are ordered (GlobalAccesses.cpp).
#pragma once

#include "runtime/emulator/Program.h"
#include "runtime/emulator/sanitizer/AccessRecord.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace attn::emulator {

/// Up to which epoch of each other CTA something is known; those that are not named: nothing.
using CtaClock = std::map<std::uint32_t, Epoch>;

/// What the modifiers of a memory instruction, fence or wait say about order.
struct OrderSemantics {
  bool isStrong = false; ///< relaxed, acquire, release, volatile, or atomic
  bool acquires = false, releases = false;
  bool isCtaScope = false;
  bool isNonCoherent = false;
  bool isReadWait = false;   ///< cp.async.bulk.wait_group.read
  bool coversGlobal = true;  ///< a proxy fence that is not of shared memory alone
};

struct GlobalRecord {
  AccessRecord access;
  std::uint32_t cta = 0;
  Epoch ctaEpoch = 0;
  std::uint32_t fences = 0; ///< proxy fences that its CTA had executed
};

/// `cta` of reads that several CTAs did.
inline constexpr std::uint32_t kManyCtas = ~0u;

struct GlobalShadow {
  explicit GlobalShadow(const Program &program);

  /// The first record of a granule; 0: none.
  std::uint32_t &head(std::uint64_t granule);
  std::uint32_t take();
  void give(std::uint32_t slot);

  std::vector<OrderSemantics> semantics; ///< by origin; constant
  std::mutex mutex;                      ///< guards what follows
  std::vector<GlobalRecord> records;     ///< records[0] ends the lists
  std::unordered_map<std::uint64_t, CtaClock> released; ///< by address: what strong writes brought there

private:
  static constexpr std::uint64_t kPageGranules = 4096;
  using Page = std::array<std::uint32_t, kPageGranules>;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages;
  std::uint64_t lastPage = ~std::uint64_t(0);
  Page *last = nullptr;
  std::uint32_t unused = 0;
};

} // namespace attn::emulator
