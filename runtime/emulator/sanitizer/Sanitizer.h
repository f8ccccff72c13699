// Check level `full`: which accesses to shared memory are ordered by synchronisation, whatever the timing of this run was.
//
// Happens-before with vector clocks (Clock.h). Each lane knows what came before it: what its warp knows in common, what it
// acquired alone, and its own deeds. Barriers, arrivals and waits hand knowledge on. Every access to shared memory leaves a
// record beside the bytes; a later access to the same bytes, one of the two a write, has to know of the earlier one:
//
//   R01, R02  read after write; write after read or write: nothing orders the two
//   R04       the same between lanes of one warp: a bar.warp.sync is missing
//   P01, P02  ordered, but from the generic to the asynchronous proxy (wgmma, tensor copies) without fence.proxy.async:
//             written and then accessed; read and then written
//   A02       an mbarrier is used that is not known to be initialised, or by a tensor copy without fence.mbarrier_init
//   W08       a product reads bytes twice, or in another pattern than they were copied in; M05: or a live mbarrier
//   R05, R06, P03, M06  global memory: GlobalAccesses.cpp
//
// Asynchronous work is an agent of its own. It is checked with the knowledge of whoever issues it, and leaves a record
// that only those know of who have waited for its end. PTX ISA 9.1, 8.5 to 8.9 and 9.7.9.25.
#pragma once

#include "runtime/emulator/Launch.h"
#include "runtime/emulator/sanitizer/AccessRecord.h"
#include "runtime/emulator/sanitizer/GlobalShadow.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator {

class Cta;
class Warp;
struct Access;
enum class AccessKind : std::uint8_t;

/// Bytes of global memory, from the start of all of it.
struct GlobalRange {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
};

/// Inst::kind of fences.
enum class FenceKind : std::uint8_t { Memory, Proxy, ProxyGlobal, BarrierInit };

class Sanitizer {
public:
  explicit Sanitizer(Cta &cta);

  // Accesses to shared memory (SharedAccesses.cpp). All take effect at issue; false: the warp failed.
  bool access(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind, bool isAtomic = false);
  /// ldmatrix and stmatrix: all lanes together access the rows of the lanes in `access.mask`.
  bool accessTogether(Warp &warp, const Inst &in, const Access &access, AccessKind kind);
  /// cp.async of the lanes in `lanes`.
  bool copy(Warp &warp, const Inst &in, const std::uint32_t (&destinations)[32], std::uint32_t lanes, std::uint32_t bytes);
  /// The units of 16 bytes that a product reads for this warp.
  bool product(Warp &warp, const Inst &in, std::span<const std::uint32_t> units, std::uint64_t number);
  /// W08 and M05: the units of one operand of a product, read in the pattern of `swizzle` bytes (0: none).
  bool checkLayout(Warp &warp, const Inst &in, std::span<const std::uint32_t> units, unsigned swizzle, const char *name);
  /// The units that a tensor copy of one lane writes, in the pattern of `swizzle` bytes; its end counts towards `phase` of the barrier.
  bool tensorLoad(Warp &warp, const Inst &in, unsigned lane, std::span<const std::uint32_t> units, unsigned swizzle,
                  std::uint32_t barrier, std::uint64_t phase);
  bool tensorStore(Warp &warp, const Inst &in, unsigned lane, std::span<const std::uint32_t> units);

  // The same in global memory (GlobalAccesses.cpp). Offsets count from the start of all of it.
  bool accessGlobal(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind);
  /// What a cp.async that `copy` has checked reads.
  bool copySource(Warp &warp, const Inst &in, const std::uint64_t (&offsets)[32], const std::uint32_t (&bytes)[32], std::uint32_t lanes);
  bool tensorLoadSource(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges, std::uint32_t barrier,
                        std::uint64_t phase);
  bool tensorStoreTarget(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges);

  // Synchronisation (Synchronization.cpp)
  void fence(Warp &warp, const Inst &in);
  void syncLanes(Warp &warp, const Inst &in, std::uint32_t lanes);
  void arriveAtBarrier(Warp &warp, const Inst &in, unsigned id);
  /// Before the waiting fragments go on.
  void completeBarrier(unsigned id);

  void initialiseBarrier(Warp &warp, unsigned lane, std::uint32_t address);
  void invalidateBarrier(std::uint32_t address);
  /// A02. `byCopy`: as the barrier of a tensor copy.
  bool useBarrier(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes, bool byCopy);
  void arrive(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes);
  /// The end of the lanes' copies so far will be an arrival.
  void arriveAfterCopies(Warp &warp, std::uint32_t address, std::uint32_t lanes);
  void endPhase(std::uint32_t address, std::uint64_t phases);
  void observePhase(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes);

  void commitCopies(Warp &warp, std::uint32_t lanes);
  /// All but the newest `left` groups, or (less than zero) all copies, have ended.
  void waitForCopies(Warp &warp, const Inst &in, std::uint32_t lanes, std::int64_t left);
  void commitStores(Warp &warp, std::uint32_t lanes);
  void waitForStores(Warp &warp, const Inst &in, std::uint32_t lanes, std::uint32_t left);
  void waitForProducts(Warp &warp, const Inst &in, std::uint64_t waited);

private:
  /// Components of what each lane does for itself, and what it knows of them before it tells others.
  struct OwnWork {
    std::uint32_t base = 0; ///< component of lane 0; 0: none were needed yet
    Epoch issued = 0;
    std::array<Epoch, 32> seen{}, proxied{};
    std::array<std::vector<Epoch>, 32> commits; ///< `issued` at each commit
  };
  struct WarpState {
    Knowledge common;                                    ///< of all lanes
    std::array<std::unique_ptr<Knowledge>, 32> alone;    ///< what a lane knows beyond that
    std::uint32_t aloneMask = 0;                         ///< lanes that have `alone`
    Epoch epoch = 1;                                     ///< of ordinary accesses; grows when knowledge is handed on
    std::uint32_t firstLane = 0;                         ///< component of lane 0
    std::array<Epoch, 32> fenced{};                      ///< own accesses up to here are behind a proxy fence
    OwnWork copies, stores;
    OwnWork written;                                     ///< the same stores, until what they write is there too
    std::uint32_t products = 0;                          ///< component; 0: none
    const Inst *lastSync = nullptr;
  };
  using Record = AccessRecord;
  /// Who accesses, with what knowledge.
  struct Accessor {
    Warp &warp;
    const Inst &in;
    WarpState &state;
    int lane = -1; ///< -1: all lanes together
    Record record; ///< what the access will leave behind
    bool changesNothing = false; ///< a store of what stands there already
  };
  struct PhaseBarrier {
    Knowledge pending, published;
    std::uint32_t component = 0;
    unsigned warp = 0, lane = 0; ///< who initialised it, and when
    Epoch initialised = 0;
    Epoch fenced = 0;            ///< when that lane made it visible to the asynchronous proxy; 0: never
  };

  WarpState &stateOf(const Warp &warp);
  std::uint32_t allocate(std::uint32_t count);
  void release(Warp &warp, std::uint32_t lanes, Knowledge &into);
  void tellOwn(const Warp &warp, WarpState &state, std::uint32_t lanes, Knowledge &into);
  void acquire(Warp &warp, std::uint32_t lanes, const Knowledge &from);
  Knowledge &aloneOf(WarpState &state, unsigned lane);
  void forgetAlone(WarpState &state);
  static void wait(OwnWork &work, std::uint32_t lanes, std::int64_t left);

  static bool knows(const Accessor &by, Clock Knowledge::*clock, std::uint32_t component, Epoch epoch);
  static bool seesProxied(const Accessor &by, std::uint32_t component, Epoch epoch);
  static bool sees(const Accessor &by, std::uint32_t component, Epoch epoch);
  bool isOrdered(const Record &earlier, const Accessor &later) const;
  bool isCovered(const Record &earlier, const Accessor &later) const;
  bool check(std::uint32_t granule, const Accessor &by, std::uint32_t address);
  bool checkUnits(std::span<const std::uint32_t> units, const Accessor &by);
  void leave(std::uint32_t granule, const Record &record);
  bool reportRace(const Record &earlier, const Accessor &later, std::uint64_t address, std::string_view space = "shared");
  bool reportProxy(const Record &earlier, const Accessor &later, std::uint32_t address);
  std::string describe(const Record &record) const;
  std::string place(std::uint32_t origin) const;

  void fenceGlobal(const Inst &in);
  void fenceProxyGlobal(const Inst &in);
  void synchroniseGlobally(const OrderSemantics &order, std::uint64_t address, AccessKind kind);
  bool knowsCta(const GlobalRecord &earlier, bool isStrong) const;
  static bool isEarlierGroup(const Record &earlier, const Accessor &later);
  bool checkGlobal(std::uint64_t granule, const Accessor &by, std::uint64_t address);
  void leaveGlobal(std::uint64_t granule, const Record &record);
  void mergeReaders(std::span<const std::uint32_t> slots, const Record &record);
  bool visitGlobal(Accessor &by, std::uint64_t offset, std::uint32_t bytes, bool leaves);
  bool tensorGlobal(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges, std::uint32_t component, Epoch epoch,
                    bool writes);
  bool reportBetweenCtas(const char *id, std::string_view why, const GlobalRecord &earlier, const Accessor &later, std::uint64_t offset);

  /// What the CTA knows of others, and what others may hear of it.
  struct GlobalKnowledge {
    std::uint32_t cta = 0;
    Epoch epoch = 1; ///< grows when something is released
    CtaClock known;
    CtaClock heard;    ///< by relaxed reads: known behind the next fence
    CtaClock released; ///< up to the last fence: what relaxed writes hand on
    std::uint32_t proxyFences = 0;
  };

  Cta &cta;
  GlobalKnowledge global;
  std::uint32_t components = 0;
  std::vector<WarpState> warps;
  std::array<Knowledge, 16> named; ///< barriers: what the arrivals of this generation brought
  std::map<std::uint32_t, PhaseBarrier> barriers;
  std::vector<std::uint32_t> heads; ///< by granule: its first record
  std::vector<std::uint8_t> patterns; ///< by granule: the swizzle of the tensor copy that wrote it last, or kNoPattern
  std::vector<std::uint32_t> readBy; ///< by granule: the last operand, by number, that has it
  std::uint32_t operands = 0;
  std::vector<Record> records;      ///< records[0] ends the lists
  std::uint32_t unused = 0;         ///< list of free records
};

} // namespace attn::emulator
