// Every instruction set that the lane loops are compiled for gives the same: the forms and programs under each, and a whole
// kernel bit for bit.
#include "runtime/emulator/lanes/LaneHandlers.h"
#include "tests/unit/emulator/Forms.h"
#include "tests/unit/emulator/Programs.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>

namespace attn::emulator::testing {

class Lanes : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!useLaneHandlers(GetParam()))
      GTEST_SKIP() << "this CPU lacks " << GetParam();
  }
  void TearDown() override {
    for (const char *name : {"baseline", "v3", "v4"})
      useLaneHandlers(name); // the best that there is, at last
  }
};

TEST_P(Lanes, ComputeEachForm) {
  std::vector<const Form *> forms;
  for (const Form &form : allForms())
    if (form.group != "set" && form.group != "setp") // these have no code of their own for an instruction set
      forms.push_back(&form);
  check(forms);
}

TEST_P(Lanes, RunEachProgram) {
  for (const ProgramCase &each : programCases())
    each.run();
}

/// One head of 128 × 128 with head_dim 128 through the attention kernel that nvcc compiled.
static std::vector<std::uint32_t> attention() {
  constexpr int kLength = 128, kDim = 128;
  std::ifstream file(std::string(ATTN_SOURCE_DIR) + "/tests/emulator/cuda/attention.ptx");
  auto module = PtxModule::parse(std::string(std::istreambuf_iterator<char>(file), {}), "attention.ptx");
  EXPECT_TRUE(module) << module.status().message();
  auto gpu = std::move(*VirtualGpu::create());
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  DeviceAddress buffers[4];
  for (unsigned i = 0; i < 3; ++i) {
    std::vector<std::uint16_t> tensor(kLength * kDim);
    for (std::uint16_t &value : tensor)
      value = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(normal(random)) >> 16);
    buffers[i] = *gpu->allocate(tensor.size() * 2);
    EXPECT_TRUE(gpu->copyIn(buffers[i], std::as_bytes(std::span(tensor))));
  }
  std::vector<std::uint32_t> out(kLength * kDim);
  buffers[3] = *gpu->allocate(out.size() * 4);
  int length = kLength;
  float scale = static_cast<float>(1.4426950408889634 / std::sqrt(double(kDim)));
  void *arguments[] = {&buffers[0], &buffers[1], &buffers[2], &buffers[3], &length, &scale};
  LaunchReport report = gpu->launch(*module, "attention", {.grid = {kLength / 64, 1, 1}, .block = {128, 1, 1}, .dynamicSharedBytes = 3 * 64 * 136 * 2},
                                    arguments, {.threads = 1});
  EXPECT_TRUE(report.status) << report.status.message();
  EXPECT_TRUE(gpu->copyOut(std::as_writable_bytes(std::span(out)), buffers[3]));
  return out;
}

TEST_P(Lanes, GiveTheBaselinesBits) {
  std::vector<std::uint32_t> own = attention();
  ASSERT_TRUE(useLaneHandlers("baseline"));
  EXPECT_EQ(own, attention());
}

INSTANTIATE_TEST_SUITE_P(Sets, Lanes, ::testing::Values("baseline", "v3", "v4"), [](const auto &info) { return std::string(info.param); });

} // namespace attn::emulator::testing
