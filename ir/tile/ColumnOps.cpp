// See ColumnOps.h. Constraints of the operations, by the labels of their descriptions.
#include "ir/tile/ColumnOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace attn::tile;

#define GET_OP_CLASSES
#include "ir/tile/ColumnOps.cpp.inc"

LogicalResult ColumnsOp::verify() {
  TileTensorType whole = getTensor().getType(), part = getType();
  unsigned last = whole.getRank() - 1;
  std::optional<int64_t> length = whole.getStaticSize(last), columns = part.getRank() == whole.getRank() ? part.getStaticSize(last) : std::nullopt;
  bool areAlike = length && columns && whole.getElementType() == part.getElementType() &&
                  whole.getSizes().drop_back() == part.getSizes().drop_back();
  if (!areAlike) // (C1)
    return emitOpError("expects tensors whose last sizes alone differ, as numbers, but got ") << whole << " and " << part;
  int64_t first = getFirst();
  if (first % 8 != 0 || *columns % 8 != 0 || first + *columns > *length) // (C2)
    return emitOpError("expects multiples of 8 columns within the row, but got ") << *columns << " from " << first << " on of " << whole;
  return success();
}

LogicalResult StoreColumnsOp::verify() {
  FragType value = getValue().getType();
  TileTensorType tensor = getTensor().getType();
  if (value.getRank() != 2 || getIndices().size() + 1 != tensor.getRank() || value.getElementType() != tensor.getElementType()) // (C1)
    return emitOpError("expects a 2-D fragment and ") << tensor.getRank() - 1 << " indices of a tensor of its element type, but got "
                                                      << value << ", " << getIndices().size() << " and " << tensor;
  if (getDim() >= getIndices().size()) // (C2)
    return emitOpError("expects `along` below ") << getIndices().size() << ", but got " << getDim();
  std::optional<int64_t> length = tensor.getStaticSize(tensor.getRank() - 1);
  int64_t first = getFirst(), begin = getBegin(), columns = getCount();
  bool areWhole = first % 8 == 0 && begin % 8 == 0 && columns % 8 == 0 && columns > 0;
  if (!length || !areWhole || begin + columns > value.getColumns() || first + columns > *length) // (C3)
    return emitOpError("expects multiples of 8 columns within the fragment and rows of known length, but got ")
           << columns << " from " << begin << " on of " << value << " to " << first << " of " << tensor;
  return success();
}
