// See WeightFacts.h.
#include "passes/convert/WeightFacts.h"

#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

bool isSurelyPositive(Value value) {
  return !findBehind(value, [](Value behind) { // what may be none
    APFloat number(0.0f);
    if (matchPattern(behind, m_ConstantFloat(&number)))
      return !number.isNegative() && !number.isZero() && !number.isNaN() ? WalkBehind::Skip : WalkBehind::Found;
    Operation *op = behind.getDefiningOp();
    if (behind.getType().isInteger(1) || isa_and_present<math::ExpOp, math::Exp2Op>(op)) // the condition of a choice
      return WalkBehind::Skip;
    bool keeps = isa_and_present<arith::SelectOp, arith::AddFOp, arith::MulFOp, arith::DivFOp, arith::MinimumFOp, arith::MaximumFOp>(op);
    return keeps ? WalkBehind::Descend : WalkBehind::Found;
  });
}

static bool isFiniteConstant(Value value) {
  APFloat number(0.0f);
  return matchPattern(value, m_ConstantFloat(&number)) && number.isFinite();
}

bool keepsZero(Value product, Value weight) {
  if (product == weight || matchPattern(product, m_AnyZeroFloat()))
    return true;
  Operation *op = product.getDefiningOp();
  if (!op)
    return false;
  if (isa<arith::SelectOp>(op))
    return keepsZero(op->getOperand(1), weight) && keepsZero(op->getOperand(2), weight);
  if (isa<arith::MulFOp>(op))
    return (keepsZero(op->getOperand(0), weight) && isFiniteConstant(op->getOperand(1))) ||
           (keepsZero(op->getOperand(1), weight) && isFiniteConstant(op->getOperand(0)));
  if (isa<arith::DivFOp>(op))
    return keepsZero(op->getOperand(0), weight) && isFiniteConstant(op->getOperand(1)) && !matchPattern(op->getOperand(1), m_AnyZeroFloat());
  return isa<arith::NegFOp>(op) && keepsZero(op->getOperand(0), weight);
}

} // namespace attn
