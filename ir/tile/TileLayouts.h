// Arithmetic of layouts that passes and lowering share: sizes, and which layout an operand gets.
#pragma once

#include "ir/tile/TileDialect.h"

#include <cstdint>

namespace attn::tile {

/// Alignment of every swizzled buffer, in bytes: the period of TMA's 128-byte swizzle.
inline constexpr int64_t kSwizzleAlignment = 1024;

/// The number of warps a fragment layout spreads over; 0 for other attributes.
unsigned warpsOf(mlir::Attribute layout);

/// 32-bit registers a thread needs for a fragment with a layout.
int64_t registersPerThread(FragType type);

/// Elements between two rows of a panel: `pitch`, or the columns of a plain buffer without one, or a panel's width.
int64_t rowPitch(llvm::ArrayRef<int64_t> shape, mlir::Type element, SmemAttr layout);

/// Bytes of one buffer, panels and pitch included.
int64_t bufferBytes(llvm::ArrayRef<int64_t> shape, mlir::Type element, SmemAttr layout);
inline int64_t bufferBytes(BufferType type) { return bufferBytes(type.getShape(), type.getElementType(), type.getSmem()); }

/// Alignment of a buffer's first byte.
int64_t bufferAlignment(SmemAttr layout);

/// Byte offset of element (row, column) from the buffer's first byte; the definition of the swizzle, for tests and
/// constant addresses.
int64_t byteOffset(BufferType type, int64_t row, int64_t column);

/// The layout of a matrix operand with this many columns: the widest swizzle that fits, or plain rows whose pitch
/// is an odd number of 16-byte chunks, which `ldmatrix` reads without conflicts as well.
SmemAttr operandLayout(mlir::MLIRContext *context, int64_t columns, mlir::Type element);

} // namespace attn::tile
