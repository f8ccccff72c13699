// ld, st and ldmatrix.
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace attn::emulator {

using ptx::Space;

/// Whether the element's bytes are all defined; `bytes` a power of two up to 8 and the offset a multiple of it.
static bool elementDefined(const std::uint8_t *shadow, std::uint64_t offset, unsigned bytes) {
  unsigned mask = ((1u << bytes) - 1) << (offset % 8);
  return (shadow[offset / 8] & mask) == mask;
}

/// Reads element `element` of every lane into a register.
template <typename Value, typename Word>
static void loadElement(Warp &warp, const Inst &in, const Access &access, unsigned element, std::uint32_t slot) {
  Word values[32] = {};
  std::uint64_t displacement = std::uint64_t(element) * sizeof(Value);
  std::uint32_t undefinedMask = 0;
  if (access.mask == kFullMask) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      Value value;
      std::memcpy(&value, access.base + access.offset[lane] + displacement, sizeof(value));
      values[lane] = static_cast<Word>(value);
    }
  } else {
    for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      Value value;
      std::memcpy(&value, access.base + access.offset[lane] + displacement, sizeof(value));
      values[lane] = static_cast<Word>(value);
    }
  }
  if (access.shadow)
    for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      if (!elementDefined(access.shadow, access.offset[lane] + displacement, sizeof(Value)))
        undefinedMask |= 1u << lane;
    }
  warp.write(slot, values);
  warp.setUndefined(slot, undefinedMask);
  (void)in;
}

static void loadElementOf(Warp &warp, const Inst &in, const Access &access, unsigned element, std::uint32_t slot) {
  bool isSigned = in.flags & kSigned;
  switch (in.bytes) {
  case 1:
    return isSigned ? loadElement<std::int8_t, std::uint32_t>(warp, in, access, element, slot)
                    : loadElement<std::uint8_t, std::uint32_t>(warp, in, access, element, slot);
  case 2:
    return isSigned ? loadElement<std::int16_t, std::uint32_t>(warp, in, access, element, slot)
                    : loadElement<std::uint16_t, std::uint32_t>(warp, in, access, element, slot);
  case 4:
    return loadElement<std::uint32_t, std::uint32_t>(warp, in, access, element, slot);
  default:
    return loadElement<std::uint64_t, std::uint64_t>(warp, in, access, element, slot);
  }
}

/// A parameter read at a fixed place: the same in all lanes.
static bool loadParameter(Warp &warp, const Inst &in) {
  if (static_cast<Space>(in.space) != Space::Param || in.a != kNoRegister || in.count != 1)
    return false;
  std::uint64_t offset = static_cast<std::uint64_t>(in.imm);
  if (offset + in.bytes > warp.launch.parameters.size() || offset % in.bytes != 0)
    return false;
  std::uint64_t bits = 0;
  std::memcpy(&bits, warp.launch.parameters.data() + offset, in.bytes);
  if (in.bytes == 8) {
    std::uint64_t values[32];
    for (std::uint64_t &value : values)
      value = bits;
    warp.write(in.d, values);
  } else {
    std::uint32_t word = static_cast<std::uint32_t>(bits);
    if (in.flags & kSigned)
      word = in.bytes == 1 ? std::uint32_t(std::int8_t(word)) : in.bytes == 2 ? std::uint32_t(std::int16_t(word)) : word;
    std::uint32_t values[32];
    for (std::uint32_t &value : values)
      value = word;
    warp.write(in.d, values);
  }
  warp.setUndefined(in.d, 0);
  return true;
}

/// Lanes whose bytes stand there already.
static std::uint32_t unchangedLanes(const Warp &warp, const Inst &in, const Access &access) {
  std::uint32_t lanes = 0;
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    bool isSame = !access.shadow || allDefined(access.shadow, access.offset[lane], std::uint32_t(in.bytes) * in.count);
    for (unsigned element = 0; element < in.count && isSame; ++element) {
      const std::uint32_t slot = in.count == 1 ? in.d : in.list[element];
      const std::uint64_t value = in.bytes == 8 ? warp.plane<std::uint64_t>(slot)[lane] : warp.plane<std::uint32_t>(slot)[lane];
      isSame = std::memcmp(access.base + access.offset[lane] + std::uint64_t(element) * in.bytes, &value, in.bytes) == 0;
    }
    lanes |= std::uint32_t(isSame) << lane;
  }
  return lanes;
}

/// R03: what stands there must be what each lane wrote.
static bool checkSameValue(Warp &warp, const Inst &in, const Access &access, unsigned element, std::uint32_t slot) {
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const std::uint64_t value = in.bytes == 8 ? warp.plane<std::uint64_t>(slot)[lane] : warp.plane<std::uint32_t>(slot)[lane];
    const std::uint64_t offset = access.offset[lane] + std::uint64_t(element) * in.bytes;
    if (std::memcmp(access.base + offset, &value, in.bytes) == 0)
      continue;
    const bool isShared = access.space == Space::Shared;
    warp.report(in, "R03", access.mask, fmt::format("{0} WAW race: lanes store different values to {0} address {1:#x}", spelling(access.space),
                                                    isShared ? offset : offset + warp.launch.memory->begin()));
    return warp.state != Warp::State::Failed;
  }
  return true;
}

static bool checkOrder(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind) {
  if (warp.cta.sanitizer && !warp.cta.sanitizer->access(warp, in, access, bytes, kind))
    return false;
  return checkInFlight(warp, in, access, bytes, kind);
}

void loadHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (loadParameter(warp, in))
    return;
  if (in.a != kNoRegister && !warp.checkDefined(in, in.a, "address"))
    return;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  std::uint32_t bytes = std::uint32_t(in.bytes) * in.count, all = warp.exec;
  forEachSpace(static_cast<Space>(in.space), addresses, all, [&](Space space, std::uint32_t mask) {
    Access access;
    resolve(warp, in, space, addresses, mask, bytes, bytes, AccessKind::Read, access);
    if (warp.state == Warp::State::Failed)
      return;
    countAccess(warp, in, access, bytes);
    if (!checkOrder(warp, in, access, bytes, AccessKind::Read))
      return;
    warp.exec = mask;
    if (in.count == 1)
      return loadElementOf(warp, in, access, 0, in.d);
    for (unsigned element = 0; element < in.count; ++element)
      loadElementOf(warp, in, access, element, in.list[element]);
  });
  warp.exec = all;
}

template <typename Value, typename Word>
static void storeElement(Warp &warp, const Access &access, unsigned element, std::uint32_t slot) {
  const Word *values = warp.plane<Word>(slot);
  std::uint64_t displacement = std::uint64_t(element) * sizeof(Value);
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    Value value = static_cast<Value>(values[lane]);
    std::memcpy(access.base + access.offset[lane] + displacement, &value, sizeof(value));
  }
  if (!access.shadow)
    return;
  std::uint32_t undefinedMask = warp.undefined[slot];
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    std::uint64_t offset = access.offset[lane] + displacement;
    bool defined = !(undefinedMask >> lane & 1);
    if (sizeof(Value) == 8)
      access.shadow[offset / 8] = defined ? 0xFF : 0;
    else if (!defined || !elementDefined(access.shadow, offset, sizeof(Value)))
      setDefined(access.shadow, offset, sizeof(Value), defined);
  }
}

void storeHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (in.a != kNoRegister && !warp.checkDefined(in, in.a, "address"))
    return;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  std::uint32_t bytes = std::uint32_t(in.bytes) * in.count, all = warp.exec;
  forEachSpace(static_cast<Space>(in.space), addresses, all, [&](Space space, std::uint32_t mask) {
    Access access;
    resolve(warp, in, space, addresses, mask, bytes, bytes, AccessKind::Write, access);
    if (warp.state == Warp::State::Failed)
      return;
    countAccess(warp, in, access, bytes);
    if (warp.cta.sanitizer && space == Space::Global)
      access.unchanged = unchangedLanes(warp, in, access);
    if (!checkOrder(warp, in, access, bytes, AccessKind::Write))
      return;
    for (unsigned element = 0; element < in.count; ++element) {
      std::uint32_t slot = in.count == 1 ? in.d : in.list[element];
      warp.exec = access.mask;
      if (space == Space::Global && !warp.checkDefined(in, slot, "a value stored to global memory"))
        break;
      switch (in.bytes) {
      case 1: storeElement<std::uint8_t, std::uint32_t>(warp, access, element, slot); break;
      case 2: storeElement<std::uint16_t, std::uint32_t>(warp, access, element, slot); break;
      case 4: storeElement<std::uint32_t, std::uint32_t>(warp, access, element, slot); break;
      default: storeElement<std::uint64_t, std::uint64_t>(warp, access, element, slot); break;
      }
      if (warp.cta.sanitizer && (space == Space::Shared || space == Space::Global) && !checkSameValue(warp, in, access, element, slot))
        break;
    }
    warp.exec = all;
  });
}

/// The result words of one 8×8 matrix: lane 4g + t gets row g, columns 2t and 2t + 1, or under `.trans` rows 2t and 2t + 1
/// of column g (PTX ISA 9.7.14.5.15).
static void distribute(const std::uint16_t (&rows)[8][8], bool transpose, std::uint32_t (&words)[32]) {
  if (!transpose) {
    std::memcpy(words, rows, sizeof(words));
    return;
  }
  for (unsigned g = 0; g < 8; ++g)
    for (unsigned t = 0; t < 4; ++t)
      words[4 * g + t] = rows[2 * t][g] | std::uint32_t(rows[2 * t + 1][g]) << 16;
}

static std::uint32_t undefinedWords(const Access &access, unsigned matrix, bool transpose) {
  std::uint16_t rows[8][8] = {};
  bool any = false;
  for (unsigned row = 0; row < 8; ++row) {
    std::uint64_t offset = access.offset[8 * matrix + row];
    if (access.shadow[offset / 8] == 0xFF && access.shadow[offset / 8 + 1] == 0xFF)
      continue;
    any = true;
    for (unsigned column = 0; column < 8; ++column)
      rows[row][column] = !elementDefined(access.shadow, offset + 2 * column, 2);
  }
  if (!any)
    return 0;
  std::uint32_t words[32], mask = 0;
  distribute(rows, transpose, words);
  for (unsigned lane = 0; lane < 32; ++lane)
    mask |= (words[lane] ? 1u : 0u) << lane;
  return mask;
}

void loadMatrixHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.converge(in, warp.live))
    return;
  std::uint32_t all = warp.exec, lanes = in.count == 4 ? kFullMask : (1u << (8 * in.count)) - 1;
  if (lanes & ~all) {
    warp.report(in, "D02", lanes & ~all, "the lanes that hold row addresses do not exist or have exited");
    return;
  }
  warp.exec = lanes;
  bool defined = warp.checkDefined(in, in.a, "address");
  warp.exec = all;
  if (!defined)
    return;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  if (static_cast<Space>(in.space) == Space::Generic)
    for (unsigned lane = 0; lane < 8u * in.count; ++lane)
      if (spaceOf(addresses[lane]) != Space::Shared) {
        warp.report(in, "M03", 1u << lane, fmt::format("wrong space: {:#x} is not in shared memory", addresses[lane]));
        return;
      }
  Access access;
  resolve(warp, in, Space::Shared, addresses, lanes, 16, 16, AccessKind::Read, access);
  if (warp.state == Warp::State::Failed || access.mask != lanes)
    return;
  countAccess(warp, in, access, 16);
  if (warp.cta.sanitizer && !warp.cta.sanitizer->accessTogether(warp, in, access, AccessKind::Read))
    return;
  if (!checkInFlight(warp, in, access, 16, AccessKind::Read))
    return;
  for (unsigned matrix = 0; matrix < in.count; ++matrix) {
    std::uint16_t rows[8][8];
    for (unsigned row = 0; row < 8; ++row)
      std::memcpy(rows[row], access.base + access.offset[8 * matrix + row], 16);
    std::uint32_t words[32], slot = in.count == 1 ? in.d : in.list[matrix];
    distribute(rows, in.flags & kTranspose, words);
    std::uint32_t undefinedMask = access.shadow ? undefinedWords(access, matrix, in.flags & kTranspose) : 0;
    warp.write(slot, words);
    warp.setUndefined(slot, undefinedMask);
  }
}

} // namespace attn::emulator
