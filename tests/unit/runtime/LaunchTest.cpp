// What a launch refuses, and in which words. On the null device, whose memory the host can see.
#include "attn/Attn.h"
#include "tests/unit/runtime/AffineKernel.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace attn {

namespace {

class LaunchTest : public ::testing::Test {
protected:
  static constexpr std::int64_t kRows = 3, kCols = 100;

  void SetUp() override {
    auto opened = Device::open("null");
    ASSERT_TRUE(opened) << opened.status().message();
    device = *opened;
    auto module = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest());
    ASSERT_TRUE(module) << module.status().message();
    auto loaded = module->plan();
    ASSERT_TRUE(loaded) << loaded.status().message();
    plan = *loaded;
    for (std::size_t bytes : {kRows * kCols * 4 + 64, kRows * kCols * 4 + 64, (kRows + 1) * 4 + 64, 4096L})
      buffers.push_back(std::move(*Buffer::allocate(*device, bytes)));
    setOrder({0, 10, 10, 100});
    workspace = {.workspace = buffers[3].address(), .workspaceBytes = buffers[3].size()};
  }

  void setOrder(std::vector<std::int32_t> values) {
    ASSERT_TRUE(buffers[2].upload(std::as_bytes(std::span(values))));
  }
  TensorView x(Dims shape = {kRows, kCols}) const { return buffers[0].view(ElementType::F32, shape); }
  TensorView out(Dims shape = {kRows, kCols}) const { return buffers[1].view(ElementType::F32, shape); }
  TensorView order(Dims shape = {kRows + 1}) const { return buffers[2].view(ElementType::I32, shape); }

  Status launch(std::initializer_list<Argument> arguments) {
    return plan->launch(Stream::defaultOf(*device), arguments, workspace);
  }
  /// The message without its context, which is the same each time.
  std::string refusal(std::initializer_list<Argument> arguments) {
    Status status = launch(arguments);
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    const std::string context = "launch of `affine`: ";
    EXPECT_EQ(status.message().substr(0, context.size()), context);
    return status.message().substr(std::min(context.size(), status.message().size()));
  }

  std::optional<Device> device;
  std::optional<Plan> plan;
  std::vector<Buffer> buffers;
  LaunchOptions workspace;
};

} // namespace

TEST_F(LaunchTest, AcceptsWhatTheManifestAsksFor) {
  Status status = launch({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 2.0f}, {"group", 10}});
  EXPECT_TRUE(status) << status.message();
  status = launch({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 2}, {"shift", -8}, {"negate", true},
                   {"group", 10}, {"cols", 100}});
  EXPECT_TRUE(status) << status.message();
}

TEST_F(LaunchTest, NamesUnknownMissingAndRepeatedArguments) {
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"ot", out()}}),
            "there is no argument `ot`; did you mean `out`?");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}}), "`out` is missing: a tensor of f32 [rows, cols]");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out()}}),
            "`scale` is missing: a number of type f32 without a default");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}}),
            "`group` is missing: no tensor's shape gives this extent, so pass it as a number");
  EXPECT_EQ(refusal({{"x", x()}, {"x", x()}}), "`x` is given twice");
  EXPECT_EQ(refusal({{"scale", 1.0}, {"scale", 1.0}}), "`scale` is given twice");
  EXPECT_EQ(refusal({{"partial", x()}}), "`partial` is workspace, which is given as a block in the launch options");
}

TEST_F(LaunchTest, ChecksKindsTypesAndRanks) {
  EXPECT_EQ(refusal({{"x", 3}}), "`x` is a tensor of f32, but got a number");
  EXPECT_EQ(refusal({{"scale", x()}}), "`scale`: expects f32, but got a tensor");
  EXPECT_EQ(refusal({{"x", order({3, 100})}}), "`x`: expects f32, but got i32");
  EXPECT_EQ(refusal({{"x", x({3, 10, 10})}}),
            "`x`: expects 2 dimensions [rows, cols], but got 3 (with 3 strides)");
  EXPECT_EQ(refusal({{"shift", 1.5}}), "`shift`: expects i32, but got the real number 1.5");
  EXPECT_EQ(refusal({{"shift", true}}), "`shift`: expects i32, but got bool");
  EXPECT_EQ(refusal({{"negate", 1}}), "`negate`: expects bool, but got the number 1");
  EXPECT_EQ(refusal({{"shift", 1LL << 40}}), "`shift`: 1099511627776 does not fit 32 bits");
  EXPECT_EQ(refusal({{"group", 2.0}}), "`group` is an extent and expects a whole number");
  EXPECT_EQ(refusal({{"x", x(std::vector<std::int64_t>(9, 1))}}),
            "`x`: expects 2 dimensions [rows, cols], but got 9 (with 9 strides)");
}

TEST_F(LaunchTest, ChecksThatExtentsAgree) {
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out({3, 96})}, {"scale", 1.0}, {"group", 1}}),
            "`cols` is 100 by `x`, but 96 by `out`");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order({3})}, {"out", out()}, {"scale", 1.0}, {"group", 1}}),
            "`order`: dimension 0 must be `rows + 1` = 4, but is 3");
  EXPECT_EQ(refusal({{"cols", 99}, {"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}}),
            "`cols` is 99 by the argument, but 100 by `x`");
  EXPECT_EQ(refusal({{"group", -1}}), "`group`: -1 is out of the range 0..2147483647 of extents");
  EXPECT_EQ(refusal({{"x", x({-1, 100})}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}}),
            "`rows`: -1 is out of the range 0..2147483647 of extents");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 7}}),
            "`group` must divide `cols` (cols = 100, group = 7)");
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 0}}),
            "`group` must divide `cols` (cols = 100, group = 0)");
}

TEST_F(LaunchTest, ChecksRangesOfScalars) {
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}, {"shift", 101}}),
            "`shift`: 101 is out of -8..`cols` = 100");
}

TEST_F(LaunchTest, ChecksThatScalesArePositive) {
  std::string manifest = testing::affineManifest();
  const std::string scale = "{\"name\": \"scale\", \"type\": \"f32\"";
  manifest.insert(manifest.find(scale) + scale.size(), ", \"positive\": true");
  auto module = Module::fromPtx(*device, testing::kAffinePtx, manifest);
  ASSERT_TRUE(module) << module.status().message();
  plan = *module->plan();
  auto with = [&](double value) { return refusal({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", value}, {"group", 1}}); };
  EXPECT_EQ(with(0), "`scale`: 0 is no scale, which is a number above 0");
  EXPECT_EQ(with(-1.5), "`scale`: -1.5 is no scale, which is a number above 0");
  EXPECT_EQ(with(std::numeric_limits<double>::infinity()), "`scale`: inf is no scale, which is a number above 0");
  EXPECT_TRUE(launch({{"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1e-30}, {"group", 1}}));
}

TEST_F(LaunchTest, ChecksAddressesStridesAndAlignment) {
  auto with = [&](const TensorView &view) {
    return refusal({{"x", view}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}});
  };
  std::uint64_t base = x().address();
  EXPECT_EQ(with(TensorView(std::uint64_t{0}, ElementType::F32, {kRows, kCols})), "`x`: its address is null");
  EXPECT_EQ(with(TensorView(base, ElementType::F32, {kRows, kCols}, {kCols, 2})),
            "`x`: the last dimension must be contiguous, but its stride is 2");
  EXPECT_EQ(with(TensorView(base, ElementType::F32, {kRows, kCols}, {-kCols, 1})),
            "`x`: stride -100 of dimension 0 is negative");
  EXPECT_EQ(with(TensorView(base, ElementType::F32, {kRows, kCols}, {101, 1})),
            "`x`: stride 101 of dimension 0 is 404 bytes, which is no multiple of 16");
  EXPECT_EQ(with(TensorView(base + 4, ElementType::F32, {kRows, kCols})).substr(0, 14), "`x`: address 0");
  EXPECT_NE(with(TensorView(base + 4, ElementType::F32, {kRows, kCols})).find("is not aligned to 16 bytes"),
            std::string::npos);
  EXPECT_NE(with(out()).find("`out` and `x` lie at the same address"), std::string::npos);
  EXPECT_EQ(refusal({{"x", x()}, {"order", order()}, {"scale", 1.0}, {"group", 1},
                     {"out", TensorView(out().address(), ElementType::F32, {kRows, kCols}, {0, 1})}}),
            "`out`: stride 0 of dimension 0 would write 3 values to one place");
  std::string outside = with(TensorView(base, ElementType::F32, {kRows, kCols}, {200, 1}));
  EXPECT_NE(outside.find("do not lie in one allocation"), std::string::npos) << outside;
}

TEST_F(LaunchTest, AcceptsBroadcastInputsAndSizesOfOne) {
  TensorView broadcast(x().address(), ElementType::F32, {kRows, kCols}, {0, 1});
  EXPECT_TRUE(launch({{"x", broadcast}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}}));
  setOrder({0, 1});
  TensorView one(x().address(), ElementType::F32, {1, 1}, {77, 33}); // strides never stepped over
  TensorView oneOut(out().address(), ElementType::F32, {1, 1}, {0, 0});
  Status status = launch({{"x", one}, {"order", order({2})}, {"out", oneOut}, {"scale", 1.0}, {"group", 1}});
  EXPECT_TRUE(status) << status.message();
}

TEST_F(LaunchTest, EmptyTensorsLaunchNothing) {
  setOrder({0});
  TensorView empty(std::uint64_t{0}, ElementType::F32, {0, kCols});
  Status status = launch({{"x", empty}, {"order", order({1})}, {"out", empty}, {"scale", 1.0}, {"group", 1}});
  EXPECT_TRUE(status) << status.message();
}

TEST_F(LaunchTest, ChecksPromisesAboutValuesWhereTheHostSeesThem) {
  std::initializer_list<Argument> arguments = {
      {"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}};
  setOrder({0, 10, 9, 100});
  EXPECT_EQ(refusal(arguments), "`order` must ascend, but 9 at [2] follows 10");
  setOrder({0, 10, 20, 101});
  EXPECT_EQ(refusal(arguments), "`order`: value 101 at [3] is out of its range 0..100");
  setOrder({-1, 10, 20, 30});
  EXPECT_EQ(refusal(arguments), "`order`: value -1 at [0] is out of its range 0..100");
  workspace.checkValues = false;
  EXPECT_TRUE(launch(arguments));
}

TEST_F(LaunchTest, WorkspaceComesFromTheCaller) {
  std::initializer_list<Argument> arguments = {
      {"x", x()}, {"order", order()}, {"out", out()}, {"scale", 1.0}, {"group", 1}};
  auto bytes = plan->workspaceBytes(arguments);
  ASSERT_TRUE(bytes) << bytes.status().message();
  EXPECT_EQ(*bytes, 256u); // 3 rows of 3 floats, rounded up
  workspace.workspaceBytes = 255;
  EXPECT_EQ(refusal(arguments), "workspace: the plan needs 256 bytes for these shapes, but got 255");
  workspace = {.workspace = buffers[3].address() + 4, .workspaceBytes = 2048};
  EXPECT_NE(refusal(arguments).find("is null or not aligned to 256 bytes"), std::string::npos);
  workspace = {.workspace = 0, .workspaceBytes = 2048};
  EXPECT_NE(refusal(arguments).find("is null or not aligned to 256 bytes"), std::string::npos);
  EXPECT_EQ(plan->workspaceBytes({{"x", x()}}).status().message(),
            "workspace of `affine`: `order` is missing: a tensor of i32 [rows + 1]");
}

TEST_F(LaunchTest, StreamMustBeOfTheSameDevice) {
  auto other = Device::open("null");
  Status status = plan->launch(Stream::defaultOf(*other), {{"x", x()}}, workspace);
  EXPECT_EQ(status.message(), "launch of `affine`: the stream belongs to another device than the plan");
}

TEST_F(LaunchTest, GridMustFit) {
  constexpr std::int64_t rows = 70000;
  Buffer longOrder = std::move(*Buffer::allocate(*device, (rows + 1) * 4));
  Buffer longWorkspace = std::move(*Buffer::allocate(*device, rows * 12 + 256));
  ASSERT_TRUE(longOrder.fill(std::byte{0}));
  workspace = {.workspace = longWorkspace.address(), .workspaceBytes = longWorkspace.size()};
  TensorView empty(std::uint64_t{0}, ElementType::F32, {rows, 0});
  EXPECT_EQ(refusal({{"x", empty}, {"order", longOrder.view(ElementType::I32, {rows + 1})}, {"out", empty},
                     {"scale", 1.0}, {"group", 1}}),
            "grid dimension 1 of kernel `affine`, `rows` = 70000, must be in 0..65535");
}

TEST_F(LaunchTest, ArgumentsAreListed) {
  auto arguments = plan->arguments();
  ASSERT_EQ(arguments.size(), 6u); // the workspace is none
  EXPECT_EQ(arguments[1].name, "order");
  EXPECT_EQ(arguments[1].dims, (std::vector<std::string>{"rows + 1"}));
  EXPECT_EQ(arguments[2].kind, ArgumentInfo::Kind::Output);
  EXPECT_EQ(arguments[3].kind, ArgumentInfo::Kind::Scalar);
  EXPECT_FALSE(arguments[3].optional);
  EXPECT_TRUE(arguments[4].optional);
}

TEST(Module, RefusesWhatTheDeviceCannotRun) {
  auto device = Device::open("null");
  auto tooMuch = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest("200000"));
  ASSERT_TRUE(tooMuch);
  EXPECT_EQ(tooMuch->plan().status().message(),
            "loading `affine`: shared memory: kernel `affine` needs 200000 bytes a block, `null` (checks only, limits of "
            "sm_80) allows 166912");
  EXPECT_EQ(Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest("0", "sm_90a")).status().message(),
            "plan `affine`: code for sm_90a does not run on `null` (checks only, limits of sm_80)");
  auto module = Module::fromPtx(*device, testing::kAffinePtx, testing::affineManifest());
  ASSERT_TRUE(module);
  EXPECT_EQ(module->plan("afine").status().message(), "the module has no plan `afine`; did you mean `affine`?");
  EXPECT_EQ(Module::fromPtx(*device, "", testing::affineManifest())->plan().status().message(),
            "loading `affine`: `affine` has no kernel `affine`");
  EXPECT_EQ(Module::fromPtx(*device, "", "{").status().code(), StatusCode::Corrupt);
}

TEST(Device, NamesAreChecked) {
  EXPECT_EQ(Device::open("emulater").status().message(),
            "opening device `emulater`: unknown device `emulater`; did you mean `emulator`?");
  EXPECT_EQ(Device::open("cuda:x").status().code(), StatusCode::NotFound);
  EXPECT_EQ(Device::open("null", {.target = "sm_81"}).status().message(),
            "opening device `null`: unknown target `sm_81`; did you mean `sm_80`?");
  EXPECT_EQ(Device::open("null", {.target = "sm_86"})->info().sharedBytesPerBlock, 101376u);
}

} // namespace attn
