// See HiddenValues.h.
#include "passes/convert/HiddenValues.h"

#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;

namespace attn {

Value HiddenValues::none() const { return scope.constant(std::numeric_limits<int32_t>::max()); }

std::pair<Value, Value> HiddenValues::keepFinite(OpBuilder &builder, Value values, Value firstKey, Value isFull, Value from, bool clearsUnseen) const {
  Location location = values.getLoc();
  // Of a tensor without rows nothing has been copied.
  Value looks = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, firstKey, keys);
  if (isFull) {
    Value yes = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
    Value partial = arith::XOrIOp::create(builder, location, isFull, yes);
    looks = arith::AndIOp::create(builder, location, partial, looks);
  }
  Value seen;
  if (clearsUnseen) { // rows beyond the tensor are 0 already, if it has any
    Value some = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::sgt, keys, scope.constant(0));
    Value left = arith::SubIOp::create(builder, location, end, firstKey);
    seen = left;
    if (!scope.rows().isInSequence()) { // there rows beyond the keys are others'
      Value hides = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, end, keys);
      seen = arith::SelectOp::create(builder, location, hides, left, none());
    }
    seen = arith::SelectOp::create(builder, location, some, seen, scope.constant(0));
  }
  auto keep = tile::KeepFiniteOp::create(builder, location, values.getType(), builder.getI1Type(), values, looks, seen);
  Value first = arith::MinSIOp::create(builder, location, from, firstKey);
  return {keep.getResult(), arith::SelectOp::create(builder, location, keep.getFound(), first, from)};
}

/// 1 in the rows that see `key`, else 0.
Value HiddenValues::seenBy(OpBuilder &builder, Value key) const {
  Frame frame{rows, 0, ir::IndexKind::q_idx, firstRow, {}, key};
  if (!mask)
    return tile::SplatOp::create(builder, key.getLoc(), frame.rowType(scope.realType()), llvm::APFloat(1.0f));
  FragmentMap none;
  tile::MapOp map = openMap(builder, mask.getLoc(), frame.rowType(scope.realType()));
  ElementScope element(scope, frame, none, map);
  Value visible = element.scalar(mask);
  if (!visible)
    return {};
  Value number = arith::SelectOp::create(element.body(), mask.getLoc(), visible, scope.real(1.0f), scope.real(0.0f));
  closeRegion(element, mask.getLoc(), number);
  return map;
}

/// The number that key `key` has in a channel, rounded as operands are; 0 where `exists`, if given, does not hold. The same for
/// all rows: it is read once.
Value HiddenValues::element(ElementScope &place, Value key, Value exists) const {
  OpBuilder &body = place.body();
  Location location = key.getLoc();
  if (row) {
    Value number = place.element(row, -firstChannel);
    if (!number)
      return {};
    if (rowElement.getIntOrFloatBitWidth() < 32) {
      Value rounded = arith::TruncFOp::create(body, location, rowElement, number);
      number = arith::ExtFOp::create(body, location, body.getF32Type(), rounded, arith::FastMathFlagsAttr());
    }
    return exists ? arith::SelectOp::create(body, location, exists, number, scope.real(0.0f)).getResult() : number;
  }
  return scope.rows().element(body, location, tensor, ir::IndexKind::kv_idx, key, head, place.column(), exists);
}

Value HiddenValues::addRow(OpBuilder &builder, Value sums, Value seen, Value key) const {
  Location location = sums.getLoc();
  auto type = cast<tile::FragType>(sums.getType());
  auto stored = cast<tile::TileTensorType>(tensor.getType());
  int64_t channels = row ? cast<VectorType>(row.getType()).getNumElements() - firstChannel : *stored.getStaticSize(stored.getRank() - 1);
  auto map = tile::MapOp::create(builder, location, type, ValueRange{sums, seen});
  Block *block = &map.getBody().emplaceBlock();
  Value sum = block->addArgument(scope.realType(), location), sees = block->addArgument(scope.realType(), location);
  Frame frame{rows, type.getColumns(), ir::IndexKind::q_idx, firstRow, {}, key};
  FragmentMap none;
  ElementScope place(scope, frame, none, map);
  OpBuilder &body = place.body();
  Value exists;
  if (channels < type.getColumns())
    exists = arith::CmpIOp::create(body, location, arith::CmpIPredicate::slt, place.column(), scope.constant(static_cast<int32_t>(channels)));
  Value value = element(place, key, exists);
  if (!value)
    return {};
  Value size = math::AbsFOp::create(body, location, value);
  Value isNotFinite = arith::CmpFOp::create(body, location, arith::CmpFPredicate::UGE, size, scope.real(std::numeric_limits<float>::infinity()));
  Value counts = arith::CmpFOp::create(body, location, arith::CmpFPredicate::OGT, sees, scope.real(0.0f));
  counts = arith::AndIOp::create(body, location, counts, isNotFinite);
  Value total = weightsArePositive ? arith::AddFOp::create(body, location, sum, value).getResult()
                                   : scope.real(std::numeric_limits<float>::quiet_NaN());
  tile::YieldOp::create(body, location, arith::SelectOp::create(body, location, counts, total, sum).getResult());
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
  Value added = addRow(builder, loop.getRegionIterArg(0), seen, key);
  if (!added)
    return {};
  scf::YieldOp::create(builder, location, added);
  return loop.getResult(0);
}

} // namespace attn
