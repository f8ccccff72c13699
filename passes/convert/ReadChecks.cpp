// See ReadChecks.h. Operands of `and` and `or` stand in the order of the language, left first; the right one counts where
// the left one has not settled the result.
#include "passes/convert/ReadChecks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;

namespace attn {

Value ReadChecks::negate(Value condition) {
  OpBuilder &body = element.body();
  Value yes = arith::ConstantOp::create(body, condition.getLoc(), body.getBoolAttr(true));
  return arith::XOrIOp::create(body, condition.getLoc(), condition, yes);
}

ReadChecks::Condition ReadChecks::both(Condition a, Condition b) {
  if (a.never || b.never)
    return {true, {}};
  if (!a.value || !b.value)
    return a.value ? a : b;
  return {false, arith::AndIOp::create(element.body(), a.value.getLoc(), a.value, b.value)};
}

ReadChecks::Condition ReadChecks::either(Condition a, Condition b) {
  if (a.never || b.never)
    return a.never ? b : a;
  if (!a.value || !b.value)
    return {};
  return {false, arith::OrIOp::create(element.body(), a.value.getLoc(), a.value, b.value)};
}

/// When the user of a value lets it through.
ReadChecks::Condition ReadChecks::demandBy(OpOperand &use) {
  Operation *user = use.getOwner();
  unsigned position = use.getOperandNumber();
  if (user->hasTrait<OpTrait::IsTerminator>() || user->getNumResults() != 1)
    return {};
  Condition outer = demandOf(user->getResult(0));
  auto scalarCondition = [&](Value condition) { return condition.getType().isInteger(1) ? element.scalar(condition) : Value(); };
  if (isa<arith::SelectOp>(user) && position > 0)
    if (Value condition = scalarCondition(user->getOperand(0)))
      return both(outer, {false, position == 1 ? condition : negate(condition)});
  if (isa<arith::AndIOp, arith::OrIOp>(user) && position == 1)
    if (Value left = scalarCondition(user->getOperand(0)))
      return both(outer, {false, isa<arith::AndIOp>(user) ? left : negate(left)});
  return outer;
}

ReadChecks::Condition ReadChecks::demandOf(Value value) {
  if (auto known = demands.find(value); known != demands.end())
    return known->second;
  Condition demand{true, {}};
  for (OpOperand &use : value.getUses())
    demand = either(demand, demandBy(use));
  return demands[value] = demand;
}

void ReadChecks::check(ir::LoadOp load, ValueRange places) {
  if (!kernel.isChecked() || !checked.insert(load).second)
    return;
  Value holds = kernel.readHolds(element.body(), load, places);
  if (!holds)
    return;
  Condition demand = both({false, element.exists()}, both({false, counting}, demandOf(load)));
  if (demand.never)
    return;
  OpBuilder &body = element.body();
  if (demand.value)
    holds = arith::OrIOp::create(body, load.getLoc(), holds, negate(demand.value));
  cf::AssertOp::create(body, load.getLoc(), holds, "an index is out of range");
}

void ReadChecks::checkShared(Value value) {
  Operation *op = value.getDefiningOp();
  if (!kernel.isChecked() || !op || isa<func::FuncOp>(op->getParentOp()) || !shared.insert(op).second)
    return;
  for (Value operand : op->getOperands())
    checkShared(operand);
  auto load = dyn_cast<ir::LoadOp>(op);
  if (!load)
    return;
  SmallVector<Value> places;
  for (Value index : load.getIndices())
    if (!places.emplace_back(kernel.uniform(index)))
      return;
  check(load, places);
}

} // namespace attn
