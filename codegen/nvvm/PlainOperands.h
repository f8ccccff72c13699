// What products whose operands lie plain in shared memory, without a swizzle, ask of them: those of f32 and of f64.
#pragma once

#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"

namespace attn::codegen {

/// Whether the right operand is a buffer of elements that `isOwn` takes: the pattern's own products, no others'.
template <typename Predicate> bool multipliesBuffersOf(tile::DotOp op, Predicate isOwn) {
  auto right = mlir::dyn_cast<tile::BufferType>(op.getRhs().getType());
  return right && isOwn(right.getElementType());
}

/// Refuses operands in buffers that are not plain, and a left one in registers that is not in layout `lhs`.
inline llvm::LogicalResult verifyPlainOperands(tile::DotOp op) {
  auto left = mlir::dyn_cast<tile::FragType>(op.getLhs().getType());
  auto right = mlir::cast<tile::BufferType>(op.getRhs().getType());
  bool isPlaced = left ? mlir::isa<tile::LhsAttr>(left.getLayout())
                       : mlir::cast<tile::BufferType>(op.getLhs().getType()).getSmem().getSwizzle() == 0;
  if (isPlaced && right.getSmem().getSwizzle() == 0)
    return mlir::success();
  return op.emitOpError("expects ") << right.getElementType() << " operands in plain buffers, the left one also in layout `lhs`";
}

} // namespace attn::codegen
