// A launch on the virtual GPU, counted, beside what a GPU could do with it at best.
#pragma once

#include "tools/attnc/BenchWork.h"
#include "tools/attnc/Roofline.h"

#include <nlohmann/json.hpp>

namespace attn::tools {

struct CountedRun {
  std::vector<LaunchCounters> launches; ///< the plan's kernels in order
  double tensorBytes = 0;               ///< of all inputs and outputs
};

/// `work.device` must be an emulator that keeps counters.
Result<CountedRun> countRun(const BenchWork &work);

/// Of all kernels together, for a visible tile.
Roofline tileRoofline(const BenchWork &work, const CountedRun &run, const GpuMachine &machine);

void printCounts(const BenchWork &work, const CountedRun &run, const GpuMachine &machine);
nlohmann::ordered_json countsJson(const BenchWork &work, const CountedRun &run, const GpuMachine &machine);
/// Specification, target, shape, tiles and points: what both kinds of benches say first.
nlohmann::ordered_json workJson(const BenchWork &work);
void printWork(const BenchWork &work);

} // namespace attn::tools
