// Kernels of a plan come from threads of their own: how their texts become one, and that the one is always the same.
#include "codegen/KernelThreads.h"
#include "driver/Compiler.h"

#include <gtest/gtest.h>

#include <vector>

namespace attn {

using codegen::joinPtx;

static std::string ptx(const std::string &name, const std::string &before = "", const std::string &behind = "", const std::string &version = "8.0") {
  return "//\n// Generated\n//\n\n.version " + version + "\n.target sm_90a\n.address_size 64\n\n\t// .globl\t" + name + "\n" + before +
         ".extern .shared .align 1024 .b8 shared_memory[];\n\n.visible .entry " + name + "(\n)\n{\n\tret;\n\n}\n" + behind;
}

TEST(JoinPtx, KeepsWhatStandsAroundKernelsOnce) {
  std::vector<std::string> texts{ptx("a", ".global .b8 table[1] = {1};\n", "\t.file\t1 \"x.attn\"\n"), ptx("b", "", "\t.file\t1 \"x.attn\"\n")};
  EXPECT_EQ(joinPtx(texts), "//\n// Generated\n//\n\n.version 8.0\n.target sm_90a\n.address_size 64\n\n"
                            ".global .b8 table[1] = {1};\n.extern .shared .align 1024 .b8 shared_memory[];\n\n"
                            ".visible .entry a(\n)\n{\n\tret;\n\n}\n\n.visible .entry b(\n)\n{\n\tret;\n\n}\n\t.file\t1 \"x.attn\"\n");
}

TEST(JoinPtx, DoesNotJoinWhatDisagrees) {
  EXPECT_FALSE(joinPtx(std::vector<std::string>{ptx("a", "", "\t.file\t1 \"x.attn\"\n"), ptx("b", "", "\t.file\t1 \"y.attn\"\n")}));
  EXPECT_FALSE(joinPtx(std::vector<std::string>{ptx("a"), ptx("b", "", "", "8.4")}));
  EXPECT_FALSE(joinPtx(std::vector<std::string>{ptx("a"), "no kernel"}));
  EXPECT_FALSE(joinPtx({}));
}

TEST(KernelThreads, APlanOfSeveralKernelsIsAlwaysTheSameText) {
  driver::CompileRequest request;
  request.source = "attention a { q_heads: 4; kv_heads: 2; head_dim: 64; dtype: f16; key = rope(key, kv_pos); mask = causal() }";
  request.schedule = "split=1";
  for (const char *target : {"sm_80", "sm_90a"}) {
    request.target = target;
    Result<driver::CompiledPlan> first = driver::compileSpec(request), second = driver::compileSpec(request);
    ASSERT_TRUE(first) << first.status().message();
    ASSERT_TRUE(second) << second.status().message();
    EXPECT_EQ(first->ptx, second->ptx);
    std::size_t last = 0;
    for (const KernelManifest &kernel : first->manifest.kernels) { // in the manifest's order
      std::size_t found = first->ptx.find(".visible .entry " + kernel.name + "(");
      ASSERT_NE(found, std::string::npos) << kernel.name;
      EXPECT_GT(found, last);
      last = found;
    }
    auto count = [&](std::string_view what) {
      std::size_t times = 0;
      for (std::size_t at = 0; (at = first->ptx.find(what, at)) != std::string::npos; at += what.size())
        ++times;
      return times;
    };
    EXPECT_EQ(count(".extern .shared"), 1U);
    EXPECT_EQ(count(".version"), 1U);
    EXPECT_EQ(count("\t.file\t"), 1U);
  }
}

} // namespace attn
