// Reciprocals in element regions that may be approximate (`fastmath<arcp>`, made by passes/attn/LogisticScores.cpp): alone
// the instruction of the special function unit; with `reassoc` one instruction for four places of a row, which are the
// columns that a thread has in two adjacent tiles. Never of several rows: a NaN of one would reach the others.
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/MathAlgorithms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

namespace attn::codegen {

namespace arith = mlir::arith;
using mlir::Value;

static bool isConstant(Value value, double number) {
  llvm::APFloat found(0.0f);
  return mlir::matchPattern(value, mlir::m_ConstantFloat(&found)) && found.convertToDouble() == number;
}

/// The power e of -1/(e + 1); null for other divisions.
static Value powerOf(arith::DivFOp op) {
  auto sum = op.getRhs().getDefiningOp<arith::AddFOp>();
  bool isApproximate = mlir::arith::bitEnumContainsAll(op.getFastmath(), arith::FastMathFlags::arcp);
  if (!isApproximate || !op.getType().isF32() || !sum || !isConstant(op.getLhs(), -1) || !isConstant(sum.getRhs(), 1))
    return Value();
  return sum.getLhs().getDefiningOp<mlir::math::Exp2Op>() ? sum.getLhs() : Value();
}

Value ElementExpander::computeReciprocal(arith::DivFOp op, Slot slot) {
  Value power = powerOf(op);
  if (!power)
    return Value();
  bool isShared = mlir::arith::bitEnumContainsAll(op.getFastmath(), arith::FastMathFlags::reassoc) && domainOf(power) == Point;
  int first = slot.column / 4 * 4;
  if (!isShared || first + 4 > columnSlots) {
    Value e0 = evaluate(power, slot);
    return hasFailed ? Value() : math::negatedLogistic(e, e0);
  }
  std::array<Value, 4> places;
  for (int i = 0; i < 4; ++i)
    places[i] = evaluate(power, {slot.row, first + i});
  if (hasFailed)
    return Value();
  places = math::negatedLogistics(e, places);
  for (int i = 0; i < 4; ++i)
    values[keyOf(op.getResult(), {slot.row, first + i})] = places[i];
  return places[slot.column - first];
}

} // namespace attn::codegen
