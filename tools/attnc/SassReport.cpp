#include "tools/attnc/SassReport.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace attn::tools {

static ClassCounts countClasses(const SassFunction &function, const std::vector<std::size_t> &instructions) {
  ClassCounts counts{};
  for (std::size_t index : instructions)
    ++counts[static_cast<std::size_t>(function.code[index].kind)];
  return counts;
}

static std::string rootOf(const std::string &opcode) { return opcode.substr(0, opcode.find('.')); }

static LoopReport reportLoop(const SassFunction &function, const SassLoop &loop) {
  LoopReport report;
  report.begin = function.code[loop.shortest.front()].address;
  report.end = function.code[loop.shortest.back()].address;
  report.shortest = countClasses(function, loop.shortest);
  report.longest = countClasses(function, loop.longest);
  report.shortestTotal = static_cast<unsigned>(loop.shortest.size());
  report.longestTotal = static_cast<unsigned>(loop.longest.size());
  report.overlap = overlapOf(function, loop);
  for (std::size_t index : loop.shortest) {
    const SassInstruction &instruction = function.code[index];
    SassProduct product = productOf(instruction);
    addInstructions(report.work, instruction.kind, 1);
    ++report.byOpcode[instruction.kind == InstructionClass::SpecialFunction ? instruction.opcode : rootOf(instruction.opcode)];
    report.macs += product.macs;
    report.work.sharedBytes += product.sharedBytes + 128 * sharedWavefrontsOf(instruction);
  }
  report.work.tensorMacs = report.macs;
  std::set<std::string> opcodes;
  for (std::size_t index : loop.all) {
    const SassInstruction &instruction = function.code[index];
    if (instruction.kind == InstructionClass::Tensor || instruction.kind == InstructionClass::AsyncCopy)
      opcodes.insert(rootOf(instruction.opcode));
  }
  report.opcodes.assign(opcodes.begin(), opcodes.end());
  return report;
}

std::vector<KernelReport> reportKernels(const std::vector<SassFunction> &functions) {
  std::vector<KernelReport> kernels;
  for (const SassFunction &function : functions) {
    KernelReport kernel{.name = function.name, .instructions = static_cast<unsigned>(function.code.size()), .products = {}, .copies = {}, .unknownOpcodes = {}};
    for (const SassLoop &loop : productLoops(function))
      kernel.products.push_back(reportLoop(function, loop));
    for (const SassLoop &loop : copyLoops(function))
      kernel.copies.push_back(reportLoop(function, loop));
    std::set<std::string> unknown;
    for (const SassInstruction &instruction : function.code)
      if (!instruction.isKnown)
        unknown.insert(instruction.opcode);
    kernel.unknownOpcodes.assign(unknown.begin(), unknown.end());
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

Roofline loopRoofline(const LoopReport &loop, unsigned warps, double tiles, const GpuMachine &machine) {
  UnitWork work = loop.work;
  work *= warps / std::max(tiles, 1e-9);
  return rooflineOf(work, machine);
}

double tilesOf(const LoopReport &loop, unsigned warps, double tileMacs) {
  return tileMacs > 0 ? std::max(1.0, std::floor(loop.macs * warps / tileMacs + 0.01)) : 1;
}

/// `special 64, float 192, …`, the most frequent first.
static std::string classesText(const ClassCounts &counts) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i])
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  std::string text;
  for (std::size_t i : order)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", spelling(static_cast<InstructionClass>(i)), counts[i]);
  return text;
}

static void printOverlap(const SassOverlap &overlap) {
  if (overlap.isSerialized)
    fmt::print("    SERIALIZED: each product is waited for before the next is issued\n");
  else if (!overlap.leavesInFlight)
    fmt::print("    no product stays in flight behind a wait: exponentials and products do not overlap within a warpgroup\n");
  else
    fmt::print("    overlap: {} of {} exponentials stand between the wait that leaves a product in flight and the wait for it\n",
               overlap.exponentialsBetween, overlap.exponentials);
}

static void printLoop(const LoopReport &loop, const SassContext &context) {
  const double tiles = tilesOf(loop, context.warps, context.tileMacs);
  fmt::print("  main loop {:#06x} to {:#06x}: a warp executes {} instructions in an iteration without masks ({:.0f} tile{}), {} at most; {}\n",
             loop.begin, loop.end, loop.shortestTotal, tiles, tiles == 1 ? "" : "s", loop.longestTotal, fmt::join(loop.opcodes, ", "));
  fmt::print("    without masks: {}\n", classesText(loop.shortest));
  if (loop.longestTotal > loop.shortestTotal)
    fmt::print("    at most: {}\n", classesText(loop.longest));
  if (loop.macs > 0 && context.machine) {
    Roofline roofline = loopRoofline(loop, context.warps, tiles, *context.machine);
    fmt::print("    clocks of a multiprocessor of {} for a tile without masks ({} warps): {}\n", context.machine->name, context.warps,
               rooflineText(roofline));
    fmt::print("    between {:.1f}, when all units overlap, and {:.1f}, when products wait for the rest\n", roofline.floor, roofline.serial);
  }
  if (loop.overlap.hasWaits)
    printOverlap(loop.overlap);
}

void printSass(const std::vector<KernelReport> &kernels, const AssemblerReport &assembly, const SassContext &context) {
  for (const std::string &note : assembly.notes)
    fmt::print("ptxas: {}\n", note);
  for (const KernelReport &kernel : kernels) {
    fmt::print("instructions of {}: {}, {} main loop{}\n", kernel.name, kernel.instructions, kernel.products.size(),
               kernel.products.size() == 1 ? "" : "s");
    for (const LoopReport &loop : kernel.products)
      printLoop(loop, context);
    for (const LoopReport &loop : kernel.copies)
      fmt::print("  copy loop {:#06x} to {:#06x}: {} to {} instructions in an iteration; {}\n", loop.begin, loop.end, loop.shortestTotal, loop.longestTotal,
                 fmt::join(loop.opcodes, ", "));
    if (!kernel.unknownOpcodes.empty())
      fmt::print("  not known to this report, counted as other: {}\n", fmt::join(kernel.unknownOpcodes, ", "));
  }
}

static nlohmann::ordered_json classesJson(const ClassCounts &counts) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i])
      out[std::string(spelling(static_cast<InstructionClass>(i)))] = counts[i];
  return out;
}

static nlohmann::ordered_json loopJson(const LoopReport &loop, const SassContext &context) {
  const double tiles = tilesOf(loop, context.warps, context.tileMacs);
  nlohmann::ordered_json out = {{"begin", loop.begin},
                                {"end", loop.end},
                                {"shortest", loop.shortestTotal},
                                {"longest", loop.longestTotal},
                                {"opcodes", loop.opcodes},
                                {"shortest_by_class", classesJson(loop.shortest)},
                                {"longest_by_class", classesJson(loop.longest)},
                                {"shortest_by_opcode", loop.byOpcode},
                                {"macs_of_a_warp", loop.macs},
                                {"warps", context.warps},
                                {"tiles", tiles},
                                {"exponentials", loop.overlap.exponentials},
                                {"exponentials_between_waits", loop.overlap.exponentialsBetween},
                                {"leaves_product_in_flight", loop.overlap.leavesInFlight},
                                {"serialized", loop.overlap.isSerialized}};
  if (loop.macs > 0 && context.machine)
    out["roofline"] = rooflineJson(loopRoofline(loop, context.warps, tiles, *context.machine));
  return out;
}

nlohmann::ordered_json sassJson(const std::vector<KernelReport> &kernels, const AssemblerReport &assembly, const SassContext &context) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const KernelReport &kernel : kernels) {
    nlohmann::ordered_json row = {{"name", kernel.name}, {"instructions", kernel.instructions}};
    for (const KernelResources &resources : assembly.kernels)
      if (resources.kernel == kernel.name) {
        row["registers"] = resources.registers;
        row["spill_bytes"] = resources.spillBytes;
      }
    row["main_loops"] = nlohmann::ordered_json::array();
    row["copy_loops"] = nlohmann::ordered_json::array();
    for (const LoopReport &loop : kernel.products)
      row["main_loops"].push_back(loopJson(loop, context));
    for (const LoopReport &loop : kernel.copies)
      row["copy_loops"].push_back({{"shortest", loop.shortestTotal}, {"longest", loop.longestTotal}, {"opcodes", loop.opcodes}, {"longest_by_class", classesJson(loop.longest)}});
    row["unknown_opcodes"] = kernel.unknownOpcodes;
    list.push_back(std::move(row));
  }
  return {{"notes", assembly.notes}, {"kernels", list}, {"machine", context.machine ? context.machine->name : ""}};
}

} // namespace attn::tools
