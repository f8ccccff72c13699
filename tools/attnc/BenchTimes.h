// Times of a plan on a GPU, by events of the driver.
#pragma once

#include "tools/attnc/BenchWork.h"

#include <nlohmann/json.hpp>

#include <vector>

namespace attn::tools {

struct TimingOptions {
  unsigned samples = 50;
  double warmupMs = 200;     ///< time spent on launches before the first sample
  double sampleMs = 2;       ///< a sample is at least so long, so that what an event costs does not show
};

struct Timing {
  double medianMs = 0, lowMs = 0, highMs = 0; ///< of one launch; the 10th and 90th percentile
  unsigned samples = 0, launchesPerSample = 0, inputCopies = 0;
};

/// Launches rotate through so many copies of all tensors that together they exceed the L2 cache twice: each launch finds
/// its inputs in device memory.
Result<Timing> timePlan(const BenchWork &work, const TimingOptions &options);

void printTimes(const BenchWork &work, const Timing &timing);
nlohmann::ordered_json timesJson(const BenchWork &work, const Timing &timing);

} // namespace attn::tools
