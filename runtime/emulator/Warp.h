// A warp: its registers and its fragments. A fragment is a set of lanes at one place of the code. The fragment with the
// lowest place runs, and fragments at the same place merge: structured code reconverges without analysis of the graph.
#pragma once

#include "runtime/emulator/Launch.h"
#include "runtime/emulator/lanes/LaneState.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attn::emulator {

class Cta;

struct Fragment {
  enum class State : std::uint8_t {
    Ready,
    Parked,  ///< at an instruction that other lanes have to reach too
    Waiting, ///< for a named barrier; `pc` is after it
  };
  std::uint32_t pc = 0, mask = 0;
  State state = State::Ready;
  std::uint8_t barrier = 0;
  const Inst *instruction = nullptr; ///< of a Waiting fragment
  std::uint32_t address = 0;         ///< of the mbarrier that a fragment waits for
};

/// A cp.async that has not moved its bytes yet.
struct PendingCopy {
  std::uint32_t mask = 0;
  std::uint32_t group = 0; ///< valid once committed: the same in all its lanes
  bool committed = false;
  const Inst *instruction = nullptr;
  std::uint64_t source[32];
  std::uint32_t destination[32];
  std::uint32_t sourceBytes[32];
};

class Warp : public LaneState {
public:
  enum class State : std::uint8_t { Ready, Blocked, Done, Failed };

  Warp(Cta &cta, Worker &worker, unsigned index, std::uint32_t lanes);

  /// Executes until the warp blocks, ends, fails, or has done `steps` instructions. Returns how many it did.
  std::uint64_t run(std::uint64_t steps);

  // Control, called by handlers
  void jump(const Inst &in);                          ///< exec lanes go to in.target
  void jumpIndexed(const Inst &in);
  void exitLanes();
  /// True when the executing lanes contain `needed`; else parks them here until the others come.
  bool converge(const Inst &in, std::uint32_t needed);
  /// For bar.warp.sync: when the executing lanes and those parked at others with the same mask are all of `members`, these
  /// go on, and so does the caller (true).
  bool joinWarpBarrier(const Inst &in, std::uint32_t members);
  void wait(const Inst &in, unsigned barrier);        ///< exec lanes wait for a named barrier
  void release(unsigned barrier);                     ///< the barrier completed
  /// The executing lanes wait here and execute `in` again when woken (AsyncEngine.h: kinds of waiting).
  void waitAgain(const Inst &in, std::uint8_t kind, std::uint32_t address);
  /// Wakes the fragments that wait like that; true when there are any.
  bool wake(std::uint8_t kind, std::uint32_t address);
  /// Called when nothing in the CTA can run: reports parked fragments (D02), else returns false.
  bool reportParked();
  void fail() { state = State::Failed; }

  /// Reports a finding at `in` for `lanes`. The warp fails unless the launch keeps going.
  void report(const Inst &in, const char *id, std::uint32_t lanes, const std::string &detail);
  /// U01 when any executing lane of the register is undefined. False: the instruction must not go on in those lanes.
  bool checkDefined(const Inst &in, std::uint32_t slot, const char *role);
  bool checkPredicateDefined(const Inst &in, std::uint16_t predicate, std::uint32_t lanes, const char *role);

  bool waitsFor(unsigned barrier) const; ///< some lanes, at that named barrier
  std::string describeWait() const;

  Cta &cta;
  Launch &launch;
  Worker *worker;
  unsigned index;
  std::uint32_t live;       ///< lanes that exist and have not exited
  std::uint32_t present;    ///< lanes that exist
  std::uint32_t active = 0; ///< the running fragment
  std::uint32_t pc = 0;
  State state = State::Ready;
  std::uint64_t executed = 0;
  std::vector<Fragment> fragments; ///< all but the running one

  std::vector<std::byte> local; ///< lane after lane
  std::vector<std::uint8_t> localShadow;
  std::vector<PendingCopy> copies;
  std::uint32_t commits[32] = {}; ///< groups committed, by lane
  std::uint32_t bulkCommits[32] = {}; ///< groups of bulk copies, by lane
  std::uint32_t expired = 0;      ///< lanes whose wait for a phase has timed out
  std::uint32_t failedTests = 0;  ///< tests of phases that found them unfinished, in a row

  /// wgmma: the numbers of products and groups, and for each slot what it is part of.
  struct Products {
    std::uint64_t issued = 0;               ///< products of the warpgroup that this warp has issued
    std::vector<std::uint64_t> groupEnds;   ///< `issued` at each commit
    std::uint64_t waited = 0;               ///< products before this number have been waited for
    std::uint64_t fences = 0;
    std::vector<std::uint64_t> accumulator, factor; ///< by slot: one past the number of the last product that has it
    std::vector<std::uint64_t> touched;     ///< by slot: one past the fences passed when it was last accessed
    std::vector<std::uint8_t> shape;        ///< by slot: columns / 8 of the last product that accumulated in it
  } products;

private:
  /// The executing lanes will execute the instruction at `place` again.
  void uncount(std::uint32_t place);
  void select();
  void updateLimit();
  bool checkPinned(const Inst &in);

  std::uint32_t limit = ~0u; ///< the place where the running fragment meets another
  std::uint32_t rotation = 0;
  bool rotated = false;
  std::uint32_t carryMask = 0;
  std::vector<std::uint32_t> storage;      ///< register planes, with room to align
  std::vector<std::uint32_t> undefinedStorage;
  std::vector<std::uint32_t> predicateStorage;
};

inline Warp &warpOf(LaneState &state) { return static_cast<Warp &>(state); }

} // namespace attn::emulator
