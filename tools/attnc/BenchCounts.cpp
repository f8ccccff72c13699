#include "tools/attnc/BenchCounts.h"

#include "tools/attnc/CounterReport.h"
#include "tools/attnc/Progress.h"

#include <fmt/format.h>

namespace attn::tools {

Result<CountedRun> countRun(const BenchWork &work) {
  Result<PlanLaunch> launch = PlanLaunch::prepare(work.device, work.plan, work.inputs);
  if (!launch)
    return launch.status();
  Progress progress(work.spec->name + " on the virtual GPU");
  Stream stream = Stream::defaultOf(work.device);
  if (Status status = launch->enqueue(stream); !status)
    return status;
  if (Status status = stream.synchronize(); !status)
    return status;
  return CountedRun{work.device.takeCounters(), static_cast<double>(launch->tensorBytes())};
}

static WorkCounters totalOf(const CountedRun &run) {
  WorkCounters total;
  for (const LaunchCounters &launch : run.launches)
    total += launch.counters;
  return total;
}

Roofline tileRoofline(const BenchWork &work, const CountedRun &run, const GpuMachine &machine) {
  UnitWork units = workOf(totalOf(run), run.tensorBytes);
  units *= 1 / std::max(1.0, work.visibleTiles());
  return rooflineOf(units, machine);
}

/// No kernel with this work is faster on this machine: 10^12 floating-point operations a second of visible points.
static double boundTflops(const BenchWork &work, const Roofline &roofline, const GpuMachine &machine) {
  const double clocks = roofline.floor * work.visibleTiles() / machine.multiprocessors;
  return clocks > 0 ? work.flop() / (clocks / (1e6 * machine.mhz)) * 1e-12 : 0;
}

/// What reaches a multiprocessor from L2 for each clock, if it computes as fast as the floor allows.
static double trafficPerClock(const BenchWork &work, const CountedRun &run, const Roofline &roofline) {
  static constexpr double kSectorBytes = 32;
  const double clocks = roofline.floor * work.visibleTiles();
  return clocks > 0 ? kSectorBytes * static_cast<double>(totalOf(run).globalSectors) / clocks : 0;
}

void printWork(const BenchWork &work) {
  fmt::print("{} for {} on {}: {}\n", work.spec->name, work.plan.target(), work.device.info().description, work.shapeText());
  fmt::print("work: {:.0f} visible tiles of {} x {} ({} full, {} partial; {} skipped), {:.0f} visible points{}, {:.3f} GFLOP of products\n",
             work.visibleTiles(), work.schedule.blockM, work.schedule.blockN, work.tiles.full, work.tiles.partial, work.tiles.empty,
             work.points.count, work.points.isExact ? "" : " (estimated: a part of the rows of partial tiles was looked at)", work.flop() * 1e-9);
}

void printCounts(const BenchWork &work, const CountedRun &run, const GpuMachine &machine) {
  for (const LaunchCounters &launch : run.launches) {
    fmt::print("kernel {}: grid {} x {} x {}, {} threads; counts of the PTX, for all and for a visible tile\n", launch.kernel, launch.grid[0],
               launch.grid[1], launch.grid[2], launch.threads);
    fmt::print("{}", countersText(launch.counters, work.visibleTiles()));
  }
  const Roofline roofline = tileRoofline(work, run, machine);
  fmt::print("clocks that a multiprocessor of {} needs for a visible tile, by unit:\n  {}\n", machine.name, rooflineText(roofline));
  fmt::print("  between {:.1f}, when all units overlap, and {:.1f}, when products wait for the rest\n", roofline.floor, roofline.serial);
  fmt::print("  global traffic at that floor: {:.1f} bytes a clock of a multiprocessor\n", trafficPerClock(work, run, roofline));
  fmt::print("  bound: {:.0f} TFLOP/s of visible points on {} multiprocessors at {} MHz\n", boundTflops(work, roofline, machine),
             machine.multiprocessors, machine.mhz);
  fmt::print("These are counts and bounds, not times: latency, caches and clocks are not modelled, and ptxas changes integer\n"
             "instructions and moves (see `attnc explain --sass`).\n");
}

nlohmann::ordered_json workJson(const BenchWork &work) {
  nlohmann::ordered_json shape = nlohmann::ordered_json::object();
  for (const auto &[name, value] : work.shape)
    shape[name] = value;
  return {{"specification", work.spec->name},
          {"target", work.plan.target()},
          {"device", work.device.info().name},
          {"device_description", work.device.info().description},
          {"shape", shape},
          {"block_m", work.schedule.blockM},
          {"block_n", work.schedule.blockN},
          {"tiles", {{"visible", work.visibleTiles()}, {"full", work.tiles.full}, {"partial", work.tiles.partial}, {"empty", work.tiles.empty}}},
          {"visible_points", work.points.count},
          {"visible_points_exact", work.points.isExact},
          {"flop", work.flop()}};
}

nlohmann::ordered_json countsJson(const BenchWork &work, const CountedRun &run, const GpuMachine &machine) {
  nlohmann::ordered_json out = workJson(work), kernels = nlohmann::ordered_json::array();
  for (const LaunchCounters &launch : run.launches)
    kernels.push_back({{"name", launch.kernel}, {"grid", launch.grid}, {"threads", launch.threads}, {"counters", countersJson(launch.counters)}});
  const Roofline roofline = tileRoofline(work, run, machine);
  out["measures"] = "counts";
  out["kernels"] = kernels;
  out["tensor_bytes"] = run.tensorBytes;
  out["roofline"] = rooflineJson(roofline);
  out["roofline"]["machine"] = machine.name;
  out["roofline"]["per"] = "visible tile";
  out["roofline"]["global_bytes_per_clock"] = trafficPerClock(work, run, roofline);
  out["roofline"]["bound_tflops"] = boundTflops(work, roofline, machine);
  return out;
}

} // namespace attn::tools
