// Turns counts by instruction into the counters of a launch.
#include "runtime/emulator/Launch.h"

#include <algorithm>
#include <string>

#include "runtime/emulator/InstructionTable.h"

namespace attn {

std::string_view spelling(InstructionClass kind) {
  static constexpr std::string_view kNames[] = {
      "tensor", "float",  "minmax", "double", "half",  "integer", "predicate", "select", "special", "convert", "move",
      "global", "shared", "local",  "param",  "async", "atomic",  "shuffle",   "sync",   "control", "other",
  };
  static_assert(std::size(kNames) == kInstructionClasses);
  return kNames[static_cast<std::size_t>(kind)];
}

WorkCounters &WorkCounters::operator+=(const WorkCounters &other) {
  for (std::size_t i = 0; i < kInstructionClasses; ++i)
    warpInstructions[i] += other.warpInstructions[i];
  for (std::uint64_t WorkCounters::*member :
       {&WorkCounters::totalWarpInstructions, &WorkCounters::activeLanes, &WorkCounters::tensorMacs,
        &WorkCounters::specialFunctionOps, &WorkCounters::waits, &WorkCounters::globalBytes,
        &WorkCounters::globalSectors, &WorkCounters::tensorCopyBytes, &WorkCounters::sharedWavefronts,
        &WorkCounters::sharedBankConflicts, &WorkCounters::productSharedBytes})
    this->*member += other.*member;
  return *this;
}

} // namespace attn

namespace attn::emulator {

/// What all threads counted at one instruction.
static LineCounters lineCounters(const std::vector<Worker> &workers, std::size_t pc, std::uint32_t origin) {
  LineCounters line;
  for (const Worker &worker : workers) {
    line.warpInstructions += worker.counts[pc].executed;
    line.activeLanes += worker.counts[pc].lanes;
    line.waits += worker.counts[pc].waits;
    if (worker.memoryCounts.empty())
      continue;
    const Worker::MemoryCounts &counts = worker.memoryCounts[origin];
    line.globalBytes += counts.globalBytes;
    line.sharedBytes += counts.sharedBytes;
    line.sectors += counts.sectors;
    line.wavefronts += counts.wavefronts;
    line.bankConflicts += counts.conflicts;
  }
  return line;
}

static void add(const LineCounters &line, const Origin &origin, bool countsMemory, Counters &counters) {
  counters.warpInstructions[static_cast<std::size_t>(origin.kind)] += line.warpInstructions;
  counters.totalWarpInstructions += line.warpInstructions;
  counters.activeLanes += line.activeLanes;
  counters.waits += line.waits;
  counters.tensorMacs += line.warpInstructions * origin.macs;
  counters.specialFunctionOps += line.activeLanes * origin.specialFunctionsPerLane;
  counters.globalBytes += line.globalBytes;
  counters.globalSectors += line.sectors;
  counters.sharedWavefronts += line.wavefronts;
  counters.sharedBankConflicts += line.bankConflicts;
  const bool isTensorCopy = origin.instruction->row->family == ptx::Family::TensorCopy;
  counters.tensorCopyBytes += isTensorCopy ? line.sharedBytes : 0;
  counters.productSharedBytes += countsMemory ? line.warpInstructions * origin.sharedOperandBytes : 0;
}

Counters gatherCounters(const Program &program, const std::vector<Worker> &workers) {
  Counters counters;
  const bool countsMemory = !workers.empty() && !workers.front().memoryCounts.empty();
  for (std::size_t pc = 0; pc < program.code.size(); ++pc) {
    const Inst &inst = program.code[pc];
    if (!(inst.flags & kCounted))
      continue;
    const Origin &origin = program.origins[inst.origin];
    LineCounters line = lineCounters(workers, pc, inst.origin);
    if (line.warpInstructions == 0)
      continue;
    line.ptxLine = origin.instruction->line;
    line.opcode = std::string(origin.instruction->opcode);
    line.row = origin.instruction->row->name;
    add(line, origin, countsMemory, counters);
    counters.lines.push_back(std::move(line));
  }
  std::stable_sort(counters.lines.begin(), counters.lines.end(),
                   [](const LineCounters &a, const LineCounters &b) { return a.ptxLine < b.ptxLine; });
  return counters;
}

} // namespace attn::emulator
