// Translation and checking of addresses: M01 bounds, M02 alignment, M03 space, M04 read-only (see Access.h).
#include "runtime/emulator/Access.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace attn::emulator {

using ptx::Space;

void laneAddresses(const Warp &warp, std::uint32_t slot, bool wide, std::int64_t displacement,
                   std::uint64_t (&addresses)[32]) {
  std::uint64_t offset = static_cast<std::uint64_t>(displacement);
  if (slot == kNoRegister) {
    std::fill(std::begin(addresses), std::end(addresses), offset);
  } else if (wide) {
    const std::uint64_t *registers = warp.plane<std::uint64_t>(slot);
    for (int i = 0; i < 32; ++i)
      addresses[i] = registers[i] + offset;
  } else {
    const std::uint32_t *registers = warp.plane<std::uint32_t>(slot);
    for (int i = 0; i < 32; ++i)
      addresses[i] = static_cast<std::uint32_t>(registers[i] + static_cast<std::uint32_t>(offset));
  }
}

Space spaceOf(std::uint64_t &address) {
  static constexpr std::pair<std::uint64_t, Space> kWindows[] = {
      {kSharedWindow, Space::Shared}, {kLocalWindow, Space::Local}, {kParamWindow, Space::Param}};
  for (auto [start, space] : kWindows)
    if (address - start < kWindowBytes) {
      address -= start;
      return space;
    }
  return Space::Global;
}

/// Lowest and highest address of the lanes, and all their bits together.
struct AddressRange {
  std::uint64_t low = ~std::uint64_t(0), high = 0, bits = 0;
};

static AddressRange rangeOf(const std::uint64_t (&addresses)[32], std::uint32_t mask) {
  AddressRange range;
  std::uint64_t filler = addresses[std::countr_zero(mask)];
  for (unsigned lane = 0; lane < 32; ++lane) {
    std::uint64_t address = mask >> lane & 1 ? addresses[lane] : filler;
    range.low = std::min(range.low, address);
    range.high = std::max(range.high, address);
    range.bits |= address;
  }
  return range;
}

template <typename Predicate>
static std::uint32_t lanesWhere(const std::uint64_t (&addresses)[32], std::uint32_t mask, Predicate predicate) {
  std::uint32_t lanes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) && predicate(addresses[lane]))
      lanes |= 1u << lane;
  return lanes;
}

/// A flat space: shared, local or param, from 0 to `size`.
static std::uint32_t checkFlat(Warp &warp, const Inst &in, Space space, const std::uint64_t (&addresses)[32],
                               std::uint32_t mask, std::uint32_t bytes, std::uint64_t first, std::uint64_t size) {
  AddressRange range = rangeOf(addresses, mask);
  if (range.low >= first && range.high <= size && bytes <= size - range.high)
    return mask;
  std::uint32_t bad = lanesWhere(addresses, mask, [&](std::uint64_t address) {
    return address < first || address > size || bytes > size - address;
  });
  std::uint64_t address = addresses[std::countr_zero(bad)];
  std::string distance = address < first ? fmt::format("{} bytes before its start", first - address)
                                         : fmt::format("{} bytes past its end", address + bytes - size);
  warp.report(in, "M01", bad, fmt::format("out of bounds: {} bytes at {} address {:#x}, {} (the window has {} bytes from {:#x})",
                                          bytes, spelling(space), address, distance, size - first, first));
  return mask & ~bad;
}

/// M05: ordinary accesses keep away from live mbarriers, whose bytes are opaque.
static std::uint32_t checkBarriers(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32], std::uint32_t mask,
                                   std::uint32_t bytes) {
  if (mask == 0)
    return 0;
  AddressRange range = rangeOf(addresses, mask);
  if (!warp.cta.async.overlapsBarrier(range.low, range.high + bytes))
    return mask;
  std::uint32_t bad = lanesWhere(addresses, mask, [&](std::uint64_t address) {
    return warp.cta.async.overlapsBarrier(address, address + bytes);
  });
  if (bad)
    warp.report(in, "M05", bad, fmt::format("ordinary access at shared address {:#x} to a live mbarrier",
                                            addresses[std::countr_zero(bad)]));
  return mask & ~bad;
}

static std::uint32_t checkGlobalSlowly(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32],
                                       std::uint32_t mask, std::uint32_t bytes, Worker::Hit &hit) {
  GlobalMemory &memory = *warp.launch.memory;
  std::uint32_t good = 0;
  while (mask) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(mask));
    std::uint64_t address = addresses[lane];
    const Allocation *allocation = memory.find(address);
    if (!warp.launch.checked && address >= memory.begin() && address < memory.end() && bytes <= memory.end() - address)
      hit = {memory.begin(), memory.end(), true, nullptr};
    else if (allocation && bytes <= allocation->end() - address)
      hit = {allocation->begin, allocation->end(), allocation->writable, &allocation->defined};
    else {
      std::uint64_t from = allocation ? allocation->end() : address;
      std::uint32_t bad = lanesWhere(addresses, mask, [&](std::uint64_t other) {
        const Allocation *found = memory.find(other);
        return !found || bytes > found->end() - other;
      });
      warp.report(in, "M01", bad, fmt::format("out of bounds: {} bytes at global address {:#x}, {}", bytes, address,
                                              memory.describe(from)));
      mask &= ~bad;
      continue;
    }
    std::uint32_t inside = lanesWhere(addresses, mask, [&](std::uint64_t other) {
      return other >= hit.begin && other < hit.end && bytes <= hit.end - other;
    });
    good |= inside;
    mask &= ~inside;
  }
  return good;
}

static void resolveGlobal(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32], std::uint32_t mask,
                          std::uint32_t bytes, AccessKind kind, bool constant, Access &access) {
  GlobalMemory &memory = *warp.launch.memory;
  Worker::Hit &hit = warp.worker->hits[in.origin];
  AddressRange range = rangeOf(addresses, mask);
  bool oneAllocation = range.low >= hit.begin && range.high < hit.end && bytes <= hit.end - range.high;
  bool readOnly = false;
  bool defined = false;
  if (oneAllocation) {
    readOnly = !hit.writable;
    defined = hit.defined && *hit.defined;
  } else {
    mask = checkGlobalSlowly(warp, in, addresses, mask, bytes, hit);
    for (std::uint32_t rest = mask; rest && warp.launch.checked; rest &= rest - 1)
      if (const Allocation *found = memory.find(addresses[std::countr_zero(rest)]))
        readOnly |= !found->writable;
  }
  if (warp.launch.checked && mask) {
    if (readOnly && kind != AccessKind::Read) {
      warp.report(in, "M04", mask, fmt::format("write to read-only memory at {:#x}", addresses[std::countr_zero(mask)]));
      mask = 0;
    } else if (constant && !readOnly) {
      warp.report(in, "M03", mask, fmt::format("wrong space: global address {:#x} is not in constant memory",
                                               addresses[std::countr_zero(mask)]));
    }
  }
  access.base = memory.hostStart();
  access.shadow = !warp.launch.checked || defined ? nullptr : memory.shadowStart();
  for (unsigned lane = 0; lane < 32; ++lane)
    access.offset[lane] = addresses[lane] - memory.begin();
  access.mask = mask;
}

static std::uint32_t checkAlignment(Warp &warp, const Inst &in, const std::uint64_t (&addresses)[32],
                                    std::uint32_t mask, std::uint32_t alignment) {
  if ((rangeOf(addresses, mask).bits & (alignment - 1)) == 0)
    return mask;
  std::uint32_t bad = lanesWhere(addresses, mask, [&](std::uint64_t address) { return address & (alignment - 1); });
  warp.report(in, "M02", bad, fmt::format("misaligned: address {:#x} is not a multiple of {}",
                                          addresses[std::countr_zero(bad)], alignment));
  return mask & ~bad;
}

void resolve(Warp &warp, const Inst &in, Space space, const std::uint64_t (&addresses)[32], std::uint32_t mask,
             std::uint32_t bytes, std::uint32_t alignment, AccessKind kind, Access &access) {
  access.space = space;
  if (warp.launch.checked)
    mask = checkAlignment(warp, in, addresses, mask, alignment);
  if (mask == 0) {
    access.mask = 0;
    return;
  }
  if (space == Space::Global || space == Space::Const) {
    resolveGlobal(warp, in, addresses, mask, bytes, kind, space == Space::Const, access);
    return;
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    access.offset[lane] = addresses[lane];
  switch (space) {
  case Space::Shared:
    access.mask = checkFlat(warp, in, space, addresses, mask, bytes, kReservedSharedBytes, warp.launch.sharedBytes);
    if (warp.launch.checked && !access.ofBarrier)
      access.mask = checkBarriers(warp, in, addresses, access.mask, bytes);
    access.base = warp.cta.shared.data();
    access.shadow = warp.launch.checked ? warp.cta.sharedShadow.data() : nullptr;
    break;
  case Space::Local: {
    std::uint64_t frame = warp.launch.program->localBytes;
    access.mask = checkFlat(warp, in, space, addresses, mask, bytes, 0, frame);
    access.base = warp.local.data();
    access.shadow = warp.launch.checked ? warp.localShadow.data() : nullptr;
    for (unsigned lane = 0; lane < 32; ++lane)
      access.offset[lane] += lane * frame;
    break;
  }
  default: // Param
    if (kind != AccessKind::Read) {
      warp.report(in, "M04", mask, "write to a kernel parameter");
      access.mask = 0;
      return;
    }
    access.mask = checkFlat(warp, in, space, addresses, mask, bytes, 0, warp.launch.parameters.size());
    access.base = warp.launch.parameters.data();
    access.shadow = nullptr;
    break;
  }
}

static unsigned distinctSectors(const Access &access, std::uint32_t bytes) {
  std::uint64_t sectors[32 * 2];
  unsigned count = 0;
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    std::uint64_t offset = access.offset[std::countr_zero(rest)];
    for (std::uint64_t sector = offset / 32; sector <= (offset + bytes - 1) / 32 && count < 64; ++sector)
      sectors[count++] = sector;
  }
  std::sort(sectors, sectors + count);
  return static_cast<unsigned>(std::unique(sectors, sectors + count) - sectors);
}

/// Shared memory serves 32 banks of 4 bytes at a time: 4-byte accesses in one phase of 32 lanes, 8-byte ones in two of 16,
/// 16-byte ones in four of 8. A phase takes as many wavefronts as its busiest bank has distinct words.
static std::pair<unsigned, unsigned> wavefronts(const Access &access, std::uint32_t bytes) {
  unsigned lanesPerPhase = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  unsigned total = 0, minimum = 0;
  for (unsigned first = 0; first < 32; first += lanesPerPhase) {
    std::uint64_t words[32];
    unsigned count = 0;
    for (unsigned lane = first; lane < first + lanesPerPhase; ++lane)
      for (std::uint32_t word = 0; (access.mask >> lane & 1) && word < (bytes + 3) / 4 && count < 32; ++word)
        words[count++] = access.offset[lane] / 4 + word;
    std::sort(words, words + count);
    count = static_cast<unsigned>(std::unique(words, words + count) - words);
    unsigned perBank[32] = {}, busiest = 0;
    for (unsigned i = 0; i < count; ++i)
      busiest = std::max(busiest, ++perBank[words[i] % 32]);
    total += busiest;
    minimum += count ? 1 : 0;
  }
  return {total, total - minimum};
}

void countAccess(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes) {
  if (warp.worker->memoryCounts.empty())
    return;
  Worker::MemoryCounts &counts = warp.worker->memoryCounts[in.origin];
  const std::uint64_t asked = static_cast<std::uint64_t>(std::popcount(access.mask)) * bytes;
  if (access.space == Space::Global) {
    counts.globalBytes += asked;
    counts.sectors += distinctSectors(access, bytes);
  }
  if (access.space != Space::Shared)
    return;
  counts.sharedBytes += asked;
  auto [total, conflicts] = wavefronts(access, bytes);
  counts.wavefronts += total;
  counts.conflicts += conflicts;
}

} // namespace attn::emulator
