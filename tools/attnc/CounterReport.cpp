#include "tools/attnc/CounterReport.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace attn::tools {

namespace {
struct Figure {
  const char *name;
  const char *words;
  std::uint64_t WorkCounters::*member;
};
} // namespace

static constexpr Figure kFigures[] = {
    {"tensor_macs", "tensor multiply-adds", &WorkCounters::tensorMacs},
    {"special_function_ops", "special function lanes", &WorkCounters::specialFunctionOps},
    {"global_bytes", "global bytes", &WorkCounters::globalBytes},
    {"global_sectors", "global sectors", &WorkCounters::globalSectors},
    {"tensor_copy_bytes", "tensor copy bytes", &WorkCounters::tensorCopyBytes},
    {"product_shared_bytes", "product operand bytes", &WorkCounters::productSharedBytes},
    {"shared_wavefronts", "shared wavefronts", &WorkCounters::sharedWavefronts},
    {"shared_bank_conflicts", "  bank conflicts", &WorkCounters::sharedBankConflicts},
    {"waits", "waits of warps", &WorkCounters::waits},
};

/// Classes by count, those without any left out.
static std::vector<InstructionClass> executedClasses(const WorkCounters &counters) {
  std::vector<InstructionClass> classes;
  for (std::size_t i = 0; i < kInstructionClasses; ++i)
    if (counters.warpInstructions[i])
      classes.push_back(static_cast<InstructionClass>(i));
  std::stable_sort(classes.begin(), classes.end(), [&](auto a, auto b) { return counters.of(a) > counters.of(b); });
  return classes;
}

std::string countersText(const WorkCounters &counters, double tiles) {
  auto line = [tiles](std::string_view words, std::uint64_t value) {
    return fmt::format("  {:24}{:16}{}\n", words, value, tiles > 0 ? fmt::format("{:14.1f}", static_cast<double>(value) / tiles) : "");
  };
  std::string text = fmt::format("  {:24}{:>16}{}\n", "", "count", tiles > 0 ? fmt::format("{:>14}", "a tile") : "");
  text += line("warp instructions", counters.totalWarpInstructions);
  for (InstructionClass kind : executedClasses(counters))
    text += line(fmt::format("  {}", spelling(kind)), counters.of(kind));
  for (const Figure &figure : kFigures)
    if (counters.*figure.member)
      text += line(figure.words, counters.*figure.member);
  return text;
}

nlohmann::ordered_json countersJson(const WorkCounters &counters) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < kInstructionClasses; ++i)
    if (counters.warpInstructions[i])
      classes[std::string(spelling(static_cast<InstructionClass>(i)))] = counters.warpInstructions[i];
  nlohmann::ordered_json out = {{"warp_instructions", counters.totalWarpInstructions},
                                {"active_lanes", counters.activeLanes},
                                {"by_class", classes}};
  for (const Figure &figure : kFigures)
    out[figure.name] = counters.*figure.member;
  return out;
}

} // namespace attn::tools
