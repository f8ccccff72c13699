// Lower bounds of a kernel's time, from what it executes and what a GPU's units can do in a clock. Counts and rates in,
// clocks out: a bound, never a measurement.
#pragma once

#include "attn/Counters.h"
#include "support/GpuMachine.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

/// Work of one multiprocessor, by the unit that does it.
struct UnitWork {
  double tensorMacs = 0;
  double specialLanes = 0;
  double floatInstructions = 0;  ///< warp instructions, as all below
  double doubleInstructions = 0;
  double otherInstructions = 0;  ///< integer, minimum, maximum, comparison, select, conversion
  double issued = 0;
  double sharedBytes = 0;        ///< 128 for each wavefront
  double memoryBytes = 0;        ///< that have to come from and go to device memory

  UnitWork &operator*=(double factor);
};

/// Of a launch. Moves and loads of parameters are left out of `issued`: an assembler makes operands of most of them.
/// `memoryBytes` are the tensors' bytes: what a perfect cache would let through.
UnitWork workOf(const WorkCounters &counters, double memoryBytes);
/// The instructions of a class and what they ask of a unit, added `count` times.
void addInstructions(UnitWork &work, InstructionClass kind, double count);

struct UnitClocks {
  std::string_view unit; ///< tensor, special, float, double, other, issue, shared, memory
  double clocks = 0;
};

/// Between `floor`, where all units work at once and the busiest one binds, and `serial`, where products wait for
/// everything else. Latencies come on top of both.
struct Roofline {
  std::vector<UnitClocks> units;
  UnitClocks binding;
  double floor = 0, serial = 0;
};

Roofline rooflineOf(const UnitWork &work, const GpuMachine &machine);

/// `tensor 1024.0 (binds), special 512.0, …`
std::string rooflineText(const Roofline &roofline);
nlohmann::ordered_json rooflineJson(const Roofline &roofline);

} // namespace attn::tools
