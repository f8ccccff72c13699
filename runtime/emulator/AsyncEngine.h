// What runs beside the warps of a CTA: transaction barriers (mbarrier), copies of the tensor memory accelerator, and the
// matrix products of warpgroups (wgmma).
//
// An operation is issued by a warp and done at once (eager), when a wait needs it (lazy), or when chance says so (random).
// Until then its operands are not read: a kernel that reuses a buffer or reads a result too early computes wrong values, or
// meets memory that counts as undefined.
#pragma once

#include "runtime/emulator/TensorMap.h"
#include "runtime/emulator/Warp.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace attn::emulator {

/// Fragment::barrier of fragments that wait here; smaller numbers are named barriers. Such a fragment stands at the
/// instruction that waits, and executes it again when woken.
inline constexpr std::uint8_t kPhaseWait = 16; ///< for the phase of the mbarrier at Fragment::address
inline constexpr std::uint8_t kProductWait = 17; ///< for the other warps of the warpgroup to issue their part

inline constexpr std::uint8_t kRegisterWait = 18; ///< for registers that other warps give back

/// PTX ISA 9.7.13.15. The eight bytes themselves stay opaque to the program.
struct Mbarrier {
  std::uint32_t expected = 0, pending = 0;
  std::int64_t bytes = 0; ///< still to come; less than zero when they came before they were announced
  std::int64_t announced = 0, issued = 0; ///< bytes of this phase: as announced, and of copies that were issued for it
  std::uint64_t phase = 0;
  const Inst *lastArrival = nullptr, *lastAnnouncement = nullptr;
  unsigned lastArriver = 0; ///< warp
};

/// One copy between global and shared memory, issued by one lane.
struct Transfer {
  enum class Kind : std::uint8_t { Load, Store };
  Kind kind = Kind::Load;
  TensorMap map;
  std::array<std::int32_t, kMaxTensorRank> at{}; ///< coordinates of the box
  std::uint32_t shared = 0;
  std::uint32_t barrier = 0; ///< of a load
  Warp *warp = nullptr;
  unsigned lane = 0;
  const Inst *instruction = nullptr;
  std::uint32_t group = 0; ///< of a store: the lane's commits when it was issued
  bool done = false;       ///< a store may be done before it is waited for
};

/// Arrivals that cp.async.mbarrier.arrive leaves behind while copies of its lanes are under way.
struct CopyArrival {
  Warp *warp = nullptr;
  std::uint32_t barrier = 0;
  std::uint32_t lanes = 0;
  const Inst *instruction = nullptr;
};

/// One wgmma.mma_async, issued by the warps of a warpgroup one after another.
struct Product {
  const Inst *instruction = nullptr;
  std::uint64_t a = 0, b = 0; ///< descriptors; `a` counts when A is in shared memory
  bool accumulate = false;
  unsigned issuers = 0;
  std::uint32_t done = 0; ///< bit i: the rows of the group's warp i; each may be late for itself
  std::vector<std::uint32_t> unitsA, unitsB; ///< with the sanitizer: where the operands lie
};

struct Warpgroup {
  std::array<Warp *, 4> warps{};
  std::deque<Product> products; ///< those that some warp has not waited for
  std::uint64_t first = 0;      ///< number of products.front()
};

class AsyncEngine {
public:
  explicit AsyncEngine(Cta &cta);

  // Barriers (Mbarrier.cpp)
  Mbarrier *find(std::uint32_t address);
  void initialise(std::uint32_t address, std::uint32_t count);
  void invalidate(std::uint32_t address);
  /// False after a report.
  bool arrive(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t count, bool drop);
  bool announce(Warp &warp, const Inst &in, std::uint32_t address, std::int64_t bytes);
  void completeBytes(Warp &warp, const Inst &in, std::uint32_t address, std::int64_t bytes);
  /// Does whatever would let the barrier's phase end.
  void hasten(std::uint32_t address);
  void arriveAfterCopies(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes);
  /// Whether [begin, end) touches a live barrier.
  bool overlapsBarrier(std::uint64_t begin, std::uint64_t end) const;

  // Transfers (Tma.cpp)
  void issue(Transfer transfer);
  /// A load under way that will write into [begin, end); null when there is none.
  const Transfer *findLoad(std::uint32_t begin, std::uint32_t end) const;
  void finishStores(Warp &warp, std::uint32_t lanes, std::uint32_t groupsLeft);

  // Products (Wgmma.cpp)
  Warpgroup *warpgroupOf(const Warp &warp);
  void issue(Warp &warp, const Inst &in, const Product &product);
  /// Performs the parts of `ranks` (bits) of all products before number `end`; false when another warp has not issued its
  /// part yet.
  bool finishProducts(Warpgroup &group, std::uint64_t end, std::uint32_t ranks);

  // Registers of warps that exchange them (WarpgroupOperations.cpp)
  /// setmaxnreg. False: the warp has to wait until others give back as many.
  bool setRegisters(Warp &warp, const Inst &in);
  void reportUnevenRegisters();

  /// Nothing in the CTA can run: does what is still under way, or lets waits time out. False when that helps nobody.
  bool unblock();
  /// What the fragment waits for, for the report of a deadlock.
  std::string describeWait(const Warp &warp, const Fragment &fragment) const;
  /// A08: what nobody waited for at the end.
  void reportLeftovers();

private:
  void endPhaseIfComplete(std::uint32_t address, Mbarrier &barrier);
  void perform(Transfer &transfer);
  /// With the sanitizer: whether what the copy overwrites or reads is free for it.
  bool checkOrder(const Transfer &transfer);
  bool checkOrder(Warp &warp, const Product &product);
  bool checkLayouts(Warp &warp, const Product &product);
  void performLoad(const Transfer &transfer);
  void performStore(const Transfer &transfer);
  void perform(Warpgroup &group, Product &product, std::uint32_t ranks);
  void reportEarly(Warp &warp, const Inst &in, const std::vector<std::uint32_t> &units);
  void perform(const CopyArrival &arrival);
  void performByChance();
  bool isAwaited(std::uint32_t address) const;
  void wake(std::uint8_t kind, std::uint32_t address);

  Cta &cta;
  std::map<std::uint32_t, Mbarrier> barriers;
  std::vector<Transfer> loads, stores;
  std::vector<CopyArrival> arrivals;
  std::vector<Warpgroup> warpgroups;
  struct WarpRegisters {
    std::uint32_t perThread = 0;
    const Inst *exchange = nullptr; ///< the last setmaxnreg
  };
  std::vector<WarpRegisters> registers; ///< by warp; empty before the first exchange
  std::int64_t freeRegisters = 0;       ///< a lane's share of what was given back
  std::uint64_t progress = 0;     ///< phases that ended
  std::uint64_t lastProgress = 0; ///< when waits timed out last
  unsigned fruitlessTimeouts = 0;
};

} // namespace attn::emulator
