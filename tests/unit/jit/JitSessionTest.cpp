// Just-in-time compilation with a compiler of the test's own in place of the real one.
#include "runtime/jit/JitSession.h"
#include "tests/unit/runtime/AffineKernel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace attn::jit {

namespace {

/// Text equal up to spaces has equal meaning; `error` does not compile.
class JitSessionTest : public ::testing::Test {
protected:
  void SetUp() override {
    directory = ::testing::TempDir() + "attn_jit_" + std::to_string(::getpid());
    std::filesystem::remove_all(directory);
    ::setenv("ATTN_CACHE_DIR", directory.c_str(), 1);
    device = *Device::open("null");
  }
  void TearDown() override {
    ::unsetenv("ATTN_CACHE_DIR");
    std::filesystem::remove_all(directory);
  }

  CompilerFunctions compiler(std::string version = "1") {
    return {.canonicalText = [this](const driver::CompileRequest &request) -> Result<std::string> {
              ++canonical;
              std::string text = request.source;
              std::erase(text, ' ');
              return text;
            },
            .compile = [this](const driver::CompileRequest &request) -> Result<driver::CompiledPlan> {
              ++compiled;
              lastRequest = request;
              if (request.source.find("error") != std::string::npos)
                return Status(StatusCode::CompileError, "<text>:1:1: error: refused");
              std::this_thread::sleep_for(std::chrono::milliseconds(20));
              driver::CompiledPlan plan;
              std::string error;
              plan.manifest = *parseManifest(testing::affineManifest("256", request.target), &error);
              plan.ptx = testing::kAffinePtx;
              plan.warnings = request.source.find("warn") != std::string::npos ? "a warning" : "";
              return plan;
            },
            .version = std::move(version)};
  }

  std::string directory;
  std::optional<Device> device;
  std::atomic<int> canonical{0}, compiled{0};
  driver::CompileRequest lastRequest;
};

} // namespace

TEST_F(JitSessionTest, CompilesForTheDeviceAndLoads) {
  JitSession session(compiler());
  auto module = session.compile(*device, "attention a { }", {.attention = "a", .defines = {{"n", "4"}}, .schedule = "stages=2", .checked = true});
  ASSERT_TRUE(module) << module.status().message();
  EXPECT_TRUE(module->plan("affine"));
  EXPECT_EQ(lastRequest.target, "sm_80");
  EXPECT_EQ(lastRequest.attention, "a");
  EXPECT_EQ(lastRequest.defines.at("n"), "4");
  EXPECT_EQ(lastRequest.schedule, "stages=2");
  EXPECT_TRUE(lastRequest.checked);
}

TEST_F(JitSessionTest, TheSameTextAsksTheCompilerNothing) {
  JitSession session(compiler());
  auto first = session.compile(*device, "attention a { }", {});
  auto second = session.compile(*device, "attention a { }", {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ(canonical, 1);
  EXPECT_EQ(first->shared(), second->shared());
}

TEST_F(JitSessionTest, AnotherSpellingOfTheSameMeaningIsNotCompiledAgain) {
  JitSession session(compiler());
  ASSERT_TRUE(session.compile(*device, "attention a { }", {}));
  ASSERT_TRUE(session.compile(*device, "attention a {}", {}));
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ(canonical, 2);
}

TEST_F(JitSessionTest, WhatChangesTheCodeChangesTheKey) {
  JitSession session(compiler());
  ASSERT_TRUE(session.compile(*device, "a", {}));
  ASSERT_TRUE(session.compile(*device, "a", {.schedule = "stages=3"}));
  ASSERT_TRUE(session.compile(*device, "a", {.defines = {{"n", "1"}}}));
  ASSERT_TRUE(session.compile(*device, "a", {.checked = true}));
  ASSERT_TRUE(session.compile(*device, "a", {.tf32 = true}));
  ASSERT_TRUE(session.compile(*device, "a", {.approximateTanh = true}));
  ASSERT_TRUE(session.compile(*device, "a", {.attention = "other"}));
  EXPECT_EQ(compiled, 7);
}

TEST_F(JitSessionTest, OtherProcessesFindItOnDiskUnlessTheirVersionDiffers) {
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a", {}));
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a", {}));
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ(canonical, 1);
  ASSERT_TRUE(JitSession(compiler("2")).compile(*device, "a", {}));
  EXPECT_EQ(compiled, 2);
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a", {.useDiskCache = false}));
  EXPECT_EQ(compiled, 3);
}

TEST_F(JitSessionTest, OneKernelIsOneEntryOnDisk) {
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a b", {}));
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "ab", {}));
  EXPECT_EQ(listCache(directory)->size(), 1u);
  EXPECT_EQ(compiled, 1);
}

TEST_F(JitSessionTest, FindsKernelsWithoutADevice) {
  driver::CompileRequest request;
  request.source = "attn ir";
  request.from = driver::Stage::Attn;
  auto first = JitSession(compiler()).findKernel(request, {});
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)->ptx, testing::kAffinePtx);
  ASSERT_TRUE(JitSession(compiler()).findKernel(request, {}));
  EXPECT_EQ(compiled, 1);
  request.from = driver::Stage::Tile;
  ASSERT_TRUE(JitSession(compiler()).findKernel(request, {}));
  EXPECT_EQ(compiled, 2);
}

TEST_F(JitSessionTest, CachedKernelsStillWarnOnceAProcess) {
  int told = 0;
  Options options{.note = [&](std::string_view text) { told += text == "a warning"; }};
  JitSession first(compiler());
  ASSERT_TRUE(first.compile(*device, "warn", options));
  ASSERT_TRUE(first.compile(*device, "warn", options));
  EXPECT_EQ(told, 1);
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "warn", options));
  EXPECT_EQ(told, 2);
  EXPECT_EQ(compiled, 1);
}

TEST_F(JitSessionTest, TextsThatOnlySpeakOfImportsAreFoundAsWritten) {
  JitSession session(compiler());
  for (std::string_view text : {"# important: important", "# import masks", "importance"}) {
    ASSERT_TRUE(session.compile(*device, text, {}));
    canonical = 0;
    ASSERT_TRUE(session.compile(*device, text, {}));
    EXPECT_EQ(canonical, 0) << text;
  }
  ASSERT_TRUE(session.compile(*device, "import # the masks\n\"masks.attn\"", {}));
  canonical = 0;
  ASSERT_TRUE(session.compile(*device, "import # the masks\n\"masks.attn\"", {}));
  EXPECT_EQ(canonical, 1);
}

TEST_F(JitSessionTest, TextsThatImportAreJudgedByTheirMeaning) {
  JitSession session(compiler());
  ASSERT_TRUE(session.compile(*device, "import \"masks.attn\"", {}));
  ASSERT_TRUE(session.compile(*device, "import \"masks.attn\"", {}));
  EXPECT_EQ(compiled, 1);
  EXPECT_EQ(canonical, 2);
}

TEST_F(JitSessionTest, ManyThreadsCompileOnce) {
  JitSession session(compiler());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      auto module = session.compile(*device, i % 2 ? "a b" : "ab", {});
      failures += module && module->plan() ? 0 : 1;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(compiled, 1);
}

TEST_F(JitSessionTest, DiagnosticsComeThroughAndAreNotCached) {
  JitSession session(compiler());
  for (int i = 1; i <= 2; ++i) {
    Status status = session.compile(*device, "error", {}).status();
    EXPECT_EQ(status.code(), StatusCode::CompileError);
    EXPECT_EQ(status.message(), "<text>:1:1: error: refused");
    EXPECT_EQ(compiled, i);
  }
}

TEST_F(JitSessionTest, NotesTellOfWarningsAndOfADirectoryThatCannotBeWritten) {
  std::filesystem::create_directories(std::filesystem::path(directory).parent_path());
  std::ofstream(directory) << "a file in the way";
  JitSession session(compiler());
  std::vector<std::string> notes;
  Options options{.note = [&](std::string_view text) { notes.emplace_back(text); }};
  ASSERT_TRUE(session.compile(*device, "warn", options));
  ASSERT_TRUE(session.compile(*device, "plain", options));
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[0].find("kernels are not kept on disk"), 0u);
  EXPECT_EQ(notes[1], "a warning");
}

TEST_F(JitSessionTest, DamagedEntriesAreCompiledAgain) {
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a", {}));
  for (const auto &file : std::filesystem::directory_iterator(directory))
    std::filesystem::resize_file(file.path(), 100);
  ASSERT_TRUE(JitSession(compiler()).compile(*device, "a", {}));
  EXPECT_EQ(compiled, 2);
}

TEST_F(JitSessionTest, RefusesTargetsThatDoNotSuit) {
  JitSession session(compiler());
  EXPECT_EQ(session.compile(*device, "a", {.target = "sm_81"}).status().message(),
            "unknown target `sm_81`; did you mean `sm_80`?");
  EXPECT_EQ(session.compile(*device, "a", {.target = "sm_90a"}).status().message(),
            "plan `affine`: code for sm_90a does not run on `null` (checks only, limits of sm_80)");
}

TEST_F(JitSessionTest, ModulesKeepNoDeviceOpenOnceReleased) {
  JitSession session(compiler());
  std::weak_ptr<runtime::DeviceDriver> driver = device->driver();
  { ASSERT_TRUE(session.compile(*device, "a", {})); }
  device.reset();
  EXPECT_TRUE(driver.expired());
}

} // namespace attn::jit
