// Named barriers: arrival, completion, reductions, and the ways to misuse them (B01, B02, B04). Fences.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <bit>

namespace attn::emulator {

std::uint32_t Cta::expectedThreads(const NamedBarrier &barrier) const {
  if (barrier.expected)
    return barrier.expected;
  std::uint32_t threads = 0;
  for (const auto &warp : warps)
    threads += warp->live ? 32 : 0;
  return threads;
}

/// Threads that a warp's arrived lanes stand for: all 32 once every living lane is there.
static std::uint32_t threadsOf(const Warp &warp, std::uint32_t lanes) {
  return (warp.live & ~lanes) == 0 ? 32 : static_cast<std::uint32_t>(std::popcount(lanes));
}

void Cta::arrive(Warp &warp, const Inst &in, unsigned id, std::uint32_t count, NamedBarrier::Use use, bool waits,
                 std::uint32_t predicate) {
  NamedBarrier &barrier = barriers[id];
  if (barrier.arrived == 0) {
    barrier.first = &in;
    barrier.expected = count;
    barrier.use = use;
    barrier.count = 0, barrier.lanes = 0;
    std::fill(barrier.lanesOfWarp.begin(), barrier.lanesOfWarp.end(), 0);
  }
  if (launch.checked && (barrier.expected != count || barrier.use != use)) {
    warp.report(in, "B01", warp.exec,
                fmt::format("barrier {} is used with {} threads here, but its first arrival (line {}) named {}{}", id, count,
                            launch.program->origins[barrier.first->origin].instruction->line, barrier.expected,
                            barrier.use == use ? "" : ", and as another kind of barrier"));
    if (warp.state == Warp::State::Failed)
      return;
  }
  std::uint32_t &lanes = barrier.lanesOfWarp[warp.index];
  if (launch.checked && (lanes & warp.exec)) {
    warp.report(in, "B02", lanes & warp.exec, fmt::format("barrier {}: these lanes arrive a second time before it completes", id));
    if (warp.state == Warp::State::Failed)
      return;
  }
  std::uint32_t before = lanes ? threadsOf(warp, lanes) : 0;
  lanes |= warp.exec;
  barrier.arrived += threadsOf(warp, lanes) - before;
  barrier.count += static_cast<unsigned>(std::popcount(predicate & warp.exec));
  barrier.lanes += static_cast<unsigned>(std::popcount(warp.exec));
  if (sanitizer)
    sanitizer->arriveAtBarrier(warp, in, id);
  if (waits)
    warp.wait(in, id);
  if (launch.checked && barrier.arrived > expectedThreads(barrier)) {
    warp.report(in, "B02", warp.exec, fmt::format("barrier {}: {} threads have arrived, but it takes {}", id, barrier.arrived,
                                                  expectedThreads(barrier)));
    if (warp.state == Warp::State::Failed)
      return;
  }
  if (waits && barrier.arrived < expectedThreads(barrier))
    ++warp.worker->counts[static_cast<std::size_t>(&in - launch.program->code.data())].waits;
  completeIfFull(id);
}

void Cta::completeIfFull(unsigned id) {
  if (barriers[id].arrived >= expectedThreads(barriers[id]))
    complete(id);
}

void Cta::complete(unsigned id) {
  NamedBarrier &barrier = barriers[id];
  switch (barrier.use) {
  case NamedBarrier::Use::CountReduce:
    barrier.result = barrier.count;
    break;
  case NamedBarrier::Use::AndReduce:
    barrier.result = barrier.count == barrier.lanes;
    break;
  case NamedBarrier::Use::OrReduce:
    barrier.result = barrier.count != 0;
    break;
  default:
    break;
  }
  barrier.arrived = 0;
  if (sanitizer)
    sanitizer->completeBarrier(id);
  for (const auto &warp : warps)
    warp->release(id);
}

void Cta::deliver(Warp &warp, const Inst &in, unsigned id) {
  const NamedBarrier &barrier = barriers[id];
  NamedBarrier::Use use = static_cast<NamedBarrier::Use>(in.kind); // where checks are off, others may have come with another
  if (use == NamedBarrier::Use::CountReduce) {
    std::uint32_t values[32];
    for (std::uint32_t &value : values)
      value = barrier.result;
    warp.write(in.d, values);
    warp.setUndefined(in.d, 0);
  } else if (use == NamedBarrier::Use::AndReduce || use == NamedBarrier::Use::OrReduce) {
    warp.writePredicate(in.p0, barrier.result ? kFullMask : 0, 0);
  }
}

/// The value of a register that all executing lanes have to agree on.
static std::uint32_t uniformValue(Warp &warp, std::uint32_t slot) {
  return warp.plane<std::uint32_t>(slot)[std::countr_zero(warp.exec)];
}

void barrierHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if ((in.flags & kAligned) && !warp.converge(in, warp.live))
    return;
  if (!warp.checkDefined(in, in.a, "barrier id"))
    return;
  std::uint32_t id = uniformValue(warp, in.a), count = 0;
  if (in.flags & kHasCount) {
    if (!warp.checkDefined(in, in.b, "barrier count"))
      return;
    count = uniformValue(warp, in.b);
  }
  if (id > 15) {
    warp.report(in, "B04", warp.exec, fmt::format("barrier {} does not exist, there are 0 to 15", id));
    return;
  }
  if ((in.flags & kHasCount) && (count == 0 || count % 32 != 0)) {
    warp.report(in, "B01", warp.exec, fmt::format("a barrier's thread count is a multiple of 32, but got {}", count));
    return;
  }
  NamedBarrier::Use use = static_cast<NamedBarrier::Use>(in.kind);
  std::uint32_t predicate = 0;
  if (use != NamedBarrier::Use::Plain) {
    if (!warp.checkPredicateDefined(in, in.p1, warp.exec, "predicate"))
      return;
    predicate = warp.predicate(in.p1, in.flags & kNegateP1);
  }
  warp.cta.arrive(warp, in, id, count, use, !(in.flags & kArriveOnly), predicate);
}

void fenceHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->fence(warp, in);
}

} // namespace attn::emulator
