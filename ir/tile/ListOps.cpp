// See ListOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/ListOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/ListOps.cpp.inc"

LogicalResult ListMarkedOp::verify() {
  TileTensorType marks = getMarks().getType(), list = getList().getType();
  size_t rank = getPlace().size() + 1;
  if (!marks.getElementType().isF32() || !list.getElementType().isInteger(32) || marks.getRank() != rank || list.getRank() != rank) // (C1)
    return emitOpError("expects f32 marks and an i32 list of rank ") << rank << ", but got " << marks << " and " << list;
  auto kernel = (*this)->getParentOfType<func::FuncOp>();
  auto warps = kernel ? kernel->getAttrOfType<IntegerAttr>(kWarpsAttr) : IntegerAttr();
  if (warps && warps.getInt() != 1) // (C2)
    return emitOpError("expects a kernel of one warp, but it has ") << warps.getInt();
  return success();
}
