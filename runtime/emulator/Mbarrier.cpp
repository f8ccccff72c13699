// Transaction barriers: PTX ISA 9.7.13.15. Their state is kept beside shared memory; a phase ends when no arrival and no
// byte is missing.
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <bit>

namespace attn::emulator {

using ptx::Space;

static constexpr std::uint32_t kCountLimit = (1u << 20) - 1; // of arrivals, and of bytes either way
/// Tests in a row that find a phase unfinished, after which the test waits: a loop around it must not keep the CTA busy.
static constexpr std::uint32_t kPatience = 64;

static unsigned lineOf(const Warp &warp, const Inst &in) {
  return warp.launch.program->origins[in.origin].instruction->line;
}

Mbarrier *AsyncEngine::find(std::uint32_t address) {
  auto found = barriers.find(address);
  return found == barriers.end() ? nullptr : &found->second;
}

void AsyncEngine::initialise(std::uint32_t address, std::uint32_t count) {
  Mbarrier made;
  made.expected = made.pending = count;
  barriers.insert_or_assign(address, made);
}

void AsyncEngine::invalidate(std::uint32_t address) {
  barriers.erase(address);
  if (cta.sanitizer)
    cta.sanitizer->invalidateBarrier(address);
}

bool AsyncEngine::overlapsBarrier(std::uint64_t begin, std::uint64_t end) const {
  if (barriers.empty())
    return false;
  auto next = barriers.lower_bound(static_cast<std::uint32_t>(begin >= 7 ? begin - 7 : 0));
  return next != barriers.end() && next->first < end;
}

void AsyncEngine::endPhaseIfComplete(std::uint32_t address, Mbarrier &barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0)
    return;
  ++barrier.phase;
  barrier.announced = barrier.issued = 0;
  if (cta.sanitizer)
    cta.sanitizer->endPhase(address, barrier.phase);
  barrier.pending = barrier.expected;
  ++progress;
  wake(kPhaseWait, address);
}

bool AsyncEngine::arrive(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t count, bool drop) {
  Mbarrier &barrier = *find(address);
  if (count > barrier.pending) {
    warp.report(in, "A03", warp.exec,
                fmt::format("mbarrier at shared address {:#x}: {} arrive, but its phase {} expects only {} more of {}", address,
                            count, barrier.phase, barrier.pending, barrier.expected));
    return false;
  }
  barrier.pending -= count;
  barrier.expected -= drop ? count : 0;
  barrier.lastArrival = &in;
  barrier.lastArriver = warp.index;
  endPhaseIfComplete(address, barrier);
  return true;
}

bool AsyncEngine::announce(Warp &warp, const Inst &in, std::uint32_t address, std::int64_t bytes) {
  Mbarrier &barrier = *find(address);
  barrier.bytes += bytes;
  barrier.announced += bytes;
  barrier.lastAnnouncement = &in;
  if (barrier.bytes <= kCountLimit)
    return true;
  warp.report(in, "A04", warp.exec, fmt::format("mbarrier at shared address {:#x}: {} bytes are announced, the limit is {}",
                                                address, barrier.bytes, kCountLimit));
  return false;
}

void AsyncEngine::completeBytes(Warp &warp, const Inst &in, std::uint32_t address, std::int64_t bytes) {
  Mbarrier *barrier = find(address);
  if (!barrier) {
    warp.report(in, "A01", warp.exec, fmt::format("the mbarrier at shared address {:#x} is gone when its copy ends", address));
    return;
  }
  barrier->bytes -= bytes;
  if (barrier->pending == 0 && (barrier->bytes < 0 || (barrier->bytes == 0 && barrier->issued > barrier->announced)))
    warp.report(in, "A05", warp.exec,
                fmt::format("mbarrier at shared address {:#x}: {} bytes are announced for its phase {}, but the copies issued for "
                            "it bring {}",
                            address, barrier->announced, barrier->phase, barrier->issued));
  if (barrier->bytes < -std::int64_t(kCountLimit))
    warp.report(in, "A04", warp.exec, fmt::format("mbarrier at shared address {:#x}: {} bytes came that nobody announced",
                                                  address, -barrier->bytes));
  endPhaseIfComplete(address, *barrier);
}

void AsyncEngine::hasten(std::uint32_t address) {
  for (std::size_t i = 0; i < loads.size();) {
    if (loads[i].barrier != address) {
      ++i;
      continue;
    }
    Transfer load = loads[i];
    loads.erase(loads.begin() + static_cast<std::ptrdiff_t>(i));
    perform(load);
  }
  for (std::size_t i = 0; i < arrivals.size();) {
    if (arrivals[i].barrier != address) {
      ++i;
      continue;
    }
    CopyArrival arrival = arrivals[i];
    arrivals.erase(arrivals.begin() + static_cast<std::ptrdiff_t>(i));
    perform(arrival);
  }
}

void AsyncEngine::perform(const CopyArrival &arrival) {
  finishCopies(*arrival.warp, arrival.lanes);
  if (find(arrival.barrier))
    arrive(*arrival.warp, *arrival.instruction, arrival.barrier, static_cast<std::uint32_t>(std::popcount(arrival.lanes)), false);
}

void AsyncEngine::arriveAfterCopies(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes) {
  CopyArrival arrival{&warp, address, lanes, &in};
  bool underWay = false;
  for (const PendingCopy &copy : warp.copies)
    underWay |= (copy.mask & lanes) != 0;
  if (underWay)
    arrivals.push_back(arrival);
  else
    perform(arrival);
}

/// The shared addresses of the executing lanes' barriers. False after a report.
static bool barrierAddresses(Warp &warp, const Inst &in, std::uint32_t slot, bool wide, std::int64_t displacement,
                             std::uint64_t (&addresses)[32]) {
  if (slot != kNoRegister && !warp.checkDefined(in, slot, "address of an mbarrier"))
    return false;
  laneAddresses(warp, slot, wide, displacement, addresses);
  if (static_cast<Space>(in.space) == Space::Generic)
    for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      if (std::uint64_t whole = addresses[lane]; spaceOf(addresses[lane]) != Space::Shared) {
        warp.report(in, "M03", 1u << lane, fmt::format("wrong space: {:#x} is not in shared memory", whole));
        return false;
      }
    }
  Access access;
  access.ofBarrier = true;
  resolve(warp, in, Space::Shared, addresses, warp.exec, 8, 8, AccessKind::Update, access);
  return access.mask == warp.exec && warp.state != Warp::State::Failed;
}

/// Calls `f(address, lanes)` for each distinct address of the executing lanes.
template <typename F> static void forEachBarrier(const Warp &warp, const std::uint64_t (&addresses)[32], std::uint32_t mask, F f) {
  for (std::uint32_t rest = mask; rest && warp.state != Warp::State::Failed;) {
    const std::uint64_t address = addresses[std::countr_zero(rest)];
    std::uint32_t same = 0;
    for (std::uint32_t lanes = rest; lanes; lanes &= lanes - 1)
      same |= addresses[std::countr_zero(lanes)] == address ? lanes & -lanes : 0;
    rest &= ~same;
    f(static_cast<std::uint32_t>(address), same);
  }
}

/// A01: every lane's barrier must be live, and (A02) known to be.
static bool checkLive(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32]) {
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    if (!warp.cta.async.find(static_cast<std::uint32_t>(addresses[lane]))) {
      warp.report(in, "A01", 1u << lane, fmt::format("there is no initialised mbarrier at shared address {:#x}", addresses[lane]));
      return false;
    }
  }
  if (warp.cta.sanitizer)
    forEachBarrier(warp, addresses, warp.exec, [&](std::uint32_t address, std::uint32_t lanes) {
      warp.cta.sanitizer->useBarrier(warp, in, address, lanes, false);
    });
  return warp.state != Warp::State::Failed;
}

static void initialiseOne(Warp &warp, const Inst &in, unsigned lane, std::uint32_t address, std::uint32_t count) {
  if (count == 0 || count > kCountLimit)
    return warp.report(in, "A03", 1u << lane, fmt::format("an mbarrier expects 1 to {} arrivals, but got {}", kCountLimit, count));
  if (warp.cta.async.overlapsBarrier(address, address + 8))
    return warp.report(in, "A01", 1u << lane, fmt::format("the mbarrier at shared address {:#x} is live; it must be invalidated "
                                                          "before it is initialised again", address));
  warp.cta.async.initialise(address, count);
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->initialiseBarrier(warp, lane, address);
}

/// The state that an arrival gives back: the phase, and the arrivals that were pending.
static std::uint64_t stateOf(const Mbarrier &barrier) { return barrier.phase << 20 | barrier.pending; }

static bool arriveOne(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t value, std::uint64_t &token) {
  AsyncEngine &async = warp.cta.async;
  switch (static_cast<MbarrierOp>(in.kind)) {
  case MbarrierOp::ExpectBytes:
    return async.announce(warp, in, address, value);
  case MbarrierOp::CompleteBytes:
    async.completeBytes(warp, in, address, value);
    return warp.state != Warp::State::Failed;
  default:
    break;
  }
  token = stateOf(*async.find(address));
  if (static_cast<MbarrierOp>(in.kind) == MbarrierOp::ArriveExpectBytes)
    return async.announce(warp, in, address, value) && async.arrive(warp, in, address, 1, false);
  return async.arrive(warp, in, address, value, static_cast<MbarrierOp>(in.kind) == MbarrierOp::ArriveDrop);
}

void mbarrierHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint64_t addresses[32];
  if (!barrierAddresses(warp, in, in.a, in.flags & kWideAddress, in.imm, addresses))
    return;
  if (in.b != kNoRegister && !warp.checkDefined(in, in.b, "operand of an mbarrier"))
    return;
  const MbarrierOp op = static_cast<MbarrierOp>(in.kind);
  if (op != MbarrierOp::Init && !checkLive(warp, in, addresses))
    return;
  const std::uint32_t *values = in.b != kNoRegister ? warp.plane<std::uint32_t>(in.b) : nullptr;
  std::uint64_t tokens[32] = {};
  const std::uint32_t all = warp.exec;
  const bool arrives = op == MbarrierOp::Arrive || op == MbarrierOp::ArriveDrop || op == MbarrierOp::ArriveExpectBytes;
  if (arrives && warp.cta.sanitizer)
    forEachBarrier(warp, addresses, all, [&](std::uint32_t address, std::uint32_t lanes) {
      warp.cta.sanitizer->arrive(warp, in, address, lanes);
    });
  for (std::uint32_t rest = all; rest && warp.state != Warp::State::Failed; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    std::uint32_t address = static_cast<std::uint32_t>(addresses[lane]), value = values ? values[lane] : 1;
    warp.exec = 1u << lane;
    if (op == MbarrierOp::Init)
      initialiseOne(warp, in, lane, address, value);
    else if (op == MbarrierOp::Invalidate)
      warp.cta.async.invalidate(address);
    else if (!arriveOne(warp, in, address, value, tokens[lane]))
      break;
  }
  warp.exec = all;
  if (in.d != kNoRegister) {
    warp.write(in.d, tokens);
    warp.setUndefined(in.d, 0);
  }
}

void mbarrierPendingHandler(LaneState &state, const Inst &in) {
  std::uint32_t counts[32], undefinedMask = state.undefined[in.a];
  for (unsigned lane = 0; lane < 32; ++lane)
    counts[lane] = static_cast<std::uint32_t>(state.plane<std::uint64_t>(in.a)[lane] & kCountLimit);
  state.write(in.d, counts);
  state.setUndefined(in.d, undefinedMask);
}

/// Lanes whose phase has ended. A state token names a phase in full, a parity the current or the one before.
static std::uint32_t endedPhases(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32]) {
  std::uint32_t ended = 0;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    const Mbarrier &barrier = *warp.cta.async.find(static_cast<std::uint32_t>(addresses[lane]));
    bool done = in.flags & kParity ? (barrier.phase & 1) != (warp.plane<std::uint32_t>(in.b)[lane] & 1)
                                   : barrier.phase != warp.plane<std::uint64_t>(in.b)[lane] >> 20;
    ended |= std::uint32_t(done) << lane;
  }
  return ended;
}

/// try_wait gives up after a time of the device's choice. With the sanitizer the first of a row of tests does so, as if its phase
/// ended later: a kernel that does not look at the result goes on without what it waits for, and its next access says so. The phase
/// before a barrier's first has ended from the beginning.
static std::uint32_t givesUpEarly(const Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32]) {
  if (!warp.cta.sanitizer || !(in.flags & kMayBlock) || warp.failedTests > 0)
    return 0;
  std::uint32_t lanes = 0;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    bool isBeforeFirst = in.flags & kParity && warp.plane<std::uint32_t>(in.b)[lane] == 1 &&
                         warp.cta.async.find(static_cast<std::uint32_t>(addresses[lane]))->phase == 0;
    lanes |= std::uint32_t(!isBeforeFirst) << lane;
  }
  return lanes;
}

void mbarrierWaitHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint64_t addresses[32];
  if (!barrierAddresses(warp, in, in.a, in.flags & kWideAddress, in.imm, addresses) ||
      !warp.checkDefined(in, in.b, in.flags & kParity ? "parity" : "state of an mbarrier") || !checkLive(warp, in, addresses))
    return;
  if (in.flags & kParity)
    for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1)
      if (std::uint32_t parity = warp.plane<std::uint32_t>(in.b)[std::countr_zero(rest)]; parity > 1)
        return warp.report(in, "A06", rest & -rest, fmt::format("a parity is 0 or 1, but got {}", parity));
  const std::uint32_t early = givesUpEarly(warp, in, addresses);
  std::uint32_t ended = endedPhases(warp, in, addresses) & ~early, open = warp.exec & ~ended;
  if (open && !early) {
    for (std::uint32_t rest = open; rest; rest &= rest - 1)
      warp.cta.async.hasten(static_cast<std::uint32_t>(addresses[std::countr_zero(rest)]));
    if (warp.state == Warp::State::Failed)
      return;
    ended = endedPhases(warp, in, addresses), open = warp.exec & ~ended;
  }
  warp.failedTests = open ? warp.failedTests + 1 : 0;
  const bool waits = (in.flags & kMayBlock && !early) || warp.failedTests > kPatience;
  if (open && waits && (open & ~warp.expired))
    return warp.waitAgain(in, kPhaseWait, static_cast<std::uint32_t>(addresses[std::countr_zero(open)]));
  warp.expired &= ~warp.exec;
  if (warp.cta.sanitizer)
    forEachBarrier(warp, addresses, ended, [&](std::uint32_t address, std::uint32_t lanes) {
      warp.cta.sanitizer->observePhase(warp, in, address, lanes);
    });
  warp.writePredicate(in.p0, ended, 0);
}

void copyArrivalHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint64_t addresses[32];
  if (!barrierAddresses(warp, in, in.a, in.flags & kWideAddress, in.imm, addresses) || !checkLive(warp, in, addresses))
    return;
  const std::uint32_t all = warp.exec;
  forEachBarrier(warp, addresses, all, [&](std::uint32_t address, std::uint32_t lanes) {
    warp.exec = lanes;
    if (!(in.flags & kNoIncrement))
      warp.cta.async.find(address)->pending += static_cast<std::uint32_t>(std::popcount(lanes));
    if (warp.cta.sanitizer)
      warp.cta.sanitizer->arriveAfterCopies(warp, address, lanes);
    warp.cta.async.arriveAfterCopies(warp, in, address, lanes);
  });
  warp.exec = all;
}

/// "mbarrier at shared address 0x… (phase 3: 1 of 2 arrivals and 4096 bytes are missing; last arrival by warp 8, line 40)"
static std::string describe(const Warp &warp, std::uint32_t address, const Mbarrier &barrier) {
  std::string text = fmt::format("mbarrier at shared address {:#x} (phase {}: ", address, barrier.phase);
  if (barrier.pending)
    text += fmt::format("{} of {} arrivals are missing", barrier.pending, barrier.expected);
  if (barrier.bytes > 0)
    text += fmt::format("{}{} bytes are missing", barrier.pending ? ", " : "", barrier.bytes);
  if (barrier.bytes < 0)
    text += fmt::format("{}{} bytes came that nobody announced", barrier.pending ? ", " : "", -barrier.bytes);
  if (barrier.lastArrival)
    text += fmt::format("; last arrival by warp {} at line {}", barrier.lastArriver, lineOf(warp, *barrier.lastArrival));
  if (barrier.lastAnnouncement)
    text += fmt::format("; bytes announced last at line {}", lineOf(warp, *barrier.lastAnnouncement));
  return text + ")";
}

std::string AsyncEngine::describeWait(const Warp &warp, const Fragment &fragment) const {
  if (fragment.barrier == kPhaseWait) {
    auto found = barriers.find(fragment.address);
    return found == barriers.end() ? "an mbarrier that is gone" : describe(warp, fragment.address, found->second);
  }
  if (fragment.barrier == kRegisterWait)
    return fmt::format("{} registers a thread, when no warp gives back as many", fragment.instruction->imm);
  std::string missing;
  for (const Warpgroup &group : warpgroups)
    for (const Warp *other : group.warps)
      if (group.warps[0]->index == warp.index / 4 * 4 && other->products.issued < warp.products.issued)
        missing += fmt::format("{}{}", missing.empty() ? "" : ", ", other->index);
  return fmt::format("products that warps {} of its warpgroup have not issued", missing);
}

} // namespace attn::emulator
