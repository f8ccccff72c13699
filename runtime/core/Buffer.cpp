// Device memory and tensor views.
#include "attn/Buffer.h"

#include "runtime/core/DeviceDriver.h"

#include <fmt/format.h>

#include <utility>

namespace attn {

/// Units that strides count: elements, or the 32-bit words of bit rows.
static std::int64_t rowUnits(ElementType type, std::int64_t extent) {
  return type == ElementType::Bit ? (extent + 31) / 32 : extent;
}

static std::uint64_t unitBytes(ElementType type) { return type == ElementType::Bit ? 4 : storageBits(type) / 8; }

TensorView::TensorView(std::uint64_t address, ElementType type, Dims shape)
    : base(address), element(type), extents(shape), steps(shape) {
  std::int64_t step = 1;
  for (std::size_t i = shape.values().size(); i-- > 0;) {
    steps[i] = step;
    std::int64_t units = i + 1 == shape.rank() ? rowUnits(type, shape[i]) : shape[i];
    // A product that overflows belongs to a shape that `spanBytes` and the launch refuse.
    if (__builtin_mul_overflow(step, units, &step))
      step = 0;
  }
}

std::optional<std::uint64_t> TensorView::spanBytes() const {
  std::int64_t last = 0;
  for (std::size_t i = 0; i < extents.values().size(); ++i) {
    std::int64_t extent = i + 1 == extents.rank() ? rowUnits(element, extents[i]) : extents[i];
    if (extent == 0)
      return 0;
    std::int64_t reach = 0;
    if (extent < 0 || steps[i] < 0 || __builtin_mul_overflow(extent - 1, steps[i], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return std::nullopt;
  }
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(last) + 1, unitBytes(element), &bytes) ||
      bytes > UINT64_MAX - base)
    return std::nullopt;
  return bytes;
}

Result<Buffer> Buffer::allocate(const Device &device, std::size_t bytes) {
  Result<runtime::DeviceAddress> address = device.driver()->allocate(bytes);
  if (!address)
    return address.status();
  return Buffer(device.driver(), *address, bytes);
}

Buffer::Buffer(Buffer &&other) noexcept
    : shared(std::move(other.shared)), base(std::exchange(other.base, 0)), bytes(std::exchange(other.bytes, 0)) {}

Buffer &Buffer::operator=(Buffer &&other) noexcept {
  std::swap(shared, other.shared);
  std::swap(base, other.base);
  std::swap(bytes, other.bytes);
  return *this;
}

Buffer::~Buffer() {
  // A failure here (the device is gone, say) has shown or will show in the calls that use the device.
  if (base)
    static_cast<void>(shared->free(base));
}

TensorView Buffer::view(ElementType type, Dims shape, std::size_t offset) const {
  return TensorView(base + offset, type, shape);
}

Status Buffer::checkRange(std::string_view call, std::size_t count, std::size_t offset) const {
  if (offset <= bytes && count <= bytes - offset)
    return {};
  return {StatusCode::InvalidArgument,
          fmt::format("{}: {} bytes at offset {} do not fit the buffer of {} bytes", call, count, offset, bytes)};
}

Status Buffer::upload(std::span<const std::byte> source, std::size_t offset) const {
  if (Status status = checkRange("upload", source.size(), offset); !status)
    return status;
  return shared->upload(base + offset, source, nullptr, true);
}

Status Buffer::download(std::span<std::byte> destination, std::size_t offset) const {
  if (Status status = checkRange("download", destination.size(), offset); !status)
    return status;
  return shared->download(destination, base + offset, nullptr, true);
}

Status Buffer::upload(const Stream &stream, std::span<const std::byte> source, std::size_t offset) const {
  if (Status status = checkRange("upload", source.size(), offset); !status)
    return status;
  return shared->upload(base + offset, source, stream.native(), false);
}

Status Buffer::download(const Stream &stream, std::span<std::byte> destination, std::size_t offset) const {
  if (Status status = checkRange("download", destination.size(), offset); !status)
    return status;
  return shared->download(destination, base + offset, stream.native(), false);
}

Status Buffer::fill(std::byte value) const { return shared->fill(base, value, bytes); }

} // namespace attn
