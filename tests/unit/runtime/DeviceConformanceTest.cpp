// What every device must do, run alike on the null device, the emulator, the CUDA path over the fake driver, and a GPU
// where there is one.
#include "attn/Attn.h"
#include "tests/unit/runtime/AffineKernel.h"

#include <gtest/gtest.h>

#include <ostream>

#include <cstdlib>
#include <thread>

namespace attn {

namespace {

struct DeviceCase {
  std::string label;
  std::string name;
  bool computes;
  std::string cudaLibrary; ///< for ATTN_CUDA_LIBRARY; empty: the system's

  /// What ctest lists beside the test's name.
  friend void PrintTo(const DeviceCase &device, std::ostream *stream) { *stream << device.label; }
};

class DeviceConformance : public ::testing::TestWithParam<DeviceCase> {
protected:
  void SetUp() override {
    if (GetParam().cudaLibrary.empty())
      ::unsetenv("ATTN_CUDA_LIBRARY");
    else
      ::setenv("ATTN_CUDA_LIBRARY", GetParam().cudaLibrary.c_str(), 1);
    auto opened = Device::open(GetParam().name);
    if (!opened && GetParam().label == "gpu")
      GTEST_SKIP() << opened.status().message();
    ASSERT_TRUE(opened) << opened.status().message();
    device = *opened;
  }
  void TearDown() override { ::unsetenv("ATTN_CUDA_LIBRARY"); }

  Buffer allocate(std::size_t bytes) const {
    auto buffer = Buffer::allocate(*device, bytes);
    EXPECT_TRUE(buffer) << buffer.status().message();
    return std::move(*buffer);
  }
  template <typename T> Buffer allocate(const std::vector<T> &values) const {
    Buffer buffer = allocate(values.size() * sizeof(T));
    EXPECT_TRUE(buffer.upload(std::as_bytes(std::span(values))));
    return buffer;
  }
  template <typename T> std::vector<T> read(const Buffer &buffer) const {
    std::vector<T> values(buffer.size() / sizeof(T));
    Status status = buffer.download(std::as_writable_bytes(std::span(values)));
    EXPECT_TRUE(status) << status.message();
    return values;
  }
  Plan affine() const {
    auto module = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest());
    EXPECT_TRUE(module) << module.status().message();
    auto plan = module->plan("affine");
    EXPECT_TRUE(plan) << plan.status().message();
    return *plan;
  }

  std::optional<Device> device;
};

} // namespace

TEST_P(DeviceConformance, DescribesItself) {
  const DeviceInfo &info = device->info();
  EXPECT_EQ(info.name, GetParam().name);
  EXPECT_FALSE(info.description.empty());
  EXPECT_GE(info.computeCapability, 80u);
  EXPECT_EQ(info.compileTarget.substr(0, 3), "sm_");
  EXPECT_GE(info.sharedBytesPerBlock, 99u * 1024);
  EXPECT_GE(info.multiprocessors, 1u);
  EXPECT_GE(info.memoryBytes, std::uint64_t{1} << 30);
  EXPECT_TRUE(device->synchronize());
}

TEST_P(DeviceConformance, MemoryHoldsWhatIsCopiedIntoIt) {
  std::vector<std::uint32_t> values(1000);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint32_t>(i * 2654435761u);
  Buffer buffer = allocate(values);
  EXPECT_EQ(buffer.address() % 256, 0u);
  EXPECT_EQ(read<std::uint32_t>(buffer), values);
  std::uint32_t one = 7;
  EXPECT_TRUE(buffer.upload(std::as_bytes(std::span(&one, 1)), 40));
  EXPECT_EQ(read<std::uint32_t>(buffer)[10], 7u);
  EXPECT_TRUE(buffer.fill(std::byte{0xab}));
  EXPECT_EQ(read<std::uint32_t>(buffer)[999], 0xababababu);
}

TEST_P(DeviceConformance, AllocationsAreSeparateAndMayBeEmpty) {
  Buffer empty = allocate(std::size_t{0}), first = allocate(std::vector<int>{1, 2}), second = allocate(std::vector<int>{3});
  EXPECT_NE(empty.address(), 0u);
  EXPECT_NE(first.address(), second.address());
  EXPECT_EQ(read<int>(first), (std::vector<int>{1, 2}));
  EXPECT_TRUE(empty.upload({}));
}

TEST_P(DeviceConformance, TooMuchMemoryIsAStatus) {
  EXPECT_EQ(Buffer::allocate(*device, std::size_t{1} << 50).status().code(), StatusCode::OutOfMemory);
}

TEST_P(DeviceConformance, RunsAKernelWithStridesScalarsAndSharedMemory) {
  constexpr std::int64_t rows = 3, cols = 100, pitch = 104;
  std::vector<float> values(rows * pitch), expected(rows * cols);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < pitch; ++c)
      values[r * pitch + c] = c < cols ? static_cast<float>(r * 1000 + c) : -1;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      expected[r * cols + c] = -(static_cast<float>(r * 1000 + c) * 0.5f + 3);
  Buffer x = allocate(values), out = allocate(rows * cols * sizeof(float)), workspace = allocate(256);
  Buffer order = allocate(std::vector<std::int32_t>{0, 1, 2, 3});
  ASSERT_TRUE(out.fill(std::byte{0}));
  auto stream = Stream::create(*device);
  ASSERT_TRUE(stream) << stream.status().message();
  Status status = affine().launch(*stream,
                                  {{"x", TensorView(x.address(), ElementType::F32, {rows, cols}, {pitch, 1})},
                                   {"order", order.view(ElementType::I32, {rows + 1})},
                                   {"out", out.view(ElementType::F32, {rows, cols})},
                                   {"scale", 0.5},
                                   {"shift", 3},
                                   {"negate", true},
                                   {"group", 4}},
                                  {.workspace = workspace.address(), .workspaceBytes = workspace.size()});
  ASSERT_TRUE(status) << status.message();
  status = stream->synchronize();
  ASSERT_TRUE(status) << status.message();
  if (GetParam().computes) {
    EXPECT_EQ(read<float>(out), expected);
  }
}

TEST_P(DeviceConformance, StreamsKeepTheirOrder) {
  auto stream = Stream::create(*device), other = Stream::create(*device);
  ASSERT_TRUE(stream && other);
  auto event = Event::create(*device);
  ASSERT_TRUE(event);
  std::vector<int> first(256, 1), second(256, 2), result(256);
  Buffer buffer = allocate(first.size() * sizeof(int));
  EXPECT_TRUE(buffer.upload(*stream, std::as_bytes(std::span(first))));
  EXPECT_TRUE(buffer.upload(*stream, std::as_bytes(std::span(second))));
  EXPECT_TRUE(event->record(*stream));
  EXPECT_TRUE(other->waitFor(*event));
  EXPECT_TRUE(buffer.download(*other, std::as_writable_bytes(std::span(result))));
  EXPECT_TRUE(other->synchronize());
  EXPECT_EQ(result, second);
  Stream moved = std::move(*stream);
  EXPECT_TRUE(moved.synchronize());
}

TEST_P(DeviceConformance, EventsMeasureTime) {
  auto begin = Event::create(*device), end = Event::create(*device);
  ASSERT_TRUE(begin && end);
  EXPECT_FALSE(Event::elapsedMilliseconds(*begin, *end)); // never recorded
  Stream stream = Stream::defaultOf(*device);
  EXPECT_TRUE(begin->record(stream));
  EXPECT_TRUE(end->record(stream));
  EXPECT_TRUE(end->synchronize());
  auto elapsed = Event::elapsedMilliseconds(*begin, *end);
  ASSERT_TRUE(elapsed) << elapsed.status().message();
  EXPECT_GE(*elapsed, 0);
}

TEST_P(DeviceConformance, MissingKernelsAreNamed) {
  std::string manifest = testing::affineManifest();
  manifest.replace(manifest.rfind("\"affine\", \"grid\""), 8, "\"refined\"");
  auto module = Module::fromPtx(*device, testing::kAffinePtx, manifest);
  ASSERT_TRUE(module) << module.status().message();
  Status status = module->plan().status();
  EXPECT_EQ(status.code(), StatusCode::NotFound) << status.message();
  EXPECT_NE(status.message().find("refined"), std::string::npos) << status.message();
}

TEST_P(DeviceConformance, BadPtxIsAStatusWithTheReason) {
  if (!GetParam().computes)
    GTEST_SKIP() << "this device reads no PTX";
  std::string ptx = testing::kAffinePtx;
  ptx.replace(ptx.find("bar.sync"), 8, "baa.sync");
  Status status = Module::fromPtx(*device, ptx, testing::affineManifest())->plan().status();
  EXPECT_EQ(status.code(), StatusCode::CompileError) << status.message();
  EXPECT_NE(status.message().find("baa"), std::string::npos) << status.message();
}

TEST_P(DeviceConformance, ThreadsShareAPlan) {
  Plan plan = affine();
  Buffer x = allocate(std::vector<float>(64, 2.0f)), order = allocate(std::vector<std::int32_t>{0, 1});
  std::vector<Buffer> outs;
  for (int i = 0; i < 4; ++i)
    outs.push_back(allocate(64 * sizeof(float) + 256));
  std::vector<std::thread> threads;
  std::vector<Status> statuses(outs.size());
  for (std::size_t i = 0; i < outs.size(); ++i)
    threads.emplace_back([&, i] {
      Stream stream = std::move(*Stream::create(*device));
      statuses[i] = plan.launch(stream,
                                {{"x", x.view(ElementType::F32, {1, 64})},
                                 {"order", order.view(ElementType::I32, {2})},
                                 {"out", outs[i].view(ElementType::F32, {1, 64})},
                                 {"scale", static_cast<double>(i)},
                                 {"group", 1}},
                                {.workspace = outs[i].address() + 256, .workspaceBytes = 256});
      if (statuses[i])
        statuses[i] = stream.synchronize();
    });
  for (std::thread &thread : threads)
    thread.join();
  for (std::size_t i = 0; i < outs.size(); ++i) {
    EXPECT_TRUE(statuses[i]) << statuses[i].message();
    std::vector<float> result(64);
    EXPECT_TRUE(outs[i].download(std::as_writable_bytes(std::span(result))));
    if (GetParam().computes) {
      EXPECT_EQ(result, std::vector<float>(64, 2.0f * static_cast<float>(i)));
    }
  }
}

TEST_P(DeviceConformance, HandlesKeepTheDeviceOpen) {
  Buffer buffer = allocate(std::vector<int>{42});
  Plan plan = affine();
  device.reset();
  std::vector<int> value(1);
  EXPECT_TRUE(buffer.download(std::as_writable_bytes(std::span(value))));
  EXPECT_EQ(value[0], 42);
  EXPECT_EQ(plan.name(), "affine");
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceConformance,
                         ::testing::Values(DeviceCase{"null", "null", false, ""},
                                           DeviceCase{"emulator", "emulator", true, ""},
                                           DeviceCase{"fakecuda", "cuda:0", true, ATTN_FAKE_CUDA},
                                           DeviceCase{"gpu", "cuda:0", true, ""}),
                         [](const auto &info) { return info.param.label; });

} // namespace attn
