#include "tools/attnc/BenchTimes.h"

#include "support/GpuMachine.h"
#include "tools/attnc/BenchCounts.h"
#include "tools/attnc/Progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attn::tools {

static constexpr std::uint64_t kUnknownL2Bytes = std::uint64_t(128) << 20;
static constexpr std::size_t kMaxCopies = 64, kMaxLaunchesPerSample = 10000;

static Result<std::vector<PlanLaunch>> rotatingLaunches(const BenchWork &work) {
  std::vector<PlanLaunch> launches;
  const DeviceInfo &info = work.device.info();
  const std::uint64_t wanted = 2 * (info.l2Bytes ? info.l2Bytes : kUnknownL2Bytes);
  std::uint64_t bytes = 0;
  do {
    Result<PlanLaunch> launch = PlanLaunch::prepare(work.device, work.plan, work.inputs);
    if (!launch)
      return launch.status();
    bytes += launch->tensorBytes();
    launches.push_back(std::move(*launch));
  } while (launches.size() < 2 || (bytes < wanted && launches.size() < kMaxCopies));
  return launches;
}

namespace {

/// A queue of launches between events.
class Stopwatch {
public:
  Stopwatch(const Stream &stream, const std::vector<PlanLaunch> &launches) : stream(stream), launches(launches) {}

  /// Milliseconds of one of `count` launches in a row. Waits.
  Result<double> sample(const Device &device, std::size_t count);

private:
  const Stream &stream;
  const std::vector<PlanLaunch> &launches;
  std::size_t next = 0;
};

} // namespace

Result<double> Stopwatch::sample(const Device &device, std::size_t count) {
  Result<Event> begin = Event::create(device), end = Event::create(device);
  if (!begin || !end)
    return begin ? end.status() : begin.status();
  // One launch before the first event keeps the GPU busy while the host fills the queue behind it.
  Status status = launches[next++ % launches.size()].enqueue(stream, false);
  status = status ? begin->record(stream) : status;
  for (std::size_t i = 0; status && i < count; ++i)
    status = launches[next++ % launches.size()].enqueue(stream, false);
  status = status ? end->record(stream) : status;
  status = status ? end->synchronize() : status;
  if (!status)
    return status;
  Result<double> elapsed = Event::elapsedMilliseconds(*begin, *end);
  return elapsed ? Result<double>(*elapsed / static_cast<double>(count)) : elapsed;
}

static double percentile(const std::vector<double> &sorted, double share) {
  double place = share * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<std::size_t>(place);
  std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Result<Timing> timePlan(const BenchWork &work, const TimingOptions &options) {
  Result<std::vector<PlanLaunch>> launches = rotatingLaunches(work);
  if (!launches)
    return launches.status();
  Result<Stream> stream = Stream::create(work.device);
  if (!stream)
    return stream.status();
  Progress progress(work.spec->name + " timed", options.samples);
  Stopwatch stopwatch(*stream, *launches);
  double spent = 0, once = 0;
  while (spent <= options.warmupMs) {
    Result<double> warmup = stopwatch.sample(work.device, launches->size());
    if (!warmup)
      return warmup.status();
    once = *warmup;
    spent += std::max(once * static_cast<double>(launches->size()), options.warmupMs / 1000);
  }
  const double wanted = std::ceil(options.sampleMs / std::max(once, 1e-6));
  const auto count = static_cast<std::size_t>(std::clamp(wanted, 1.0, static_cast<double>(kMaxLaunchesPerSample)));
  std::vector<double> samples;
  for (unsigned i = 0; i < options.samples; ++i) {
    Result<double> sample = stopwatch.sample(work.device, count);
    if (!sample)
      return sample.status();
    samples.push_back(*sample);
    progress.step();
  }
  std::sort(samples.begin(), samples.end());
  return Timing{.medianMs = percentile(samples, 0.5),
                .lowMs = percentile(samples, 0.1),
                .highMs = percentile(samples, 0.9),
                .samples = options.samples,
                .launchesPerSample = static_cast<unsigned>(count),
                .inputCopies = static_cast<unsigned>(launches->size())};
}

/// The machine that the device says it is; null where no row has its name.
static const GpuMachine *machineOf(const DeviceInfo &info) {
  for (const GpuMachine &machine : gpuMachines())
    if (info.description.find(machine.name.substr(0, machine.name.find('_'))) != std::string::npos)
      return &machine;
  return nullptr;
}

static double tflops(const BenchWork &work, double milliseconds) { return milliseconds > 0 ? work.flop() / milliseconds * 1e-9 : 0; }

void printTimes(const BenchWork &work, const Timing &timing) {
  fmt::print("time: median {:.4f} ms (10 % below {:.4f}, 90 % below {:.4f}) of {} samples of {} launch{}, {} copies of the tensors in turn\n",
             timing.medianMs, timing.lowMs, timing.highMs, timing.samples, timing.launchesPerSample, timing.launchesPerSample == 1 ? "" : "es",
             timing.inputCopies);
  fmt::print("speed: {:.1f} TFLOP/s of visible points", tflops(work, timing.medianMs));
  if (const GpuMachine *machine = machineOf(work.device.info()))
    fmt::print("; the data sheet of {} has {:.0f}", machine->name, machine->tensorTflops());
  fmt::print("\n");
}

nlohmann::ordered_json timesJson(const BenchWork &work, const Timing &timing) {
  nlohmann::ordered_json out = workJson(work);
  out["measures"] = "times";
  out["median_ms"] = timing.medianMs;
  out["p10_ms"] = timing.lowMs;
  out["p90_ms"] = timing.highMs;
  out["samples"] = timing.samples;
  out["launches_per_sample"] = timing.launchesPerSample;
  out["input_copies"] = timing.inputCopies;
  out["tflops"] = tflops(work, timing.medianMs);
  return out;
}

} // namespace attn::tools
