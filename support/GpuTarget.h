// What is known of each GPU that code can be made for. The facts stand in GpuTargets.def.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

/// How a target multiplies matrices; decides which lowering of codegen/arch serves it.
enum class MmaFamily : std::uint8_t { MmaSync, Wgmma, Tcgen05 };

/// One row of GpuTargets.def; the columns are explained there.
struct GpuTarget {
  std::string_view name;
  unsigned computeCapability;
  bool architectureSpecific;
  std::uint32_t sharedBytesPerBlock;
  std::uint32_t sharedBytesPerMultiprocessor;
  std::uint32_t registersPerMultiprocessor;
  std::uint32_t threadsPerMultiprocessor;
  std::uint32_t blocksPerMultiprocessor;
  unsigned ptxVersion;
  MmaFamily mmaFamily;
  bool hasTma;
  bool hasTensorMemory;
  bool hasFp8;
  bool isCompiled;

  /// Whether PTX for this target runs on a GPU of that compute capability (times ten).
  bool runsOn(unsigned deviceCapability) const {
    return architectureSpecific ? deviceCapability == computeCapability : deviceCapability >= computeCapability;
  }
};

/// All rows, oldest first.
std::span<const GpuTarget> gpuTargets();
/// Null when there is no such row.
const GpuTarget *findGpuTarget(std::string_view name);
std::vector<std::string> gpuTargetNames();

/// The row that tells the limits of a device of that capability: the newest that runs on it; null below sm_80.
const GpuTarget *nativeTarget(unsigned deviceCapability);
/// The row to compile for on a device of that capability: of those with code generation that run on it and fit its
/// shared memory the one with most of it, then the newest; null when there is none.
const GpuTarget *compileTarget(unsigned deviceCapability);

} // namespace attn
