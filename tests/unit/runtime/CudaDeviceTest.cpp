// The CUDA path where it differs from other devices, through the real dlopen on the fake driver.
#include "attn/Attn.h"
#include "runtime/core/Config.h"
#include "runtime/cuda/CudaDriver.h"
#include "tests/unit/runtime/AffineKernel.h"
#include "tests/unit/runtime/TilesKernel.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>

namespace attn {

namespace {

class CudaDeviceTest : public ::testing::Test {
protected:
  void SetUp() override {
    ::setenv("ATTN_CUDA_LIBRARY", ATTN_FAKE_CUDA, 1);
    auto opened = Device::open("cuda:0");
    ASSERT_TRUE(opened) << opened.status().message();
    device = *opened;
    void *library = dlopen(ATTN_FAKE_CUDA, RTLD_NOW | RTLD_NOLOAD);
    ASSERT_NE(library, nullptr);
    fail = reinterpret_cast<void (*)(const char *, int)>(dlsym(library, "fakeCudaFail"));
    calls = reinterpret_cast<int (*)(const char *)>(dlsym(library, "fakeCudaCalls"));
    reset = reinterpret_cast<void (*)()>(dlsym(library, "fakeCudaReset"));
    reset();
  }
  void TearDown() override {
    reset();
    ::unsetenv("ATTN_CUDA_LIBRARY");
  }

  /// Calls of every function of the driver but those that make the context current.
  int callsOtherThan(std::string_view expected) const {
    int total = 0;
#define CUDA_FUNCTION(name, ...)                                                                                       \
  if (std::string_view(#name) != expected && !std::string_view(#name).starts_with("cuCtxP"))                           \
    total += calls(#name);
#include "runtime/cuda/CudaFunctions.def"
#undef CUDA_FUNCTION
    return total;
  }

  Status launch(const Plan &plan, const Buffer &x, const Buffer &out, std::int64_t cols = 64) {
    return plan.launch(Stream::defaultOf(*device),
                       {{"x", x.view(ElementType::F32, {1, cols})},
                        {"order", out.view(ElementType::I32, {2}, 4096)},
                        {"out", out.view(ElementType::F32, {1, cols})},
                        {"scale", 1.0},
                        {"group", 1}},
                       {.workspace = out.address() + 8192, .workspaceBytes = 256});
  }

  std::optional<Device> device;
  void (*fail)(const char *, int) = nullptr;
  int (*calls)(const char *) = nullptr;
  void (*reset)() = nullptr;
};

} // namespace

TEST_F(CudaDeviceTest, BlocksThatTakeTilesFillItsMultiprocessors) {
  ASSERT_EQ(device->info().multiprocessors, 108u);
  EXPECT_EQ(testing::blocksOf(*device, 500, 1), 108);
  EXPECT_EQ(testing::blocksOf(*device, 50, 1), 50);
}

TEST_F(CudaDeviceTest, DescribesTheGpu) {
  EXPECT_EQ(device->info().description, "Fake GPU, compute capability 8.0");
  EXPECT_EQ(device->info().compileTarget, "sm_80");
  EXPECT_EQ(device->info().sharedBytesPerBlock, 163u * 1024);
  EXPECT_EQ(device->info().l2Bytes, 4u << 20);
  EXPECT_EQ(device->info().clockMhz, 1410u);
  EXPECT_EQ(Device::open("auto")->info().name, "cuda:0");
  EXPECT_EQ(Device::available(), (std::vector<std::string>{"cuda:0", "emulator", "null"}));
  EXPECT_EQ(Device::open("cuda:1").status().message(),
            "opening device `cuda:1`: there are 1 CUDA devices, so numbers go to 0");
}

TEST_F(CudaDeviceTest, ALaunchNeitherAllocatesNorWaits) {
  auto plan = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest())->plan();
  ASSERT_TRUE(plan) << plan.status().message();
  Buffer x = std::move(*Buffer::allocate(*device, 4096)), out = std::move(*Buffer::allocate(*device, 16384));
  reset();
  Status status = launch(*plan, x, out);
  ASSERT_TRUE(status) << status.message();
  EXPECT_EQ(calls("cuLaunchKernel"), 1);
  EXPECT_EQ(callsOtherThan("cuLaunchKernel"), 0);
}

TEST_F(CudaDeviceTest, ARefusedLaunchReachesNoDriver) {
  auto plan = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest())->plan();
  reset();
  EXPECT_FALSE(plan->launch(Stream::defaultOf(*device), {{"scale", 1.0}}));
  EXPECT_EQ(callsOtherThan(""), 0);
}

TEST_F(CudaDeviceTest, LargeSharedMemoryIsOptedInto) {
  auto plan = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest("131072"))->plan();
  ASSERT_TRUE(plan) << plan.status().message();
  Buffer x = std::move(*Buffer::allocate(*device, 4096)), out = std::move(*Buffer::allocate(*device, 16384));
  ASSERT_TRUE(x.fill(std::byte{0}));
  Status status = launch(*plan, x, out); // the fake driver refuses more than 48 KiB without the opt-in
  EXPECT_TRUE(status) << status.message();
  EXPECT_TRUE(device->synchronize());
  EXPECT_EQ(Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest("170000"))->plan().status().message(),
            "loading `affine`: shared memory: kernel `affine` needs 170000 bytes a block, `cuda:0` (Fake GPU, compute "
            "capability 8.0) allows 166912");
}

TEST_F(CudaDeviceTest, DriverErrorsCarryTheirNames) {
  fail("cuMemAlloc_v2", 2);
  Status status = Buffer::allocate(*device, 64).status();
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_EQ(status.message(), "allocation of 64 bytes on `cuda:0`: cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): said by the "
                              "fake driver");
  fail("cuStreamCreate", 12345);
  EXPECT_EQ(Stream::create(*device).status().message(),
            "cuStreamCreate: unknown error (12345): said by the fake driver");
}

TEST_F(CudaDeviceTest, RejectedPtxBringsTheDriversLog) {
  std::string ptx = testing::kAffinePtx;
  ptx.replace(ptx.find("bar.sync"), 8, "baa.sync");
  Status status = Module::fromPtx(*device, ptx, testing::affineManifest())->plan().status();
  EXPECT_NE(status.message().find("PTX of `affine` for sm_80: cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (218)"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("\nptx:"), std::string::npos) << status.message(); // the log's line number
}

TEST_F(CudaDeviceTest, AFailingKernelShowsAtTheNextSynchronisation) {
  auto plan = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest())->plan();
  Buffer x = std::move(*Buffer::allocate(*device, 64)), out = std::move(*Buffer::allocate(*device, 65536));
  ASSERT_TRUE(x.fill(std::byte{0}));
  EXPECT_TRUE(launch(*plan, x, out, 1024)); // reads far past `x`, which only the device can see
  Status status = device->synchronize();
  EXPECT_EQ(status.code(), StatusCode::DeviceError);
  EXPECT_NE(status.message().find("CUDA_ERROR_LAUNCH_FAILED (719)"), std::string::npos) << status.message();
}

TEST_F(CudaDeviceTest, ACubinThatDoesNotLoadGivesWayToThePtx) {
  Package package;
  std::string cubin = "\x7f" "ELF of another generation";
  ASSERT_TRUE(package.add(testing::affineManifest(), testing::kAffinePtx, std::as_bytes(std::span(cubin))));
  auto plan = Module::load(*device, package)->plan();
  EXPECT_TRUE(plan) << plan.status().message();
  EXPECT_EQ(calls("cuModuleLoadDataEx"), 2);
}

TEST_F(CudaDeviceTest, ACubinThatIsNoElfFileNeverReachesTheDriver) {
  Package package;
  std::string cubin = "cubin"; // no 0 at its end, to which the driver would read
  ASSERT_TRUE(package.add(testing::affineManifest(), testing::kAffinePtx, std::as_bytes(std::span(cubin))));
  auto plan = Module::load(*device, package)->plan();
  EXPECT_TRUE(plan) << plan.status().message();
  EXPECT_EQ(calls("cuModuleLoadDataEx"), 1);
}

TEST(CudaDriver, AMissingOrForeignLibraryIsAStatus) {
  ::setenv("ATTN_CUDA_LIBRARY", "/nonexistent/libcuda.so", 1);
  Status status = Device::open("cuda:0").status();
  EXPECT_EQ(status.code(), StatusCode::NotFound);
  EXPECT_NE(status.message().find("/nonexistent/libcuda.so"), std::string::npos) << status.message();
  ::setenv("ATTN_CUDA_LIBRARY", "libm.so.6", 1);
  status = Device::open("cuda:0").status();
  EXPECT_EQ(status.message(), "opening device `cuda:0`: libm.so.6 has no `cuInit`; a newer driver is needed");
  EXPECT_EQ(Device::open("auto")->info().name, "emulator");
  ::setenv("ATTN_DEVICE", "null", 1);
  EXPECT_EQ(Device::open()->info().name, "null");
  ::unsetenv("ATTN_DEVICE");
  ::unsetenv("ATTN_CUDA_LIBRARY");
}

} // namespace attn
