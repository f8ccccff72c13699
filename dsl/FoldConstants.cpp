// Arithmetic on constants: i32 exactly and without overflow, f32 as real numbers in double; and bounds of results.
#include "dsl/ExprBuilder.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::dsl {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static bool fitsI32(double value) { return value >= -2147483648.0 && value <= 2147483647.0; }

static double evaluateUnary(UnaryOp op, double x) {
  switch (op) {
  case UnaryOp::Neg: return -x;
  case UnaryOp::Abs: return std::fabs(x);
  case UnaryOp::Floor: return std::floor(x);
  case UnaryOp::Ceil: return std::ceil(x);
  case UnaryOp::Round: return std::nearbyint(x);   // half to even in the default rounding mode
  case UnaryOp::Exp: return std::exp(x);
  case UnaryOp::Exp2: return std::exp2(x);
  case UnaryOp::Log: return std::log(x);
  case UnaryOp::Log2: return std::log2(x);
  case UnaryOp::Sin: return std::sin(x);
  case UnaryOp::Cos: return std::cos(x);
  case UnaryOp::Tanh: return std::tanh(x);
  case UnaryOp::Sqrt: return std::sqrt(x);
  case UnaryOp::Rsqrt: return 1 / std::sqrt(x);
  case UnaryOp::Sigmoid: return 1 / (1 + std::exp(-x));
  case UnaryOp::Erf: return std::erf(x);
  case UnaryOp::Relu: return std::max(x, 0.0);
  }
  return 0;
}

ExprRef ExprBuilder::foldUnary(UnaryOp op, ExprRef operand, Type type) {
  double value = evaluateUnary(op, operand->number);
  std::string name = "`" + std::string(spelling(op)) + "`";
  if (std::isnan(value))
    return fault(DiagnosticKind::NotANumber, {name});
  if (type == Type::i32() && !fitsI32(value))
    return fault(DiagnosticKind::IntegerOverflow, {name});
  return number(value, type);
}

ExprRef ExprBuilder::foldInteger(BinaryOp op, std::int64_t left, std::int64_t right) {
  std::string name = "`" + std::string(spelling(op)) + "`";
  bool isShift = op == BinaryOp::ShiftLeft || op == BinaryOp::ShiftRight;
  if (isShift && (right < 0 || right > 31))
    return fault(DiagnosticKind::ShiftRange, {std::to_string(right)});
  std::int64_t value = 0;
  switch (op) {
  case BinaryOp::Add: value = left + right; break;
  case BinaryOp::Sub: value = left - right; break;
  case BinaryOp::Mul: value = left * right; break;
  case BinaryOp::Min: value = std::min(left, right); break;
  case BinaryOp::Max: value = std::max(left, right); break;
  case BinaryOp::FloorDiv: value = left / right - (left % right != 0 && (left < 0) != (right < 0)); break;
  case BinaryOp::Mod: value = left % right + (left % right != 0 && (left < 0) != (right < 0) ? right : 0); break;
  case BinaryOp::ShiftLeft: value = left * (std::int64_t{1} << right); break;
  case BinaryOp::ShiftRight: value = left >> right; break;
  case BinaryOp::BitAnd: value = left & right; break;
  case BinaryOp::BitXor: value = left ^ right; break;
  case BinaryOp::BitOr: value = left | right; break;
  case BinaryOp::Div:
  case BinaryOp::Pow: return nullptr;   // real: their operands were converted
  }
  if (!fitsI32(static_cast<double>(value)))
    return fault(DiagnosticKind::IntegerOverflow, {name});
  return integer(value);
}

ExprRef ExprBuilder::foldBinary(BinaryOp op, ExprRef left, ExprRef right, Type type) {
  if (type == Type::i32())
    return foldInteger(op, left->integer(), right->integer());
  double x = left->number, y = right->number, value = 0;
  switch (op) {
  case BinaryOp::Add: value = x + y; break;
  case BinaryOp::Sub: value = x - y; break;
  case BinaryOp::Mul: value = x * y; break;
  case BinaryOp::Div: value = x / y; break;
  case BinaryOp::Pow: value = std::pow(x, y); break;
  case BinaryOp::Min: value = std::min(x, y); break;
  case BinaryOp::Max: value = std::max(x, y); break;
  default: return nullptr;   // integers only, refused before
  }
  if (std::isnan(value))
    return fault(DiagnosticKind::NotANumber, {"`" + std::string(spelling(op)) + "`"});
  return number(value, type);
}

static void bound(TypedExpr &node, double lowest, double highest) {
  node.lowest = std::isnan(lowest) ? -kInfinity : lowest;
  node.highest = std::isnan(highest) ? kInfinity : highest;
}

void boundUnary(TypedExpr &node) {
  const TypedExpr &x = *node.operands[0];
  switch (node.unary) {
  case UnaryOp::Neg: return bound(node, -x.highest, -x.lowest);
  case UnaryOp::Abs:
    return bound(node, std::max({0.0, x.lowest, -x.highest}), std::max(std::fabs(x.lowest), std::fabs(x.highest)));
  case UnaryOp::Floor: return bound(node, std::floor(x.lowest), std::floor(x.highest));
  case UnaryOp::Ceil: return bound(node, std::ceil(x.lowest), std::ceil(x.highest));
  case UnaryOp::Round: return bound(node, std::nearbyint(x.lowest), std::nearbyint(x.highest));
  case UnaryOp::Exp:
  case UnaryOp::Exp2:
  case UnaryOp::Sqrt:
  case UnaryOp::Rsqrt: return bound(node, 0, kInfinity);
  case UnaryOp::Sin:
  case UnaryOp::Cos:
  case UnaryOp::Tanh:
  case UnaryOp::Erf: return bound(node, -1, 1);
  case UnaryOp::Sigmoid: return bound(node, 0, 1);
  case UnaryOp::Relu: return bound(node, std::max(0.0, x.lowest), std::max(0.0, x.highest));
  case UnaryOp::Log:
  case UnaryOp::Log2: return;
  }
}

static void boundProduct(TypedExpr &node, const TypedExpr &x, const TypedExpr &y) {
  double corners[] = {x.lowest * y.lowest, x.lowest * y.highest, x.highest * y.lowest, x.highest * y.highest};
  for (double corner : corners)
    if (std::isnan(corner))
      return;
  bound(node, *std::min_element(corners, corners + 4), *std::max_element(corners, corners + 4));
}

void boundBinary(TypedExpr &node) {
  const TypedExpr &x = *node.operands[0], &y = *node.operands[1];
  bool constant = y.kind == ExprKind::Number && y.number > 0;
  switch (node.binary) {
  case BinaryOp::Add: return bound(node, x.lowest + y.lowest, x.highest + y.highest);
  case BinaryOp::Sub: return bound(node, x.lowest - y.highest, x.highest - y.lowest);
  case BinaryOp::Mul: return boundProduct(node, x, y);
  case BinaryOp::Min: return bound(node, std::min(x.lowest, y.lowest), std::min(x.highest, y.highest));
  case BinaryOp::Max: return bound(node, std::max(x.lowest, y.lowest), std::max(x.highest, y.highest));
  case BinaryOp::Div:
    return constant ? bound(node, x.lowest / y.number, x.highest / y.number) : void();
  case BinaryOp::FloorDiv:
    return constant ? bound(node, std::floor(x.lowest / y.number), std::floor(x.highest / y.number)) : void();
  case BinaryOp::Mod:
    return y.lowest > 0 ? bound(node, 0, y.highest - 1) : void();
  case BinaryOp::BitAnd:
    return constant ? bound(node, 0, y.number) : void();
  default: return;
  }
}

} // namespace attn::dsl
