// A CTA's life: setting up its warps, running them in turn, noticing that none can go on.
#include "runtime/emulator/Cta.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace attn::emulator {

/// Warp instructions before the next warp gets its turn; long, since a switch cools the cache.
static constexpr std::uint64_t kQuantum = 20'000;
static constexpr std::uint64_t kRandomQuantum = 1'000; // at most, when chance decides

Cta::Cta(Launch &launch, Worker &worker, Dim3 position, std::uint64_t linearIndex)
    : launch(launch), position(position), number(static_cast<std::uint32_t>(linearIndex)), random(launch.options.seed * 0x9E3779B97F4A7C15 + linearIndex),
      async(*this) {
  // Fresh shared memory holds NaN patterns, so that reading it shows in results even where checks are off.
  shared.assign(launch.sharedBytes + 16, std::byte(0xFF));
  if (launch.checked)
    sharedShadow.assign(shared.size() / 8 + 8, 0);
  smid = static_cast<std::uint32_t>(linearIndex % launch.multiprocessors);
  std::uint32_t threads = launch.config.block.x * launch.config.block.y * launch.config.block.z;
  for (std::uint32_t first = 0; first < threads; first += 32) {
    std::uint32_t lanes = threads - first >= 32 ? kFullMask : (1u << (threads - first)) - 1;
    warps.push_back(std::make_unique<Warp>(*this, worker, first / 32, lanes));
    setSpecialRegisters(*warps.back());
  }
  for (NamedBarrier &barrier : barriers)
    barrier.lanesOfWarp.assign(warps.size(), 0);
  if (launch.options.checks == CheckLevel::Full)
    sanitizer = std::make_unique<Sanitizer>(*this);
}

static std::uint32_t specialValue(const Warp &warp, std::uint32_t which, unsigned lane) {
  const LaunchConfig &config = warp.launch.config;
  std::uint32_t thread = warp.index * 32 + lane;
  std::uint32_t clusterless = 1; // without clusters every CTA is a cluster of one
  switch (which) {
  case kTidX: return thread % config.block.x;
  case kTidY: return thread / config.block.x % config.block.y;
  case kTidZ: return thread / config.block.x / config.block.y;
  case kNtidX: return config.block.x;
  case kNtidY: return config.block.y;
  case kNtidZ: return config.block.z;
  case kCtaidX: case kClusteridX: return warp.cta.position.x;
  case kCtaidY: case kClusteridY: return warp.cta.position.y;
  case kCtaidZ: case kClusteridZ: return warp.cta.position.z;
  case kNctaidX: case kNclusteridX: return config.grid.x;
  case kNctaidY: case kNclusteridY: return config.grid.y;
  case kNctaidZ: case kNclusteridZ: return config.grid.z;
  case kLaneid: return lane;
  case kWarpid: return warp.index;
  case kNwarpid: return (config.block.x * config.block.y * config.block.z + 31) / 32;
  case kSmid: return warp.cta.smid;
  case kNsmid: return warp.launch.multiprocessors;
  case kLanemaskEq: return 1u << lane;
  case kLanemaskLt: return (1u << lane) - 1;
  case kLanemaskLe: return (2u << lane) - 1;
  case kLanemaskGt: return ~((2u << lane) - 1);
  case kLanemaskGe: return ~((1u << lane) - 1);
  case kDynamicSmemSize: return config.dynamicSharedBytes;
  case kTotalSmemSize: case kAggrSmemSize: return warp.launch.sharedBytes;
  case kClusterNctaidX: case kClusterNctaidY: case kClusterNctaidZ: case kClusterNctarank: return clusterless;
  default: return 0;
  }
}

void Cta::setSpecialRegisters(Warp &warp) {
  for (std::uint32_t which = 0; which < ptx::kSpecialRegisters; ++which) {
    std::uint32_t slot = launch.program->specialSlots[which];
    if (slot == kNoRegister)
      continue;
    for (unsigned lane = 0; lane < 32; ++lane)
      warp.plane<std::uint32_t>(slot)[lane] = specialValue(warp, which, lane);
    warp.undefined[slot] = 0;
  }
}

/// In turn, or with random completion by chance.
Warp *Cta::nextReady() {
  if (launch.options.completion == AsyncCompletion::Random)
    nextWarp = random() % warps.size();
  for (std::size_t i = 0; i < warps.size(); ++i) {
    Warp &warp = *warps[nextWarp];
    nextWarp = nextWarp + 1 == warps.size() ? 0 : nextWarp + 1;
    if (warp.state == Warp::State::Ready)
      return &warp;
  }
  return nullptr;
}

bool Cta::run(std::uint64_t steps, Worker &onWorker) {
  for (const auto &warp : warps)
    warp->worker = &onWorker;
  std::uint64_t used = 0;
  while (used < steps) {
    if (launch.stopped)
      return true;
    Warp *next = nextReady();
    if (!next && async.unblock())
      continue;
    if (!next)
      return finish();
    Warp &warp = *next;
    used += warp.run(launch.options.completion == AsyncCompletion::Random ? 1 + random() % kRandomQuantum : kQuantum);
    if (launch.options.stepLimit && executed + used > launch.options.stepLimit) {
      const Inst &in = launch.program->code[std::min<std::size_t>(warp.pc, launch.program->code.size() - 1)];
      warp.report(in, "X02", warp.active, fmt::format("the CTA has executed {} warp instructions, more than the limit of {}",
                                                      executed + used, launch.options.stepLimit));
      return true;
    }
  }
  executed += used;
  return false;
}

/// No warp can run: all have ended, or those that have not wait for each other.
bool Cta::finish() {
  bool waiting = false;
  for (const auto &warp : warps)
    waiting |= warp->state == Warp::State::Blocked;
  if (waiting && launch.checked)
    reportDeadlock();
  else if (waiting)
    warps[0]->report(launch.program->code[0], "D01", 0, "deadlock: no warp of the CTA can go on");
  else if (launch.checked && !launch.stopped)
    async.reportLeftovers();
  return true;
}

void Cta::reportDeadlock() {
  for (const auto &warp : warps)
    if (warp->state == Warp::State::Blocked && warp->reportParked())
      return;
  const Warp *blocked = nullptr;
  std::string story;
  for (const auto &warp : warps) {
    if (warp->state != Warp::State::Blocked)
      continue;
    blocked = blocked ? blocked : warp.get();
    story += fmt::format("; {}", warp->describeWait());
  }
  for (unsigned id = 0; id < barriers.size(); ++id) {
    const NamedBarrier &barrier = barriers[id];
    // Arrivals that nobody waits for, such as a turn that is passed on last, hold nobody up.
    if (barrier.arrived == 0 || std::none_of(warps.begin(), warps.end(), [&](const auto &warp) { return warp->waitsFor(id); }))
      continue;
    std::string exited;
    for (const auto &warp : warps)
      if (warp->state == Warp::State::Done && barrier.lanesOfWarp[warp->index] == 0)
        exited += fmt::format("{}{}", exited.empty() ? "" : ", ", warp->index);
    std::string counts = fmt::format("barrier {}: {} of {} threads have arrived", id, barrier.arrived, expectedThreads(barrier));
    Warp &reporter = *warps[blocked->index];
    if (!exited.empty() && barrier.expected)
      reporter.report(*barrier.first, "B03", reporter.present,
                      fmt::format("{}; warps {} have exited without arriving{}", counts, exited, story));
    else
      reporter.report(*barrier.first, "D01", reporter.present, fmt::format("deadlock: {}{}", counts, story));
    return;
  }
  const Inst *place = &launch.program->code[0];
  for (const Fragment &fragment : blocked->fragments)
    if (fragment.state == Fragment::State::Waiting)
      place = fragment.instruction;
  warps[blocked->index]->report(*place, "D01", blocked->present, "deadlock" + story);
}

void Cta::warpExited(Warp &) { lanesExited(); }

/// Fewer threads may be what a barrier without a count was waiting for.
void Cta::lanesExited() {
  for (unsigned id = 0; id < barriers.size(); ++id)
    if (barriers[id].arrived && !barriers[id].expected)
      completeIfFull(id);
}

} // namespace attn::emulator
