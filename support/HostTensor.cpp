#include "support/HostTensor.h"

#include "attn/Float.h"

#include <cassert>
#include <cstring>

namespace attn {

static std::int64_t rowElements(const std::vector<std::int64_t> &shape) { return shape.empty() ? 1 : shape.back(); }

static std::int64_t bytesOfRow(ElementType type, const std::vector<std::int64_t> &shape) {
  std::int64_t row = rowElements(shape);
  return type == ElementType::Bit ? (row + 31) / 32 * 4 : row * storageBits(type) / 8;
}

HostTensor::HostTensor(ElementType type, std::vector<std::int64_t> shape) : type(type), shape(std::move(shape)) {
  std::int64_t row = rowElements(this->shape);
  bytes.resize(static_cast<std::size_t>(row ? elementCount() / row * rowBytes() : 0));
}

std::int64_t HostTensor::elementCount() const {
  std::int64_t count = 1;
  for (std::int64_t dim : shape)
    count *= dim;
  return count;
}

std::int64_t HostTensor::rowBytes() const { return bytesOfRow(type, shape); }

template <typename T> static T load(const std::byte *bytes, std::int64_t index) {
  T value;
  std::memcpy(&value, bytes + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <typename T> static void store(std::byte *bytes, std::int64_t index, T value) {
  std::memcpy(bytes + static_cast<std::size_t>(index) * sizeof(T), &value, sizeof(T));
}

double HostTensor::get(std::int64_t index) const {
  assert(index >= 0 && index < elementCount() && "element outside the tensor");
  const std::byte *data = bytes.data();
  switch (type) {
  case ElementType::F64:
    return load<double>(data, index);
  case ElementType::F32:
    return load<float>(data, index);
  case ElementType::BF16:
    return widenBF16(load<std::uint16_t>(data, index));
  case ElementType::F16:
    return widenF16(load<std::uint16_t>(data, index));
  case ElementType::E4M3:
    return widenE4M3(load<std::uint8_t>(data, index));
  case ElementType::E5M2:
    return widenE5M2(load<std::uint8_t>(data, index));
  case ElementType::I32:
    return load<std::int32_t>(data, index);
  case ElementType::I16:
    return load<std::int16_t>(data, index);
  case ElementType::I8:
    return load<std::int8_t>(data, index);
  case ElementType::Bool:
    return load<std::uint8_t>(data, index) != 0;
  case ElementType::Bit: {
    std::int64_t row = index / shape.back(), column = index % shape.back();
    auto byte = static_cast<std::uint8_t>(data[row * rowBytes() + column / 8]);
    return byte >> (column % 8) & 1;
  }
  }
  return 0;
}

void HostTensor::set(std::int64_t index, double value) {
  assert(index >= 0 && index < elementCount() && "element outside the tensor");
  std::byte *data = bytes.data();
  switch (type) {
  case ElementType::F64:
    return store(data, index, value);
  case ElementType::F32:
    return store(data, index, static_cast<float>(value));
  case ElementType::BF16:
    return store(data, index, roundToBF16(value));
  case ElementType::F16:
    return store(data, index, roundToF16(value));
  case ElementType::E4M3:
    return store(data, index, roundToE4M3(value));
  case ElementType::E5M2:
    return store(data, index, roundToE5M2(value));
  case ElementType::I32:
    return store(data, index, static_cast<std::int32_t>(value));
  case ElementType::I16:
    return store(data, index, static_cast<std::int16_t>(value));
  case ElementType::I8:
    return store(data, index, static_cast<std::int8_t>(value));
  case ElementType::Bool:
    return store(data, index, static_cast<std::uint8_t>(value != 0));
  case ElementType::Bit: {
    std::int64_t row = index / shape.back(), column = index % shape.back();
    std::byte &byte = data[row * rowBytes() + column / 8];
    std::byte bit = std::byte{1} << (column % 8);
    byte = value != 0 ? byte | bit : byte & ~bit;
    return;
  }
  }
}

HostTensor HostTensor::converted(ElementType to) const {
  HostTensor result(to, shape);
  for (std::int64_t i = 0, count = elementCount(); i < count; ++i)
    result.set(i, get(i));
  return result;
}

} // namespace attn
