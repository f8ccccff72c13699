// See BlockPoints.h.
#include "passes/convert/BlockPoints.h"

#include "passes/IndexUses.h"
#include "passes/convert/ClippedLookups.h"
#include "passes/convert/KeyTail.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace attn {

/// Whether the element's key counts: the mask, and that there is such a key.
Value BlockPoints::visibility(ElementScope &element, tile::MapOp map) {
  Value visible = mask ? element.scalar(mask) : Value();
  if (mask && (!visible || impliesKeyExists(mask)))
    return visible;
  OpBuilder before(map);
  Value left = arith::SubIOp::create(before, location, keys, firstKey);
  Value exists = arith::CmpIOp::create(element.body(), location, arith::CmpIPredicate::slt, element.column(), left);
  return visible ? arith::AndIOp::create(element.body(), location, visible, exists).getResult() : exists;
}

static bool isShared(arith::DivFOp division) {
  return bitEnumContainsAll(division.getFastmath(), arith::FastMathFlags::reassoc | arith::FastMathFlags::arcp);
}

/// Whether points of a row share reciprocals: what a key holds then reaches others.
static bool sharesReciprocals(Value root) {
  return findBehind(root, [](Value behind) {
    Operation *op = behind.getDefiningOp();
    if (auto division = dyn_cast_or_null<arith::DivFOp>(op); division && isShared(division))
      return WalkBehind::Found;
    return op && isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) ? WalkBehind::Descend : WalkBehind::Skip;
  });
}

/// Denominators of keys that do not count become numbers: what they hold may be none.
static void separate(Block &body, Value visible, Value zero) {
  body.walk([&](arith::DivFOp division) {
    auto sum = division.getRhs().getDefiningOp<arith::AddFOp>();
    auto power = sum ? sum.getLhs().getDefiningOp<math::Exp2Op>() : math::Exp2Op();
    if (!power || !isShared(division))
      return;
    OpBuilder before(power);
    power.getOperandMutable().assign(arith::SelectOp::create(before, power.getLoc(), visible, power.getOperand(), zero));
  });
}

/// With `hidden` a map that looks at the mask, of which the comparisons `implied` are known to hold; else one that does not.
Value BlockPoints::write(Value root, const FragmentMap &fragments, std::optional<float> hidden, ArrayRef<Value> implied) {
  if (auto known = fragments.find(root); !hidden && known != fragments.end())
    return known->second.value;
  Frame frame{rows, columns, ir::IndexKind::q_idx, firstRow, firstKey};
  tile::MapOp map = openMap(builder, location, frame.matrixType(scope.realType()));
  ElementScope element(scope, frame, fragments, map);
  for (Value comparison : implied)
    element.assume(comparison);
  Value visible = hidden ? visibility(element, map) : Value();
  if (hidden && !visible)
    return {};
  element.setCounting(visible);
  if (lookups)
    element.setLookups(*lookups);
  Value x = element.scalar(root);
  if (!x)
    return {};
  if (visible && sharesReciprocals(root) && !fragments.contains(root))
    separate(map.getBody().front(), visible, scope.real(0.0f));
  if (visible)
    x = arith::SelectOp::create(element.body(), location, visible, x, scope.real(*hidden));
  closeRegion(element, location, x);
  return map;
}

Value BlockPoints::everywhere(Value root, const FragmentMap &fragments) {
  auto offset = [&](Value first, int64_t count) {
    return arith::AddIOp::create(builder, location, first, scope.constant(static_cast<int32_t>(count - 1))).getResult();
  };
  if (!lookups || lookups->empty() || scope.isChecked() || fragments.contains(root))
    return write(root, fragments, std::nullopt);
  BlockCorners corners{firstRow, offset(firstRow, rows / scope.packedHeads()), firstKey, offset(firstKey, columns)};
  ClippedLookups clipped(scope, builder, corners);
  if (!clipped.find(root, fragments, *lookups))
    return write(root, fragments, std::nullopt);
  Value isClipped = clipped.holds();
  if (!isClipped)
    return {};
  auto type = tile::FragType::get(builder.getContext(), {rows, columns}, scope.realType(), {});
  auto branch = scf::IfOp::create(builder, location, type, isClipped, /*withElse=*/true);
  for (bool isSame : {true, false}) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(isSame ? branch.thenBlock() : branch.elseBlock());
    Value points = write(root, isSame ? clipped.withRows(fragments, rows) : fragments, std::nullopt);
    if (!points)
      return {};
    scf::YieldOp::create(builder, location, points);
  }
  return branch.getResult(0);
}

Value BlockPoints::checked(Value numbers, ArrayRef<ir::LoadOp> reads) {
  if (!scope.isChecked() || reads.empty())
    return numbers;
  auto type = cast<tile::FragType>(numbers.getType());
  auto map = tile::MapOp::create(builder, location, type, ValueRange{numbers});
  Value number = map.getBody().emplaceBlock().addArgument(type.getElementType(), location);
  Frame frame{rows, columns, ir::IndexKind::q_idx, firstRow, firstKey};
  FragmentMap none;
  ElementScope element(scope, frame, none, map);
  Value visible = visibility(element, map);
  if (!visible)
    return {};
  element.setCounting(visible);
  for (ir::LoadOp read : reads)
    if (failed(element.check(read)))
      return {};
  closeRegion(element, location, number);
  return map;
}

/// The numbers of `root`, which are known, with those that the mask hides changed: by comparisons of one side where those of the
/// other hold for the whole block.
Value BlockPoints::writeBySide(Value root, const FragmentMap &fragments, float hidden) {
  auto type = cast<tile::FragType>(fragments.lookup(root).value.getType());
  OpBuilder::InsertionGuard guard(builder);
  Value result;
  for (auto side : {MaskSides::Below, MaskSides::Above}) {
    auto branch = scf::IfOp::create(builder, location, type, sides->hold(builder, side, block), /*withElse=*/true);
    if (result)
      scf::YieldOp::create(builder, location, branch.getResult(0));
    else
      result = branch.getResult(0);
    builder.setInsertionPointToEnd(branch.thenBlock());
    Value some = write(root, fragments, hidden, sides->comparisons(side));
    if (!some)
      return {};
    scf::YieldOp::create(builder, location, some);
    builder.setInsertionPointToEnd(branch.elseBlock());
  }
  Value all = write(root, fragments, hidden);
  if (!all)
    return {};
  scf::YieldOp::create(builder, location, all);
  return result;
}

Value BlockPoints::visibleOnly(Value root, FragmentMap fragments, float hidden) {
  if (!isFull)
    return write(root, fragments, hidden);
  if (!scope.isChecked() && !sharesReciprocals(root)) {
    Value all = everywhere(root, fragments);
    if (!all)
      return {};
    fragments[root] = {all, 0};
  }
  auto type = tile::FragType::get(builder.getContext(), {rows, columns}, scope.realType(), {});
  auto branch = scf::IfOp::create(builder, location, type, isFull, /*withElse=*/true);
  for (bool masked : {false, true}) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(masked ? branch.elseBlock() : branch.thenBlock());
    bool bySide = sides && sides->areKnown() && fragments.contains(root);
    Value some = !masked ? everywhere(root, fragments) : bySide ? writeBySide(root, fragments, hidden) : write(root, fragments, hidden);
    if (!some)
      return {};
    scf::YieldOp::create(builder, location, some);
  }
  return branch.getResult(0);
}

} // namespace attn
