// See HiddenValues.h.
#include "passes/convert/HiddenValues.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;

namespace attn {

Value HiddenValues::none() const { return scope.constant(std::numeric_limits<int32_t>::max()); }

std::pair<Value, Value> HiddenValues::keepFinite(OpBuilder &builder, Value values, Value firstKey, Value isFull, Value from) const {
  Location location = values.getLoc();
  // Of a tensor without rows nothing has been copied.
  Value looks = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, firstKey, keys);
  if (isFull) {
    Value yes = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
    Value partial = arith::XOrIOp::create(builder, location, isFull, yes);
    looks = arith::AndIOp::create(builder, location, partial, looks);
  }
  auto keep = tile::KeepFiniteOp::create(builder, location, values.getType(), builder.getI1Type(), values, looks, Value());
  Value first = arith::MinSIOp::create(builder, location, from, firstKey);
  return {keep.getResult(), arith::SelectOp::create(builder, location, keep.getFound(), first, from)};
}

/// 1 in the rows that see `key`, else 0.
Value HiddenValues::seenBy(OpBuilder &builder, Value key) const {
  Frame frame{rows, 0, ir::IndexKind::q_idx, firstRow, {}, key};
  FragmentMap none;
  tile::MapOp map = openMap(builder, mask.getLoc(), frame.rowType(builder.getF32Type()));
  ElementScope element(scope, frame, none, map);
  Value visible = element.scalar(mask);
  if (!visible)
    return {};
  Value number = arith::SelectOp::create(element.body(), mask.getLoc(), visible, scope.real(1.0f), scope.real(0.0f));
  closeRegion(element, mask.getLoc(), number);
  return map;
}

Value HiddenValues::addRow(OpBuilder &builder, Value sums, Value seen, Value key) const {
  Location location = sums.getLoc();
  auto type = cast<tile::FragType>(sums.getType());
  int64_t channels = *cast<tile::TileTensorType>(tensor.getType()).getStaticSize(3);
  auto map = tile::MapOp::create(builder, location, type, ValueRange{sums, seen});
  Block *block = &map.getBody().emplaceBlock();
  Value sum = block->addArgument(builder.getF32Type(), location), sees = block->addArgument(builder.getF32Type(), location);
  OpBuilder body = OpBuilder::atBlockEnd(block);
  Value column = tile::ColOp::create(body, location, body.getI32Type());
  Value counts = arith::CmpFOp::create(body, location, arith::CmpFPredicate::OGT, sees, scope.real(0.0f));
  if (channels < type.getColumns()) {
    Value inside = arith::CmpIOp::create(body, location, arith::CmpIPredicate::slt, column, scope.constant(static_cast<int32_t>(channels)));
    counts = arith::AndIOp::create(body, location, counts, inside);
  }
  SmallVector<Value> place{scope.index(ir::IndexKind::b), key, head, column};
  Value value = tile::ParamOp::create(body, location, body.getF32Type(), tensor, place, counts);
  Value size = math::AbsFOp::create(body, location, value);
  Value isFinite = arith::CmpFOp::create(body, location, arith::CmpFPredicate::OLT, size, scope.real(std::numeric_limits<float>::infinity()));
  Value total = arith::AddFOp::create(body, location, sum, value);
  tile::YieldOp::create(body, location, arith::SelectOp::create(body, location, isFinite, sum, total).getResult());
  return map;
}

Value HiddenValues::restore(OpBuilder &builder, Value sums, Value from) const {
  Location location = sums.getLoc();
  OpBuilder::InsertionGuard guard(builder);
  Value last = arith::MinSIOp::create(builder, location, end, keys);
  auto loop = scf::ForOp::create(builder, location, from, last, scope.constant(1), ValueRange{sums});
  builder.setInsertionPointToEnd(loop.getBody());
  Value key = loop.getInductionVar(), seen = seenBy(builder, key);
  if (!seen)
    return {};
  scf::YieldOp::create(builder, location, addRow(builder, loop.getRegionIterArg(0), seen, key));
  return loop.getResult(0);
}

} // namespace attn
