// cp.async and its groups. A copy either moves its bytes at issue (eager), or waits in the warp's list until a wait needs
// it (lazy), or until chance says so (random). Until then the destination counts as undefined, so that reading it early is
// reported. Groups are counted for each lane, since lanes may commit apart (PTX ISA 9.7.9.25.3).
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator {

using ptx::Space;

/// Moves the bytes of the lanes in `mask`. Addresses were checked at issue.
static void perform(Warp &warp, const PendingCopy &copy, std::uint32_t mask) {
  GlobalMemory &memory = *warp.launch.memory;
  Cta &cta = warp.cta;
  unsigned bytes = copy.instruction->bytes;
  for (std::uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    std::uint32_t target = copy.destination[lane], taken = copy.sourceBytes[lane];
    std::byte *to = cta.shared.data() + target;
    if (taken == 16 && bytes == 16) {
      std::memcpy(to, memory.host(copy.source[lane]), 16);
    } else {
      if (taken)
        std::memcpy(to, memory.host(copy.source[lane]), taken);
      std::memset(to + taken, 0, bytes - taken);
    }
    if (!warp.launch.checked)
      continue;
    std::uint64_t bit = copy.source[lane] - memory.begin();
    bool defined = taken == 0 || allDefined(memory.shadowStart(), bit, taken);
    setDefined(cta.sharedShadow.data(), target, bytes, true);
    for (std::uint32_t i = 0; !defined && i < taken; ++i)
      if (!allDefined(memory.shadowStart(), bit + i, 1))
        setDefined(cta.sharedShadow.data(), target + i, 1, false);
  }
}

void finishCopies(Warp &warp, std::uint32_t lanes) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < warp.copies.size(); ++i) {
    PendingCopy &copy = warp.copies[i];
    perform(warp, copy, copy.mask & lanes);
    copy.mask &= ~lanes;
    if (copy.mask == 0)
      continue;
    if (kept != i)
      warp.copies[kept] = copy;
    ++kept;
  }
  warp.copies.resize(kept);
}

static void performSome(Warp &warp) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < warp.copies.size(); ++i) {
    if (warp.cta.random() & 1) {
      perform(warp, warp.copies[i], warp.copies[i].mask);
      continue;
    }
    if (kept != i)
      warp.copies[kept] = warp.copies[i];
    ++kept;
  }
  warp.copies.resize(kept);
}

/// The lane and copy, of any warp of the CTA, that will write into [offset, offset + bytes); null when there is none.
static const PendingCopy *findCopy(const Cta &cta, std::uint64_t offset, std::uint32_t bytes, unsigned &byWarp) {
  for (const auto &warp : cta.warps)
    for (const PendingCopy &copy : warp->copies)
      for (std::uint32_t rest = copy.mask; rest; rest &= rest - 1) {
        std::uint64_t target = copy.destination[std::countr_zero(rest)];
        if (target < offset + bytes && offset < target + copy.instruction->bytes) {
          byWarp = warp->index;
          return &copy;
        }
      }
  return nullptr;
}

bool checkInFlight(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind) {
  if (warp.launch.options.completion == AsyncCompletion::Eager || access.space != Space::Shared || !access.shadow)
    return true;
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest)), byWarp = 0;
    if (allDefined(access.shadow, access.offset[lane], bytes)) // what is in flight counts as undefined
      continue;
    const PendingCopy *copy = findCopy(warp.cta, access.offset[lane], bytes, byWarp);
    const std::uint32_t at = static_cast<std::uint32_t>(access.offset[lane]);
    const Transfer *load = copy ? nullptr : warp.cta.async.findLoad(at, at + bytes);
    if (!copy && !load)
      continue;
    const Inst &writer = copy ? *copy->instruction : *load->instruction;
    byWarp = copy ? byWarp : load->warp->index;
    bool reads = kind == AccessKind::Read;
    warp.report(in, reads ? "R01" : "R02", 1u << lane,
                fmt::format("shared {} race: {} bytes at shared address {:#x} that the {} at line {} of warp {} has not "
                            "delivered; no wait covers it",
                            reads ? "RAW" : "WAW", bytes, access.offset[lane], copy ? "cp.async" : "tensor copy",
                            warp.launch.program->origins[writer.origin].instruction->line, byWarp));
    return warp.state != Warp::State::Failed;
  }
  return true;
}

/// Bytes that each lane reads: all, the source-size operand, or none under ignore-src. False after a report.
static bool sourceSizes(Warp &warp, const Inst &in, PendingCopy &copy) {
  std::fill(std::begin(copy.sourceBytes), std::end(copy.sourceBytes), in.bytes);
  if (in.flags & kHasSourceSize) {
    if (!warp.checkDefined(in, in.c, "source size"))
      return false;
    const std::uint32_t *sizes = warp.plane<std::uint32_t>(in.c);
    for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      if (sizes[lane] > in.bytes) {
        warp.report(in, "M01", 1u << lane, "the source size of cp.async is larger than the copy");
        return false;
      }
      copy.sourceBytes[lane] = sizes[lane];
    }
  }
  if (in.flags & kHasIgnore) {
    if (!warp.checkPredicateDefined(in, in.p1, warp.exec, "ignore-src"))
      return false;
    std::uint32_t ignored = warp.predicate(in.p1, in.flags & kNegateP1);
    for (unsigned lane = 0; lane < 32; ++lane)
      if (ignored >> lane & 1)
        copy.sourceBytes[lane] = 0;
  }
  return true;
}

/// Checks the global side for the lanes that read: each distinct size apart, since a lane reads only what it names.
static std::uint32_t checkSources(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32], PendingCopy &copy) {
  std::uint32_t good = 0;
  for (std::uint32_t rest = warp.exec; rest;) {
    std::uint32_t size = copy.sourceBytes[std::countr_zero(rest)], same = 0;
    for (std::uint32_t lanes = rest; lanes; lanes &= lanes - 1)
      if (copy.sourceBytes[std::countr_zero(lanes)] == size)
        same |= 1u << std::countr_zero(lanes);
    rest &= ~same;
    if (size == 0) {
      good |= same;
      continue;
    }
    Access access;
    resolve(warp, in, Space::Global, addresses, same, size, in.bytes, AccessKind::Read, access);
    if (warp.state == Warp::State::Failed)
      return 0;
    countAccess(warp, in, access, size);
    good |= access.mask;
  }
  return good;
}

static bool checkOrder(Warp &warp, const Inst &in, const PendingCopy &copy) {
  std::uint64_t offsets[32];
  for (unsigned lane = 0; lane < 32; ++lane)
    offsets[lane] = copy.source[lane] - warp.launch.memory->begin();
  return warp.cta.sanitizer->copy(warp, in, copy.destination, copy.mask, in.bytes) &&
         warp.cta.sanitizer->copySource(warp, in, offsets, copy.sourceBytes, copy.mask);
}

void asyncCopyHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if ((in.a != kNoRegister && !warp.checkDefined(in, in.a, "shared address")) ||
      (in.b != kNoRegister && !warp.checkDefined(in, in.b, "global address")))
    return;
  PendingCopy copy;
  copy.instruction = &in;
  if (!sourceSizes(warp, in, copy))
    return;
  std::uint64_t destinations[32], sources[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, destinations);
  laneAddresses(warp, in.b, true, static_cast<std::int32_t>(in.target), sources);
  Access access;
  resolve(warp, in, Space::Shared, destinations, warp.exec, in.bytes, in.bytes, AccessKind::Write, access);
  if (warp.state == Warp::State::Failed)
    return;
  copy.mask = access.mask & checkSources(warp, in, sources, copy);
  if (warp.state == Warp::State::Failed)
    return;
  countAccess(warp, in, access, in.bytes);
  for (unsigned lane = 0; lane < 32; ++lane) {
    copy.source[lane] = sources[lane];
    copy.destination[lane] = static_cast<std::uint32_t>(destinations[lane]);
  }
  if (warp.cta.sanitizer && !checkOrder(warp, in, copy))
    return;
  if (warp.launch.options.completion == AsyncCompletion::Eager) {
    perform(warp, copy, copy.mask);
    return;
  }
  for (std::uint32_t rest = warp.launch.checked ? copy.mask : 0; rest; rest &= rest - 1)
    setDefined(warp.cta.sharedShadow.data(), copy.destination[std::countr_zero(rest)], in.bytes, false);
  warp.copies.push_back(copy);
  if (warp.launch.options.completion == AsyncCompletion::Random)
    performSome(warp);
}

/// Closes the open copies of the executing lanes; lanes with different counts get entries of their own.
void asyncCommitHandler(LaneState &state, const Inst &) {
  Warp &warp = warpOf(state);
  for (std::size_t i = 0, count = warp.copies.size(); i < count; ++i) {
    if (warp.copies[i].committed)
      continue;
    std::uint32_t closing = warp.copies[i].mask & warp.exec, open = warp.copies[i].mask & ~warp.exec;
    while (closing) {
      std::uint32_t group = warp.commits[std::countr_zero(closing)], same = 0;
      for (std::uint32_t lanes = closing; lanes; lanes &= lanes - 1)
        if (warp.commits[std::countr_zero(lanes)] == group)
          same |= 1u << std::countr_zero(lanes);
      closing &= ~same;
      PendingCopy closed = warp.copies[i];
      closed.mask = same, closed.group = group, closed.committed = true;
      if (closing == 0 && open == 0)
        warp.copies[i] = closed;
      else
        warp.copies.push_back(closed);
    }
    if (open)
      warp.copies[i].mask = open;
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    warp.commits[lane] += warp.exec >> lane & 1;
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->commitCopies(warp, warp.exec);
}

void asyncWaitHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->waitForCopies(warp, in, warp.exec, in.imm);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < warp.copies.size(); ++i) {
    PendingCopy &copy = warp.copies[i];
    std::uint32_t due = 0;
    for (std::uint32_t rest = copy.mask & warp.exec; rest; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      bool isDue = in.imm < 0 || (copy.committed && copy.group + in.imm < warp.commits[lane]);
      due |= std::uint32_t(isDue) << lane;
    }
    perform(warp, copy, due);
    copy.mask &= ~due;
    if (copy.mask == 0)
      continue;
    if (kept != i)
      warp.copies[kept] = copy;
    ++kept;
  }
  warp.copies.resize(kept);
}

} // namespace attn::emulator
