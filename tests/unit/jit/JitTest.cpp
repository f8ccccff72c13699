// Just-in-time compilation with the real compiler, on the emulator and over the cache on disk.
#include "attn/Attn.h"
#include "attn/Jit.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <unistd.h>

namespace attn {

namespace {

class JitTest : public ::testing::Test {
protected:
  void SetUp() override {
    directory = ::testing::TempDir() + "attn_jit_compiler_" + std::to_string(::getpid());
    ::setenv("ATTN_CACHE_DIR", directory.c_str(), 1);
    device = *Device::open("emulator");
  }
  void TearDown() override {
    ::unsetenv("ATTN_CACHE_DIR");
    std::filesystem::remove_all(directory);
  }

  std::string directory;
  std::optional<Device> device;
};

} // namespace

static constexpr const char *kCausal = "attention a { q_heads: 2; head_dim: 64; dtype: f16; mask = causal() }";

TEST_F(JitTest, CompilesAndLaunches) {
  auto module = jit::compile(*device, kCausal);
  ASSERT_TRUE(module) << module.status().message();
  auto plan = module->plan("a");
  ASSERT_TRUE(plan) << plan.status().message();
  // The first row sees one key, so its output is that key's value.
  constexpr std::int64_t length = 5, count = length * 2 * 64;
  std::vector<std::uint16_t> zeros(count), values(count), result(count);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = roundToF16(static_cast<double>(i % 7) - 3);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 5; ++i)
    buffers.push_back(std::move(*Buffer::allocate(*device, count * 2)));
  ASSERT_TRUE(buffers[0].upload(std::as_bytes(std::span(zeros))));
  ASSERT_TRUE(buffers[1].upload(std::as_bytes(std::span(zeros))));
  ASSERT_TRUE(buffers[2].upload(std::as_bytes(std::span(values))));
  auto tensor = [&](int i) { return buffers[i].view(ElementType::F16, {1, length, 2, 64}); };
  Status status = plan->launch(Stream::defaultOf(*device), {{"query", tensor(0)},
                                                            {"key", tensor(1)},
                                                            {"value", tensor(2)},
                                                            {"out", tensor(3)},
                                                            {"lse", buffers[4].view(ElementType::F32, {1, 2, length})}});
  ASSERT_TRUE(status) << status.message();
  ASSERT_TRUE(buffers[3].download(std::as_writable_bytes(std::span(result))));
  for (std::size_t i = 0; i < 128; ++i)
    EXPECT_EQ(widenF16(result[i]), widenF16(values[i])) << i;
}

TEST_F(JitTest, RefusedSpecificationsComeBackWithTheirPlace) {
  Status status = jit::compile(*device, "attention a {\n  head_dim: 64\n  mask = casual()\n}", {.fileName = "mine.attn"}).status();
  EXPECT_EQ(status.code(), StatusCode::CompileError);
  EXPECT_NE(status.message().find("mine.attn:3:10"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("causal"), std::string::npos) << status.message();
}

TEST_F(JitTest, ThreadsShareOneModule) {
  std::vector<std::shared_ptr<const runtime::ModuleContent>> contents(4);
  std::vector<std::thread> threads;
  for (auto &content : contents)
    threads.emplace_back([&] {
      if (auto module = jit::compile(*device, kCausal))
        content = module->shared();
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const auto &content : contents) {
    ASSERT_NE(content, nullptr);
    EXPECT_EQ(content, contents[0]);
  }
}

} // namespace attn
