// See RandomOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/RandomOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/RandomOps.cpp.inc"

LogicalResult RandomOp::verify() {
  auto map = (*this)->getParentOfType<MapOp>();
  if (map && map.getType().getRank() == 2 && map.getType().getColumns() % 16 == 0) // (C1)
    return success();
  return emitOpError("expects to be in the region of a `tile.map` with a 2-D result of a multiple of 16 columns");
}
