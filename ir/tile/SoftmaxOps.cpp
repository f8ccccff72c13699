// See SoftmaxOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/SoftmaxOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/SoftmaxOps.cpp.inc"

LogicalResult BoundedSoftmaxStepOp::verify() {
  FragType scores = getScores().getType(), sums = getRowSum().getType();
  Type element = scores.getElementType();
  bool areRows = scores.getRank() == 2 && sums.getRank() == 1 && sums.getRows() == scores.getRows();
  bool areAlike = (element.isF32() || element.isF64()) && sums.getElementType() == element && getScale().getType() == element;
  if (areRows && areAlike) // (C1)
    return success();
  return emitOpError("expects scores of f32 or f64, a sum a row and a scale of the same type, but got ")
         << scores << ", " << sums << " and " << getScale().getType();
}
