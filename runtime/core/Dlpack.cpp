// Exchange of tensors with other frameworks through DLPack.
#include "attn/Dlpack.h"

#include "attn/Buffer.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>

namespace attn {

namespace {

struct TypeRow {
  ElementType type;
  dlpack::DataType dlpack;
};

/// An exported tensor with all that it points to.
struct Export {
  Buffer buffer;
  TensorView view;
  dlpack::ManagedTensor managed;
};

} // namespace

static constexpr std::array<TypeRow, 11> kTypes = {{
    {ElementType::F64, {dlpack::kFloat, 64, 1}},
    {ElementType::F32, {dlpack::kFloat, 32, 1}},
    {ElementType::BF16, {dlpack::kBfloat, 16, 1}},
    {ElementType::F16, {dlpack::kFloat, 16, 1}},
    {ElementType::E4M3, {dlpack::kFloat8E4M3Fn, 8, 1}},
    {ElementType::E5M2, {dlpack::kFloat8E5M2, 8, 1}},
    {ElementType::I32, {dlpack::kInt, 32, 1}},
    {ElementType::I16, {dlpack::kInt, 16, 1}},
    {ElementType::I8, {dlpack::kInt, 8, 1}},
    {ElementType::Bool, {dlpack::kBool, 8, 1}},
    {ElementType::Bit, {dlpack::kBool, 1, 1}}, // refused both ways below: DLPack does not say how bits are packed
}};

/// What DLPack calls the memory of a device.
static dlpack::DlDevice dlpackDevice(const Device &device) {
  std::string_view name = device.info().name;
  if (!name.starts_with("cuda:"))
    return {dlpack::kExternal, 0};
  int ordinal = 0;
  std::from_chars(name.data() + 5, name.data() + name.size(), ordinal);
  return {dlpack::kCuda, ordinal};
}

Result<TensorView> TensorView::fromDlpack(const dlpack::Tensor &tensor, const Device &device) {
  auto refuse = [](std::string message) { return Status(StatusCode::InvalidArgument, "DLPack tensor: " + message); };
  dlpack::DlDevice expected = dlpackDevice(device);
  if (tensor.device.type != expected.type || tensor.device.id != expected.id)
    return refuse(fmt::format("lies on device type {} number {}, but `{}` is type {} number {}", tensor.device.type,
                              tensor.device.id, device.info().name, expected.type, expected.id));
  if (tensor.ndim < 0 || static_cast<std::size_t>(tensor.ndim) > Dims::kMaxRank)
    return refuse(fmt::format("has {} dimensions; the limit is {}", tensor.ndim, Dims::kMaxRank));
  auto rank = static_cast<std::size_t>(tensor.ndim);
  for (const TypeRow &row : kTypes) {
    bool matches = row.dlpack.code == tensor.dtype.code && row.dlpack.bits == tensor.dtype.bits;
    if (!matches || tensor.dtype.lanes != 1 || row.type == ElementType::Bit)
      continue;
    auto address = reinterpret_cast<std::uint64_t>(tensor.data) + tensor.byteOffset;
    Dims shape(std::span<const std::int64_t>(tensor.shape, rank));
    if (!tensor.strides)
      return TensorView(address, row.type, shape);
    return TensorView(address, row.type, shape, Dims(std::span<const std::int64_t>(tensor.strides, rank)));
  }
  return refuse(fmt::format("element type (code {}, {} bits, {} lanes) is none of ours", tensor.dtype.code,
                            tensor.dtype.bits, tensor.dtype.lanes));
}

Result<dlpack::Tensor> TensorView::toDlpack(const Device &device) const {
  if (element == ElementType::Bit)
    return Status(StatusCode::Unsupported, "DLPack tensor: `bit` rows have no DLPack type; export them as i32 words");
  if (extents.rank() > Dims::kMaxRank)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("DLPack tensor: {} dimensions; the limit is {}", extents.rank(), Dims::kMaxRank));
  // DLPack's pointers are not const, but consumers only read them.
  return dlpack::Tensor{.data = reinterpret_cast<void *>(base),
                        .device = dlpackDevice(device),
                        .ndim = static_cast<std::int32_t>(extents.rank()),
                        .dtype = kTypes[static_cast<std::size_t>(element)].dlpack,
                        .shape = const_cast<std::int64_t *>(extents.values().data()),
                        .strides = const_cast<std::int64_t *>(steps.values().data()),
                        .byteOffset = 0};
}

Result<dlpack::ManagedTensor *> Buffer::exportDlpack(Buffer &&buffer, const TensorView &view) {
  auto span = view.spanBytes();
  if (!span || view.address() < buffer.address() || view.address() - buffer.address() > buffer.size() ||
      *span > buffer.size() - (view.address() - buffer.address()))
    return Status(StatusCode::InvalidArgument, "DLPack export: the view does not lie in the buffer");
  const Device device(buffer.shared);
  auto owner = std::make_unique<Export>(Export{std::move(buffer), view, {}});
  Result<dlpack::Tensor> tensor = owner->view.toDlpack(device);
  if (!tensor)
    return tensor.status();
  owner->managed = {.tensor = *tensor, .context = owner.get(), .deleter = [](dlpack::ManagedTensor *self) {
                      delete static_cast<Export *>(self->context);
                    }};
  return &owner.release()->managed;
}

} // namespace attn
