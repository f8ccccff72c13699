#include "support/GpuTarget.h"

#include <gtest/gtest.h>

namespace attn {

TEST(GpuTarget, RowsAreFoundByName) {
  ASSERT_NE(findGpuTarget("sm_86"), nullptr);
  EXPECT_EQ(findGpuTarget("sm_86")->sharedBytesPerBlock, 99u * 1024);
  EXPECT_EQ(findGpuTarget("sm_90a")->mmaFamily, MmaFamily::Wgmma);
  EXPECT_EQ(findGpuTarget("sm_90"), nullptr);
  for (const GpuTarget &target : gpuTargets())
    EXPECT_EQ(target.sharedBytesPerBlock + 1024, target.sharedBytesPerMultiprocessor) << target.name;
}

TEST(GpuTarget, ArchitectureSpecificCodeRunsOnItsOwnGpuOnly) {
  EXPECT_TRUE(findGpuTarget("sm_80")->runsOn(90));
  EXPECT_FALSE(findGpuTarget("sm_86")->runsOn(80));
  EXPECT_TRUE(findGpuTarget("sm_90a")->runsOn(90));
  EXPECT_FALSE(findGpuTarget("sm_90a")->runsOn(100));
}

TEST(GpuTarget, ChoosesWhatToCompileForADevice) {
  EXPECT_EQ(nativeTarget(75), nullptr);
  EXPECT_EQ(nativeTarget(90)->name, "sm_90a");
  EXPECT_EQ(nativeTarget(120)->name, "sm_89");
  EXPECT_EQ(compileTarget(75), nullptr);
  EXPECT_EQ(compileTarget(80)->name, "sm_80");
  EXPECT_EQ(compileTarget(86)->name, "sm_86");
  EXPECT_EQ(compileTarget(89)->name, "sm_89");
  ASSERT_NE(compileTarget(90), nullptr);
  EXPECT_TRUE(compileTarget(90)->runsOn(90));
  EXPECT_TRUE(compileTarget(90)->isCompiled);
}

} // namespace attn
