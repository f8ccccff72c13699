// See ScanOps.h. Constraints of the operations, by the labels of their descriptions.
#include "ir/tile/ScanOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/ScanOps.cpp.inc"

LogicalResult SuffixSumOp::verify() {
  FragType input = getInput().getType(), carry = getCarry().getType();
  if (input.getRank() != 2 || carry.getRank() != 1 || carry.getRows() != input.getRows())
    return emitOpError("expects 2-D numbers and a carry a row of theirs, but got ") << input << " and " << carry;
  Type element = input.getElementType();
  if (!(element.isF32() || element.isF64()) || carry.getElementType() != element)
    return emitOpError("expects f32 elements, or f64, but got ") << input << " and " << carry;
  return success();
}
