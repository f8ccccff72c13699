// Picks the lane loops for this CPU.
#include "runtime/emulator/lanes/LaneHandlers.h"

#include <atomic>
#include <string_view>

namespace attn::emulator {

#define ATTN_LANE_SET(set)                                                                                             \
  namespace set {                                                                                                      \
  const LaneHandlers *table();                                                                                         \
  }
ATTN_LANE_SET(baseline)
#ifdef ATTN_LANES_X86
ATTN_LANE_SET(v3)
ATTN_LANE_SET(v4)
#endif
#undef ATTN_LANE_SET

const LaneHandlers *laneHandlers(const char *name) {
  std::string_view wanted = name;
  if (wanted == "baseline")
    return baseline::table();
#ifdef ATTN_LANES_X86
  __builtin_cpu_init();
  bool hasV3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("f16c");
  if (wanted == "v3" && hasV3)
    return v3::table();
  if (wanted == "v4" && hasV3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return v4::table();
#endif
  return nullptr;
}

static std::atomic<const LaneHandlers *> &chosen() {
  static std::atomic<const LaneHandlers *> handlers = [] {
    for (const char *name : {"v4", "v3"})
      if (const LaneHandlers *found = laneHandlers(name))
        return found;
    return laneHandlers("baseline");
  }();
  return handlers;
}

const LaneHandlers &laneHandlers() { return *chosen(); }

bool useLaneHandlers(const char *name) {
  const LaneHandlers *found = laneHandlers(name);
  if (found)
    chosen() = found;
  return found;
}

} // namespace attn::emulator
