// Vectors. One that depends on both rows is kept a sum of vectors of one row and of table rows, each times a scalar or
// chosen by `if`: that is what lets a kernel split `dot(query, key + t[r])` into dots of rows. Whatever would break the
// form is refused here, where its place is known; slices move to the leaves of such a sum.
#include "dsl/ExprBuilder.h"

namespace attn::dsl {

bool ExprBuilder::requireVector(std::string_view what, ExprRef operand) {
  if (!operand)
    return false;
  if (operand->type.isVector())
    return true;
  error(DiagnosticKind::WantsVector, {std::string(what), spelling(operand->type)});
  return false;
}

/// A table's row at an index of both rows may stand in sums only, as anything else that depends on both rows.
bool ExprBuilder::requireOneRow(std::string_view what, ExprRef vector) {
  if (!vector->domain.isPoint())
    return true;
  error(DiagnosticKind::BothRows, {std::string(what)});
  return false;
}

static bool isPointVec(ExprRef vector) { return vector->kind == ExprKind::Vec && vector->domain.isPoint(); }

ExprRef ExprBuilder::vectorUnary(UnaryOp op, ExprRef operand) {
  std::string name = "`" + std::string(spelling(op)) + "`";
  bool breaksSum = op != UnaryOp::Neg || isPointVec(operand);
  if (breaksSum && !requireOneRow(name, operand))
    return nullptr;
  TypedExpr result = node(ExprKind::Unary, operand->type, {operand});
  result.unary = op;
  return add(std::move(result));
}

ExprRef ExprBuilder::vectorBinary(BinaryOp op, ExprRef left, ExprRef right) {
  std::string name = "`" + std::string(spelling(op)) + "`";
  switch (op) {
  case BinaryOp::Add:
  case BinaryOp::Sub:
  case BinaryOp::Mul:
  case BinaryOp::Div:
  case BinaryOp::Min:
  case BinaryOp::Max:
    break;
  default:
    return error(DiagnosticKind::NoVectorOperator, {std::string(spelling(op))});
  }
  bool both = left->type.isVector() && right->type.isVector();
  if (both && left->type.length != right->type.length)
    return error(DiagnosticKind::VectorLengths,
                 {name, std::to_string(left->type.length), std::to_string(right->type.length)});
  if (!left->type.isVector())
    left = toF32(left);
  if (!right->type.isVector())
    right = toF32(right);
  if (!left || !right)
    return nullptr;
  Type type = left->type.isVector() ? left->type : right->type;
  if ((left->domain | right->domain).isPoint()) {
    bool sum = (op == BinaryOp::Add || op == BinaryOp::Sub) && both;
    bool scaled = (op == BinaryOp::Mul && !both) || (op == BinaryOp::Div && !right->type.isVector());
    if (op == BinaryOp::Mul && both)
      return error(DiagnosticKind::BothRowsProduct);
    if ((!sum && !scaled) || isPointVec(left) || isPointVec(right))
      return error(DiagnosticKind::BothRows, {name});
  }
  auto isOne = [](ExprRef expr) { return expr->kind == ExprKind::Number && expr->number == 1; };
  if ((op == BinaryOp::Mul || op == BinaryOp::Div) && isOne(right))
    return left;
  if (op == BinaryOp::Mul && isOne(left))
    return right;
  TypedExpr result = node(ExprKind::Binary, type, {left, right});
  result.binary = op;
  return add(std::move(result));
}

ExprRef ExprBuilder::dot(ExprRef left, ExprRef right) {
  if (!requireVector("`dot`", left) || !requireVector("`dot`", right))
    return nullptr;
  if (left->type.length != right->type.length)
    return error(DiagnosticKind::VectorLengths,
                 {"`dot`", std::to_string(left->type.length), std::to_string(right->type.length)});
  if (isPointVec(left) || isPointVec(right))
    return error(DiagnosticKind::BothRows, {"`dot`"});
  return add(node(ExprKind::Dot, Type::f32(), {left, right}));
}

ExprRef ExprBuilder::sum(ExprRef vector) {
  if (!requireVector("`sum`", vector))
    return nullptr;
  return add(node(ExprKind::Sum, Type::f32(), {vector}));
}

ExprRef ExprBuilder::slice(ExprRef vector, std::int64_t begin, std::int64_t end) {
  if (!requireVector("a slice", vector))
    return nullptr;
  if (begin < 0 || end <= begin || end > vector->type.length)
    return error(DiagnosticKind::SliceBounds,
                 {std::to_string(begin), std::to_string(end), std::to_string(vector->type.length)});
  if (begin == 0 && end == vector->type.length)
    return vector;
  Type type = Type::vector(end - begin);
  bool isSum = vector->kind == ExprKind::Unary || vector->kind == ExprKind::Binary || vector->kind == ExprKind::If;
  bool isScaledInput = vector->kind == ExprKind::Binary && vector->operands[1]->isScale;
  if ((vector->domain.isPoint() && isSum) || isScaledInput) {   // move it to the leaves
    TypedExpr copy = *vector;
    copy.type = type;
    for (ExprRef &operand : copy.operands) {
      if (operand->type.isVector())
        operand = slice(operand, begin, end);
      if (!operand)
        return nullptr;
    }
    copy.height = 1;
    return add(std::move(copy));
  }
  if (isPointVec(vector))
    return error(DiagnosticKind::BothRows, {"a slice"});
  TypedExpr result = node(ExprKind::Slice, type, {vector});
  result.begin = begin;
  result.end = end;
  if (vector->kind == ExprKind::Slice) {
    result.operands = {vector->operands[0]};
    result.begin += vector->begin;
    result.end += vector->begin;
  }
  return add(std::move(result));
}

ExprRef ExprBuilder::concat(ExprRef left, ExprRef right) {
  if (!requireVector("`concat`", left) || !requireVector("`concat`", right))
    return nullptr;
  TypedExpr result = node(ExprKind::Concat, Type::vector(left->type.length + right->type.length), {left, right});
  if ((left->domain | right->domain).isPoint())
    return error(DiagnosticKind::BothRows, {"`concat`"});
  return add(std::move(result));
}

ExprRef ExprBuilder::map(ExprRef variable, ExprRef body, ExprRef vector, unsigned depth) {
  body = body ? toF32(body) : nullptr;
  if (!body || !requireVector("`map`", vector))
    return nullptr;
  if ((body->domain | vector->domain).isPoint())
    return error(DiagnosticKind::BothRows, {"`map`"});
  TypedExpr result = node(ExprKind::Map, vector->type, {vector, body});
  result.variable = variable;
  return add(std::move(result), depth);
}

ExprRef ExprBuilder::vec(std::int64_t length, ExprRef variable, ExprRef body, unsigned depth) {
  body = body ? toF32(body) : nullptr;
  if (!body)
    return nullptr;
  TypedExpr result = node(ExprKind::Vec, Type::vector(length), {body});
  result.variable = variable;
  return add(std::move(result), depth);
}

ExprRef ExprBuilder::rotate(ExprRef vector, ExprRef variable, ExprRef angle, std::int64_t dim, bool interleaved,
                            unsigned depth) {
  angle = angle ? toF32(angle) : nullptr;
  if (!angle || !requireVector("`rotate`", vector))
    return nullptr;
  if (dim <= 0 || dim % 2 != 0 || dim > vector->type.length)
    return error(DiagnosticKind::RotateDim, {std::to_string(dim), std::to_string(vector->type.length)});
  if ((angle->domain | vector->domain).isPoint())
    return error(DiagnosticKind::BothRows, {"`rotate`"});
  TypedExpr result = node(ExprKind::Rotate, vector->type, {vector, angle});
  result.variable = variable;
  result.dim = dim;
  result.interleaved = interleaved;
  return add(std::move(result), depth);
}

} // namespace attn::dsl
