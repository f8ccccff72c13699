// Scalar operations as operations of `arith` and `math`. On lanes and on vectors they are the same operations on vectors.
#include "dsl/AstToAttnExpr.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;

namespace attn::dsl {

Value ExprEmitter::broadcast(Location location, Value scalar, int64_t length) {
  if (scalar.getType().isInteger(32)) // lanes are numbers
    scalar = arith::SIToFPOp::create(builder, location, arguments.real, scalar);
  auto type = VectorType::get({length}, scalar.getType());
  if (auto constantOp = scalar.getDefiningOp<arith::ConstantOp>())
    return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, constantOp.getValue()));
  if (auto conversion = scalar.getDefiningOp<arith::SIToFPOp>())
    if (auto constantOp = conversion.getIn().getDefiningOp<arith::ConstantOp>()) {
      Value value = constant(location, static_cast<double>(cast<IntegerAttr>(constantOp.getValue()).getInt()), type);
      if (conversion->use_empty())
        conversion->erase();
      return value;
    }
  return vector::BroadcastOp::create(builder, location, type, scalar);
}

void ExprEmitter::unify(Location location, Value &lhs, Value &rhs) {
  auto left = dyn_cast<VectorType>(lhs.getType()), right = dyn_cast<VectorType>(rhs.getType());
  if (left && !right)
    rhs = broadcast(location, rhs, left.getNumElements());
  if (right && !left)
    lhs = broadcast(location, lhs, right.getNumElements());
}

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

/// After floor, ceil or round: to i32, but for vectors and lanes.
Value ExprEmitter::emitToI32(const TypedExpr *expr, Value rounded) {
  if (isa<VectorType>(rounded.getType()))
    return rounded;
  return arith::FPToSIOp::create(builder, locationOf(expr), builder.getI32Type(), rounded);
}

Value ExprEmitter::emitUnary(const TypedExpr *expr) {
  bool rounds = expr->unary == UnaryOp::Floor || expr->unary == UnaryOp::Ceil || expr->unary == UnaryOp::Round;
  Value x = emitExact(expr->operands[0], isWide || (rounds && needsWide(expr->operands[0])));
  if (!x)
    return {};
  Location location = locationOf(expr);
  bool isInteger = x.getType().isInteger(32);
  switch (expr->unary) {
  case UnaryOp::Neg:
    if (isInteger)
      return arith::SubIOp::create(builder, location, constant(location, 0, x.getType()), x);
    return arith::NegFOp::create(builder, location, x);
  case UnaryOp::Abs:
    if (isInteger)
      return math::AbsIOp::create(builder, location, x);
    return math::AbsFOp::create(builder, location, x);
  case UnaryOp::Floor:
    return emitToI32(expr, math::FloorOp::create(builder, location, x));
  case UnaryOp::Ceil:
    return emitToI32(expr, math::CeilOp::create(builder, location, x));
  case UnaryOp::Round:
    return emitToI32(expr, math::RoundEvenOp::create(builder, location, x));
  case UnaryOp::Exp:
    return math::ExpOp::create(builder, location, x);
  case UnaryOp::Exp2:
    return math::Exp2Op::create(builder, location, x);
  case UnaryOp::Log:
    return math::LogOp::create(builder, location, x);
  case UnaryOp::Log2:
    return math::Log2Op::create(builder, location, x);
  case UnaryOp::Sin:
    return math::SinOp::create(builder, location, x);
  case UnaryOp::Cos:
    return math::CosOp::create(builder, location, x);
  case UnaryOp::Tanh:
    return math::TanhOp::create(builder, location, x);
  case UnaryOp::Sqrt:
    return math::SqrtOp::create(builder, location, x);
  case UnaryOp::Rsqrt:
    return math::RsqrtOp::create(builder, location, x);
  case UnaryOp::Erf:
    return math::ErfOp::create(builder, location, x);
  case UnaryOp::Relu:
    return arith::MaximumFOp::create(builder, location, x, constant(location, 0, x.getType()));
  case UnaryOp::Sigmoid: {
    Value one = constant(location, 1, x.getType());
    Value e = math::ExpOp::create(builder, location, arith::NegFOp::create(builder, location, x));
    return arith::DivFOp::create(builder, location, one, arith::AddFOp::create(builder, location, one, e));
  }
  }
  llvm_unreachable("all operations are handled");
}

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

Value ExprEmitter::emitBinary(const TypedExpr *expr) {
  if (expr->binary == BinaryOp::Pow)
    return emitPower(expr);
  Value lhs = emit(expr->operands[0]), rhs = lhs ? emit(expr->operands[1]) : Value();
  if (!rhs)
    return {};
  unify(locationOf(expr), lhs, rhs);
  return lhs.getType().isInteger(32) ? emitInteger(expr, lhs, rhs) : emitFloat(expr, lhs, rhs);
}

Value ExprEmitter::emitInteger(const TypedExpr *expr, Value lhs, Value rhs) {
  Location location = locationOf(expr);
  switch (expr->binary) {
  case BinaryOp::Add:
    return arith::AddIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Sub:
    return arith::SubIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Mul:
    return arith::MulIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Min:
    return arith::MinSIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Max:
    return arith::MaxSIOp::create(builder, location, lhs, rhs);
  case BinaryOp::FloorDiv:
    return arith::FloorDivSIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Mod: { // a - (a // b) * b: the remainder of floor division
    Value quotient = arith::FloorDivSIOp::create(builder, location, lhs, rhs);
    return arith::SubIOp::create(builder, location, lhs, arith::MulIOp::create(builder, location, quotient, rhs));
  }
  case BinaryOp::ShiftLeft:
    return arith::ShLIOp::create(builder, location, lhs, rhs);
  case BinaryOp::ShiftRight:
    return arith::ShRSIOp::create(builder, location, lhs, rhs);
  case BinaryOp::BitAnd:
    return arith::AndIOp::create(builder, location, lhs, rhs);
  case BinaryOp::BitXor:
    return arith::XOrIOp::create(builder, location, lhs, rhs);
  case BinaryOp::BitOr:
    return arith::OrIOp::create(builder, location, lhs, rhs);
  case BinaryOp::Div:
  case BinaryOp::Pow:
    break;
  }
  llvm_unreachable("`/` and `**` are real");
}

Value ExprEmitter::emitFloat(const TypedExpr *expr, Value lhs, Value rhs) {
  Location location = locationOf(expr);
  switch (expr->binary) {
  case BinaryOp::Add:
    return arith::AddFOp::create(builder, location, lhs, rhs);
  case BinaryOp::Sub:
    return arith::SubFOp::create(builder, location, lhs, rhs);
  case BinaryOp::Mul:
    return arith::MulFOp::create(builder, location, lhs, rhs);
  case BinaryOp::Div:
    return arith::DivFOp::create(builder, location, lhs, rhs);
  case BinaryOp::Min:
    return arith::MinimumFOp::create(builder, location, lhs, rhs);
  case BinaryOp::Max:
    return arith::MaximumFOp::create(builder, location, lhs, rhs);
  case BinaryOp::FloorDiv: // of lanes: exact for integers below 2^24
    return math::FloorOp::create(builder, location, arith::DivFOp::create(builder, location, lhs, rhs));
  case BinaryOp::Mod: {
    Value quotient = math::FloorOp::create(builder, location, arith::DivFOp::create(builder, location, lhs, rhs));
    return arith::SubFOp::create(builder, location, lhs, arith::MulFOp::create(builder, location, quotient, rhs));
  }
  default:
    return refuse(expr, "`" + StringRef(spelling(expr->binary)) + "` of channel numbers is not compiled yet");
  }
}

/// The cheapest exact form: products for small whole exponents, exp2 for a constant base.
Value ExprEmitter::emitPower(const TypedExpr *expr) {
  const TypedExpr *base = expr->operands[0], *exponent = expr->operands[1];
  Location location = locationOf(expr);
  if (base->kind == ExprKind::Number && base->number > 0 && std::isfinite(base->number)) {
    Value y = emit(exponent);
    if (!y)
      return {};
    if (base->number != 2)
      y = arith::MulFOp::create(builder, location, y, constant(location, std::log2(base->number), y.getType()));
    return math::Exp2Op::create(builder, location, y);
  }
  Value x = emit(base);
  if (!x)
    return {};
  if (exponent->kind == ExprKind::Number) {
    double n = exponent->number;
    if (n == 1)
      return x;
    if (n == 2 || n == 3 || n == 4) {
      Value square = arith::MulFOp::create(builder, location, x, x);
      return n == 2 ? square : arith::MulFOp::create(builder, location, square, n == 3 ? x : square).getResult();
    }
    if (n == -1)
      return arith::DivFOp::create(builder, location, constant(location, 1, x.getType()), x);
    if (n == 0.5)
      return math::SqrtOp::create(builder, location, x);
    if (n == -0.5)
      return math::RsqrtOp::create(builder, location, x);
  }
  Value y = emit(exponent);
  if (!y)
    return {};
  unify(location, x, y);
  return math::PowFOp::create(builder, location, x, y);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

static arith::CmpIPredicate integerPredicate(CompareOp op) {
  switch (op) {
  case CompareOp::Eq:
    return arith::CmpIPredicate::eq;
  case CompareOp::Ne:
    return arith::CmpIPredicate::ne;
  case CompareOp::Lt:
    return arith::CmpIPredicate::slt;
  case CompareOp::Le:
    return arith::CmpIPredicate::sle;
  case CompareOp::Gt:
    return arith::CmpIPredicate::sgt;
  case CompareOp::Ge:
    return arith::CmpIPredicate::sge;
  }
  llvm_unreachable("all comparisons are handled");
}

static arith::CmpFPredicate floatPredicate(CompareOp op) {
  switch (op) {
  case CompareOp::Eq:
    return arith::CmpFPredicate::OEQ;
  case CompareOp::Ne:
    return arith::CmpFPredicate::UNE;
  case CompareOp::Lt:
    return arith::CmpFPredicate::OLT;
  case CompareOp::Le:
    return arith::CmpFPredicate::OLE;
  case CompareOp::Gt:
    return arith::CmpFPredicate::OGT;
  case CompareOp::Ge:
    return arith::CmpFPredicate::OGE;
  }
  llvm_unreachable("all comparisons are handled");
}

Value ExprEmitter::emitCompare(const TypedExpr *expr) {
  bool wide = needsWide(expr->operands[0]) || needsWide(expr->operands[1]);
  Value lhs = emitExact(expr->operands[0], wide), rhs = lhs ? emitExact(expr->operands[1], wide) : Value();
  if (!rhs)
    return {};
  Location location = locationOf(expr);
  unify(location, lhs, rhs);
  if (isa<FloatType>(getElementTypeOrSelf(lhs.getType())))
    return arith::CmpFOp::create(builder, location, floatPredicate(expr->compare), lhs, rhs);
  return arith::CmpIOp::create(builder, location, integerPredicate(expr->compare), lhs, rhs);
}

Value ExprEmitter::emitLogic(const TypedExpr *expr) {
  Location location = locationOf(expr);
  Value lhs = emit(expr->operands[0]);
  if (!lhs)
    return {};
  if (expr->kind == ExprKind::Not) {
    Value yes = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
    Value x = lhs;
    unify(location, x, yes);
    return arith::XOrIOp::create(builder, location, x, yes);
  }
  Value rhs = emit(expr->operands[1]);
  if (!rhs)
    return {};
  unify(location, lhs, rhs);
  if (expr->kind == ExprKind::And)
    return arith::AndIOp::create(builder, location, lhs, rhs);
  return arith::OrIOp::create(builder, location, lhs, rhs);
}

Value ExprEmitter::emitIf(const TypedExpr *expr) {
  Location location = locationOf(expr);
  Value condition = emit(expr->operands[0]);
  Value yes = condition ? emit(expr->operands[1]) : Value();
  Value no = yes ? emit(expr->operands[2]) : Value();
  if (!no)
    return {};
  unify(location, yes, no);
  if (auto lanes = dyn_cast<VectorType>(condition.getType()); lanes && !isa<VectorType>(yes.getType())) {
    yes = broadcast(location, yes, lanes.getNumElements());
    no = broadcast(location, no, lanes.getNumElements());
  }
  return arith::SelectOp::create(builder, location, condition, yes, no);
}

} // namespace attn::dsl
