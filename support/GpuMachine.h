// Rates of GPUs, for rooflines. The facts and where they come from stand in GpuMachines.def; nothing that compiles a
// kernel reads them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace attn {

/// One row of GpuMachines.def; the columns are explained there.
struct GpuMachine {
  std::string_view name;
  std::string_view target;
  unsigned multiprocessors;
  unsigned mhz;
  unsigned tensorMacs, specialLanes, floatLanes, doubleLanes, otherLanes, issue, sharedBytes;
  unsigned memoryGbps;
  unsigned l2Megabytes;
  std::string_view source;

  /// 10^12 floating-point operations a second of products, at `mhz`.
  double tensorTflops() const { return 2e-6 * tensorMacs * multiprocessors * mhz; }
  /// Bytes of device memory for one multiprocessor and clock.
  double memoryBytesPerClock() const { return 1e3 * memoryGbps / mhz / multiprocessors; }
};

std::span<const GpuMachine> gpuMachines();
/// By name; null when there is none.
const GpuMachine *findGpuMachine(std::string_view name);
/// The usual machine of a target; null when no row has it.
const GpuMachine *machineOfTarget(std::string_view target);

} // namespace attn
