// See SinkRow.h. A sink is a key that all rows of the head have seen before the first block: (sink, 1, 0), or where weights are
// taken above a constant c for all rows (c, 2^(sink - c), 0).
#include "passes/convert/SinkRow.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace attn {

static Value constantOf(OpBuilder &builder, Location location, Type real, double value) {
  return arith::ConstantOp::create(builder, location, builder.getFloatAttr(real, value));
}

/// A number of the sink's logit a row, which of several shares of keys only the first one has.
Value SinkRow::ofSink(function_ref<Value(OpBuilder &, Value)> change, double otherwise) {
  Location location = op.getLoc();
  Frame frame{rows, 0, ir::IndexKind::q_idx, firstRow, {}};
  FragmentMap none;
  tile::MapOp map = openMap(builder, location, frame.rowType(scope.realType()));
  ElementScope element(scope, frame, none, map);
  Value sink = element.scalar(ir::yieldedBy(op.getInit())[0]);
  if (!sink)
    return {};
  Value number = change(element.body(), sink);
  if (split)
    number = split->inFirst(element.body(), number, constantOf(element.body(), location, scope.realType(), otherwise));
  closeRegion(element, location, number);
  return map;
}

Value SinkRow::startOfRowMax(Value scale, Value shift, Value none) {
  Location location = op.getLoc();
  if (above)
    return tile::SplatOp::create(scope.entry, location, cast<tile::FragType>(none.getType()), llvm::APFloat(static_cast<float>(*above)));
  if (op.getInit().empty())
    return none;
  auto inUnitsOfX = [&](OpBuilder &inner, Value sink) -> Value {
    sink = arith::DivFOp::create(inner, location, sink, scale);
    return shift ? arith::SubFOp::create(inner, location, sink, shift).getResult() : sink;
  };
  return ofSink(inUnitsOfX, -std::numeric_limits<double>::infinity());
}

Value SinkRow::startOfRowSum(float probsOffset) {
  Location location = op.getLoc();
  Type real = scope.realType();
  if (above)
    return ofSink([&](OpBuilder &inner, Value sink) -> Value {
      Value exponent = arith::SubFOp::create(inner, location, sink, constantOf(inner, location, real, *above));
      return math::Exp2Op::create(inner, location, exponent);
    }, 0.0);
  auto type = tile::FragType::get(builder.getContext(), {rows}, real, {});
  if (!split)
    return tile::SplatOp::create(builder, location, type, llvm::APFloat(std::exp2(probsOffset)));
  auto map = tile::MapOp::create(builder, location, type, ValueRange());
  OpBuilder inner = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
  Value own = constantOf(inner, location, real, std::exp2(probsOffset)), zero = constantOf(inner, location, real, 0.0);
  tile::YieldOp::create(inner, location, split->inFirst(inner, own, zero));
  return map;
}

} // namespace attn
