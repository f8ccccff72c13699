// See TransposeOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/TransposeOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/TransposeOps.cpp.inc"

LogicalResult TransposeOp::verify() {
  FragType input = getInput().getType(), result = getResult().getType();
  if (input.getRank() == 2 && result.getRank() == 2 && input.getRows() == result.getColumns() &&
      input.getColumns() == result.getRows() && input.getElementType() == result.getElementType()) // (C1)
    return success();
  return emitOpError("expects a 2-D fragment and its columns as rows, but got ") << input << " and " << result;
}
