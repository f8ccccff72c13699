// What mutants are made of a kernel.
#include "tests/mutation/Mutants.h"

#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

namespace attn::mutation {

static const char *const kKernel = R"(.version 8.0
.target sm_90a
.address_size 64
.visible .entry kernel(.param .u64 out)
{
  .reg .pred %p<4>;
  .reg .b32 %r<8>;
  .shared .align 8 .b64 full;
  .shared .align 16 .b8 tile[128];
  mov.u32 %r0, full;
  mov.u32 %r1, 0;
  mbarrier.init.shared.b64 [%r0], 2;
  fence.mbarrier_init.release.cluster;
  bar.sync 1, 64;
  st.shared.u32 [tile], %r1;
  mbarrier.arrive.expect_tx.shared.b64 _, [%r0], 64;
WAIT:
  mbarrier.try_wait.parity.shared.b64 %p1, [%r0], %r1;
  @!%p1 bra WAIT;
  ld.shared.u32 %r2, [tile];
  bar.warp.sync -1;
  ret;
}
)";

static std::vector<std::string> changesAt(const std::vector<Mutant> &mutants, unsigned line) {
  std::vector<std::string> changes;
  for (const Mutant &mutant : mutants)
    if (mutant.line == line)
      changes.push_back(mutant.change);
  return changes;
}

TEST(Mutants, AreMadeOfAllSynchronisation) {
  const std::vector<Mutant> mutants = mutantsOf(kKernel, "kernel");
  using Names = std::vector<std::string>;
  EXPECT_EQ(changesAt(mutants, 12), (Names{"deleted", "one place down", "one arrival more", "one arrival fewer"}));
  EXPECT_EQ(changesAt(mutants, 13), (Names{"deleted", "one place down"}));
  EXPECT_EQ(changesAt(mutants, 14),
            (Names{"deleted", "one place up", "one place down", "32 threads more", "32 threads fewer", "another barrier"}));
  EXPECT_EQ(changesAt(mutants, 16), (Names{"deleted", "16 bytes more", "16 bytes fewer", "arrives without announcing"}));
  EXPECT_EQ(changesAt(mutants, 18), (Names{"deleted", "parity flipped"}));
  EXPECT_EQ(changesAt(mutants, 21), (Names{"deleted", "one place up"}));
  EXPECT_TRUE(changesAt(mutants, 15).empty());
  EXPECT_TRUE(changesAt(mutants, 20).empty());
}

TEST(Mutants, CanBeLoadedAndDifferFromTheKernel) {
  const std::vector<Mutant> mutants = mutantsOf(kKernel, "kernel");
  Result<emulator::PtxModule> kernel = emulator::PtxModule::parse(kKernel);
  ASSERT_TRUE(kernel) << kernel.status().message();
  for (const Mutant &mutant : mutants) {
    Result<emulator::PtxModule> module = emulator::PtxModule::parse(mutant.text);
    ASSERT_TRUE(module) << mutant.change << " `" << mutant.instruction << "`: " << module.status().message();
    EXPECT_NE(module->print(), kernel->print()) << mutant.change << " `" << mutant.instruction << "`";
  }
}

TEST(Mutants, OfWhatCannotBeReadAreNone) {
  EXPECT_TRUE(mutantsOf("no ptx", "kernel").empty());
  EXPECT_TRUE(mutantsOf(kKernel, "another").empty());
}

} // namespace attn::mutation
