// See PartOps.h. Constraints of the operation, by the labels of its description.
#include "ir/tile/PartOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/PartOps.cpp.inc"

LogicalResult AddPartsOp::verify() {
  FragType input = getInput().getType(), result = getResult().getType();
  auto from = dyn_cast_or_null<AccAttr>(input.getLayout()), to = dyn_cast_or_null<AccAttr>(result.getLayout());
  bool areFloats = input.getElementType().isF32() && result.getElementType().isF32();
  bool isCut = from && to && from.getParts() == 2 && to.getParts() == 1 && to.getWarps() * 2 == from.getWarps();
  if (!areFloats || !isCut || input.getRank() != 2 || result.getRank() != 2 || input.getRows() != result.getRows() ||
      input.getColumns() != 2 * result.getColumns()) // (C1)
    return emitOpError("expects f32 in layout `acc` of two parts and a result of half the columns and half the warps, but got ")
           << input << " and " << result;
  BufferType scratch = getScratch().getType();
  int64_t half = result.getRows() * result.getColumns() / 2;
  if (scratch.getShape() != ArrayRef<int64_t>{2, half} || !scratch.getElementType().isF32() || scratch.getSmem().getSwizzle() != 0) // (C2)
    return emitOpError("expects a plain scratch of 2x") << half << "xf32, but got " << scratch;
  return success();
}
