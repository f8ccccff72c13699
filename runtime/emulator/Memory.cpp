// Allocation, translation and shadow of global memory (see Memory.h).
#include "runtime/emulator/Memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <sys/mman.h>

namespace attn::emulator {

static constexpr std::uint64_t kAlignment = 512;
static constexpr std::uint64_t kMinRedZone = 64 << 10, kMaxRedZone = 1 << 20;

static void *reserve(std::uint64_t bytes) {
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

Result<std::unique_ptr<GlobalMemory>> GlobalMemory::create(std::uint64_t bytes) {
  std::unique_ptr<GlobalMemory> memory(new GlobalMemory);
  memory->budget = std::max<std::uint64_t>(bytes, 1 << 20);
  // Red zones take address space, not memory; where the host limits address space we take less.
  constexpr std::uint64_t kLeast = std::uint64_t(1) << 28;
  for (std::uint64_t span = std::max(std::bit_ceil(memory->budget) * 4, kLeast); span >= kLeast; span /= 2) {
    memory->hostBase = static_cast<std::byte *>(reserve(span));
    memory->shadowBase = static_cast<std::uint8_t *>(reserve(span / 8));
    memory->span = span;
    if (memory->hostBase && memory->shadowBase)
      return memory;
    if (memory->hostBase)
      munmap(memory->hostBase, span);
    if (memory->shadowBase)
      munmap(memory->shadowBase, span / 8);
    memory->hostBase = nullptr, memory->shadowBase = nullptr;
  }
  return Status(StatusCode::OutOfMemory, fmt::format("virtual device: cannot reserve address space for {} bytes", bytes));
}

GlobalMemory::~GlobalMemory() {
  if (hostBase)
    munmap(hostBase, span);
  if (shadowBase)
    munmap(shadowBase, span / 8);
}

/// Fresh addresses while there are any, then the first gap that fits. 0 when there is none.
DeviceAddress GlobalMemory::place(std::uint64_t bytes) {
  std::uint64_t redZone = std::clamp(bytes, kMinRedZone, kMaxRedZone) / kAlignment * kAlignment;
  DeviceAddress begin = next + redZone;
  std::uint64_t taken = (bytes + kAlignment - 1) / kAlignment * kAlignment + redZone;
  if (begin + taken <= end()) {
    next = begin + taken - redZone;
    return begin;
  }
  freed.clear();
  DeviceAddress from = kBase + kMinRedZone;
  for (const auto &[start, allocation] : live) {
    if (from + bytes + kMinRedZone <= start)
      return from;
    from = (allocation->end() + kMinRedZone + kAlignment - 1) / kAlignment * kAlignment;
  }
  return from + bytes + kMinRedZone <= end() ? from : 0;
}

Result<DeviceAddress> GlobalMemory::allocate(std::uint64_t bytes, std::string name, bool writable) {
  std::unique_lock lock(mutex);
  bytes = std::max<std::uint64_t>(bytes, 1);
  DeviceAddress begin = bytes > budget - std::min(used, budget) ? 0 : place(bytes);
  if (begin == 0)
    return Status(StatusCode::OutOfMemory,
                  fmt::format("allocate: {} bytes asked for, {} of {} bytes are in use", bytes, used, budget));
  auto allocation = std::make_unique<Allocation>();
  allocation->begin = begin;
  allocation->size = bytes;
  allocation->writable = writable;
  allocation->name = std::move(name);
  used += bytes;
  live.emplace(begin, std::move(allocation));
  return begin;
}

Status GlobalMemory::free(DeviceAddress address) {
  std::unique_lock lock(mutex);
  auto found = live.find(address);
  if (found == live.end())
    return {StatusCode::InvalidArgument, fmt::format("free: {:#x} is not the start of an allocation", address)};
  std::uint64_t bytes = found->second->size;
  // Whole pages go back to the host (they read as zero afterwards); the shadow is cleared exactly.
  constexpr std::uint64_t kPage = 4096;
  std::uint64_t offset = address - kBase;
  std::uint64_t first = (offset + kPage - 1) / kPage * kPage, last = (offset + bytes) / kPage * kPage;
  if (first < last)
    madvise(hostBase + first, last - first, MADV_DONTNEED);
  std::memset(shadowBase + offset / 8, 0, (bytes + 7) / 8);
  used -= bytes;
  freed[address] = bytes;
  live.erase(found);
  return {};
}

Allocation *GlobalMemory::find(DeviceAddress address) const {
  std::shared_lock lock(mutex);
  auto after = live.upper_bound(address);
  if (after == live.begin())
    return nullptr;
  Allocation *allocation = std::prev(after)->second.get();
  return address < allocation->end() ? allocation : nullptr;
}

Result<Allocation *> GlobalMemory::range(DeviceAddress address, std::uint64_t bytes, std::string_view call) const {
  Allocation *allocation = find(address);
  if (!allocation || bytes > allocation->end() - address)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("{}: [{:#x}, +{}) is not inside one allocation: {}", call, address, bytes,
                              describe(allocation ? allocation->end() : address)));
  return allocation;
}

std::string GlobalMemory::describe(DeviceAddress address) const {
  std::shared_lock lock(mutex);
  if (auto after = freed.upper_bound(address); after != freed.begin()) {
    auto [begin, size] = *std::prev(after);
    if (address < begin + size)
      return fmt::format("inside the {}-byte allocation at {:#x} that was freed", size, begin);
  }
  const Allocation *nearest = nullptr;
  std::uint64_t distance = ~std::uint64_t(0);
  bool before = false;
  auto after = live.upper_bound(address);
  if (after != live.end()) {
    nearest = after->second.get(), before = true;
    distance = nearest->begin - address;
  }
  if (after != live.begin()) {
    const Allocation *lower = std::prev(after)->second.get();
    std::uint64_t past = address - lower->end();
    if (past < distance)
      nearest = lower, before = false, distance = past;
  }
  if (!nearest)
    return "there are no allocations";
  std::string what = nearest->name.empty() ? "allocation" : fmt::format("variable `{}`", nearest->name);
  return fmt::format("{} bytes {} the {}-byte {} at {:#x}", distance, before ? "before" : "past the end of", nearest->size,
                     what, nearest->begin);
}

void GlobalMemory::define(DeviceAddress address, std::uint64_t bytes) {
  Allocation *allocation = find(address);
  if (allocation && (allocation->defined || bytes == allocation->size)) {
    allocation->defined = true;
  }
  setDefined(shadowBase, address - kBase, bytes, true);
}

void GlobalMemory::copyDefined(DeviceAddress destination, DeviceAddress source, std::uint64_t bytes) {
  Allocation *from = find(source), *to = find(destination);
  if (from && from->defined) {
    define(destination, bytes);
    return;
  }
  if (to && to->defined) { // its bits may not have been kept up: make them explicit first
    setDefined(shadowBase, to->begin - kBase, to->size, true);
    to->defined = false;
  }
  for (std::uint64_t i = 0; i < bytes; ++i)
    setDefined(shadowBase, destination - kBase + i, 1, allDefined(shadowBase, source - kBase + i, 1));
}

void GlobalMemory::settle(bool all) {
  std::shared_lock lock(mutex);
  for (const auto &[begin, allocation] : live) {
    if (allocation->defined)
      continue;
    bool defined = true;
    std::uint64_t bit = begin - kBase, remaining = allocation->size;
    for (; !all && defined && remaining > 0;) {
      std::uint64_t step = std::min<std::uint64_t>(remaining, 64);
      defined = allDefined(shadowBase, bit, step);
      bit += step, remaining -= step;
    }
    if (all)
      setDefined(shadowBase, begin - kBase, allocation->size, true);
    allocation->defined = defined;
  }
}

bool allDefined(const std::uint8_t *shadow, std::uint64_t bit, std::uint64_t count) {
  if (bit % 8 == 0 && count == 64) {
    std::uint64_t word;
    std::memcpy(&word, shadow + bit / 8, sizeof(word));
    return word == ~std::uint64_t(0);
  }
  for (; count > 0;) {
    std::uint64_t in = bit % 8, step = std::min<std::uint64_t>(8 - in, count);
    std::uint8_t mask = static_cast<std::uint8_t>(((1u << step) - 1) << in);
    if ((shadow[bit / 8] & mask) != mask)
      return false;
    bit += step, count -= step;
  }
  return true;
}

void setDefined(std::uint8_t *shadow, std::uint64_t bit, std::uint64_t count, bool defined) {
  while (count > 0) {
    std::uint64_t in = bit % 8;
    if (in == 0 && count >= 8) {
      std::memset(shadow + bit / 8, defined ? 0xFF : 0, count / 8);
      bit += count / 8 * 8, count %= 8;
      continue;
    }
    std::uint64_t step = std::min<std::uint64_t>(8 - in, count);
    std::uint8_t mask = static_cast<std::uint8_t>(((1u << step) - 1) << in);
    // CTAs on other threads may write neighbouring bits.
    if (defined && (shadow[bit / 8] & mask) != mask)
      __atomic_fetch_or(shadow + bit / 8, mask, __ATOMIC_RELAXED);
    else if (!defined)
      __atomic_fetch_and(shadow + bit / 8, static_cast<std::uint8_t>(~mask), __ATOMIC_RELAXED);
    bit += step, count -= step;
  }
}

} // namespace attn::emulator
