// Records of accesses to shared memory, and the check of an access against those before it (see Sanitizer.h).
//
// A granule is 16 bytes: the unit of ldmatrix, cp.async, tensor copies and products. Accesses of fewer bytes say which. A
// write that is ordered after a record of the same bytes replaces it, since whoever is ordered after the write is ordered
// after the record too; a later read by the same lanes replaces their earlier one. So lists stay short.
#include "runtime/emulator/sanitizer/Sanitizer.h"

#include "runtime/emulator/Access.h"

#include <fmt/format.h>

#include <bit>

namespace attn::emulator {

/// Whether the accessor's clock says so: of its warp in common, or of the lane alone. All lanes together know what each of them
/// knows, be it that they acquired it apart from each other.
bool Sanitizer::knows(const Accessor &by, Clock Knowledge::*clock, std::uint32_t component, Epoch epoch) {
  if ((by.state.common.*clock)[component] >= epoch)
    return true;
  const std::uint32_t lanes = by.lane < 0 ? by.warp.live : 1u << by.lane;
  if (lanes & ~by.state.aloneMask)
    return false;
  for (std::uint32_t rest = lanes; rest; rest &= rest - 1)
    if (((*by.state.alone[static_cast<unsigned>(std::countr_zero(rest))]).*clock)[component] < epoch)
      return false;
  return true;
}

bool Sanitizer::sees(const Accessor &by, std::uint32_t component, Epoch epoch) {
  return knows(by, &Knowledge::seen, component, epoch);
}

bool Sanitizer::seesProxied(const Accessor &by, std::uint32_t component, Epoch epoch) {
  return knows(by, &Knowledge::proxied, component, epoch);
}

bool Sanitizer::isOrdered(const Record &earlier, const Accessor &later) const {
  if (sees(later, earlier.component, earlier.epoch))
    return true;
  const bool isOwnWarp = earlier.warp == later.warp.index;
  const auto lane = static_cast<unsigned>(later.lane);
  if (!(earlier.flags & kByLanes)) {
    for (const OwnWork *work : {&later.state.copies, &later.state.stores, &later.state.written})
      if (isOwnWarp && later.lane >= 0 && work->base && earlier.component == work->base + lane)
        return work->seen[lane] >= earlier.epoch;
    return false;
  }
  std::uint32_t lanes = earlier.lanes;
  const bool isRead = !(later.record.flags & kWrites);
  // ldmatrix has read for all lanes of its warp before any of them goes on, and one collective write follows another.
  if (isOwnWarp && (earlier.flags & kTogether) && !(earlier.flags & kWrites))
    return true;
  if (isOwnWarp && (earlier.flags & later.record.flags & kTogether) && !isRead)
    return true;
  if (isOwnWarp && later.lane >= 0 && isRead && (lanes >> lane & 1))
    return true; // lanes that wrote one value together (R03) may each read it
  if (isOwnWarp && later.lane >= 0)
    lanes &= ~(1u << lane);
  const std::uint32_t first = warps[earlier.warp].firstLane;
  for (; lanes; lanes &= lanes - 1)
    if (!sees(later, first + static_cast<std::uint32_t>(std::countr_zero(lanes)), earlier.epoch))
      return false;
  return true;
}

bool Sanitizer::isCovered(const Record &earlier, const Accessor &later) const {
  if (seesProxied(later, earlier.component, earlier.epoch))
    return true;
  const bool isOwnLane = earlier.warp == later.warp.index && later.lane >= 0;
  const auto lane = static_cast<unsigned>(later.lane);
  if (!(earlier.flags & kByLanes)) // cp.async
    return isOwnLane && earlier.component == later.state.copies.base + lane && later.state.copies.proxied[lane] >= earlier.epoch;
  const std::uint32_t first = warps[earlier.warp].firstLane;
  for (std::uint32_t lanes = earlier.lanes; lanes; lanes &= lanes - 1) {
    const auto other = static_cast<unsigned>(std::countr_zero(lanes));
    if (!(isOwnLane && other == lane && later.state.fenced[lane] >= earlier.epoch) &&
        !seesProxied(later, first + other, earlier.epoch))
      return false;
  }
  return true;
}

bool Sanitizer::check(std::uint32_t granule, const Accessor &by, std::uint32_t address) {
  const Record &record = by.record;
  for (std::uint32_t at = heads[granule]; at; at = records[at].next) {
    const Record &earlier = records[at];
    if (!(earlier.bytes & record.bytes) || !((earlier.flags | record.flags) & kWrites) || (earlier.flags & record.flags & kAtomic))
      continue;
    if (!isOrdered(earlier, by))
      return reportRace(earlier, by, address);
    if (!(earlier.flags & kAsync) && (record.flags & kAsync) && !isCovered(earlier, by))
      return reportProxy(earlier, by, address);
  }
  return true;
}

/// Adds a record that has been checked.
void Sanitizer::leave(std::uint32_t granule, const Record &record) {
  const bool writes = record.flags & kWrites;
  if (writes)
    patterns[granule] = kNoPattern;
  bool isMerged = false;
  for (std::uint32_t *link = &heads[granule]; *link;) {
    Record &old = records[*link];
    const bool isSame = old.component == record.component && old.flags == record.flags && old.bytes == record.bytes;
    if (isSame && !isMerged && (old.epoch == record.epoch || (old.lanes & ~record.lanes) == 0)) {
      old.lanes |= record.lanes;
      old.epoch = record.epoch;
      old.origin = record.origin;
      isMerged = true;
      link = &old.next;
      continue;
    }
    bool isReplaced = writes ? (old.bytes & ~record.bytes) == 0 : false;
    // Writes of other lanes in the same instruction stay beside it.
    isReplaced &= !(old.origin == record.origin && old.component == record.component && old.epoch == record.epoch);
    if (isSame && !writes) {
      old.lanes &= ~record.lanes;
      isReplaced = old.lanes == 0;
    }
    if (!isReplaced) {
      link = &old.next;
      continue;
    }
    const std::uint32_t freed = *link;
    *link = old.next;
    records[freed].next = unused;
    unused = freed;
  }
  if (isMerged)
    return;
  std::uint32_t slot = unused;
  if (slot)
    unused = records[slot].next;
  else {
    slot = static_cast<std::uint32_t>(records.size());
    records.emplace_back();
  }
  records[slot] = record;
  records[slot].next = heads[granule];
  heads[granule] = slot;
}

bool Sanitizer::checkUnits(std::span<const std::uint32_t> units, const Accessor &by) {
  for (std::uint32_t unit : units)
    if (!check(unit / kGranule, by, unit))
      return false;
  for (std::uint32_t unit : units)
    leave(unit / kGranule, by.record);
  return true;
}

bool Sanitizer::access(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind, bool isAtomic) {
  if (access.space == ptx::Space::Global)
    return accessGlobal(warp, in, access, bytes, kind);
  if (access.space != ptx::Space::Shared)
    return true;
  Accessor by{warp, in, stateOf(warp), 0, {}};
  Record &record = by.record;
  record.component = warp.index;
  record.warp = static_cast<std::uint8_t>(warp.index);
  record.epoch = by.state.epoch;
  record.origin = in.origin;
  record.flags = static_cast<std::uint8_t>(kByLanes | (kind == AccessKind::Read ? 0 : kWrites) | (isAtomic ? kAtomic : 0));
  bool isGood = true;
  auto forEach = [&](auto visit) {
    for (std::uint32_t rest = access.mask; rest && isGood; rest &= rest - 1) {
      by.lane = std::countr_zero(rest);
      record.lanes = 1u << by.lane;
      forEachGranule(access.offset[by.lane], bytes, [&](std::uint64_t granule, std::uint16_t mask, std::uint64_t address) {
        record.bytes = mask;
        visit(static_cast<std::uint32_t>(granule), static_cast<std::uint32_t>(address));
      });
    }
  };
  forEach([&](std::uint32_t granule, std::uint32_t address) { isGood = isGood && check(granule, by, address); });
  forEach([&](std::uint32_t granule, std::uint32_t) { leave(granule, record); });
  return isGood;
}

bool Sanitizer::accessTogether(Warp &warp, const Inst &in, const Access &access, AccessKind kind) {
  Accessor by{warp, in, stateOf(warp), -1, {}};
  by.record = {warp.index, warp.present, by.state.epoch, in.origin, 0xFFFF, static_cast<std::uint8_t>(warp.index),
               static_cast<std::uint8_t>(kByLanes | kTogether | (kind == AccessKind::Read ? 0 : kWrites)), 0};
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    const auto address = static_cast<std::uint32_t>(access.offset[std::countr_zero(rest)]);
    if (!check(address / kGranule, by, address))
      return false;
  }
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1)
    leave(static_cast<std::uint32_t>(access.offset[std::countr_zero(rest)]) / kGranule, by.record);
  return true;
}

bool Sanitizer::copy(Warp &warp, const Inst &in, const std::uint32_t (&destinations)[32], std::uint32_t lanes, std::uint32_t bytes) {
  Accessor by{warp, in, stateOf(warp), 0, {}};
  OwnWork &copies = by.state.copies;
  if (!copies.base)
    copies.base = allocate(32);
  by.record = {0, 0, ++copies.issued, in.origin, 0, static_cast<std::uint8_t>(warp.index), kWrites, 0};
  for (bool leaves : {false, true})
    for (std::uint32_t rest = lanes; rest; rest &= rest - 1) {
      by.lane = std::countr_zero(rest);
      by.record.component = copies.base + static_cast<std::uint32_t>(by.lane);
      by.record.lanes = 1u << by.lane;
      bool isGood = true;
      forEachGranule(destinations[by.lane], bytes, [&](std::uint64_t granule, std::uint16_t mask, std::uint64_t address) {
        by.record.bytes = mask;
        if (leaves)
          leave(static_cast<std::uint32_t>(granule), by.record);
        else
          isGood = isGood && check(static_cast<std::uint32_t>(granule), by, static_cast<std::uint32_t>(address));
      });
      if (!isGood)
        return false;
    }
  return true;
}

bool Sanitizer::product(Warp &warp, const Inst &in, std::span<const std::uint32_t> units, std::uint64_t number) {
  Accessor by{warp, in, stateOf(warp), -1, {}};
  if (!by.state.products)
    by.state.products = allocate(1);
  by.record = {by.state.products, warp.present, static_cast<Epoch>(number + 1), in.origin, 0xFFFF,
               static_cast<std::uint8_t>(warp.index), kAsync, 0};
  return checkUnits(units, by);
}

bool Sanitizer::tensorLoad(Warp &warp, const Inst &in, unsigned lane, std::span<const std::uint32_t> units, unsigned swizzle,
                           std::uint32_t barrier, std::uint64_t phase) {
  Accessor by{warp, in, stateOf(warp), static_cast<int>(lane), {}};
  by.record = {barriers[barrier].component, 1u << lane, static_cast<Epoch>(phase + 1), in.origin, 0xFFFF,
               static_cast<std::uint8_t>(warp.index), kAsync | kWrites, 0};
  if (!checkUnits(units, by))
    return false;
  for (std::uint32_t unit : units)
    patterns[unit / kGranule] = static_cast<std::uint8_t>(swizzle);
  return true;
}

bool Sanitizer::checkLayout(Warp &warp, const Inst &in, std::span<const std::uint32_t> units, unsigned swizzle, const char *name) {
  ++operands;
  auto wrong = [&](const char *id, std::string why) {
    warp.report(in, id, warp.present, fmt::format("descriptor of {}: {}", name, why));
    return warp.state != Warp::State::Failed;
  };
  for (std::uint32_t unit : units) {
    const std::uint32_t granule = unit / kGranule;
    if (readBy[granule] == operands)
      return wrong("W08", fmt::format("its strides let two parts of the matrix be the same bytes, at shared address {:#x}", unit));
    readBy[granule] = operands;
    if (patterns[granule] != kNoPattern && patterns[granule] != swizzle)
      return wrong("W08", fmt::format("it reads shared address {:#x} in the pattern of {} bytes, but a tensor copy wrote it in that of {}", unit,
                                      swizzle, patterns[granule]));
  }
  for (const auto &[address, barrier] : barriers)
    if (readBy[address / kGranule] == operands)
      return wrong("M05", fmt::format("the matrix covers the live mbarrier at shared address {:#x}", address));
  return true;
}

bool Sanitizer::tensorStore(Warp &warp, const Inst &in, unsigned lane, std::span<const std::uint32_t> units) {
  Accessor by{warp, in, stateOf(warp), static_cast<int>(lane), {}};
  OwnWork &stores = by.state.stores;
  if (!stores.base)
    stores.base = allocate(32);
  by.record = {stores.base + lane, 1u << lane, ++stores.issued, in.origin, 0xFFFF, static_cast<std::uint8_t>(warp.index), kAsync, 0};
  return checkUnits(units, by);
}

/// "`st.shared.v4.b32 …` (kernel.ptx:640, softcap.attn:9)"
std::string Sanitizer::place(std::uint32_t origin) const {
  const ptx::Module &module = *cta.launch.program->module;
  const ptx::Instruction &instruction = *cta.launch.program->origins[origin].instruction;
  std::string source;
  if (instruction.location.line && instruction.location.file < module.files.size())
    source = fmt::format(", {}:{}", module.files[instruction.location.file], instruction.location.line);
  return fmt::format("`{}` ({}:{}{})", instruction.opcode, module.name, instruction.line, source);
}

static std::string describeLanes(std::uint32_t lanes) {
  return std::popcount(lanes) == 1 ? fmt::format(" lane {}", std::countr_zero(lanes)) : std::string();
}

std::string Sanitizer::describe(const Record &record) const {
  return fmt::format("warp {}{} {} with {}", record.warp, describeLanes(record.lanes), record.flags & kWrites ? "wrote" : "read",
                     place(record.origin));
}

bool Sanitizer::reportRace(const Record &earlier, const Accessor &later, std::uint64_t address, std::string_view space) {
  const bool writes = later.record.flags & kWrites, wrote = earlier.flags & kWrites;
  const bool isInWarp = earlier.warp == later.warp.index && (earlier.flags & later.record.flags & kByLanes);
  const char *kind = !writes ? "RAW" : wrote ? "WAW" : "WAR";
  const std::uint64_t shown = space == "global" ? cta.launch.memory->begin() + address : address;
  std::string text = fmt::format("{} {} race{}: {} address {:#x}, which {}; ", space, kind, isInWarp ? " between lanes" : "", space, shown,
                                 describe(earlier));
  const bool isWork = !(earlier.flags & kByLanes);
  text += isInWarp ? "no bar.warp.sync stands between"
          : isWork ? "nothing that orders the two has waited for its end"
                   : "nothing orders the two";
  if (const Inst *last = later.state.lastSync)
    text += fmt::format("; warp {} synchronised last with {}", later.warp.index, place(last->origin));
  later.warp.report(later.in, isInWarp ? "R04" : writes ? "R02" : "R01", later.lane < 0 ? later.warp.present : 1u << later.lane, text);
  return later.warp.state != Warp::State::Failed;
}

bool Sanitizer::reportProxy(const Record &earlier, const Accessor &later, std::uint32_t address) {
  const bool wrote = earlier.flags & kWrites;
  if (!wrote && cta.launch.options.allowUnfencedReads)
    return true;
  later.warp.report(later.in, wrote ? "P01" : "P02", later.lane < 0 ? later.warp.present : 1u << later.lane,
                    fmt::format("no fence.proxy.async: shared address {:#x} is {} through the asynchronous proxy, after {}", address,
                                later.record.flags & kWrites ? "written" : "read", describe(earlier)));
  return later.warp.state != Warp::State::Failed;
}

} // namespace attn::emulator
