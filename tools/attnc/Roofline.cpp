#include "tools/attnc/Roofline.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn::tools {

static constexpr double kWarp = 32, kWavefrontBytes = 128;

UnitWork &UnitWork::operator*=(double factor) {
  for (double UnitWork::*member :
       {&UnitWork::tensorMacs, &UnitWork::specialLanes, &UnitWork::floatInstructions, &UnitWork::doubleInstructions,
        &UnitWork::otherInstructions, &UnitWork::issued, &UnitWork::sharedBytes, &UnitWork::memoryBytes})
    this->*member *= factor;
  return *this;
}

void addInstructions(UnitWork &work, InstructionClass kind, double count) {
  switch (kind) {
  case InstructionClass::FloatArithmetic:
  case InstructionClass::PackedHalf: work.floatInstructions += count; break;
  case InstructionClass::DoubleArithmetic: work.doubleInstructions += count; break;
  case InstructionClass::FloatMinMax:
  case InstructionClass::Integer:
  case InstructionClass::Predicate:
  case InstructionClass::Select:
  case InstructionClass::Conversion: work.otherInstructions += count; break;
  case InstructionClass::SpecialFunction: work.specialLanes += kWarp * count; break;
  default: break;
  }
  work.issued += count;
}

UnitWork workOf(const WorkCounters &counters, double memoryBytes) {
  UnitWork work;
  for (std::size_t i = 0; i < kInstructionClasses; ++i) {
    auto kind = static_cast<InstructionClass>(i);
    if (kind != InstructionClass::Move && kind != InstructionClass::ParameterMemory)
      addInstructions(work, kind, static_cast<double>(counters.of(kind)));
  }
  work.tensorMacs = static_cast<double>(counters.tensorMacs);
  work.specialLanes = std::max(work.specialLanes, static_cast<double>(counters.specialFunctionOps)); // packed ones are two
  work.sharedBytes = kWavefrontBytes * static_cast<double>(counters.sharedWavefronts) +
                     static_cast<double>(counters.tensorCopyBytes + counters.productSharedBytes);
  work.memoryBytes = memoryBytes;
  return work;
}

Roofline rooflineOf(const UnitWork &work, const GpuMachine &machine) {
  Roofline roofline;
  roofline.units = {{"tensor", work.tensorMacs / machine.tensorMacs},
                    {"special", work.specialLanes / machine.specialLanes},
                    {"float", kWarp * work.floatInstructions / machine.floatLanes},
                    {"double", kWarp * work.doubleInstructions / machine.doubleLanes},
                    {"other", kWarp * work.otherInstructions / machine.otherLanes},
                    {"issue", work.issued / machine.issue},
                    {"shared", work.sharedBytes / machine.sharedBytes},
                    {"memory", work.memoryBytes / machine.memoryBytesPerClock()}};
  auto isLess = [](const UnitClocks &a, const UnitClocks &b) { return a.clocks < b.clocks; };
  roofline.binding = *std::max_element(roofline.units.begin(), roofline.units.end(), isLess);
  roofline.floor = roofline.binding.clocks;
  roofline.serial = roofline.units.front().clocks + std::max_element(roofline.units.begin() + 1, roofline.units.end(), isLess)->clocks;
  return roofline;
}

std::string rooflineText(const Roofline &roofline) {
  std::string text;
  for (const UnitClocks &unit : roofline.units)
    if (unit.clocks > 0)
      text += fmt::format("{}{} {:.1f}{}", text.empty() ? "" : ", ", unit.unit, unit.clocks, unit.unit == roofline.binding.unit ? " (binds)" : "");
  return text;
}

nlohmann::ordered_json rooflineJson(const Roofline &roofline) {
  nlohmann::ordered_json units = nlohmann::ordered_json::object();
  for (const UnitClocks &unit : roofline.units)
    units[std::string(unit.unit)] = unit.clocks;
  return {{"units", units}, {"binding", roofline.binding.unit}, {"floor", roofline.floor}, {"serial", roofline.serial}};
}

} // namespace attn::tools
