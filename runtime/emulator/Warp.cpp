// Running a warp: the instruction loop, divergence and reconvergence.
#include "runtime/emulator/Warp.h"

#include "runtime/emulator/Cta.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace attn::emulator {

/// Backward jumps of one fragment after which another gets its turn, so that lanes that spin on others cannot starve them.
static constexpr std::uint32_t kRotateAfter = 4096;

Warp::Warp(Cta &cta, Worker &worker, unsigned index, std::uint32_t lanes)
    : cta(cta), launch(cta.launch), worker(&worker), index(index), live(lanes), present(lanes), active(lanes) {
  const Program &program = *launch.program;
  storage.resize(std::size_t(program.slots) * 32 + 16);
  std::uintptr_t address = reinterpret_cast<std::uintptr_t>(storage.data());
  registers = reinterpret_cast<std::uint32_t *>((address + 63) / 64 * 64);
  std::copy(launch.registerImage.begin(), launch.registerImage.end(), registers);
  undefinedStorage.assign(program.slots, kFullMask);
  std::fill_n(undefinedStorage.begin(), launch.registerImage.size() / 32, 0);
  predicateStorage.assign(program.predicates * 2, 0);
  std::fill(predicateStorage.begin() + program.predicates, predicateStorage.end(), kFullMask);
  undefined = undefinedStorage.data();
  predicates = predicateStorage.data();
  predicatesUndefined = predicates + program.predicates;
  carry = &carryMask;
  local.resize(std::size_t(program.localBytes) * 32);
  if (launch.checked)
    localShadow.resize(local.size() / 8 + 8);
}

std::uint64_t Warp::run(std::uint64_t steps) {
  const Inst *code = launch.program->code.data();
  Worker::Counts *counts = worker->counts.data();
  std::uint64_t left = steps;
  while (left > 0 && state == State::Ready) {
    --left;
    const Inst &in = code[pc];
    std::uint32_t lanes = active;
    if (in.guard != kNoPredicate) {
      std::uint32_t guard = predicates[in.guard];
      lanes &= in.flags & kGuardNegated ? ~guard : guard;
      if ((predicatesUndefined[in.guard] & active) && !checkPredicateDefined(in, in.guard, active, "guard"))
        break;
    }
    Worker::Counts &count = counts[pc];
    ++count.executed;
    count.lanes += static_cast<unsigned>(std::popcount(lanes));
    if (in.touchesPinned && lanes && !checkPinned(in))
      break;
    ++pc;
    if (lanes) {
      exec = lanes;
      in.fn(*this, in);
    }
    if (pc >= limit && state == State::Ready)
      select();
  }
  executed += steps - left;
  return steps - left;
}

void Warp::uncount(std::uint32_t place) {
  Worker::Counts &counts = worker->counts[place];
  --counts.executed;
  counts.lanes -= static_cast<unsigned>(std::popcount(exec));
}

void Warp::jump(const Inst &in) {
  if (exec == active && fragments.empty()) {
    pc = in.target;
    return;
  }
  bool backward = in.target < pc;
  if (exec == active) {
    pc = in.target;
  } else {
    fragments.push_back({in.target, exec, Fragment::State::Ready, 0, nullptr});
    active &= ~exec;
  }
  if (backward && ++rotation >= kRotateAfter) {
    rotation = 0;
    rotated = !rotated;
  }
  select();
}

void Warp::jumpIndexed(const Inst &in) {
  const std::vector<std::uint32_t> &table = launch.program->branchTables[in.target];
  const std::uint32_t *choice = plane<std::uint32_t>(in.a);
  if (!checkDefined(in, in.a, "branch index"))
    return;
  std::uint32_t remaining = exec;
  active &= ~exec;
  while (remaining) {
    unsigned lane = static_cast<unsigned>(std::countr_zero(remaining));
    std::uint32_t same = 0;
    for (unsigned i = lane; i < 32; ++i)
      if ((remaining >> i & 1) && choice[i] == choice[lane])
        same |= 1u << i;
    remaining &= ~same;
    if (choice[lane] >= table.size()) {
      report(in, "M01", same, fmt::format("branch index {} is outside the list of {} labels", choice[lane], table.size()));
      fail(); // there is no place to go on at
      return;
    }
    fragments.push_back({table[choice[lane]], same, Fragment::State::Ready, 0, nullptr});
  }
  select();
}

void Warp::exitLanes() {
  live &= ~exec;
  active &= ~exec;
  if (active == 0)
    select();
  if (live == 0)
    cta.warpExited(*this);
  else
    cta.lanesExited();
}

/// Puts the running fragment back and takes the one to run next.
void Warp::select() {
  if (active)
    fragments.push_back({pc, active, Fragment::State::Ready, 0, nullptr});
  active = 0;
  std::size_t best = fragments.size();
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    if (fragments[i].state != Fragment::State::Ready)
      continue;
    bool better = best == fragments.size() ||
                  (rotated ? fragments[i].pc > fragments[best].pc : fragments[i].pc < fragments[best].pc);
    best = better ? i : best;
  }
  if (best == fragments.size()) {
    limit = ~0u;
    state = fragments.empty() ? State::Done : State::Blocked;
    return;
  }
  pc = fragments[best].pc;
  std::size_t kept = 0;
  for (Fragment &fragment : fragments) {
    if (fragment.pc == pc && fragment.state != Fragment::State::Waiting)
      active |= fragment.mask;
    else
      fragments[kept++] = fragment;
  }
  fragments.resize(kept);
  if (fragments.empty())
    rotated = false, rotation = 0;
  state = State::Ready;
  updateLimit();
}

void Warp::updateLimit() {
  limit = ~0u;
  for (const Fragment &fragment : fragments)
    if (fragment.state != Fragment::State::Waiting && fragment.pc > pc)
      limit = std::min(limit, fragment.pc);
}

bool Warp::converge(const Inst &in, std::uint32_t needed) {
  if ((needed & ~exec) == 0)
    return true;
  if (needed & active & ~exec) { // lanes that stand here, but whose guard is false
    report(in, "D02", needed & active & ~exec, "divergent aligned instruction: the guard is false in some lanes it needs");
    return false;
  }
  --pc;
  uncount(pc);
  fragments.push_back({pc, active, Fragment::State::Parked, 0, nullptr});
  active = 0;
  select();
  return false;
}

bool Warp::joinWarpBarrier(const Inst &in, std::uint32_t members) {
  auto waitsHere = [&](const Fragment &fragment) {
    const Inst &other = launch.program->code[fragment.pc];
    return fragment.state == Fragment::State::Parked && other.fn == in.fn &&
           plane<std::uint32_t>(other.a)[std::countr_zero(fragment.mask)] == members;
  };
  std::uint32_t together = exec;
  for (const Fragment &fragment : fragments)
    together |= waitsHere(fragment) ? fragment.mask : 0;
  if (together == exec || (members & live & ~together))
    return false;
  for (Fragment &fragment : fragments)
    if (waitsHere(fragment)) {
      fragment.state = Fragment::State::Ready;
      ++fragment.pc;
    }
  updateLimit();
  return true;
}

void Warp::wait(const Inst &in, unsigned barrier) {
  fragments.push_back({pc, exec, Fragment::State::Waiting, static_cast<std::uint8_t>(barrier), &in});
  active &= ~exec;
  select();
}

void Warp::release(unsigned barrier) {
  std::uint32_t savedExec = exec;
  for (Fragment &fragment : fragments) {
    if (fragment.state != Fragment::State::Waiting || fragment.barrier != barrier)
      continue;
    fragment.state = Fragment::State::Ready;
    exec = fragment.mask;
    cta.deliver(*this, *fragment.instruction, barrier);
  }
  exec = savedExec;
  if (state == State::Blocked)
    select();
  else
    updateLimit();
}

bool Warp::reportParked() {
  for (const Fragment &fragment : fragments) {
    if (fragment.state != Fragment::State::Parked)
      continue;
    const Inst &in = launch.program->code[fragment.pc];
    std::string others;
    for (const Fragment &other : fragments)
      if (&other != &fragment)
        others += fmt::format("; lanes {:#x} are at line {}", other.mask,
                              launch.program->origins[launch.program->code[other.pc].origin].instruction->line);
    report(in, "D02", fragment.mask,
           fmt::format("divergent aligned instruction: lanes {:#x} never come here{}", live & ~fragment.mask, others));
    return true;
  }
  return false;
}

bool Warp::waitsFor(unsigned barrier) const {
  return std::any_of(fragments.begin(), fragments.end(), [&](const Fragment &fragment) {
    return fragment.state == Fragment::State::Waiting && fragment.barrier == barrier;
  });
}

std::string Warp::describeWait() const {
  const Program &program = *launch.program;
  for (const Fragment &fragment : fragments)
    if (fragment.state == Fragment::State::Waiting)
      return fmt::format("warp {} waits at line {} for {}", index,
                         program.origins[fragment.instruction->origin].instruction->line,
                         fragment.barrier < 16 ? fmt::format("barrier {}", fragment.barrier)
                                               : cta.async.describeWait(*this, fragment));
  return fmt::format("warp {} has nothing to run", index);
}

} // namespace attn::emulator
