// Turns counts by instruction into the counters of a launch.
#include "runtime/emulator/Launch.h"

#include <algorithm>
#include <string>

#include "runtime/emulator/InstructionTable.h"

namespace attn::emulator {

std::string_view spelling(InstructionClass kind) {
  static constexpr std::string_view kNames[] = {
      "tensor", "float", "half", "integer", "special", "convert", "move", "global", "shared",
      "local", "param", "async", "atomic", "shuffle", "barrier", "branch", "other",
  };
  static_assert(std::size(kNames) == kInstructionClasses);
  return kNames[static_cast<std::size_t>(kind)];
}

static void addMemory(LineCounters &line, Counters &counters, const Origin &origin, const std::vector<Worker> &workers,
                      std::uint32_t index) {
  for (const Worker &worker : workers) {
    if (worker.memoryCounts.empty())
      continue;
    const Worker::MemoryCounts &counts = worker.memoryCounts[index];
    line.bytes += counts.bytes;
    line.sectors += counts.sectors;
    line.wavefronts += counts.wavefronts;
    line.bankConflicts += counts.conflicts;
  }
  if (origin.kind == InstructionClass::GlobalMemory || origin.kind == InstructionClass::AsyncCopy ||
      origin.kind == InstructionClass::Atomic)
    counters.globalBytes += line.sectors ? line.bytes : 0;
  counters.globalSectors += line.sectors;
  counters.sharedWavefronts += line.wavefronts;
  counters.sharedBankConflicts += line.bankConflicts;
}

Counters gatherCounters(const Program &program, const std::vector<Worker> &workers) {
  Counters counters;
  for (std::size_t pc = 0; pc < program.code.size(); ++pc) {
    const Inst &inst = program.code[pc];
    if (!(inst.flags & kCounted))
      continue;
    const Origin &origin = program.origins[inst.origin];
    LineCounters line;
    for (const Worker &worker : workers) {
      line.warpInstructions += worker.counts[pc].executed;
      line.activeLanes += worker.counts[pc].lanes;
    }
    if (line.warpInstructions == 0)
      continue;
    line.ptxLine = origin.instruction->line;
    line.opcode = std::string(origin.instruction->opcode);
    line.row = origin.instruction->row->name;
    addMemory(line, counters, origin, workers, inst.origin);
    counters.warpInstructions[static_cast<std::size_t>(origin.kind)] += line.warpInstructions;
    counters.totalWarpInstructions += line.warpInstructions;
    counters.tensorFlop += line.warpInstructions * origin.flop;
    counters.specialFunctionOps += origin.specialFunction ? line.activeLanes : 0;
    counters.lines.push_back(std::move(line));
  }
  std::stable_sort(counters.lines.begin(), counters.lines.end(),
                   [](const LineCounters &a, const LineCounters &b) { return a.ptxLine < b.ptxLine; });
  return counters;
}

} // namespace attn::emulator
