// Vector clocks: what is known to have happened, for each component of a CTA.
//
// The components of a CTA with n warps: 0 to n - 1 are whole warps, then come 32 for each warp, its lanes, then those that
// are handed out when they are first needed: asynchronous copies and bulk stores of a lane, products of a warp, phases of a
// transaction barrier. The entry of a whole warp is a lower bound of the entries of its lanes, and there to be quick.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace attn::emulator {

using Epoch = std::uint32_t;

class Clock {
public:
  Epoch operator[](std::size_t component) const { return component < times.size() ? times[component] : 0; }

  void raise(std::size_t component, Epoch to) {
    if (component >= times.size())
      times.resize(component + 1, 0);
    times[component] = std::max(times[component], to);
  }

  void join(const Clock &other) {
    if (other.times.size() > times.size())
      times.resize(other.times.size(), 0);
    const Epoch *from = other.times.data();
    Epoch *to = times.data();
    for (std::size_t i = 0, count = other.times.size(); i < count; ++i)
      to[i] = std::max(to[i], from[i]);
  }

  void clear() { std::fill(times.begin(), times.end(), 0); }

private:
  std::vector<Epoch> times;
};

/// What happened before, and which generic accesses of that the asynchronous proxy sees as well.
struct Knowledge {
  Clock seen, proxied;

  void join(const Knowledge &other) {
    seen.join(other.seen);
    proxied.join(other.proxied);
  }
  void clear() {
    seen.clear();
    proxied.clear();
  }
};

} // namespace attn::emulator
