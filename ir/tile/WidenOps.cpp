// See WidenOps.h. Constraints of the operations, by the labels of their descriptions.
#include "ir/tile/WidenOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/WidenOps.cpp.inc"

LogicalResult WidenOp::verify() {
  RingType ring = getRing().getType();
  BufferType source = getSource().getType();
  bool isTurned = ring.getElementType() == source.getElementType() && source.getRank() == 2 && ring.getShape().size() == 2;
  if (isTurned) { // (C3)
    if (ring.getShape()[0] > source.getShape()[1] || ring.getShape()[1] != source.getShape()[0] || ring.getShape()[1] % 32 != 0 || ring.getShape()[0] % 16 != 0)
      return emitOpError("expects entries whose rows are columns of the buffer, 16 of them at least and of a multiple of 32, but got ") << source << " and " << ring;
    return success();
  }
  if (ring.getShape() != source.getShape() || source.getRank() != 2) // (C1)
    return emitOpError("expects a buffer and entries of one shape with two dimensions, but got ") << source << " and " << ring;
  Type wide = ring.getElementType();
  if (!isa<Float8E4M3FNType, Float8E5M2Type>(source.getElementType()) || !(wide.isF16() || wide.isBF16())) // (C2)
    return emitOpError("expects 8-bit floats for f16 or bf16, but got ") << source << " and " << ring;
  return success();
}
