// When asynchronous work is done: by chance, because everything else stands still, or never.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Handlers.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn::emulator {

/// Rounds of time-outs without a phase ending in between, after which the CTA counts as deadlocked.
static constexpr unsigned kFruitlessTimeouts = 1000;

AsyncEngine::AsyncEngine(Cta &cta) : cta(cta) {}

void Warp::waitAgain(const Inst &in, std::uint8_t kind, std::uint32_t address) {
  uncount(pc - 1);
  ++worker->counts[pc - 1].waits;
  fragments.push_back({pc - 1, exec, Fragment::State::Waiting, kind, &in, address});
  active &= ~exec;
  select();
}

bool Warp::wake(std::uint8_t kind, std::uint32_t address) {
  bool any = false;
  for (Fragment &fragment : fragments)
    if (fragment.state == Fragment::State::Waiting && fragment.barrier == kind && fragment.address == address) {
      fragment.state = Fragment::State::Ready;
      any = true;
    }
  if (!any)
    return false;
  if (state == State::Blocked)
    select();
  else
    updateLimit();
  return true;
}

void AsyncEngine::wake(std::uint8_t kind, std::uint32_t address) {
  for (const auto &warp : cta.warps)
    warp->wake(kind, address);
}

bool AsyncEngine::isAwaited(std::uint32_t address) const {
  for (const auto &warp : cta.warps)
    for (const Fragment &fragment : warp->fragments)
      if (fragment.state == Fragment::State::Waiting && fragment.barrier == kPhaseWait && fragment.address == address)
        return true;
  return false;
}

bool AsyncEngine::unblock() {
  if (cta.launch.stopped)
    return false;
  std::vector<std::uint32_t> awaited;
  for (const Transfer &load : loads)
    if (isAwaited(load.barrier))
      awaited.push_back(load.barrier);
  for (const CopyArrival &arrival : arrivals)
    if (isAwaited(arrival.barrier))
      awaited.push_back(arrival.barrier);
  const std::uint64_t before = progress;
  for (std::uint32_t address : awaited)
    hasten(address);
  if (progress != before)
    return true;
  fruitlessTimeouts = progress == lastProgress ? fruitlessTimeouts + 1 : 0;
  lastProgress = progress;
  if (fruitlessTimeouts > kFruitlessTimeouts)
    return false;
  bool any = false;
  for (const auto &warp : cta.warps) {
    std::vector<std::uint32_t> addresses;
    for (const Fragment &fragment : warp->fragments)
      if (fragment.state == Fragment::State::Waiting && fragment.barrier == kPhaseWait) {
        warp->expired |= fragment.mask;
        addresses.push_back(fragment.address);
      }
    for (std::uint32_t address : addresses)
      any |= warp->wake(kPhaseWait, address);
  }
  return any;
}

void AsyncEngine::performByChance() {
  // Chance decides before anything moves: a copy's end may let others be issued.
  std::vector<Transfer> due;
  for (std::size_t i = 0; i < loads.size();) {
    if (cta.random() & 1) {
      due.push_back(loads[i]);
      loads.erase(loads.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  for (Transfer &load : due)
    perform(load);
  for (Transfer &store : stores)
    if (!store.done && (cta.random() & 1))
      perform(store);
}

void AsyncEngine::reportLeftovers() {
  reportUnevenRegisters();
  if (!loads.empty()) {
    const Transfer &load = loads.front();
    load.warp->report(*load.instruction, "A08", 1u << load.lane, "the CTA ends while this copy into its shared memory is under way");
    return;
  }
  if (!stores.empty()) {
    const Transfer &store = stores.front();
    store.warp->report(*store.instruction, "A08", 1u << store.lane,
                       "the CTA ends while this copy may still read its shared memory: nothing waits for its group");
    return;
  }
  for (const Warpgroup &group : warpgroups)
    for (const Warp *warp : group.warps)
      if (warp->products.waited < warp->products.issued && !group.products.empty()) {
        const Product &product = group.products[warp->products.waited - group.first];
        cta.warps[warp->index]->report(*product.instruction, "W03", warp->present, "the warp ends without waiting for this product");
        return;
      }
}

} // namespace attn::emulator
