// See RowOutputs.h.
#include "passes/convert/RowOutputs.h"

#include "passes/convert/RowPlaces.h"
#include "passes/convert/RowRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

using namespace mlir;

namespace attn {

/// Region `out` on the weighted sums.
Value RowOutputs::outRow(OpBuilder &builder, Value fragment) {
  Region &region = finalize.getOut();
  if (region.empty())
    return fragment;
  Value vector = ir::yieldedBy(region)[0], argument = region.getArgument(0);
  if (vector.getType() != argument.getType()) {
    finalize.emitOpError("changes the length of rows in region `out`, which is not supported yet");
    return {};
  }
  RowRegion rows(scope, frame, builder, argument, fragment, nullptr);
  return firstChannel > 0 ? rows.rowFrom(vector, firstChannel) : rows.row(vector);
}

Value RowOutputs::maxScore(OpBuilder &builder, const RowState &state) {
  Location location = finalize.getLoc();
  auto type = cast<tile::FragType>(state.rowMax.getType());
  auto map = tile::MapOp::create(builder, location, type, ValueRange{state.rowMax});
  Block *body = &map.getBody().emplaceBlock();
  body->addArgument(type.getElementType(), location);
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  Value log2 = arith::MulFOp::create(inner, location, body->getArgument(0), state.scale);
  Value ln2 = arith::ConstantOp::create(inner, location, inner.getFloatAttr(type.getElementType(), std::numbers::ln2));
  tile::YieldOp::create(inner, location, arith::MulFOp::create(inner, location, log2, ln2).getResult());
  return map;
}

LogicalResult RowOutputs::write(OpBuilder &builder, const RowState &state, ChangeEnd changeEnd) {
  Location location = finalize.getLoc();
  Type rows = state.rowMax.getType();
  RowPlaces &places = scope.rows();
  Value head = scope.index(ir::IndexKind::h);
  int64_t heads = scope.packedHeads();
  auto pack = heads > 1 ? builder.getI32IntegerAttr(static_cast<int32_t>(heads)) : IntegerAttr();
  auto store = [&](Value fragment, Value tensor, RowAddress at) {
    Type element = cast<tile::TileTensorType>(tensor.getType()).getElementType();
    auto type = cast<tile::FragType>(fragment.getType());
    if (type.getElementType() != element)
      fragment = tile::ConvertOp::create(builder, location, type.withElementType(element), fragment);
    if (changeEnd)
      at.limit = changeEnd(at.limit ? at.limit : places.length(ir::IndexKind::q_idx, location));
    tile::StoreOp::create(builder, location, fragment, tensor, at.indices, builder.getI32IntegerAttr(at.dim), at.limit, pack, StringAttr());
  };
  auto finish = tile::FinishOp::create(builder, location, rows, rows, state.rowMax, state.rowSum, state.scale);
  if (Value out = tensors.lookup("out")) {
    Value sums = state.sums;
    if (!finalize.getUndivided())
      sums = tile::ScaleOp::create(builder, location, sums.getType(), sums, finish.getInverse());
    Value result = outRow(builder, sums);
    if (!result)
      return failure();
    store(result, out, places.queryRows(frame.rowBase, head, /*isStored=*/true));
  }
  if (Value lse = tensors.lookup("lse"))
    store(finish.getLse(), lse, places.rowNumbers(frame.rowBase, head));
  if (Value tensor = tensors.lookup("max_score"))
    store(maxScore(builder, state), tensor, places.rowNumbers(frame.rowBase, head));
  return success();
}

} // namespace attn
