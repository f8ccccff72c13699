#include "support/GpuMachine.h"

#include <algorithm>
#include <array>

namespace attn {

static constexpr auto kMachines = std::to_array<GpuMachine>({
#define GPU_MACHINE(name, target, multiprocessors, mhz, tensor, special, floats, doubles, others, issue, shared, memory, l2, source) \
  {#name, #target, multiprocessors, mhz, tensor, special, floats, doubles, others, issue, shared, memory, l2, source},
#include "support/GpuMachines.def"
#undef GPU_MACHINE
});

std::span<const GpuMachine> gpuMachines() { return kMachines; }

template <typename Predicate> static const GpuMachine *firstWhere(Predicate predicate) {
  auto found = std::find_if(kMachines.begin(), kMachines.end(), predicate);
  return found == kMachines.end() ? nullptr : &*found;
}

const GpuMachine *findGpuMachine(std::string_view name) {
  return firstWhere([&](const GpuMachine &machine) { return machine.name == name; });
}

const GpuMachine *machineOfTarget(std::string_view target) {
  return firstWhere([&](const GpuMachine &machine) { return machine.target == target; });
}

} // namespace attn
