// Device memory, and views of it as tensors.
#pragma once

#include "attn/Device.h"
#include "attn/ElementType.h"
#include "attn/Stream.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>

namespace attn {

namespace dlpack {
struct Tensor;
struct ManagedTensor;
} // namespace dlpack

/// Up to eight sizes or strides, held in place.
class Dims {
public:
  static constexpr std::size_t kMaxRank = 8;

  Dims() = default;
  Dims(std::initializer_list<std::int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  Dims(std::span<const std::int64_t> values) : count(values.size()) {
    std::copy_n(values.begin(), std::min(count, kMaxRank), items.begin());
  }
  Dims(const std::vector<std::int64_t> &values) : Dims(std::span(values)) {}

  /// May exceed `kMaxRank`, whose rest is not kept; a launch refuses such a tensor.
  std::size_t rank() const { return count; }
  std::span<const std::int64_t> values() const { return {items.data(), std::min(count, kMaxRank)}; }
  std::int64_t operator[](std::size_t index) const { return items[index]; }
  std::int64_t &operator[](std::size_t index) { return items[index]; }

private:
  std::array<std::int64_t, kMaxRank> items{};
  std::size_t count = 0;
};

/// A tensor in device memory: where it lies and how it is cut. Owns nothing; the memory must outlive its use.
/// Strides count elements; those of `bit` tensors, whose rows are packed into 32-bit words, count words.
class TensorView {
public:
  TensorView() = default;
  /// Contiguous, last dimension fastest; or with strides given, one for each dimension.
  TensorView(std::uint64_t address, ElementType type, Dims shape);
  TensorView(std::uint64_t address, ElementType type, Dims shape, Dims strides)
      : base(address), element(type), extents(shape), steps(strides) {}
  TensorView(const void *pointer, ElementType type, Dims shape)
      : TensorView(reinterpret_cast<std::uint64_t>(pointer), type, shape) {}
  TensorView(const void *pointer, ElementType type, Dims shape, Dims strides)
      : TensorView(reinterpret_cast<std::uint64_t>(pointer), type, shape, strides) {}

  /// Borrows the memory of a DLPack tensor (attn/Dlpack.h) on `device`. Fails when it lies elsewhere or has an element
  /// type that there is none for here.
  static Result<TensorView> fromDlpack(const dlpack::Tensor &tensor, const Device &device);
  /// Points into this view, which must outlive it.
  Result<dlpack::Tensor> toDlpack(const Device &device) const;

  std::uint64_t address() const { return base; }
  ElementType type() const { return element; }
  const Dims &shape() const { return extents; }
  const Dims &strides() const { return steps; }
  /// Bytes from the first to one past the last element; 0 when there is none. Nothing on overflow.
  std::optional<std::uint64_t> spanBytes() const;

private:
  std::uint64_t base = 0;
  ElementType element = ElementType::F32;
  Dims extents, steps;
};

/// Device memory with an owner. Move-only; freed at the end of its life, which must not be before work that uses it is
/// done. Contents are undefined until written.
///
///     Result<Buffer> buffer = Buffer::allocate(device, bytes);
///     Status status = buffer->upload(std::as_bytes(std::span(values)));
///     TensorView query = buffer->view(ElementType::BF16, {batch, q_len, q_heads, head_dim});
class Buffer {
public:
  static Result<Buffer> allocate(const Device &device, std::size_t bytes);

  Buffer(Buffer &&other) noexcept;
  Buffer &operator=(Buffer &&other) noexcept;
  ~Buffer();

  std::uint64_t address() const { return base; }
  std::size_t size() const { return bytes; }
  /// Contiguous, from `offset` bytes on. Whether it fits is checked at launch where the device can tell.
  TensorView view(ElementType type, Dims shape, std::size_t offset = 0) const;

  /// Return when the copy is done. At most `size() - offset` bytes.
  Status upload(std::span<const std::byte> source, std::size_t offset = 0) const;
  Status download(std::span<std::byte> destination, std::size_t offset = 0) const;
  Status fill(std::byte value) const;
  /// Queued on `stream`; the host memory must stay until the stream gets there.
  Status upload(const Stream &stream, std::span<const std::byte> source, std::size_t offset = 0) const;
  Status download(const Stream &stream, std::span<std::byte> destination, std::size_t offset = 0) const;

  /// Hands this buffer to a DLPack consumer, who frees it through the deleter. `view` must be a view of it.
  static Result<dlpack::ManagedTensor *> exportDlpack(Buffer &&buffer, const TensorView &view);

private:
  Buffer(std::shared_ptr<runtime::DeviceDriver> driver, std::uint64_t address, std::size_t bytes)
      : shared(std::move(driver)), base(address), bytes(bytes) {}
  Status checkRange(std::string_view call, std::size_t count, std::size_t offset) const;

  std::shared_ptr<runtime::DeviceDriver> shared;
  std::uint64_t base = 0;
  std::size_t bytes = 0;
};

} // namespace attn
