// Whether accesses to global memory are ordered (see Sanitizer.h): inside a CTA like those to shared memory, between CTAs by
// release and acquire of strong accesses (PTX ISA 8.8 to 8.10), launches after one another by their ends.
//
//   R01, R02, R04  of one CTA
//   R05       strong accesses of two CTAs, one of them of the scope of its CTA
//   R06       of two CTAs, one of the two a write: nothing orders them
//   P03       written by lanes and then accessed by a tensor copy, without fence.proxy.async
//   M06       ld.global.nc of bytes that the launch writes
//
// A store of what stands there already conflicts with nothing: all may set a flag.
//
// Between CTAs knowledge is that of whole CTAs: a release by one lane hands on what all its CTA did, so that a fence or
// barrier that is missing in front of it is not noticed; an access is never accused wrongly for it. Of bytes that many read
// only that is kept: who writes them later is accused unless its CTA has acquired something.
#include "runtime/emulator/sanitizer/GlobalShadow.h"

#include "runtime/emulator/Access.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace attn::emulator {

/// Records of reads of one granule before they become one.
static constexpr unsigned kMostReaders = 6;

static OrderSemantics semanticsOf(const ptx::Instruction &in) {
  auto has = [&](std::string_view modifier) {
    return std::find(in.modifiers.begin(), in.modifiers.end(), modifier) != in.modifiers.end();
  };
  OrderSemantics out;
  const bool isFence = in.root == "fence" || in.root == "membar";
  out.acquires = has("acquire") || has("acq_rel") || has("sc") || (isFence && !has("release"));
  out.releases = has("release") || has("acq_rel") || has("sc") || (isFence && !has("acquire"));
  out.isStrong = out.acquires || out.releases || has("relaxed") || has("volatile") || in.root == "atom" || in.root == "red";
  out.isCtaScope = has("cta");
  out.isNonCoherent = has("nc");
  out.isReadWait = has("read");
  out.coversGlobal = !has("shared::cta") && !has("shared::cluster");
  return out;
}

GlobalShadow::GlobalShadow(const Program &program) : records(1) {
  semantics.reserve(program.origins.size());
  for (const Origin &origin : program.origins)
    semantics.push_back(semanticsOf(*origin.instruction));
}

std::uint32_t &GlobalShadow::head(std::uint64_t granule) {
  if (const std::uint64_t number = granule / kPageGranules; number != lastPage) {
    std::unique_ptr<Page> &page = pages[number];
    if (!page)
      page = std::make_unique<Page>(Page{});
    lastPage = number;
    last = page.get();
  }
  return (*last)[granule % kPageGranules];
}

std::uint32_t GlobalShadow::take() {
  if (const std::uint32_t slot = unused) {
    unused = records[slot].access.next;
    return slot;
  }
  records.emplace_back();
  return static_cast<std::uint32_t>(records.size() - 1);
}

void GlobalShadow::give(std::uint32_t slot) {
  records[slot].access.next = unused;
  unused = slot;
}

static void join(CtaClock &into, const CtaClock &from) {
  for (const auto &[cta, epoch] : from) {
    Epoch &known = into[cta];
    known = std::max(known, epoch);
  }
}

/// A fence of the device's scope: what was heard by relaxed reads before it counts as acquired, and relaxed writes behind it
/// release.
void Sanitizer::fenceGlobal(const Inst &in) {
  const OrderSemantics &order = cta.launch.globalShadow->semantics[in.origin];
  if (order.isCtaScope)
    return;
  if (order.acquires)
    join(global.known, global.heard);
  if (order.releases) {
    join(global.released, global.known);
    global.released[global.cta] = global.epoch++;
  }
}

void Sanitizer::fenceProxyGlobal(const Inst &in) {
  global.proxyFences += cta.launch.globalShadow->semantics[in.origin].coversGlobal;
}

/// What a strong access hands on and hears. The shadow is locked.
void Sanitizer::synchroniseGlobally(const OrderSemantics &order, std::uint64_t address, AccessKind kind) {
  if (order.isCtaScope)
    return;
  GlobalShadow &shadow = *cta.launch.globalShadow;
  if (kind != AccessKind::Write)
    if (auto found = shadow.released.find(address); found != shadow.released.end())
      join(order.acquires ? global.known : global.heard, found->second);
  if (kind == AccessKind::Read)
    return;
  if (order.releases) {
    join(global.released, global.known);
    global.released[global.cta] = global.epoch++;
  }
  if (!global.released.empty())
    join(shadow.released[address], global.released);
}

/// A strong access sees what relaxed reads before it have heard of, without a fence in between: so does hardware, and the sum by
/// the last block of CUDA's samples relies on it.
bool Sanitizer::knowsCta(const GlobalRecord &earlier, bool isStrong) const {
  auto has = [&](const CtaClock &clock) {
    if (earlier.cta == kManyCtas)
      return !clock.empty();
    auto found = clock.find(earlier.cta);
    return found != clock.end() && found->second >= earlier.ctaEpoch;
  };
  return has(global.known) || (isStrong && has(global.heard));
}

/// Groups of a lane's tensor stores end in their order; inside a group there is none.
bool Sanitizer::isEarlierGroup(const Record &earlier, const Accessor &later) {
  if (later.lane < 0 || earlier.component != later.record.component || !(earlier.flags & later.record.flags & kWrites) || !(later.record.flags & kAsync))
    return false;
  const std::vector<Epoch> &commits = later.state.written.commits[static_cast<std::size_t>(later.lane)];
  return !commits.empty() && commits.back() >= earlier.epoch;
}

bool Sanitizer::checkGlobal(std::uint64_t granule, const Accessor &by, std::uint64_t address) {
  GlobalShadow &shadow = *cta.launch.globalShadow;
  const AccessRecord &record = by.record;
  for (std::uint32_t at = shadow.head(granule); at; at = shadow.records[at].access.next) {
    const GlobalRecord &earlier = shadow.records[at];
    const AccessRecord &access = earlier.access;
    const std::uint8_t both = access.flags & record.flags, either = access.flags | record.flags;
    if (!(access.bytes & record.bytes) || !(either & kWrites))
      continue;
    const bool isOwn = earlier.cta == global.cta;
    if (by.changesNothing && !(record.flags & kAsync))
      continue;
    if (both & kAtomic) {
      if (isOwn || !(either & kCtaScope))
        continue;
      return reportBetweenCtas("R05", "of the scope of one CTA alone", earlier, by, address);
    }
    if (!isOwn && !knowsCta(earlier, record.flags & kAtomic))
      return reportBetweenCtas("R06", "nothing orders the two", earlier, by, address);
    if (isOwn && !(access.flags & kMerged) && !isOrdered(access, by) && !isEarlierGroup(access, by))
      return reportRace(access, by, address, "global");
    if (either & kNonCoherent)
      return reportBetweenCtas("M06", "ld.global.nc is for memory that nobody writes during the launch", earlier, by, address);
    if (isOwn && (access.flags & kWrites) && !(access.flags & kAsync) && (record.flags & kAsync) && earlier.fences == global.proxyFences)
      return reportBetweenCtas("P03", "no fence.proxy.async stands between", earlier, by, address);
  }
  return true;
}

/// Adds a record that has been checked. What is ordered before a write of all its bytes is replaced by it.
void Sanitizer::leaveGlobal(std::uint64_t granule, const AccessRecord &record) {
  GlobalShadow &shadow = *cta.launch.globalShadow;
  const bool writes = record.flags & kWrites;
  std::uint32_t readers[kMostReaders] = {};
  unsigned count = 0;
  for (std::uint32_t *link = &shadow.head(granule); *link;) {
    GlobalRecord &old = shadow.records[*link];
    AccessRecord &access = old.access;
    const bool isOwn = old.cta == global.cta && access.component == record.component && access.flags == record.flags;
    if (isOwn && access.bytes == record.bytes && (access.epoch == record.epoch || (access.lanes & ~record.lanes) == 0)) {
      access.lanes |= record.lanes;
      access.epoch = record.epoch;
      access.origin = record.origin;
      old.ctaEpoch = global.epoch;
      old.fences = global.proxyFences;
      return;
    }
    const bool isCounted = !writes && (access.flags & kMerged) && (old.cta == kManyCtas || old.cta == global.cta);
    if (isCounted && (record.bytes & ~access.bytes) == 0 && (record.flags & kNonCoherent & ~access.flags) == 0) {
      if (old.cta == global.cta)
        old.ctaEpoch = global.epoch;
      return;
    }
    if (access.bytes == 0 || (writes && (access.bytes & ~record.bytes) == 0)) {
      const std::uint32_t freed = *link;
      *link = access.next;
      shadow.give(freed);
      continue;
    }
    if (!(access.flags & kWrites) && count < kMostReaders)
      readers[count++] = *link;
    link = &access.next;
  }
  if (!writes && count == kMostReaders)
    return mergeReaders(readers, record);
  const std::uint32_t slot = shadow.take();
  shadow.records[slot] = {record, global.cta, global.epoch, global.proxyFences};
  std::uint32_t &head = shadow.head(granule);
  shadow.records[slot].access.next = head;
  head = slot;
}

/// The first of the records stands for all; the others keep no bytes, and go when the list is walked next.
void Sanitizer::mergeReaders(std::span<const std::uint32_t> slots, const AccessRecord &record) {
  GlobalShadow &shadow = *cta.launch.globalShadow;
  GlobalRecord &all = shadow.records[slots[0]];
  bool isOneCta = all.cta == global.cta;
  all.access.bytes |= record.bytes;
  all.access.flags |= record.flags;
  for (std::uint32_t slot : slots.subspan(1)) {
    GlobalRecord &other = shadow.records[slot];
    isOneCta &= other.cta == global.cta;
    all.access.bytes |= other.access.bytes;
    all.access.flags |= other.access.flags;
    other.access.bytes = 0;
  }
  all.access.flags = static_cast<std::uint8_t>((all.access.flags | kMerged) & ~(kWrites | kAtomic));
  if (!isOneCta)
    all.cta = kManyCtas;
}

bool Sanitizer::accessGlobal(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind) {
  GlobalShadow &shadow = *cta.launch.globalShadow;
  const OrderSemantics &order = shadow.semantics[in.origin];
  Accessor by{warp, in, stateOf(warp), 0, {}};
  AccessRecord &record = by.record;
  record.component = warp.index;
  record.warp = static_cast<std::uint8_t>(warp.index);
  record.epoch = by.state.epoch;
  record.origin = in.origin;
  record.flags = static_cast<std::uint8_t>(kByLanes | (kind == AccessKind::Read ? 0 : kWrites) | (order.isStrong ? kAtomic : 0) |
                                           (order.isStrong && order.isCtaScope ? kCtaScope : 0) |
                                           (order.isNonCoherent ? kNonCoherent : 0));
  std::lock_guard lock(shadow.mutex);
  for (std::uint32_t rest = order.isStrong ? access.mask : 0; rest; rest &= rest - 1)
    synchroniseGlobally(order, access.offset[std::countr_zero(rest)], kind);
  for (bool leaves : {false, true})
    for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
      by.lane = std::countr_zero(rest);
      by.changesNothing = access.unchanged >> by.lane & 1;
      record.lanes = 1u << by.lane;
      if (!visitGlobal(by, access.offset[by.lane], bytes, leaves))
        return false;
    }
  return true;
}

bool Sanitizer::visitGlobal(Accessor &by, std::uint64_t offset, std::uint32_t bytes, bool leaves) {
  bool isGood = true;
  forEachGranule(offset, bytes, [&](std::uint64_t granule, std::uint16_t mask, std::uint64_t address) {
    by.record.bytes = mask;
    if (leaves)
      leaveGlobal(granule, by.record);
    else
      isGood = isGood && checkGlobal(granule, by, address);
  });
  return isGood;
}

bool Sanitizer::copySource(Warp &warp, const Inst &in, const std::uint64_t (&offsets)[32], const std::uint32_t (&bytes)[32],
                           std::uint32_t lanes) {
  Accessor by{warp, in, stateOf(warp), 0, {}};
  const OwnWork &copies = by.state.copies;
  by.record = {0, 0, copies.issued, in.origin, 0, static_cast<std::uint8_t>(warp.index), 0, 0};
  std::lock_guard lock(cta.launch.globalShadow->mutex);
  for (bool leaves : {false, true})
    for (std::uint32_t rest = lanes; rest; rest &= rest - 1) {
      by.lane = std::countr_zero(rest);
      by.record.component = copies.base + static_cast<std::uint32_t>(by.lane);
      by.record.lanes = 1u << by.lane;
      if (!visitGlobal(by, offsets[by.lane], bytes[by.lane], leaves))
        return false;
    }
  return true;
}

bool Sanitizer::tensorGlobal(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges, std::uint32_t component,
                             Epoch epoch, bool writes) {
  Accessor by{warp, in, stateOf(warp), static_cast<int>(lane), {}};
  by.record = {component, 1u << lane, epoch, in.origin, 0, static_cast<std::uint8_t>(warp.index),
               static_cast<std::uint8_t>(kAsync | (writes ? kWrites : 0)), 0};
  std::lock_guard lock(cta.launch.globalShadow->mutex);
  for (bool leaves : {false, true})
    for (const GlobalRange &range : ranges)
      if (!visitGlobal(by, range.offset, range.bytes, leaves))
        return false;
  return true;
}

bool Sanitizer::tensorLoadSource(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges, std::uint32_t barrier,
                                 std::uint64_t phase) {
  return tensorGlobal(warp, in, lane, ranges, barriers[barrier].component, static_cast<Epoch>(phase + 1), false);
}

bool Sanitizer::tensorStoreTarget(Warp &warp, const Inst &in, unsigned lane, std::span<const GlobalRange> ranges) {
  OwnWork &written = stateOf(warp).written;
  if (!written.base)
    written.base = allocate(32);
  return tensorGlobal(warp, in, lane, ranges, written.base + lane, ++written.issued, true);
}

bool Sanitizer::reportBetweenCtas(const char *id, std::string_view why, const GlobalRecord &earlier, const Accessor &later,
                                  std::uint64_t offset) {
  const bool writes = later.record.flags & kWrites, wrote = earlier.access.flags & kWrites;
  const Dim3 &grid = cta.launch.config.grid;
  const std::string who = earlier.cta == kManyCtas ? "other CTAs"
                          : earlier.cta == global.cta
                              ? fmt::format("warp {}", earlier.access.warp)
                              : fmt::format("CTA ({}, {}, {})", earlier.cta % grid.x, earlier.cta / grid.x % grid.y, earlier.cta / grid.x / grid.y);
  const std::uint32_t lanes = later.lane < 0 ? later.warp.present : 1u << later.lane;
  later.warp.report(later.in, id, lanes,
                    fmt::format("global {} race: global address {:#x}, which {} {} with {}; {}", !writes ? "RAW" : wrote ? "WAW" : "WAR",
                                cta.launch.memory->begin() + offset, who, wrote ? "wrote" : "read", place(earlier.access.origin), why));
  return later.warp.state != Warp::State::Failed;
}

} // namespace attn::emulator
