// See MatrixDescriptor.h.
#include "codegen/nvvm/MatrixDescriptor.h"

#include "ir/tile/TileLayouts.h"

namespace attn::codegen {

static constexpr std::int64_t kUnit = 16, kStep = 16, kStepBytes = 32;

MatrixDescriptor::MatrixDescriptor(tile::BufferType buffer, bool depthAlongRows)
    : swizzle(buffer.getSmem().getSwizzle()),
      panelColumns(tile::rowPitch(buffer.getShape(), buffer.getElementType(), buffer.getSmem())),
      panelUnits(buffer.getShape()[0] * swizzle / kUnit), depthAlongRows(depthAlongRows) {}

std::uint64_t MatrixDescriptor::constantBits() const {
  std::uint64_t panelStride = depthAlongRows ? 1 : panelUnits; // a K-major operand's panels are separate descriptors
  std::uint64_t rowsStride = 8 * swizzle / kUnit, mode = swizzle == 128 ? 1 : 2;
  return panelStride << 16 | rowsStride << 32 | mode << 62;
}

std::int64_t MatrixDescriptor::offset(std::int64_t first, std::int64_t step) const {
  std::int64_t rowUnits = swizzle / kUnit;
  if (!depthAlongRows)
    return first / panelColumns * panelUnits + kStep * step * rowUnits;
  std::int64_t elementBytes = swizzle / panelColumns, column = kStepBytes / elementBytes * step;
  return first * rowUnits + column / panelColumns * panelUnits + column % panelColumns * elementBytes / kUnit;
}

} // namespace attn::codegen
