// Clocks of units, against figures worked out by hand.
#include "tools/attnc/Roofline.h"

#include <gtest/gtest.h>

namespace attn::tools {

static double clocksOf(const Roofline &roofline, std::string_view unit) {
  for (const UnitClocks &each : roofline.units)
    if (each.unit == unit)
      return each.clocks;
  ADD_FAILURE() << unit;
  return 0;
}

static void set(WorkCounters &counters, InstructionClass kind, std::uint64_t count) {
  counters.warpInstructions[static_cast<std::size_t>(kind)] = count;
  counters.totalWarpInstructions += count;
}

/// One tile of 128 x 128 with head_dim 128 on Hopper: 2048 clocks of products, 1024 of exponentials.
TEST(Roofline, TileOfAForwardPass) {
  WorkCounters counters;
  counters.tensorMacs = 2 * 128 * 128 * 128;
  counters.specialFunctionOps = 128 * 128;
  set(counters, InstructionClass::SpecialFunction, 128 * 128 / 32);
  set(counters, InstructionClass::FloatArithmetic, 3 * 128 * 128 / 32);
  set(counters, InstructionClass::FloatMinMax, 128 * 128 / 32);
  set(counters, InstructionClass::Move, 100000);
  counters.productSharedBytes = 8 * (2048 + 4096) * 2 + 8 * 4096 * 2;
  counters.tensorCopyBytes = 65536;
  counters.sharedWavefronts = 10;
  const GpuMachine &machine = *findGpuMachine("H200_SXM");
  Roofline roofline = rooflineOf(workOf(counters, 0), machine);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "tensor"), 2048);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "special"), 1024);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "float"), 3 * 128);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "other"), 256);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "issue"), 5 * 128);
  EXPECT_DOUBLE_EQ(clocksOf(roofline, "shared"), (163840 + 65536) / 128 + 10);
  EXPECT_EQ(roofline.binding.unit, "tensor");
  EXPECT_DOUBLE_EQ(roofline.floor, 2048);
  EXPECT_DOUBLE_EQ(roofline.serial, 2048 + (163840 + 65536) / 128 + 10);
}

TEST(Roofline, PackedSpecialFunctionsCountTwice) {
  WorkCounters counters;
  set(counters, InstructionClass::SpecialFunction, 10);
  counters.specialFunctionOps = 640;
  EXPECT_DOUBLE_EQ(workOf(counters, 0).specialLanes, 640);
  counters.specialFunctionOps = 5; // of few lanes: the unit is busy as long
  EXPECT_DOUBLE_EQ(workOf(counters, 0).specialLanes, 320);
}

TEST(Roofline, ArithmeticOfF64HasFewLanes) {
  WorkCounters counters;
  set(counters, InstructionClass::DoubleArithmetic, 64);
  EXPECT_DOUBLE_EQ(clocksOf(rooflineOf(workOf(counters, 0), *findGpuMachine("A100_SXM")), "double"), 64);
  EXPECT_DOUBLE_EQ(clocksOf(rooflineOf(workOf(counters, 0), *findGpuMachine("H200_SXM")), "double"), 32);
  EXPECT_DOUBLE_EQ(clocksOf(rooflineOf(workOf(counters, 0), *findGpuMachine("L40S")), "double"), 1024);
}

TEST(Roofline, MemoryBinds) {
  const GpuMachine &machine = *findGpuMachine("A100_SXM");
  UnitWork work;
  work.memoryBytes = 1e6;
  work.tensorMacs = 1024;
  Roofline roofline = rooflineOf(work, machine);
  EXPECT_EQ(roofline.binding.unit, "memory");
  // 2039 GB/s at 1410 MHz and 108 multiprocessors: 13.39 bytes a clock.
  EXPECT_NEAR(roofline.floor, 1e6 / 13.39, 10);
  EXPECT_DOUBLE_EQ(roofline.serial, roofline.floor + 1);
}

/// The rows against the tensor rates of the data sheets that they name, in TFLOP/s.
TEST(GpuMachines, RatesAreThoseOfTheDataSheets) {
  EXPECT_NEAR(findGpuMachine("A100_SXM")->tensorTflops(), 312, 1);
  EXPECT_NEAR(findGpuMachine("A40")->tensorTflops(), 149.7, 0.5);
  EXPECT_NEAR(findGpuMachine("L40S")->tensorTflops(), 362, 5);
  EXPECT_NEAR(findGpuMachine("H100_SXM")->tensorTflops(), 989, 2);
  EXPECT_NEAR(findGpuMachine("H200_SXM")->tensorTflops(), 989, 2);
  EXPECT_EQ(machineOfTarget("sm_90a")->name, "H200_SXM");
  EXPECT_EQ(machineOfTarget("sm_75"), nullptr);
}

} // namespace attn::tools
