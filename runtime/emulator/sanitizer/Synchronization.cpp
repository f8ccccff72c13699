// How knowledge travels: releases, acquires, fences and the ends of asynchronous work (see Sanitizer.h).
#include "runtime/emulator/sanitizer/Sanitizer.h"

#include "runtime/emulator/Cta.h"

#include <fmt/format.h>

#include <bit>

namespace attn::emulator {

/// Calls `f(lane)` for each lane of the mask.
template <typename F> static void forEachLane(std::uint32_t lanes, F f) {
  for (; lanes; lanes &= lanes - 1)
    f(static_cast<unsigned>(std::countr_zero(lanes)));
}

Sanitizer::Sanitizer(Cta &cta) : cta(cta), warps(cta.warps.size()), heads(cta.shared.size() / kGranule + 1, 0), patterns(heads.size(), kNoPattern),
                                readBy(heads.size(), 0), records(1) {
  components = static_cast<std::uint32_t>(33 * warps.size());
  global.cta = cta.number;
  for (std::size_t i = 0; i < warps.size(); ++i)
    warps[i].firstLane = static_cast<std::uint32_t>(warps.size() + 32 * i);
}

Sanitizer::WarpState &Sanitizer::stateOf(const Warp &warp) { return warps[warp.index]; }

std::uint32_t Sanitizer::allocate(std::uint32_t count) {
  const std::uint32_t first = components;
  components += count;
  return first;
}

Knowledge &Sanitizer::aloneOf(WarpState &state, unsigned lane) {
  if (!(state.aloneMask >> lane & 1)) {
    if (!state.alone[lane])
      state.alone[lane] = std::make_unique<Knowledge>();
    state.alone[lane]->clear();
    state.aloneMask |= 1u << lane;
  }
  return *state.alone[lane];
}

void Sanitizer::forgetAlone(WarpState &state) { state.aloneMask = 0; }

/// What the lanes themselves did, up to now.
void Sanitizer::tellOwn(const Warp &warp, WarpState &state, std::uint32_t lanes, Knowledge &into) {
  Epoch fencedByAll = ~Epoch(0);
  forEachLane(lanes, [&](unsigned lane) {
    into.seen.raise(state.firstLane + lane, state.epoch);
    into.proxied.raise(state.firstLane + lane, state.fenced[lane]);
    fencedByAll = std::min(fencedByAll, state.fenced[lane]);
    for (const OwnWork *work : {&state.copies, &state.stores, &state.written})
      if (work->base) {
        into.seen.raise(work->base + lane, work->seen[lane]);
        into.proxied.raise(work->base + lane, work->proxied[lane]);
      }
  });
  if (lanes != warp.present)
    return;
  into.seen.raise(warp.index, state.epoch);
  into.proxied.raise(warp.index, fencedByAll);
}

void Sanitizer::release(Warp &warp, std::uint32_t lanes, Knowledge &into) {
  WarpState &state = stateOf(warp);
  into.join(state.common);
  forEachLane(lanes & state.aloneMask, [&](unsigned lane) { into.join(*state.alone[lane]); });
  tellOwn(warp, state, lanes, into);
  ++state.epoch; // what follows is not part of it
}

void Sanitizer::acquire(Warp &warp, std::uint32_t lanes, const Knowledge &from) {
  WarpState &state = stateOf(warp);
  if (lanes == warp.live)
    state.common.join(from);
  else
    forEachLane(lanes, [&](unsigned lane) { aloneOf(state, lane).join(from); });
}

/// fence.proxy.async makes all that its lanes know of, and their own accesses, visible to the asynchronous proxy.
void Sanitizer::fence(Warp &warp, const Inst &in) {
  const auto kind = static_cast<FenceKind>(in.kind);
  WarpState &state = stateOf(warp);
  if (kind == FenceKind::Memory)
    return fenceGlobal(in);
  if (kind != FenceKind::BarrierInit)
    fenceProxyGlobal(in);
  if (kind == FenceKind::ProxyGlobal)
    return;
  for (auto &[address, barrier] : barriers)
    if (barrier.warp == warp.index && (warp.exec >> barrier.lane & 1) && !barrier.fenced)
      barrier.fenced = state.epoch;
  if (kind == FenceKind::Proxy) {
    const bool byAll = warp.exec == warp.live;
    if (byAll)
      state.common.proxied.join(state.common.seen);
    forEachLane(warp.exec, [&](unsigned lane) {
      if (!byAll || (state.aloneMask >> lane & 1)) {
        Knowledge &alone = aloneOf(state, lane);
        alone.proxied.join(alone.seen);
        alone.proxied.join(state.common.seen);
      }
      state.fenced[lane] = state.epoch;
      state.copies.proxied[lane] = state.copies.seen[lane];
    });
  }
  ++state.epoch;
}

void Sanitizer::syncLanes(Warp &warp, const Inst &in, std::uint32_t lanes) {
  WarpState &state = stateOf(warp);
  state.lastSync = &in;
  if (lanes == warp.live) {
    forEachLane(state.aloneMask & lanes, [&](unsigned lane) { state.common.join(*state.alone[lane]); });
    forgetAlone(state);
    tellOwn(warp, state, lanes, state.common);
  } else {
    Knowledge together;
    forEachLane(lanes & state.aloneMask, [&](unsigned lane) { together.join(*state.alone[lane]); });
    tellOwn(warp, state, lanes, together);
    forEachLane(lanes, [&](unsigned lane) { aloneOf(state, lane).join(together); });
  }
  ++state.epoch;
}

void Sanitizer::arriveAtBarrier(Warp &warp, const Inst &in, unsigned id) {
  stateOf(warp).lastSync = &in;
  release(warp, warp.exec, named[id]);
}

void Sanitizer::completeBarrier(unsigned id) {
  for (const auto &warp : cta.warps)
    for (const Fragment &fragment : warp->fragments)
      if (fragment.state == Fragment::State::Waiting && fragment.barrier == id) {
        acquire(*warp, fragment.mask, named[id]);
        if (fragment.mask == warp->live) // all lanes arrived, so that all they knew is in it
          forgetAlone(stateOf(*warp));
      }
  named[id].clear();
}

void Sanitizer::initialiseBarrier(Warp &warp, unsigned lane, std::uint32_t address) {
  PhaseBarrier &barrier = barriers[address];
  const std::uint32_t component = barrier.component ? barrier.component : allocate(1);
  barrier = PhaseBarrier();
  barrier.component = component;
  barrier.warp = warp.index;
  barrier.lane = lane;
  barrier.initialised = stateOf(warp).epoch;
}

void Sanitizer::invalidateBarrier(std::uint32_t address) { barriers.erase(address); }

bool Sanitizer::useBarrier(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes, bool byCopy) {
  auto found = barriers.find(address);
  if (found == barriers.end())
    return true; // A01 says so
  const PhaseBarrier &barrier = found->second;
  const std::uint32_t component = warps[barrier.warp].firstLane + barrier.lane;
  for (std::uint32_t rest = lanes; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const bool isOwn = warp.index == barrier.warp && static_cast<unsigned>(lane) == barrier.lane;
    const Accessor by{warp, in, stateOf(warp), lane, {}};
    const bool isReady = isOwn || sees(by, component, barrier.initialised);
    const bool isVisible = !byCopy || (barrier.fenced && (isOwn || sees(by, component, barrier.fenced))) ||
                           seesProxied(by, component, barrier.initialised);
    if (isReady && isVisible)
      continue;
    warp.report(in, "A02", 1u << lane,
                fmt::format("mbarrier at shared address {:#x}: {} warp {} lane {}", address,
                            isReady ? "a tensor copy uses it without a fence.mbarrier_init after its initialisation by"
                                    : "nothing orders its use after its initialisation by",
                            barrier.warp, barrier.lane));
    return warp.state != Warp::State::Failed;
  }
  return true;
}

void Sanitizer::arrive(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes) {
  stateOf(warp).lastSync = &in;
  if (auto found = barriers.find(address); found != barriers.end())
    release(warp, lanes, found->second.pending);
}

void Sanitizer::arriveAfterCopies(Warp &warp, std::uint32_t address, std::uint32_t lanes) {
  auto found = barriers.find(address);
  const OwnWork &copies = stateOf(warp).copies;
  if (found == barriers.end() || !copies.base)
    return;
  forEachLane(lanes, [&](unsigned lane) { found->second.pending.seen.raise(copies.base + lane, copies.issued); });
}

void Sanitizer::endPhase(std::uint32_t address, std::uint64_t phases) {
  auto found = barriers.find(address);
  if (found == barriers.end())
    return;
  PhaseBarrier &barrier = found->second;
  barrier.pending.seen.raise(barrier.component, static_cast<Epoch>(phases));
  barrier.published.join(barrier.pending);
}

void Sanitizer::observePhase(Warp &warp, const Inst &in, std::uint32_t address, std::uint32_t lanes) {
  stateOf(warp).lastSync = &in;
  if (auto found = barriers.find(address); found != barriers.end())
    acquire(warp, lanes, found->second.published);
}

void Sanitizer::wait(OwnWork &work, std::uint32_t lanes, std::int64_t left) {
  forEachLane(lanes, [&](unsigned lane) {
    const std::vector<Epoch> &commits = work.commits[lane];
    const auto groups = static_cast<std::int64_t>(commits.size());
    if (left < 0)
      work.seen[lane] = work.issued;
    else if (left < groups)
      work.seen[lane] = std::max(work.seen[lane], commits[static_cast<std::size_t>(groups - left - 1)]);
  });
}

void Sanitizer::commitCopies(Warp &warp, std::uint32_t lanes) {
  OwnWork &copies = stateOf(warp).copies;
  forEachLane(lanes, [&](unsigned lane) { copies.commits[lane].push_back(copies.issued); });
}

void Sanitizer::waitForCopies(Warp &warp, const Inst &in, std::uint32_t lanes, std::int64_t left) {
  stateOf(warp).lastSync = &in;
  wait(stateOf(warp).copies, lanes, left);
}

void Sanitizer::commitStores(Warp &warp, std::uint32_t lanes) {
  for (OwnWork *work : {&stateOf(warp).stores, &stateOf(warp).written})
    forEachLane(lanes, [&](unsigned lane) { work->commits[lane].push_back(work->issued); });
}

void Sanitizer::waitForStores(Warp &warp, const Inst &in, std::uint32_t lanes, std::uint32_t left) {
  stateOf(warp).lastSync = &in;
  wait(stateOf(warp).stores, lanes, left);
  if (!cta.launch.globalShadow->semantics[in.origin].isReadWait)
    wait(stateOf(warp).written, lanes, left);
}

void Sanitizer::waitForProducts(Warp &warp, const Inst &in, std::uint64_t waited) {
  WarpState &state = stateOf(warp);
  state.lastSync = &in;
  if (state.products)
    state.common.seen.raise(state.products, static_cast<Epoch>(waited));
}

} // namespace attn::emulator
