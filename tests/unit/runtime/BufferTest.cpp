// Views, DLPack, and the limits of buffers.
#include "attn/Attn.h"
#include "runtime/core/DeviceDriver.h"

#include <gtest/gtest.h>

#include <numeric>

namespace attn {

static std::vector<std::int64_t> listOf(const Dims &dims) { return {dims.values().begin(), dims.values().end()}; }

TEST(TensorView, ContiguousStridesCountElementsAndWordsOfBits) {
  TensorView view(std::uint64_t{256}, ElementType::BF16, {2, 3, 4});
  EXPECT_EQ(listOf(view.strides()), (std::vector<std::int64_t>{12, 4, 1}));
  EXPECT_EQ(view.spanBytes(), 48u);
  TensorView bits(std::uint64_t{256}, ElementType::Bit, {5, 33}); // two words a row
  EXPECT_EQ(listOf(bits.strides()), (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(bits.spanBytes(), 40u);
}

TEST(TensorView, SpanOfStridedEmptyAndImpossibleShapes) {
  EXPECT_EQ(TensorView(std::uint64_t{0}, ElementType::F32, {4, 8}, {100, 1}).spanBytes(), 4u * (300 + 8));
  EXPECT_EQ(TensorView(std::uint64_t{0}, ElementType::F32, {4, 0}).spanBytes(), 0u);
  EXPECT_EQ(TensorView(std::uint64_t{0}, ElementType::F32, {1LL << 40, 1LL << 40}).spanBytes(), std::nullopt);
  EXPECT_EQ(TensorView(UINT64_MAX - 8, ElementType::F32, {4}).spanBytes(), std::nullopt);
}

TEST(Buffer, CopiesAreKeptInsideIt) {
  auto device = Device::open("null");
  auto buffer = Buffer::allocate(*device, 16);
  ASSERT_TRUE(buffer);
  std::vector<std::byte> bytes(17);
  EXPECT_EQ(buffer->upload(bytes).message(), "upload: 17 bytes at offset 0 do not fit the buffer of 16 bytes");
  EXPECT_EQ(buffer->download(std::span(bytes).first(8), 9).message(),
            "download: 8 bytes at offset 9 do not fit the buffer of 16 bytes");
  EXPECT_FALSE(buffer->upload({}, 17));
  EXPECT_TRUE(buffer->upload(std::span(bytes).first(16)));
  EXPECT_EQ(Buffer::allocate(*device, std::size_t{1} << 60).status().code(), StatusCode::OutOfMemory);
}

TEST(Buffer, MovesLeaveNothingBehind) {
  auto device = Device::open("null");
  Buffer first = std::move(*Buffer::allocate(*device, 16)), second = std::move(*Buffer::allocate(*device, 32));
  std::uint64_t address = second.address();
  first = std::move(second);
  EXPECT_EQ(first.address(), address);
  EXPECT_EQ(first.size(), 32u);
}

TEST(Dlpack, TensorsComeInAndGoOut) {
  auto device = Device::open("null");
  std::int64_t shape[] = {2, 3}, strides[] = {8, 1};
  dlpack::Tensor tensor{reinterpret_cast<void *>(0x1000), {dlpack::kExternal, 0}, 2, {dlpack::kBfloat, 16, 1}, shape,
                        strides, 64};
  auto view = TensorView::fromDlpack(tensor, *device);
  ASSERT_TRUE(view) << view.status().message();
  EXPECT_EQ(view->address(), 0x1040u);
  EXPECT_EQ(view->type(), ElementType::BF16);
  EXPECT_EQ(listOf(view->strides()), (std::vector<std::int64_t>{8, 1}));
  auto back = view->toDlpack(*device);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->dtype.code, dlpack::kBfloat);
  EXPECT_EQ(back->shape[1], 3);
  EXPECT_EQ(back->strides[0], 8);
  tensor.strides = nullptr;
  EXPECT_EQ(listOf(TensorView::fromDlpack(tensor, *device)->strides()), (std::vector<std::int64_t>{3, 1}));
}

TEST(Dlpack, ForeignTensorsAreRefused) {
  auto device = Device::open("null");
  std::int64_t shape[] = {2};
  dlpack::Tensor tensor{nullptr, {dlpack::kCuda, 1}, 1, {dlpack::kFloat, 32, 1}, shape, nullptr, 0};
  EXPECT_EQ(TensorView::fromDlpack(tensor, *device).status().message(),
            "DLPack tensor: lies on device type 2 number 1, but `null` is type 12 number 0");
  tensor.device = {dlpack::kExternal, 0};
  tensor.dtype = {5, 64, 1}; // complex
  EXPECT_EQ(TensorView::fromDlpack(tensor, *device).status().message(),
            "DLPack tensor: element type (code 5, 64 bits, 1 lanes) is none of ours");
  tensor.ndim = 9;
  EXPECT_EQ(TensorView::fromDlpack(tensor, *device).status().message(),
            "DLPack tensor: has 9 dimensions; the limit is 8");
  EXPECT_EQ(TensorView(std::uint64_t{0}, ElementType::Bit, {32}).toDlpack(*device).status().code(),
            StatusCode::Unsupported);
}

TEST(Dlpack, ExportedBuffersAreFreedByTheConsumer) {
  auto device = Device::open("null");
  auto buffer = Buffer::allocate(*device, 64);
  TensorView view = buffer->view(ElementType::F32, {4, 4});
  auto tooLarge = Buffer::exportDlpack(std::move(*Buffer::allocate(*device, 64)), view);
  EXPECT_EQ(tooLarge.status().message(), "DLPack export: the view does not lie in the buffer");
  auto managed = Buffer::exportDlpack(std::move(*buffer), view);
  ASSERT_TRUE(managed) << managed.status().message();
  EXPECT_EQ((*managed)->tensor.ndim, 2);
  EXPECT_EQ((*managed)->tensor.shape[0], 4);
  std::byte probe{};
  auto readable = [&] { return device->driver()->download({&probe, 1}, view.address(), nullptr, true).isOk(); };
  EXPECT_TRUE(readable());
  (*managed)->deleter(*managed);
  EXPECT_FALSE(readable());
}

} // namespace attn
