// See LogisticScores.h. The error of a summand of the score is an error of an exponent, and counts absolutely. So
//
//   tanh x  =  1 + 2r,    r = -1/(1 + 2^(x · 2 log2 e))
//
// which loses the relative accuracy that `tanh` has near 0 (docs/numerics.md), and leaves 1 to the shift of the score.
// `fastmath<arcp>` on the division says that the approximate instruction will do; SelectSchedule may add `reassoc`: several
// places share one (codegen/nvvm/ElementReciprocals.cpp).
#include "passes/attn/LogisticScores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"

#include <numbers>

using namespace mlir;

namespace attn {

static Value constant(OpBuilder &builder, Location location, double number) {
  return arith::ConstantOp::create(builder, location, builder.getF32FloatAttr(static_cast<float>(number)));
}

static std::optional<double> constantOf(Value value) {
  APFloat number(0.0f);
  if (!matchPattern(value, m_ConstantFloat(&number)) || !number.isFinite())
    return std::nullopt;
  return number.convertToDouble();
}

double takeConstantFactor(Value &value) {
  Operation *op = value.getDefiningOp();
  if (!isa_and_present<arith::MulFOp, arith::DivFOp>(op))
    return 1;
  std::optional<double> by = constantOf(op->getOperand(1));
  if (!by || *by == 0)
    return 1;
  value = op->getOperand(0);
  return isa<arith::MulFOp>(op) ? *by : 1 / *by;
}

static Value reciprocal(OpBuilder &builder, math::TanhOp tanh, PeelFactor peel) {
  Location location = tanh.getLoc();
  auto [rest, factor] = peel(tanh.getOperand(), 2 * std::numbers::log2e);
  Value product = arith::MulFOp::create(builder, location, rest, factor);
  Value power = math::Exp2Op::create(builder, location, product);
  Value sum = arith::AddFOp::create(builder, location, power, constant(builder, location, 1));
  return arith::DivFOp::create(builder, location, constant(builder, location, -1), sum, arith::FastMathFlags::arcp);
}

/// By `fastmath<afn>` the code generator knows that the instruction is meant.
static Value instruction(OpBuilder &builder, math::TanhOp tanh, PeelFactor peel) {
  auto [rest, factor] = peel(tanh.getOperand(), 1);
  Value product = arith::MulFOp::create(builder, tanh.getLoc(), rest, factor);
  return math::TanhOp::create(builder, tanh.getLoc(), product, arith::FastMathFlags::afn);
}

namespace {
/// Rewrites each summand once, however many ways lead to it.
class TangentRewriter {
public:
  TangentRewriter(OpBuilder &builder, PeelFactor peel, TangentForm form) : builder(builder), peel(peel), form(form) {}

  ShiftedScore rewrite(Value score) {
    if (auto known = done.find(score); known != done.end())
      return known->second;
    ShiftedScore result = compute(score);
    return done[score] = result;
  }

private:
  ShiftedScore compute(Value score);

  OpBuilder &builder;
  PeelFactor peel;
  TangentForm form;
  DenseMap<Value, ShiftedScore> done;
};
} // namespace

ShiftedScore TangentRewriter::compute(Value score) {
  Operation *op = score.getDefiningOp();
  if (auto tanh = dyn_cast_or_null<math::TanhOp>(op)) {
    if (form == TangentForm::Instruction)
      return {instruction(builder, tanh, peel)};
    Value scaled = arith::MulFOp::create(builder, tanh.getLoc(), reciprocal(builder, tanh, peel),
                                         constant(builder, tanh.getLoc(), 2));
    return {scaled, 1};
  }
  if (isa_and_present<arith::AddFOp, arith::SubFOp>(op)) {
    ShiftedScore left = rewrite(op->getOperand(0)), right = rewrite(op->getOperand(1));
    if (left.rest == op->getOperand(0) && right.rest == op->getOperand(1))
      return {score};
    if (isa<arith::AddFOp>(op))
      return {arith::AddFOp::create(builder, op->getLoc(), left.rest, right.rest), left.shift + right.shift};
    return {arith::SubFOp::create(builder, op->getLoc(), left.rest, right.rest), left.shift - right.shift};
  }
  Value inner = score;
  double factor = takeConstantFactor(inner);
  if (inner == score)
    return {score};
  ShiftedScore part = rewrite(inner);
  if (part.rest == inner)
    return {score};
  double shift = part.shift * factor;
  factor *= takeConstantFactor(part.rest);
  return {arith::MulFOp::create(builder, op->getLoc(), part.rest, constant(builder, op->getLoc(), factor)), shift};
}

ShiftedScore rewriteTangents(OpBuilder &builder, Value score, PeelFactor peel, TangentForm form) {
  return TangentRewriter(builder, peel, form).rewrite(score);
}

} // namespace attn
