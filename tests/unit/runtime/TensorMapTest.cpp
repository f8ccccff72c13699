// Kernel parameters that are tensor maps: what the manifest's layout and an argument become, and what is refused. The
// kernel copies the map's 128 bytes out, so that the test reads what a kernel would have been given.
#include "attn/Attn.h"
#include "runtime/emulator/TensorMap.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace attn {

namespace {

constexpr std::string_view kPtx = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry copy_map(.param .u64 copy_map_out, .param .align 64 .b8 copy_map_key[128])
.reqntid 32, 1, 1
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<8>;
  mov.b64 %rd1, copy_map_key;
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd2, %r1, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.param.u32 %r2, [%rd3];
  ld.param.u64 %rd4, [copy_map_out];
  cvta.to.global.u64 %rd5, %rd4;
  add.u64 %rd6, %rd5, %rd2;
  st.global.u32 [%rd6], %r2;
  ret;
}
)";

constexpr std::string_view kManifest = R"json({
 "format": 1, "name": "copy_map", "target": "sm_80",
 "tensors": [
  {"name": "key", "type": "bf16", "role": "input", "dims": ["batch", "rows", "heads", "64"], "alignment": 8},
  {"name": "out", "type": "i32", "role": "output", "dims": ["32"], "alignment": 4}],
 "scalars": [], "checks": [],
 "kernels": [{"name": "copy_map", "grid": ["1", "1", "1"], "threads": 32, "sharedBytes": 0,
   "params": [{"kind": "pointer", "name": "out"},
              {"kind": "tensor_map", "name": "key", "dims": [3, 1, 2, 0], "box": [64, 80, 1, 1], "swizzle": 128}]}],
 "source": ""
})json";

struct Fixture {
  Device device;
  Plan plan;
  Buffer key, out;

  static Fixture on(const Device &device) {
    auto plan = Module::fromPtx(device, kPtx, kManifest)->plan();
    EXPECT_TRUE(plan) << plan.status().message();
    return {device, *plan, std::move(*Buffer::allocate(device, 65536)), std::move(*Buffer::allocate(device, 128))};
  }
  Status launch(const TensorView &view) {
    return plan.launch(Stream::defaultOf(device), {{"key", view}, {"out", out.view(ElementType::I32, {32})}});
  }
  TensorView view(Dims shape, Dims strides, std::uint64_t offset = 0) const {
    return TensorView(key.address() + offset, ElementType::BF16, shape, strides);
  }
  std::array<std::byte, 128> mapBytes() {
    std::array<std::byte, 128> bytes{};
    EXPECT_TRUE(out.download(bytes));
    return bytes;
  }
};

void expectMapOfKey(Fixture &fixture) {
  Status status = fixture.launch(fixture.view({2, 33, 3, 64}, {33 * 72 * 3, 72 * 3, 72, 1}));
  ASSERT_TRUE(status) << status.message();
  auto map = emulator::decodeTensorMap(fixture.mapBytes());
  ASSERT_TRUE(map);
  EXPECT_EQ(map->address, fixture.key.address());
  EXPECT_EQ(map->rank, 4u);
  EXPECT_EQ(map->elementBytes, 2u);
  EXPECT_EQ(map->swizzle, 128u);
  EXPECT_EQ(map->extents, (std::array<std::uint64_t, 5>{64, 33, 3, 2, 0}));
  EXPECT_EQ(map->strides, (std::array<std::uint64_t, 4>{432, 144, 33 * 432, 0}));
  EXPECT_EQ(map->box, (std::array<std::uint32_t, 5>{64, 80, 1, 1, 0}));
  EXPECT_EQ(map->boxBytes(), 64u * 80 * 2);
}

} // namespace

TEST(TensorMap, TheEmulatorGivesTheKernelItsOwnEncoding) {
  auto device = Device::open("emulator", {.target = "sm_90a"});
  ASSERT_TRUE(device) << device.status().message();
  Fixture fixture = Fixture::on(*device);
  expectMapOfKey(fixture);
}

TEST(TensorMap, TheCudaDriverEncodes) {
  ::setenv("ATTN_CUDA_LIBRARY", ATTN_FAKE_CUDA, 1);
  {
    auto device = Device::open("cuda:0");
    ASSERT_TRUE(device) << device.status().message();
    Fixture fixture = Fixture::on(*device);
    expectMapOfKey(fixture);
  }
  ::unsetenv("ATTN_CUDA_LIBRARY");
}

TEST(TensorMap, StridesOfSingleElementsDoNotMatter) {
  Fixture fixture = Fixture::on(*Device::open("emulator", {.target = "sm_90a"}));
  Status status = fixture.launch(fixture.view({1, 5, 1, 64}, {1, 64, 7, 1}));
  ASSERT_TRUE(status) << status.message();
  auto map = emulator::decodeTensorMap(fixture.mapBytes());
  ASSERT_TRUE(map);
  EXPECT_EQ(map->strides, (std::array<std::uint64_t, 4>{128, 16, 16, 0}));
}

TEST(TensorMap, ATensorWithoutElementsHasTheMapOfOneElsewhere) {
  Fixture fixture = Fixture::on(*Device::open("emulator", {.target = "sm_90a"}));
  Status status = fixture.launch(TensorView(std::uint64_t{0}, ElementType::BF16, {2, 0, 3, 64}));
  ASSERT_TRUE(status) << status.message();
  auto map = emulator::decodeTensorMap(fixture.mapBytes());
  ASSERT_TRUE(map);
  EXPECT_EQ(map->address, fixture.out.address());
  EXPECT_EQ(map->rank, 4u);
  EXPECT_EQ(std::vector<std::uint64_t>(map->extents.begin(), map->extents.begin() + 4), std::vector<std::uint64_t>(4, 1));
}

TEST(TensorMap, ADeviceWithoutTheAcceleratorRefuses) {
  Fixture fixture = Fixture::on(*Device::open("emulator", {.target = "sm_80"}));
  EXPECT_EQ(fixture.launch(fixture.view({1, 5, 1, 64}, {320, 64, 64, 1})).message(),
            "launch of `copy_map`: tensor map of `key`: virtual GPU, limits of sm_80 has no tensor memory accelerator");
}

TEST(TensorMap, AddressesAndStridesAreChecked) {
  Fixture fixture = Fixture::on(*Device::open("null"));
  auto refusal = [&](const TensorView &view) {
    Status status = fixture.launch(view);
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    return status.message();
  };
  EXPECT_EQ(refusal(fixture.view({1, 5, 3, 64}, {1500, 300, 100, 1})),
            "launch of `copy_map`: `key`: stride 300 of dimension 1 is 600 bytes; the tensor memory accelerator needs a "
            "multiple of 16 below 2^40");
  std::string unaligned = refusal(fixture.view({1, 5, 3, 64}, {960, 192, 64, 1}, 8));
  EXPECT_NE(unaligned.find("is not aligned to 16 bytes, which the tensor memory accelerator needs"), std::string::npos)
      << unaligned;
  EXPECT_TRUE(fixture.launch(fixture.view({1, 5, 3, 64}, {960, 192, 64, 1}, 16)));
}

TEST(TensorMap, EveryDamagedByteShows) {
  emulator::TensorMap map{.address = 4096, .rank = 2, .elementBytes = 2, .extents = {64, 100}, .strides = {128},
                          .box = {32, 16}, .swizzle = 64};
  std::array<std::byte, 128> bytes{};
  ASSERT_TRUE(emulator::encodeTensorMap(map, bytes));
  EXPECT_TRUE(emulator::decodeTensorMap(bytes));
  for (std::byte &byte : bytes) {
    byte ^= std::byte{16};
    EXPECT_FALSE(emulator::decodeTensorMap(bytes));
    byte ^= std::byte{16};
  }
}

TEST(TensorMap, TheEncoderRefusesWhatTheDriverRefuses) {
  const emulator::TensorMap good{.address = 4096, .rank = 2, .elementBytes = 2, .extents = {64, 100}, .strides = {128},
                                 .box = {32, 16}, .swizzle = 64};
  auto refusal = [&](auto change) {
    emulator::TensorMap map = good;
    change(map);
    std::array<std::byte, 128> bytes{};
    return emulator::encodeTensorMap(map, bytes).message();
  };
  EXPECT_EQ(refusal([](auto &) {}), "");
  EXPECT_EQ(refusal([](auto &map) { map.rank = 6; }), "tensor map: rank 6 is out of 1..5");
  EXPECT_EQ(refusal([](auto &map) { map.address += 8; }), "tensor map: address 0x1008 is not aligned to 16 bytes");
  EXPECT_EQ(refusal([](auto &map) { map.extents[1] = 0; }), "tensor map: extent 0 of dimension 1 is out of 1..2^32");
  EXPECT_EQ(refusal([](auto &map) { map.box[1] = 257; }), "tensor map: box size 257 of dimension 1 is out of 1..256");
  EXPECT_EQ(refusal([](auto &map) { map.strides[0] = 136; }),
            "tensor map: stride of 136 bytes of dimension 1 is no multiple of 16 below 2^40");
  EXPECT_EQ(refusal([](auto &map) { map.box[0] = 12; }), "tensor map: a box row of 24 bytes is no multiple of 16");
  EXPECT_EQ(refusal([](auto &map) { map.swizzle = 48; }), "tensor map: a swizzle of 48 bytes; expects 0, 32, 64 or 128");
  EXPECT_EQ(refusal([](auto &map) { map.swizzle = 32; }), "tensor map: a box row of 64 bytes exceeds the swizzle of 32");
}

} // namespace attn
