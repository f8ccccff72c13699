// The state of one evaluating thread: vectors.
#include "dsl/EvaluateExpr.h"

#include "attn/Float.h"

#include <algorithm>
#include <cmath>

namespace attn::dsl {

using Level = EvaluationProgram::Level;

const double *ExprEvaluator::inputRow(const Node &node) {
  InputKind kind = node.expr->input;
  const WideTensor &tensor = program.inputs[static_cast<unsigned>(kind)];
  bool isQuery = kind == InputKind::Query;
  std::int64_t row = isQuery ? program.rows.queryRow(b, qIdx) : program.rows.keyRow(b, kvIdx), head = isQuery ? h : kvHead;
  std::int64_t heads = tensor.shape[tensor.shape.size() - 2], channels = tensor.shape.back();
  return tensor.elements.data() + (row * heads + head) * channels;
}

const double *ExprEvaluator::vector(std::int32_t index) {
  const Node &node = program.nodes[index];
  bool rounds = emulates && node.isRounded;
  double *own = buffer.data() + node.storage;
  if (node.isKept) {
    std::size_t slot = index * program.kvLen + kvIdx;
    own = kept.data() + node.keptStorage * program.kvLen + kvIdx * node.width();
    std::uint64_t stamp = levelStamps[static_cast<unsigned>(Level::Head)];
    if (keptStamps[slot] == stamp)
      return own;
    keptStamps[slot] = stamp;
  } else {
    std::uint64_t stamp = levelStamps[static_cast<unsigned>(node.level)];
    if (stamps[index] == stamp)
      return rows[index];
    stamps[index] = stamp;
  }
  const double *row = own;
  switch (node.expr->kind) { // what lies in memory already is not copied
  case ExprKind::Input:
    row = inputRow(node);
    break;
  case ExprKind::Read:
    row = program.tensors[node.expr->parameter].elements.data() + readOffset(node);
    break;
  case ExprKind::WeightedSum:
    row = weightedSum;
    break;
  case ExprKind::Slice:
    row = vector(node.operands[0]) + node.expr->begin;
    break;
  case ExprKind::If:
    row = vector(condition(node.operands[0]) ? node.operands[1] : node.operands[2]);
    break;
  default:
    computeVector(node, own);
  }
  if (row != own && (rounds || node.isKept)) {
    std::copy_n(row, node.width(), own);
    row = own;
  }
  if (rounds)
    roundOperand(node, own, node.width());
  rows[index] = row;
  return row;
}

void ExprEvaluator::roundOperand(const Node &node, double *row, std::size_t count) {
  for (std::size_t c = 0; c < count; ++c)
    row[c] = node.toTf32 ? roundToTf32(static_cast<float>(row[c])) : roundTo(node.rounding, row[c]);
}

double ExprEvaluator::bodyAt(const Node &node, std::int32_t body, double variable) {
  values[node.variable] = variable;
  std::uint64_t outer = levelStamps[static_cast<unsigned>(Level::Body)];
  levelStamps[static_cast<unsigned>(Level::Body)] = ++clock;
  double value = scalar(body);
  levelStamps[static_cast<unsigned>(Level::Body)] = outer;
  return value;
}

void ExprEvaluator::computeVector(const Node &node, double *result) {
  const TypedExpr &expr = *node.expr;
  switch (expr.kind) {
  case ExprKind::Unary:
  case ExprKind::Binary:
    return computeElementwise(node, result);
  case ExprKind::Concat: {
    std::int64_t middle = program.nodes[node.operands[0]].expr->type.length;
    std::copy_n(vector(node.operands[0]), middle, result);
    std::copy_n(vector(node.operands[1]), expr.type.length - middle, result + middle);
    return;
  }
  case ExprKind::Map: {
    const double *row = vector(node.operands[0]);
    for (std::int64_t c = 0; c < expr.type.length; ++c)
      result[c] = bodyAt(node, node.operands[1], row[c]);
    return;
  }
  case ExprKind::Vec:
    for (std::int64_t c = 0; c < expr.type.length; ++c)
      result[c] = bodyAt(node, node.operands[0], static_cast<double>(c));
    return;
  case ExprKind::Rotate:
    return computeRotation(node, result);
  default:
    throw EvaluationFailure{&expr, "internal: a number where a vector is needed"};
  }
}

void ExprEvaluator::computeElementwise(const Node &node, double *result) {
  const TypedExpr &expr = *node.expr;
  if (expr.kind == ExprKind::Unary) {
    const double *row = vector(node.operands[0]);
    for (std::int64_t c = 0; c < expr.type.length; ++c)
      result[c] = unary(node, expr.unary, row[c]);
    return;
  }
  bool leftIsVector = program.nodes[node.operands[0]].expr->type.isVector();
  bool rightIsVector = program.nodes[node.operands[1]].expr->type.isVector();
  double left = 0, right = 0;
  const double *x = &left, *y = &right;
  if (leftIsVector)
    x = vector(node.operands[0]);
  else
    left = scalar(node.operands[0]);
  if (rightIsVector)
    y = vector(node.operands[1]);
  else
    right = scalar(node.operands[1]);
  for (std::int64_t c = 0; c < expr.type.length; ++c)
    result[c] = binary(node, expr.binary, x[leftIsVector ? c : 0], y[rightIsVector ? c : 0]);
}

void ExprEvaluator::computeRotation(const Node &node, double *result) {
  const TypedExpr &expr = *node.expr;
  const double *row = vector(node.operands[0]);
  std::copy_n(row, expr.type.length, result);
  std::int64_t pairs = expr.dim / 2;
  for (std::int64_t p = 0; p < pairs; ++p) {
    double angle = bodyAt(node, node.operands[1], static_cast<double>(p));
    double cosine = std::cos(angle), sine = std::sin(angle);
    largestAngle = std::max(largestAngle, std::fabs(angle));
    std::int64_t first = expr.interleaved ? 2 * p : p, second = expr.interleaved ? 2 * p + 1 : p + pairs;
    result[first] = row[first] * cosine - row[second] * sine;
    result[second] = row[second] * cosine + row[first] * sine;
  }
}

} // namespace attn::dsl
