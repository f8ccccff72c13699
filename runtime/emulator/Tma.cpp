// Copies of the tensor memory accelerator: cp.async.bulk.tensor in tile mode and its groups (PTX ISA 5.5, 9.7.9.25.5).
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"
#include "runtime/emulator/SharedLayout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator {

using ptx::Space;

static constexpr std::uint32_t kSharedAlignment = 128; // of a box (CUDA C++ Programming Guide, table of TMA alignments)
static constexpr std::uint32_t kUnit = 16;             // bytes that stay together under a swizzle

namespace {

/// One row of a box: a run along dimension 0.
struct BoxRow {
  std::uint32_t shared = 0;   ///< its first byte, before the swizzle
  DeviceAddress global = 0;   ///< its first byte inside the tensor
  std::uint32_t bytes = 0;    ///< of the whole row
  std::uint32_t skipped = 0;  ///< bytes before the part that lies inside the tensor
  std::uint32_t inside = 0;   ///< bytes of that part
};

} // namespace

/// Calls `visit(row)` for each row of the box, in the order in which shared memory has them.
template <typename Visit> static void forEachRow(const Transfer &transfer, Visit visit) {
  const TensorMap &map = transfer.map;
  const std::int64_t begin = std::max<std::int64_t>(transfer.at[0], 0);
  const std::int64_t end = std::min<std::int64_t>(std::int64_t(transfer.at[0]) + map.box[0], std::int64_t(map.extents[0]));
  BoxRow row;
  row.bytes = map.box[0] * map.elementBytes;
  row.shared = transfer.shared;
  std::array<std::uint32_t, kMaxTensorRank> index{};
  for (;;) {
    bool inside = begin < end;
    DeviceAddress address = map.address + static_cast<std::uint64_t>(begin) * map.elementBytes;
    for (unsigned i = 1; i < map.rank; ++i) {
      const std::int64_t coordinate = std::int64_t(transfer.at[i]) + index[i];
      inside &= coordinate >= 0 && coordinate < std::int64_t(map.extents[i]);
      address += static_cast<std::uint64_t>(coordinate) * map.strides[i - 1];
    }
    row.global = address;
    row.skipped = inside ? static_cast<std::uint32_t>(begin - transfer.at[0]) * map.elementBytes : 0;
    row.inside = inside ? static_cast<std::uint32_t>(end - begin) * map.elementBytes : 0;
    visit(row);
    row.shared += row.bytes;
    unsigned i = 1;
    while (i < map.rank && ++index[i] == map.box[i])
      index[i++] = 0;
    if (i >= map.rank)
      return;
  }
}

/// Calls `visit(shared, offset, bytes)` for the 16-byte units of a row, `offset` counted from the row's start.
template <typename Visit> static void forEachUnit(const BoxRow &row, unsigned swizzle, Visit visit) {
  for (std::uint32_t offset = 0; offset < row.bytes; offset += kUnit)
    visit(swizzled(row.shared + offset, swizzle), offset);
}

/// A unit is aligned to 16 bytes, so that its shadow bits are two whole bytes of this CTA alone.
static void markUnit(std::vector<std::uint8_t> &shadow, std::uint32_t address, bool defined) {
  const std::uint16_t bits = defined ? 0xFFFF : 0;
  std::memcpy(shadow.data() + address / 8, &bits, sizeof(bits));
}

void AsyncEngine::performLoad(const Transfer &load) {
  GlobalMemory &memory = *cta.launch.memory;
  const bool checked = cta.launch.checked;
  const Allocation *allocation = checked ? memory.find(load.map.address) : nullptr;
  const bool allAreDefined = !checked || (allocation && allocation->defined);
  forEachRow(load, [&](const BoxRow &row) {
    const bool whole = row.inside == row.bytes;
    forEachUnit(row, load.map.swizzle, [&](std::uint32_t shared, std::uint32_t offset) {
      if (whole && allAreDefined) {
        std::memcpy(cta.shared.data() + shared, memory.host(row.global + offset), kUnit);
        if (checked)
          markUnit(cta.sharedShadow, shared, true);
        return;
      }
      const std::uint32_t begin = std::clamp(row.skipped, offset, offset + kUnit);
      const std::uint32_t end = std::clamp(row.skipped + row.inside, offset, offset + kUnit);
      std::byte *to = cta.shared.data() + shared;
      if (end - begin < kUnit)
        std::memset(to, 0, kUnit);
      const DeviceAddress from = row.global + begin - row.skipped;
      if (end > begin)
        std::memcpy(to + (begin - offset), memory.host(from), end - begin);
      if (!checked)
        return;
      markUnit(cta.sharedShadow, shared, true);
      const std::uint64_t bit = from - memory.begin();
      for (std::uint32_t i = 0; !allAreDefined && i < end - begin; ++i)
        if (!allDefined(memory.shadowStart(), bit + i, 1))
          setDefined(cta.sharedShadow.data(), shared + (begin - offset) + i, 1, false);
    });
  });
}

void AsyncEngine::performStore(const Transfer &store) {
  GlobalMemory &memory = *cta.launch.memory;
  std::uint32_t undefinedAt = ~0u;
  forEachRow(store, [&](const BoxRow &row) {
    forEachUnit(row, store.map.swizzle, [&](std::uint32_t shared, std::uint32_t offset) {
      const std::uint32_t begin = std::clamp(row.skipped, offset, offset + kUnit);
      const std::uint32_t end = std::clamp(row.skipped + row.inside, offset, offset + kUnit);
      if (end <= begin)
        return;
      const DeviceAddress to = row.global + begin - row.skipped;
      std::memcpy(memory.host(to), cta.shared.data() + shared + (begin - offset), end - begin);
      if (!cta.launch.checked)
        return;
      if (!allDefined(cta.sharedShadow.data(), shared + (begin - offset), end - begin))
        undefinedAt = std::min(undefinedAt, shared + (begin - offset));
      setDefined(memory.shadowStart(), to - memory.begin(), end - begin, true);
    });
  });
  if (undefinedAt != ~0u)
    store.warp->report(*store.instruction, "U01", 1u << store.lane,
                       fmt::format("undefined value at shared address {:#x} stored to global memory", undefinedAt));
}

void AsyncEngine::perform(Transfer &transfer) {
  transfer.done = true;
  if (transfer.kind == Transfer::Kind::Store)
    return performStore(transfer);
  performLoad(transfer);
  completeBytes(*transfer.warp, *transfer.instruction, transfer.barrier, transfer.map.boxBytes());
}

bool AsyncEngine::checkOrder(const Transfer &transfer) {
  std::vector<std::uint32_t> units;
  std::vector<GlobalRange> ranges;
  forEachRow(transfer, [&](const BoxRow &row) {
    if (row.inside)
      ranges.push_back({row.global - cta.launch.memory->begin(), row.inside});
    // A store reads only what lies inside the tensor.
    if (transfer.kind == Transfer::Kind::Load || row.inside)
      forEachUnit(row, transfer.map.swizzle, [&](std::uint32_t shared, std::uint32_t) { units.push_back(shared); });
  });
  Warp &warp = *transfer.warp;
  if (transfer.kind == Transfer::Kind::Store)
    return cta.sanitizer->tensorStore(warp, *transfer.instruction, transfer.lane, units) &&
           cta.sanitizer->tensorStoreTarget(warp, *transfer.instruction, transfer.lane, ranges);
  const std::uint64_t phase = find(transfer.barrier)->phase;
  return cta.sanitizer->useBarrier(warp, *transfer.instruction, transfer.barrier, 1u << transfer.lane, true) &&
         cta.sanitizer->tensorLoad(warp, *transfer.instruction, transfer.lane, units, transfer.map.swizzle, transfer.barrier, phase) &&
         cta.sanitizer->tensorLoadSource(warp, *transfer.instruction, transfer.lane, ranges, transfer.barrier, phase);
}

void AsyncEngine::issue(Transfer transfer) {
  const AsyncCompletion completion = cta.launch.options.completion;
  if (cta.sanitizer && !checkOrder(transfer))
    return;
  if (transfer.kind == Transfer::Kind::Load)
    find(transfer.barrier)->issued += transfer.map.boxBytes();
  if (transfer.kind == Transfer::Kind::Load && completion == AsyncCompletion::Eager)
    return perform(transfer);
  if (transfer.kind == Transfer::Kind::Load) {
    // Until it is done, what it will overwrite counts as undefined.
    if (cta.launch.checked)
      forEachRow(transfer, [&](const BoxRow &row) {
        forEachUnit(row, transfer.map.swizzle, [&](std::uint32_t shared, std::uint32_t) {
          markUnit(cta.sharedShadow, shared, false);
        });
      });
    loads.push_back(transfer);
  } else {
    if (completion == AsyncCompletion::Eager)
      perform(transfer);
    stores.push_back(transfer);
  }
  if (completion == AsyncCompletion::Random)
    performByChance();
}

const Transfer *AsyncEngine::findLoad(std::uint32_t begin, std::uint32_t end) const {
  auto touches = [&](const Transfer &load) { return load.shared < end && begin < load.shared + load.map.boxBytes(); };
  auto found = std::find_if(loads.begin(), loads.end(), touches);
  return found == loads.end() ? nullptr : &*found;
}

void AsyncEngine::finishStores(Warp &warp, std::uint32_t lanes, std::uint32_t groupsLeft) {
  std::erase_if(stores, [&](Transfer &store) {
    const bool due = store.warp == &warp && (lanes >> store.lane & 1) &&
                     store.group + groupsLeft < warp.bulkCommits[store.lane];
    if (due && !store.done)
      perform(store);
    return due;
  });
}

/// T01 and T02. Nothing after a report.
static std::optional<TensorMap> readMap(Warp &warp, const Inst &in, unsigned lane, std::uint64_t address) {
  std::uint64_t addresses[32] = {};
  addresses[lane] = address;
  const Space space = spaceOf(addresses[lane]);
  auto misplaced = [&](std::string_view why) {
    warp.report(in, "T01", 1u << lane, fmt::format("the tensor map at generic address {:#x} {}", address, why));
    return std::nullopt;
  };
  if (space == Space::Shared || space == Space::Local)
    return misplaced(fmt::format("lies in {} memory; it must be a parameter, or in constant or global memory", spelling(space)));
  if (addresses[lane] % kTensorMapAlignment != 0)
    return misplaced(fmt::format("is not aligned to {} bytes", kTensorMapAlignment));
  Access access;
  resolve(warp, in, space, addresses, 1u << lane, kTensorMapBytes, kTensorMapAlignment, AccessKind::Read, access);
  if (!access.mask || warp.state == Warp::State::Failed)
    return std::nullopt;
  const std::byte *bytes = access.base + access.offset[lane];
  auto map = decodeTensorMap(std::span<const std::byte, kTensorMapBytes>(bytes, kTensorMapBytes));
  if (!map)
    warp.report(in, "T02", 1u << lane, fmt::format("there is no tensor map at generic address {:#x}", address));
  return map;
}

/// The operands of one lane. Nothing after a report.
static std::optional<Transfer> operandsOf(Warp &warp, const Inst &in, unsigned lane) {
  std::optional<TensorMap> map = readMap(warp, in, lane, warp.plane<std::uint64_t>(in.b)[lane]);
  if (!map)
    return std::nullopt;
  if (map->rank != in.count) {
    warp.report(in, "T06", 1u << lane, fmt::format("{} coordinates for a tensor map of {} dimensions", in.count, map->rank));
    return std::nullopt;
  }
  Transfer transfer;
  transfer.map = *map;
  transfer.kind = static_cast<Transfer::Kind>(in.kind);
  transfer.warp = &warp;
  transfer.lane = lane;
  transfer.instruction = &in;
  transfer.group = warp.bulkCommits[lane];
  for (unsigned i = 0; i < in.count; ++i)
    transfer.at[i] = warp.plane<std::int32_t>(in.list[i])[lane];
  return transfer;
}

/// M01: what lies inside the tensor must lie inside one allocation.
static bool checkGlobal(Warp &warp, const Inst &in, const Transfer &transfer) {
  DeviceAddress low = ~DeviceAddress(0), high = 0;
  forEachRow(transfer, [&](const BoxRow &row) {
    if (row.inside == 0)
      return;
    low = std::min(low, row.global);
    high = std::max(high, row.global + row.inside);
  });
  if (low >= high)
    return true;
  const GlobalMemory &memory = *warp.launch.memory;
  if (!warp.launch.checked && low >= memory.begin() && high <= memory.end())
    return true;
  const Allocation *allocation = memory.find(low);
  const std::uint32_t lane = 1u << transfer.lane;
  if (!allocation || high > allocation->end()) {
    warp.report(in, "M01", lane, fmt::format("out of bounds: the tensor map reaches global addresses {:#x} to {:#x}; {:#x} is {}",
                                             low, high, allocation ? allocation->end() : low,
                                             memory.describe(allocation ? allocation->end() : low)));
    return false;
  }
  if (transfer.kind == Transfer::Kind::Store && !allocation->writable) {
    warp.report(in, "M04", lane, fmt::format("write to read-only memory at {:#x}", low));
    return false;
  }
  return true;
}

/// Bounds and alignment of the box in shared memory, and of the barrier.
static bool checkShared(Warp &warp, const Inst &in, Transfer &transfer) {
  const unsigned lane = transfer.lane;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  Access access;
  resolve(warp, in, Space::Shared, addresses, 1u << lane, transfer.map.boxBytes(), kSharedAlignment,
          transfer.kind == Transfer::Kind::Load ? AccessKind::Write : AccessKind::Read, access);
  if (!access.mask || warp.state == Warp::State::Failed)
    return false;
  transfer.shared = static_cast<std::uint32_t>(addresses[lane]);
  if (transfer.kind == Transfer::Kind::Store)
    return true;
  laneAddresses(warp, in.c, in.flags & kWideBarrier, static_cast<std::int32_t>(in.target), addresses);
  transfer.barrier = static_cast<std::uint32_t>(addresses[lane]);
  if (warp.cta.async.find(transfer.barrier))
    return true;
  warp.report(in, "A01", 1u << lane, fmt::format("there is no initialised mbarrier at shared address {:#x}", addresses[lane]));
  return false;
}

static bool checkOperands(Warp &warp, const Inst &in) {
  bool defined = (in.a == kNoRegister || warp.checkDefined(in, in.a, "shared address")) &&
                 warp.checkDefined(in, in.b, "address of the tensor map") &&
                 (in.c == kNoRegister || warp.checkDefined(in, in.c, "address of an mbarrier"));
  for (unsigned i = 0; defined && i < in.count; ++i)
    defined = warp.checkDefined(in, in.list[i], "coordinate");
  return defined;
}

static void countTransfer(Warp &warp, const Inst &in, const Transfer &transfer) {
  if (warp.worker->memoryCounts.empty())
    return;
  Worker::MemoryCounts &counts = warp.worker->memoryCounts[in.origin];
  forEachRow(transfer, [&](const BoxRow &row) {
    counts.globalBytes += row.inside;
    counts.sharedBytes += row.bytes;
    counts.sectors += row.inside ? (row.global + row.inside - 1) / 32 - row.global / 32 + 1 : 0;
  });
}

void tensorCopyHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!checkOperands(warp, in))
    return;
  const std::uint32_t all = warp.exec;
  for (std::uint32_t rest = all; rest && warp.state != Warp::State::Failed; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    warp.exec = 1u << lane;
    std::optional<Transfer> transfer = operandsOf(warp, in, lane);
    if (!transfer || !checkShared(warp, in, *transfer) || !checkGlobal(warp, in, *transfer))
      break;
    if (transfer->kind == Transfer::Kind::Store)
      for (unsigned i = 0; i < in.count; ++i)
        if (transfer->at[i] < 0)
            warp.report(in, "T04", 1u << lane, fmt::format("a store at the negative coordinate {}", transfer->at[i]));
    countTransfer(warp, in, *transfer);
    warp.cta.async.issue(*transfer);
  }
  warp.exec = all;
}

/// Moves nothing, but its operands have to be right.
void tensorPrefetchHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!checkOperands(warp, in))
    return;
  for (std::uint32_t rest = warp.exec; rest && warp.state != Warp::State::Failed; rest &= rest - 1) {
    std::optional<Transfer> transfer = operandsOf(warp, in, static_cast<unsigned>(std::countr_zero(rest)));
    if (!transfer || !checkGlobal(warp, in, *transfer))
      return;
  }
}

void mapPrefetchHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.checkDefined(in, in.b, "address of the tensor map"))
    return;
  for (std::uint32_t rest = warp.exec; rest && warp.state != Warp::State::Failed; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    static_cast<void>(readMap(warp, in, lane, warp.plane<std::uint64_t>(in.b)[lane]));
  }
}

void bulkCommitHandler(LaneState &state, const Inst &) {
  Warp &warp = warpOf(state);
  for (unsigned lane = 0; lane < 32; ++lane)
    warp.bulkCommits[lane] += warp.exec >> lane & 1;
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->commitStores(warp, warp.exec);
}

/// `.read` waits for the reading of shared memory alone; here both halves of a copy happen at once.
void bulkWaitHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  warp.cta.async.finishStores(warp, warp.exec, static_cast<std::uint32_t>(in.imm));
  if (warp.cta.sanitizer)
    warp.cta.sanitizer->waitForStores(warp, in, warp.exec, static_cast<std::uint32_t>(in.imm));
}

} // namespace attn::emulator
