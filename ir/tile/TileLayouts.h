// Arithmetic of layouts that passes and lowering share: sizes, and which layout an operand gets.
#pragma once

#include "ir/tile/TileDialect.h"

#include <cstdint>

namespace attn::tile {

/// Alignment of every swizzled buffer, in bytes: the period of TMA's 128-byte swizzle.
inline constexpr int64_t kSwizzleAlignment = 1024;

/// The number of warps a fragment layout spreads over; 0 for other attributes.
unsigned warpsOf(mlir::Attribute layout);

/// Into how many parts a fragment layout cuts the columns; 1 for other attributes.
unsigned partsOf(mlir::Attribute layout);

/// 32-bit registers a thread needs for a fragment with a layout.
int64_t registersPerThread(FragType type);

/// Elements between two rows of a panel: `pitch`, or the columns of a plain buffer without one, or a panel's width.
int64_t rowPitch(llvm::ArrayRef<int64_t> shape, mlir::Type element, SmemAttr layout);

/// Bytes of one buffer, panels and pitch included.
int64_t bufferBytes(llvm::ArrayRef<int64_t> shape, mlir::Type element, SmemAttr layout);
/// Words before the first and behind the last element's own in a buffer of quads: those of elements p + 1 and p - 8.
inline constexpr int64_t kQuadsBefore = 1, kQuadsBehind = 8, kQuadBytes = 16;
/// How far the elements of a quad lie from its own.
inline constexpr int64_t kQuadSteps[4] = {0, 1, -8, -7};
inline int64_t bufferBytes(BufferType type) { return bufferBytes(type.getShape(), type.getElementType(), type.getSmem()); }

/// Alignment of a buffer's first byte.
int64_t bufferAlignment(SmemAttr layout);

/// Byte offset of element (row, column) from the buffer's first byte; the definition of the swizzle, for tests and
/// constant addresses.
int64_t byteOffset(BufferType type, int64_t row, int64_t column);

/// The layout of a matrix operand with this many columns: the widest swizzle that fits, or plain rows whose pitch
/// is an odd number of 16-byte chunks, which `ldmatrix` reads without conflicts as well; always these
/// for elements of 32 bits: eight columns of four pairs of rows, read an element a lane, meet no conflict either, for twice the
/// pitch is 8 or 24 of 32 banks. Of elements of 64 bits 16 bytes a lane are read along rows, which then lie 16 of 32 banks
/// apart, or `byColumns` an element a lane as of 32 bits. Columns in parts: whole panels a part.
SmemAttr operandLayout(mlir::MLIRContext *context, int64_t columns, mlir::Type element, int64_t parts = 1, bool byColumns = false);

} // namespace attn::tile
