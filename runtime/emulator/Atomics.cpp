// atom and red: lane after lane, each by compare and exchange on host memory, so that CTAs on other threads see them whole.
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"
#include "runtime/emulator/lanes/Numerics.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator {

using ptx::Space;

template <typename Word, typename Signed> static Word combineInteger(AtomicOp op, bool isSigned, Word old, Word value) {
  bool less = isSigned ? static_cast<Signed>(value) < static_cast<Signed>(old) : value < old;
  switch (op) {
  case AtomicOp::Add: return old + value;
  case AtomicOp::Min: return less ? value : old;
  case AtomicOp::Max: return less ? old : value;
  case AtomicOp::Inc: return old >= value ? 0 : old + 1;
  case AtomicOp::Dec: return old == 0 || old > value ? value : old - 1;
  case AtomicOp::And: return old & value;
  case AtomicOp::Or: return old | value;
  case AtomicOp::Xor: return old ^ value;
  default: return value; // Exch
  }
}

static std::uint32_t addHalf(std::uint32_t a, std::uint32_t b, bool brain) {
  using namespace shared;
  if (brain)
    return toBf16(double(fromBf16(a & 0xFFFF)) + fromBf16(b & 0xFFFF));
  return toF16(double(fromF16(a & 0xFFFF)) + fromF16(b & 0xFFFF));
}

/// The value after the operation. `compare` is used by cas only.
template <typename Word> static Word combine(const Inst &in, Word old, Word value, Word compare) {
  AtomicOp op = static_cast<AtomicOp>(in.kind);
  switch (op) {
  case AtomicOp::Cas:
    return old == compare ? value : old;
  case AtomicOp::AddFloat:
    if constexpr (sizeof(Word) == 8)
      return std::bit_cast<Word>(std::bit_cast<double>(old) + std::bit_cast<double>(value));
    else if constexpr (sizeof(Word) == 4)
      return std::bit_cast<Word>(std::bit_cast<float>(old) + std::bit_cast<float>(value));
    return old;
  case AtomicOp::AddHalf:
  case AtomicOp::AddBrain: {
    bool brain = op == AtomicOp::AddBrain;
    Word result = static_cast<Word>(addHalf(static_cast<std::uint32_t>(old), static_cast<std::uint32_t>(value), brain));
    if constexpr (sizeof(Word) == 4)
      result |= static_cast<Word>(addHalf(old >> 16, value >> 16, brain)) << 16;
    return result;
  }
  default:
    if constexpr (sizeof(Word) == 8)
      return combineInteger<std::uint64_t, std::int64_t>(op, in.flags & kSigned, old, value);
    else
      return static_cast<Word>(combineInteger<std::uint32_t, std::int32_t>(op, in.flags & kSigned, old, value));
  }
}

template <typename Word, typename Cell> static void update(Warp &warp, const Inst &in, const Access &access) {
  const Cell *values = warp.plane<Cell>(in.b);
  const Cell *third = in.c == kNoRegister ? values : warp.plane<Cell>(in.c);
  bool isCas = static_cast<AtomicOp>(in.kind) == AtomicOp::Cas; // cas: b is compared, c is stored
  Cell results[32] = {};
  for (std::uint32_t rest = access.mask; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    Word value = static_cast<Word>(isCas ? third[lane] : values[lane]), compare = static_cast<Word>(values[lane]);
    Word *target = reinterpret_cast<Word *>(access.base + access.offset[lane]);
    Word old = __atomic_load_n(target, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(target, &old, combine(in, old, value, compare), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    results[lane] = static_cast<Cell>(old);
  }
  if (in.flags & kNoResult)
    return;
  warp.write(in.d, results);
}

/// Memory that was never written makes the result undefined; in global memory that is an error at once.
static std::uint32_t undefinedTargets(const Access &access, unsigned bytes) {
  std::uint32_t lanes = 0;
  for (std::uint32_t rest = access.shadow ? access.mask : 0; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    if (!allDefined(access.shadow, access.offset[lane], bytes))
      lanes |= 1u << lane;
  }
  return lanes;
}

static void updateIn(Warp &warp, const Inst &in, Space space, const std::uint64_t (&addresses)[32], std::uint32_t mask) {
  Access access;
  resolve(warp, in, space, addresses, mask, in.bytes, in.bytes, AccessKind::Update, access);
  if (warp.state == Warp::State::Failed)
    return;
  countAccess(warp, in, access, in.bytes);
  if (warp.cta.sanitizer && !warp.cta.sanitizer->access(warp, in, access, in.bytes, AccessKind::Update, true))
    return;
  std::uint32_t undefinedLanes = undefinedTargets(access, in.bytes);
  warp.exec = mask;
  if (undefinedLanes && space == Space::Global) {
    warp.report(in, "U01", undefinedLanes, "an atomic operation on global memory that was never written");
    if (warp.state == Warp::State::Failed)
      return;
    for (std::uint32_t rest = undefinedLanes; rest; rest &= rest - 1)
      setDefined(access.shadow, access.offset[std::countr_zero(rest)], in.bytes, true);
    undefinedLanes = 0;
  }
  switch (in.bytes) {
  case 2: update<std::uint16_t, std::uint32_t>(warp, in, access); break;
  case 4: update<std::uint32_t, std::uint32_t>(warp, in, access); break;
  default: update<std::uint64_t, std::uint64_t>(warp, in, access); break;
  }
  if (!(in.flags & kNoResult))
    warp.setUndefined(in.d, undefinedLanes);
}

void atomicHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if ((in.a != kNoRegister && !warp.checkDefined(in, in.a, "address")) ||
      !warp.checkDefined(in, in.b, "operand of an atomic operation") ||
      (in.c != kNoRegister && !warp.checkDefined(in, in.c, "operand of an atomic operation")))
    return;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  std::uint32_t all = warp.exec;
  forEachSpace(static_cast<Space>(in.space), addresses, all, [&](Space space, std::uint32_t mask) {
    if (warp.state != Warp::State::Failed)
      updateIn(warp, in, space, addresses, mask);
  });
  warp.exec = all;
}

} // namespace attn::emulator
