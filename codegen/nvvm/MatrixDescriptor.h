// How wgmma sees an operand in shared memory (PTX ISA, "Matrix descriptor"): 64 bits whose low half alone changes from
// buffer to buffer and along a product.
//
//     bits  0-13  address / 16           bits 32-45  stride of 8 rows / 16
//          16-29  stride of panels / 16       62-63  swizzle: 1 = 128 bytes, 2 = 64
//
// The operand's depth lies along the rows of the buffer (K-major: left operands, transposed right ones), or down them
// (MN-major: right operands that are stored as they multiply). In both cases a buffer is swizzled panels of `rows` rows.
#pragma once

#include "ir/tile/TileDialect.h"

#include <cstdint>

namespace attn::codegen {

class MatrixDescriptor {
public:
  /// `depthAlongRows`: K-major. The buffer is swizzled and holds 16-bit elements, or 8-bit ones that are K-major.
  MatrixDescriptor(tile::BufferType buffer, bool depthAlongRows);

  /// Bits that are the same for every place in the buffer.
  std::uint64_t constantBits() const;
  /// What is added, in units of 16 bytes, for the operand's first row (a multiple of 8; of a panel's width where depth runs
  /// down) and its step along the depth: 16 elements, of 8-bit ones 32.
  std::int64_t offset(std::int64_t first, std::int64_t step) const;

private:
  std::int64_t swizzle, panelColumns, panelUnits;
  bool depthAlongRows;
};

} // namespace attn::codegen
