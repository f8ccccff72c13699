// Plans whose keys may be split, from text to launch: when they need workspace, and that each choice gives the same results. On
// the virtual GPU with 108 multiprocessors, which has 216 places for the kernel for few rows.
#include "attn/Attn.h"
#include "attn/Jit.h"

#include <gtest/gtest.h>

#include <cmath>

namespace attn {

namespace {

constexpr std::int64_t kQueryHeads = 4, kKeyHeads = 2, kChannels = 64;

class SplitLaunchTest : public ::testing::Test {
protected:
  void SetUp() override {
    device = *Device::open("emulator", {.target = "sm_80", .multiprocessors = 108});
    auto module = jit::compile(*device, "attention a { q_heads: 4; kv_heads: 2; head_dim: 64; dtype: f16; mask = causal() }",
                               {.schedule = "split=1", .useDiskCache = false});
    ASSERT_TRUE(module) << module.status().message();
    auto loaded = module->plan();
    ASSERT_TRUE(loaded) << loaded.status().message();
    plan = *loaded;
  }

  /// Bytes for these lengths; tensors count by their shapes.
  Result<std::size_t> workspaceFor(std::int64_t queries, std::int64_t keys, std::uint32_t splits = 0) {
    TensorView q(std::uint64_t{0}, ElementType::F16, {1, queries, kQueryHeads, kChannels}), k(std::uint64_t{0}, ElementType::F16, {1, keys, kKeyHeads, kChannels});
    TensorView lse(std::uint64_t{0}, ElementType::F32, {1, kQueryHeads, queries});
    return plan->workspaceBytes({{"query", q}, {"key", k}, {"value", k}, {"out", q}, {"lse", lse}}, splits);
  }

  Buffer filled(std::int64_t count, double step) {
    std::vector<std::uint16_t> numbers(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = roundToF16(std::sin(step * static_cast<double>(i)));
    Buffer buffer = std::move(*Buffer::allocate(*device, numbers.size() * 2));
    EXPECT_TRUE(buffer.upload(std::as_bytes(std::span(numbers))));
    return buffer;
  }

  /// The lse of a launch with so many shares.
  std::vector<float> launch(std::int64_t queries, std::int64_t keys, std::uint32_t splits) {
    Buffer q = filled(queries * kQueryHeads * kChannels, 0.7), k = filled(keys * kKeyHeads * kChannels, 0.3);
    Buffer out = filled(queries * kQueryHeads * kChannels, 0);
    std::vector<float> lse(static_cast<std::size_t>(kQueryHeads * queries));
    Buffer numbers = std::move(*Buffer::allocate(*device, lse.size() * sizeof(float)));
    std::size_t bytes = workspaceFor(queries, keys, splits).value();
    Buffer workspace = std::move(*Buffer::allocate(*device, std::max<std::size_t>(bytes, 1)));
    TensorView query = q.view(ElementType::F16, {1, queries, kQueryHeads, kChannels});
    TensorView key = k.view(ElementType::F16, {1, keys, kKeyHeads, kChannels});
    Status status = plan->launch(Stream::defaultOf(*device),
                                 {{"query", query},
                                  {"key", key},
                                  {"value", key},
                                  {"out", out.view(ElementType::F16, {1, queries, kQueryHeads, kChannels})},
                                  {"lse", numbers.view(ElementType::F32, {1, kQueryHeads, queries})}},
                                 {.workspace = workspace.address(), .workspaceBytes = bytes, .splits = splits});
    EXPECT_TRUE(status) << status.message();
    EXPECT_TRUE(numbers.download(std::as_writable_bytes(std::span(lse))));
    return lse;
  }

  std::optional<Device> device;
  std::optional<Plan> plan;
};

} // namespace

TEST_F(SplitLaunchTest, OnlySeveralSharesNeedWorkspace) {
  EXPECT_GT(*workspaceFor(1, 8192), 0U);
  EXPECT_EQ(*workspaceFor(1, 8192, 1), 0U);  // one share
  EXPECT_EQ(*workspaceFor(1, 64), 0U);       // too few keys to split
  EXPECT_EQ(*workspaceFor(16384, 16384), 0U); // the kernel for all rows
  EXPECT_GT(*workspaceFor(1, 8192, 64), *workspaceFor(1, 8192, 32));
}

TEST_F(SplitLaunchTest, AWindowGivenAtLaunchDecides) {
  auto module = jit::compile(*device, "attention w(width: i32 in 1..65536) { q_heads: 4; kv_heads: 2; head_dim: 64; dtype: f16; "
                                      "mask = causal() and q_pos - kv_pos < width }",
                             {.schedule = "split=1", .useDiskCache = false});
  ASSERT_TRUE(module) << module.status().message();
  plan = *module->plan();
  auto workspaceWith = [&](std::int64_t width) {
    TensorView q(std::uint64_t{0}, ElementType::F16, {1, 1, kQueryHeads, kChannels}), k(std::uint64_t{0}, ElementType::F16, {1, 8192, kKeyHeads, kChannels});
    TensorView lse(std::uint64_t{0}, ElementType::F32, {1, kQueryHeads, 1});
    return plan->workspaceBytes({{"query", q}, {"key", k}, {"value", k}, {"out", q}, {"lse", lse}, {"width", width}}).value();
  };
  EXPECT_EQ(workspaceWith(100), 0U); // so few keys are seen by one block
  EXPECT_GT(workspaceWith(4096), 0U);
  EXPECT_GT(workspaceWith(8192), workspaceWith(1024));
}

TEST_F(SplitLaunchTest, RefusesMoreSharesThanThereMayBe) {
  Result<std::size_t> bytes = workspaceFor(1, 8192, 1025);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.status().message(), "workspace of `a`: splits: 1025 is more than 1024");
}

TEST_F(SplitLaunchTest, EachChoiceGivesTheSame) {
  constexpr std::int64_t queries = 3, keys = 700;
  std::vector<float> chosen = launch(queries, keys, 0);
  for (std::uint32_t splits : {1u, 2u, 5u, 100u}) {
    std::vector<float> split = launch(queries, keys, splits);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      EXPECT_NEAR(split[i], chosen[i], 1e-4) << splits << " shares, row " << i;
  }
}

TEST_F(SplitLaunchTest, SameSharesGiveTheSameBits) { EXPECT_EQ(launch(2, 500, 4), launch(2, 500, 4)); }

TEST_F(SplitLaunchTest, CallersDoNotPassTheNumberOfShares) {
  for (const ArgumentInfo &argument : plan->arguments())
    EXPECT_NE(argument.name, "splits");
}

} // namespace attn
