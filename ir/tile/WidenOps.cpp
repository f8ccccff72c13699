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
  if (ring.getShape() != source.getShape() || source.getRank() != 2) // (C1)
    return emitOpError("expects a buffer and entries of one shape with two dimensions, but got ") << source << " and " << ring;
  Type wide = ring.getElementType();
  if (!isa<Float8E4M3FNType, Float8E5M2Type>(source.getElementType()) || !(wide.isF16() || wide.isBF16())) // (C2)
    return emitOpError("expects 8-bit floats for f16 or bf16, but got ") << source << " and " << ring;
  return success();
}
