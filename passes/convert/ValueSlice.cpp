// See ValueSlice.h.
#include "passes/convert/ValueSlice.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/ColumnOps.h"
#include "passes/WideRows.h"

using namespace mlir;

namespace attn {

SmallVector<ValueSlice> valueSlices(ir::OnlineAttentionOp op, const ir::Schedule &schedule) {
  Type real = ir::computeType(op);
  int64_t length = op.getValueRowLength(), most = channelsOfSlice(real);
  SmallVector<ValueSlice> slices;
  if (schedule.parts > 1 || !areWide(op.getHeadDim(), length, real))
    return slices;
  for (int64_t first = 0; first < length; first += most)
    slices.push_back({first, std::min(most, length - first)});
  return slices;
}

Value columnsOf(OpBuilder &entry, Value tensor, ValueSlice slice) {
  auto type = cast<tile::TileTensorType>(tensor.getType());
  if (type.getStaticSize(type.getRank() - 1) == slice.channels)
    return tensor;
  SmallVector<Attribute> sizes(type.getSizes());
  sizes.back() = ir::sizeAttr(entry.getContext(), SizeExpr::number(slice.channels));
  auto part = tile::TileTensorType::get(entry.getContext(), sizes, type.getElementType(), type.getAscending());
  return tile::ColumnsOp::create(entry, tensor.getLoc(), part, tensor, entry.getI32IntegerAttr(static_cast<int32_t>(slice.first)));
}

std::optional<ValueSlice> copiedSlice(Value vector, Value row, Type element) {
  constexpr int64_t kChunkBits = 128;
  int64_t length = cast<VectorType>(vector.getType()).getNumElements();
  if (vector == row)
    return ValueSlice{0, length};
  auto slice = vector.getDefiningOp<vector::ExtractStridedSliceOp>();
  if (!slice || slice->getOperand(0) != row)
    return std::nullopt;
  int64_t first = cast<IntegerAttr>(slice.getOffsets()[0]).getInt(), bits = element.getIntOrFloatBitWidth();
  bool inChunks = first % 8 == 0 && length % 8 == 0 && first * bits % kChunkBits == 0 && length * bits % kChunkBits == 0;
  return inChunks ? std::optional(ValueSlice{first, length}) : std::nullopt;
}

} // namespace attn
