// See WorkOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/WorkOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/WorkOps.cpp.inc"

LogicalResult SkipWorkOp::verify() {
  auto work = dyn_cast<ForeachWorkOp>((*this)->getParentOp());
  if (work && llvm::hasSingleElement(work.getBody().front().getOps<SkipWorkOp>())) // (C1)
    return success();
  return emitOpError("expects to stand in the body of a `tile.foreach_work`, once");
}
