// A tensor in host memory: element type, shape, and packed row-major bytes. Files, generated inputs and the float64
// evaluation speak of tensors in this form.
#pragma once

#include "support/ElementType.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attn {

struct HostTensor {
  ElementType type = ElementType::F32;
  std::vector<std::int64_t> shape;     ///< logical; for `bit` the last dimension counts bits
  std::vector<std::byte> bytes;        ///< row-major, without padding; `bit` rows padded to whole 32-bit words

  HostTensor() = default;
  /// Zero-filled.
  HostTensor(ElementType type, std::vector<std::int64_t> shape);

  std::int64_t elementCount() const;   ///< product of the shape
  std::int64_t rowBytes() const;       ///< bytes of one row along the last dimension
  /// Element by flat row-major index, widened to double. Bool and bit give 0 or 1.
  double get(std::int64_t index) const;
  /// Rounds to the element type, to nearest even; integers must be representable.
  void set(std::int64_t index, double value);
  /// A copy rounded to another element type.
  HostTensor converted(ElementType to) const;
};

} // namespace attn
