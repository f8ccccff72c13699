#include "support/GpuTarget.h"

#include <array>

namespace attn {

static constexpr auto kTargets = std::to_array<GpuTarget>({
#define GPU_TARGET(name, capability, own, sharedPerBlock, sharedPerSm, registers, threads, blocks, ptx, family, tma,   \
                   tensorMemory, fp8, compiled)                                                                        \
  {#name, capability, own, sharedPerBlock, sharedPerSm, registers, threads, blocks, ptx, MmaFamily::family, tma,       \
   tensorMemory, fp8, compiled},
#include "support/GpuTargets.def"
#undef GPU_TARGET
});

std::span<const GpuTarget> gpuTargets() { return kTargets; }

const GpuTarget *findGpuTarget(std::string_view name) {
  for (const GpuTarget &target : kTargets)
    if (target.name == name)
      return &target;
  return nullptr;
}

std::vector<std::string> gpuTargetNames() {
  std::vector<std::string> names;
  for (const GpuTarget &target : kTargets)
    names.emplace_back(target.name);
  return names;
}

const GpuTarget *nativeTarget(unsigned deviceCapability) {
  const GpuTarget *best = nullptr;
  for (const GpuTarget &target : kTargets)
    if (target.runsOn(deviceCapability))
      best = &target;
  return best;
}

const GpuTarget *compileTarget(unsigned deviceCapability) {
  const GpuTarget *native = nativeTarget(deviceCapability);
  const GpuTarget *best = nullptr;
  for (const GpuTarget &target : kTargets) {
    bool fits = native && target.sharedBytesPerBlock <= native->sharedBytesPerBlock;
    if (!target.isCompiled || !target.runsOn(deviceCapability) || !fits)
      continue;
    if (!best || target.sharedBytesPerBlock >= best->sharedBytesPerBlock)
      best = &target;
  }
  return best;
}

} // namespace attn
