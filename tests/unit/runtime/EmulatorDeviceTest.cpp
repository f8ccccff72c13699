// The emulator as a device: options, and findings that come back as the launch's status.
#include "runtime/emulator/EmulatorDevice.h"

#include "attn/Attn.h"
#include "tests/unit/runtime/AffineKernel.h"
#include "tests/unit/runtime/TilesKernel.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace attn {

namespace {

struct Launched {
  Status status;
  std::optional<emulator::LaunchReport> report;
};

} // namespace

/// Launches with `x` as given, and everything else right.
static Launched launchOn(const Device &device, bool writeInput, const std::string &ptx = testing::kAffinePtx) {
  auto plan = Module::fromPtx(device, ptx, testing::affineManifest())->plan();
  EXPECT_TRUE(plan) << plan.status().message();
  Buffer x = std::move(*Buffer::allocate(device, 256)), out = std::move(*Buffer::allocate(device, 512));
  Buffer order = std::move(*Buffer::allocate(device, 8));
  EXPECT_TRUE(order.fill(std::byte{0}));
  if (writeInput) {
    EXPECT_TRUE(x.fill(std::byte{0}));
  }
  Status status = plan->launch(Stream::defaultOf(device),
                               {{"x", x.view(ElementType::F32, {1, 64})},
                                {"order", order.view(ElementType::I32, {2})},
                                {"out", out.view(ElementType::F32, {1, 64})},
                                {"scale", 1.0},
                                {"group", 1}},
                               {.workspace = out.address() + 256, .workspaceBytes = 256});
  return {status, runtime::lastLaunchReport(device)};
}

TEST(EmulatorDevice, ReportsWhatItCounted) {
  auto device = Device::open("emulator");
  ASSERT_TRUE(device) << device.status().message();
  EXPECT_FALSE(runtime::lastLaunchReport(*device));
  Launched launched = launchOn(*device, true);
  EXPECT_TRUE(launched.status) << launched.status.message();
  ASSERT_TRUE(launched.report);
  EXPECT_GT(launched.report->counters.totalWarpInstructions, 40u);
  EXPECT_FALSE(runtime::lastLaunchReport(*Device::open("null")));
}

TEST(EmulatorDevice, KeepsCountersOnRequest) {
  auto device = Device::open("emulator", {.target = {}, .emulator = {.keepCounters = true}});
  ASSERT_TRUE(device) << device.status().message();
  EXPECT_TRUE(device->takeCounters().empty());
  EXPECT_TRUE(launchOn(*device, true).status);
  EXPECT_TRUE(launchOn(*device, true).status);
  std::vector<LaunchCounters> launches = device->takeCounters();
  ASSERT_FALSE(launches.empty());
  EXPECT_EQ(launches.size() % 2, 0u);
  EXPECT_EQ(launches.front().kernel, launches[launches.size() / 2].kernel);
  EXPECT_GT(launches.front().threads, 0u);
  EXPECT_GT(launches.front().counters.globalSectors, 0u);
  EXPECT_EQ(launches.front().counters.totalWarpInstructions, launches[launches.size() / 2].counters.totalWarpInstructions);
  EXPECT_TRUE(device->takeCounters().empty());

  auto plain = Device::open("emulator");
  EXPECT_TRUE(launchOn(*plain, true).status);
  EXPECT_TRUE(plain->takeCounters().empty());
  EXPECT_TRUE(Device::open("null")->takeCounters().empty());
}

TEST(EmulatorDevice, FindingsAreTheLaunchsStatus) {
  auto device = Device::open("emulator");
  Launched launched = launchOn(*device, false);
  EXPECT_EQ(launched.status.code(), StatusCode::DeviceError);
  EXPECT_EQ(launched.status.message().find("launch of `affine`: "), 0u) << launched.status.message();
  EXPECT_NE(launched.status.message().find("U01"), std::string::npos) << launched.status.message();
  EXPECT_NE(launched.status.message().find("affine.ptx"), std::string::npos) << launched.status.message();
}

TEST(EmulatorDevice, ChecksCanBeSwitchedOff) {
  auto device = Device::open("emulator", {.emulator = {.checks = EmulatorOptions::Checks::Off}});
  EXPECT_TRUE(launchOn(*device, false).status);
  ::setenv("ATTN_EMULATOR_CHECKS", "off", 1);
  EXPECT_TRUE(launchOn(*Device::open("emulator"), false).status);
  auto checked = Device::open("emulator", {.emulator = {.checks = EmulatorOptions::Checks::Memory}});
  EXPECT_FALSE(launchOn(*checked, false).status); // options come before the environment
  ::unsetenv("ATTN_EMULATOR_CHECKS");
}

TEST(EmulatorDevice, EndlessKernelsStopAtTheLimit) {
  std::string ptx = testing::kAffinePtx;
  ptx.replace(ptx.find("  bar.sync 0;"), 13, "again: bra again;");
  auto device = Device::open("emulator", {.emulator = {.threads = 1, .stepLimit = 10000}});
  Status status = launchOn(*device, true, ptx).status;
  EXPECT_FALSE(status);
  EXPECT_NE(status.message().find("X02"), std::string::npos) << status.message();
}

TEST(EmulatorDevice, BadSettingsAreNamed) {
  ::setenv("ATTN_EMULATOR_COMPLETION", "sometimes", 1);
  EXPECT_EQ(Device::open("emulator").status().message(),
            "opening device `emulator`: ATTN_EMULATOR_COMPLETION: expects one of eager, lazy, random, but got `sometimes`");
  ::unsetenv("ATTN_EMULATOR_COMPLETION");
  ::setenv("ATTN_EMULATOR_THREADS", "9999", 1);
  EXPECT_EQ(Device::open("emulator").status().message(),
            "opening device `emulator`: ATTN_EMULATOR_THREADS: 9999 CPU threads; the limit is 1024");
  ::unsetenv("ATTN_EMULATOR_THREADS");
}

TEST(EmulatorDevice, MultiprocessorsBoundTheBlocksThatTakeTiles) {
  auto device = Device::open("emulator", {.multiprocessors = 3});
  ASSERT_TRUE(device) << device.status().message();
  EXPECT_EQ(device->info().multiprocessors, 3u);
  EXPECT_EQ(testing::blocksOf(*device, 10, 0), 10);
  EXPECT_EQ(testing::blocksOf(*device, 10, 1), 3);
  EXPECT_EQ(testing::blocksOf(*device, 10, 2), 6);
  EXPECT_EQ(testing::blocksOf(*device, 2, 1), 2);
}

TEST(EmulatorDevice, MultiprocessorsComeFromTheEnvironmentToo) {
  EXPECT_EQ(Device::open("null")->info().multiprocessors, 108u);
  ::setenv("ATTN_EMULATOR_MULTIPROCESSORS", "2", 1);
  EXPECT_EQ(Device::open("emulator")->info().multiprocessors, 2u);
  EXPECT_EQ(Device::open("emulator", {.multiprocessors = 5})->info().multiprocessors, 5u);
  ::setenv("ATTN_EMULATOR_MULTIPROCESSORS", "0", 1);
  EXPECT_EQ(Device::open("null").status().message(), "opening device `null`: 0 multiprocessors; the number is from 1 to 65535");
  ::unsetenv("ATTN_EMULATOR_MULTIPROCESSORS");
}

TEST(EmulatorDevice, ParametersMustMatchTheManifest) {
  auto device = Device::open("emulator");
  std::string manifest = testing::affineManifest();
  std::string last = ", {\"kind\": \"scalar\", \"name\": \"negate\"}";
  manifest.erase(manifest.find(last), last.size());
  EXPECT_EQ(Module::fromPtx(*device, testing::kAffinePtx, manifest)->plan().status().message(),
            "loading `affine`: kernel `affine` has 8 parameters, but the manifest names 7");
  manifest = testing::affineManifest();
  std::string extent = "{\"kind\": \"extent\", \"name\": \"cols\"}";
  manifest.replace(manifest.find(extent), extent.size(), "{\"kind\": \"pointer\", \"name\": \"x\"}");
  EXPECT_EQ(Module::fromPtx(*device, testing::kAffinePtx, manifest)->plan().status().message(),
            "loading `affine`: kernel `affine`: parameter 4 (`x`) has 4 bytes, but the manifest says 8");
}

TEST(EmulatorDevice, TensorsMustLieInOneAllocation) {
  auto device = Device::open("emulator");
  auto plan = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest())->plan();
  Buffer x = std::move(*Buffer::allocate(*device, 256)), out = std::move(*Buffer::allocate(*device, 8192));
  Status status = plan->launch(Stream::defaultOf(*device),
                               {{"x", x.view(ElementType::F32, {1, 1024})},
                                {"order", out.view(ElementType::I32, {2}, 4096)},
                                {"out", out.view(ElementType::F32, {1, 1024})},
                                {"scale", 1.0},
                                {"group", 1}},
                               {.workspace = out.address() + 4352, .workspaceBytes = 256});
  EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
  EXPECT_EQ(status.message().find("launch of `affine`: `x`: "), 0u) << status.message();
}

} // namespace attn
