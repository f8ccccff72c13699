// Operations between the lanes of a warp: shfl, vote, match, redux, bar.warp.sync, movmatrix.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace attn::emulator {

/// The member mask in `slot`, the same in all executing lanes. Zero when the lanes have to wait or a finding was reported.
static std::uint32_t members(Warp &warp, const Inst &in, std::uint32_t slot) {
  if (!warp.checkDefined(in, slot, "member mask"))
    return 0;
  const std::uint32_t *masks = warp.plane<std::uint32_t>(slot);
  std::uint32_t mask = masks[std::countr_zero(warp.exec)], outside = 0;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    if (!(masks[lane] >> lane & 1))
      outside |= 1u << lane;
  }
  if (outside) {
    warp.report(in, "D03", outside, fmt::format("lanes that are not in their member mask {:#x}", mask));
    return 0;
  }
  return warp.converge(in, mask & warp.live) ? mask : 0;
}

/// A member mask may differ between groups of lanes that happen to execute together (each group names itself).
template <typename F> static void forEachGroup(Warp &warp, const Inst &in, std::uint32_t slot, F f) {
  std::uint32_t all = warp.exec;
  if (!members(warp, in, slot))
    return;
  const std::uint32_t *masks = warp.plane<std::uint32_t>(slot);
  for (std::uint32_t rest = all; rest;) {
    std::uint32_t mask = masks[std::countr_zero(rest)], group = rest & mask;
    rest &= ~group;
    warp.exec = group;
    f(group);
  }
  warp.exec = all;
}

void shuffleHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t memberSlot = in.list[0];
  if (!members(warp, in, memberSlot))
    return;
  if (!warp.checkDefined(in, in.b, "lane of a shuffle") || !warp.checkDefined(in, in.c, "clamp of a shuffle"))
    return;
  const std::uint32_t *values = warp.plane<std::uint32_t>(in.a), *choices = warp.plane<std::uint32_t>(in.b),
                      *clamps = warp.plane<std::uint32_t>(in.c), *masks = warp.plane<std::uint32_t>(memberSlot);
  std::uint32_t source = warp.undefined[in.a], result[32] = {}, inRange = 0, undefinedMask = 0;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1) {
    std::uint32_t lane = static_cast<std::uint32_t>(std::countr_zero(rest));
    // PTX ISA 9.7.9.6
    std::uint32_t choice = choices[lane] & 31, clamp = clamps[lane] & 31, segment = clamps[lane] >> 8 & 31;
    std::uint32_t maxLane = (lane & segment) | (clamp & ~segment), minLane = lane & segment, from = lane;
    bool valid = false;
    switch (static_cast<ShuffleMode>(in.kind)) {
    case ShuffleMode::Up:
      from = lane - choice;
      valid = static_cast<std::int32_t>(from) >= static_cast<std::int32_t>(maxLane);
      break;
    case ShuffleMode::Down:
      from = lane + choice;
      valid = from <= maxLane;
      break;
    case ShuffleMode::Bfly:
      from = lane ^ choice;
      valid = from <= maxLane;
      break;
    case ShuffleMode::Idx:
      from = minLane | (choice & ~segment);
      valid = from <= maxLane;
      break;
    }
    from = valid ? from & 31 : lane;
    inRange |= std::uint32_t(valid) << lane;
    bool readable = (warp.exec >> from & 1) && (masks[lane] >> from & 1);
    result[lane] = values[from];
    undefinedMask |= std::uint32_t(!readable || (source >> from & 1)) << lane;
  }
  warp.write(in.d, result);
  warp.setUndefined(in.d, undefinedMask);
  if (in.p0 != kNoPredicate)
    warp.writePredicate(in.p0, inRange, 0);
}

void voteHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t truth = warp.predicate(in.p1, in.flags & kNegateP1);
  std::uint32_t undefinedLanes = warp.predicatesUndefined[in.p1];
  forEachGroup(warp, in, in.a, [&](std::uint32_t group) {
    std::uint32_t holds = truth & group, undefinedMask = undefinedLanes & group ? kFullMask : 0;
    VoteMode mode = static_cast<VoteMode>(in.kind);
    if (mode == VoteMode::Ballot) {
      std::uint32_t values[32];
      std::fill(std::begin(values), std::end(values), holds);
      warp.write(in.d, values);
      warp.setUndefined(in.d, undefinedMask);
      return;
    }
    bool result = mode == VoteMode::All ? holds == group : mode == VoteMode::Any ? holds != 0 : holds == 0 || holds == group;
    warp.writePredicate(in.p0, result ? kFullMask : 0, undefinedMask);
  });
}

static std::uint64_t valueOf(const Warp &warp, const Inst &in, unsigned lane) {
  return in.flags & kWideData ? warp.plane<std::uint64_t>(in.a)[lane] : warp.plane<std::uint32_t>(in.a)[lane];
}

void matchAnyHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t undefinedLanes = warp.undefined[in.a];
  forEachGroup(warp, in, in.b, [&](std::uint32_t group) {
    std::uint32_t result[32] = {};
    for (std::uint32_t a = group; a; a &= a - 1)
      for (std::uint32_t b = group; b; b &= b - 1)
        if (valueOf(warp, in, static_cast<unsigned>(std::countr_zero(a))) ==
            valueOf(warp, in, static_cast<unsigned>(std::countr_zero(b))))
          result[std::countr_zero(a)] |= 1u << std::countr_zero(b);
    warp.write(in.d, result);
    warp.setUndefined(in.d, undefinedLanes & group ? kFullMask : 0);
  });
}

void matchAllHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t undefinedLanes = warp.undefined[in.a];
  forEachGroup(warp, in, in.b, [&](std::uint32_t group) {
    std::uint64_t first = valueOf(warp, in, static_cast<unsigned>(std::countr_zero(group)));
    bool same = true;
    for (std::uint32_t rest = group; rest; rest &= rest - 1)
      same &= valueOf(warp, in, static_cast<unsigned>(std::countr_zero(rest))) == first;
    std::uint32_t values[32], undefinedMask = undefinedLanes & group ? kFullMask : 0;
    std::fill(std::begin(values), std::end(values), same ? group : 0);
    warp.write(in.d, values);
    warp.setUndefined(in.d, undefinedMask);
    if (in.p0 != kNoPredicate)
      warp.writePredicate(in.p0, same ? kFullMask : 0, undefinedMask);
  });
}

static std::uint32_t reduce(AtomicOp op, bool isSigned, std::uint32_t a, std::uint32_t b) {
  bool less = isSigned ? static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b) : a < b;
  switch (op) {
  case AtomicOp::Add: return a + b;
  case AtomicOp::Min: return less ? a : b;
  case AtomicOp::Max: return less ? b : a;
  case AtomicOp::And: return a & b;
  case AtomicOp::Or: return a | b;
  default: return a ^ b;
  }
}

void warpReduceHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t undefinedLanes = warp.undefined[in.a];
  forEachGroup(warp, in, in.b, [&](std::uint32_t group) {
    const std::uint32_t *values = warp.plane<std::uint32_t>(in.a);
    std::uint32_t total = values[std::countr_zero(group)];
    for (std::uint32_t rest = group & (group - 1); rest; rest &= rest - 1)
      total = reduce(static_cast<AtomicOp>(in.kind), in.flags & kSigned, total, values[std::countr_zero(rest)]);
    std::uint32_t results[32];
    std::fill(std::begin(results), std::end(results), total);
    warp.write(in.d, results);
    warp.setUndefined(in.d, undefinedLanes & group ? kFullMask : 0);
  });
}

void activeMaskHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  std::uint32_t values[32];
  std::fill(std::begin(values), std::end(values), warp.exec);
  warp.write(in.d, values);
  warp.setUndefined(in.d, 0);
}

/// bar.warp.sync may be reached at several places: the lanes wait for each other, not for an instruction.
void warpBarrierHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.checkDefined(in, in.a, "member mask"))
    return;
  const std::uint32_t *masks = warp.plane<std::uint32_t>(in.a);
  std::uint32_t mask = masks[std::countr_zero(warp.exec)];
  if ((warp.joinWarpBarrier(in, mask) || members(warp, in, in.a)) && warp.cta.sanitizer)
    warp.cta.sanitizer->syncLanes(warp, in, mask & warp.live);
}

void moveMatrixHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.converge(in, warp.present))
    return;
  const std::uint32_t *source = warp.plane<std::uint32_t>(in.a);
  std::uint32_t undefinedLanes = warp.undefined[in.a], undefinedMask = 0, result[32];
  // Row r, column c is in lane 4r + c / 2, half c % 2.
  auto element = [&](unsigned row, unsigned column) {
    return source[4 * row + column / 2] >> (16 * (column % 2)) & 0xFFFF;
  };
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned row = lane / 4, column = 2 * (lane % 4);
    result[lane] = element(column, row) | element(column + 1, row) << 16;
    std::uint32_t sources = 1u << (4 * column + row / 2) | 1u << (4 * (column + 1) + row / 2);
    undefinedMask |= std::uint32_t((undefinedLanes & sources) != 0) << lane;
  }
  warp.write(in.d, result);
  warp.setUndefined(in.d, undefinedMask);
}

} // namespace attn::emulator
