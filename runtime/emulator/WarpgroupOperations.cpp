// Smaller instructions of sm_90: elect.sync, stmatrix, setmaxnreg.
#include "runtime/emulator/Access.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator {

/// The lowest lane of the mask is elected (the ISA leaves the choice open, but says that it is always the same).
void electHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.checkDefined(in, in.a, "member mask"))
    return;
  const std::uint32_t *masks = warp.plane<std::uint32_t>(in.a);
  const std::uint32_t mask = masks[std::countr_zero(warp.exec)];
  std::uint32_t outside = warp.exec & ~mask;
  for (std::uint32_t rest = warp.exec; rest; rest &= rest - 1)
    outside |= masks[std::countr_zero(rest)] == mask ? 0 : rest & -rest;
  if (outside)
    return warp.report(in, "D03", outside, fmt::format("lanes that are not in the member mask {:#x}, or name another", mask));
  if (!warp.converge(in, mask & warp.live))
    return;
  const unsigned leader = static_cast<unsigned>(std::countr_zero(mask & warp.live));
  if (in.d != kNoRegister) {
    std::uint32_t values[32];
    std::fill(std::begin(values), std::end(values), leader);
    warp.write(in.d, values);
    warp.setUndefined(in.d, 0);
  }
  warp.writePredicate(in.p0, 1u << leader, 0);
}

/// The rows of one 8 × 8 matrix from its register: lane 4g + t has row g, columns 2t and 2t + 1, or under `.trans` rows 2t
/// and 2t + 1 of column g.
static void collect(const std::uint32_t *words, bool transpose, std::uint16_t (&rows)[8][8]) {
  if (!transpose) {
    std::memcpy(rows, words, sizeof(rows));
    return;
  }
  for (unsigned g = 0; g < 8; ++g)
    for (unsigned t = 0; t < 4; ++t) {
      rows[2 * t][g] = static_cast<std::uint16_t>(words[4 * g + t]);
      rows[2 * t + 1][g] = static_cast<std::uint16_t>(words[4 * g + t] >> 16);
    }
}

void storeMatrixHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (!warp.converge(in, warp.live))
    return;
  if (warp.exec != kFullMask)
    return warp.report(in, "D02", ~warp.exec, "divergent aligned instruction: lanes that do not exist or have exited");
  const std::uint32_t lanes = in.count == 4 ? kFullMask : (1u << (8 * in.count)) - 1;
  warp.exec = lanes;
  const bool defined = warp.checkDefined(in, in.a, "address");
  warp.exec = kFullMask;
  if (!defined)
    return;
  std::uint64_t addresses[32];
  laneAddresses(warp, in.a, in.flags & kWideAddress, in.imm, addresses);
  if (static_cast<ptx::Space>(in.space) == ptx::Space::Generic)
    for (unsigned lane = 0; lane < 8u * in.count; ++lane)
      if (spaceOf(addresses[lane]) != ptx::Space::Shared)
        return warp.report(in, "M03", 1u << lane, fmt::format("wrong space: {:#x} is not in shared memory", addresses[lane]));
  Access access;
  resolve(warp, in, ptx::Space::Shared, addresses, lanes, 16, 16, AccessKind::Write, access);
  if (warp.state == Warp::State::Failed || access.mask != lanes)
    return;
  countAccess(warp, in, access, 16);
  if (warp.cta.sanitizer && !warp.cta.sanitizer->accessTogether(warp, in, access, AccessKind::Write))
    return;
  for (unsigned matrix = 0; matrix < in.count; ++matrix) {
    std::uint16_t rows[8][8], undefinedRows[8][8];
    std::uint32_t undefinedWords[32];
    for (unsigned lane = 0; lane < 32; ++lane)
      undefinedWords[lane] = warp.undefined[in.list[matrix]] >> lane & 1 ? 0xFFFFFFFF : 0;
    collect(warp.plane<std::uint32_t>(in.list[matrix]), in.flags & kTranspose, rows);
    collect(undefinedWords, in.flags & kTranspose, undefinedRows);
    for (unsigned row = 0; row < 8; ++row) {
      const std::uint64_t offset = access.offset[8 * matrix + row];
      std::memcpy(access.base + offset, rows[row], 16);
      for (unsigned column = 0; access.shadow && column < 8; ++column)
        setDefined(access.shadow, offset + 2 * column, 2, undefinedRows[row][column] == 0);
    }
  }
}

/// Where the kernel says how many registers its threads begin with (`.maxnreg`), warps can take no more than others gave back.
/// What a warp does with its registers is not followed.
bool AsyncEngine::setRegisters(Warp &warp, const Inst &in) {
  const std::uint32_t atLaunch = cta.launch.program->entry->maxRegisters;
  if (atLaunch == 0)
    return true;
  if (registers.empty())
    registers.assign(cta.warps.size(), {atLaunch, nullptr});
  std::uint32_t &own = registers[warp.index].perThread;
  registers[warp.index].exchange = &in;
  const std::int64_t more = in.imm - std::int64_t(own);
  const bool increases = in.kind == 1;
  if (increases != (more >= 0) && more != 0) {
    warp.report(in, "W09", warp.exec, fmt::format("the warp has {} registers a thread, which this cannot {} to {}", own,
                                                  increases ? "raise" : "lower", in.imm));
    return true;
  }
  if (more > freeRegisters)
    return false;
  freeRegisters -= more;
  own = static_cast<std::uint32_t>(in.imm);
  if (more < 0)
    wake(kRegisterWait, 0);
  return true;
}

/// W09: at the end, the four warps of a warpgroup have last executed the same exchange.
void AsyncEngine::reportUnevenRegisters() {
  for (std::size_t first = 0; first + 4 <= registers.size(); first += 4)
    for (std::size_t i = first; i < first + 4; ++i) {
      std::size_t other = first + (i + 1) % 4;
      if (registers[i].exchange == nullptr || registers[i].exchange == registers[other].exchange)
        continue;
      cta.warps[i]->report(*registers[i].exchange, "W09", cta.warps[i]->present,
                           fmt::format("warp {} executes this, but warp {} of its warpgroup does not: all four have to", i, other));
      return;
    }
}

void maxRegistersHandler(LaneState &state, const Inst &in) {
  Warp &warp = warpOf(state);
  if (warp.converge(in, warp.live) && !warp.cta.async.setRegisters(warp, in))
    warp.waitAgain(in, kRegisterWait, 0);
}

} // namespace attn::emulator
