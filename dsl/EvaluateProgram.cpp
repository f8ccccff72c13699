// Flattening of the expression DAG, and which of its nodes a kernel rounds.
#include "dsl/DistributeDots.h"
#include "dsl/EvaluateExpr.h"

namespace attn::dsl {

using Level = EvaluationProgram::Level;

static Level levelOf(const TypedExpr &expr) {
  const Domain &domain = expr.domain;
  if (domain.bound)
    return Level::Body;
  if (domain.isPoint() || domain.weight || domain.random || domain.scan)
    return Level::Point;
  if (domain.row)
    return Level::Row;
  if (domain.column)
    return Level::Column;
  return domain.batch || domain.qHead || domain.kvHead ? Level::Head : Level::Fixed;
}

/// Whether a value is worth keeping for all keys: not what is a copy of memory or of the point.
static bool isComputed(const TypedExpr &expr) {
  return expr.kind != ExprKind::Index && expr.kind != ExprKind::Input && expr.kind != ExprKind::Read &&
         expr.kind != ExprKind::ToF32;
}

std::int32_t EvaluationProgram::add(const TypedExpr *expr) {
  if (auto found = indices.find(expr); found != indices.end())
    return found->second;
  Node node;
  node.expr = expr;
  node.level = levelOf(*expr);
  std::vector<std::int32_t> operands;
  if (expr->variable)
    node.variable = add(expr->variable);
  for (const TypedExpr *operand : expr->operands)
    operands.push_back(add(operand));
  for (std::size_t i = 0; i < operands.size() && i < 4; ++i)
    node.operands[i] = operands[i];
  if (expr->kind == ExprKind::Read)
    node.moreOperands = operands;
  if (expr->type.isVector()) {
    node.storage = storageSize;
    storageSize += node.width();
  }
  auto index = static_cast<std::int32_t>(nodes.size());
  nodes.push_back(std::move(node));
  indices.emplace(expr, index);
  return index;
}

static bool isFloat8(ElementType type) { return type == ElementType::E4M3 || type == ElementType::E5M2; }

/// What a kernel multiplies numbers of type `own` as, beside those of type `other`: 8-bit floats as what stands beside them,
/// or as f16.
static ElementType multipliedAs(ElementType own, ElementType other) {
  if (!isFloat8(own))
    return own;
  return isFloat8(other) ? ElementType::F16 : other;
}

/// Probs times the scales of blocks of values may be small numbers, which bf16 has.
static ElementType roundingOfProbs(const Properties &properties) {
  if (isFloat8(properties.probsDtype) && properties.valueScale.kind == ScaleKind::PerBlock)
    return ElementType::BF16;
  return multipliedAs(properties.probsDtype, properties.valueDtype);
}

void EvaluationProgram::markRoundings() {
  const Properties &properties = spec.properties;
  ElementType ofQuery = multipliedAs(properties.queryDtype, properties.keyDtype);
  ElementType ofKey = multipliedAs(properties.keyDtype, properties.queryDtype);
  probsRounding = roundingOfProbs(properties);
  auto mark = [&](const TypedExpr *expr, ElementType type) {
    auto found = indices.find(expr);
    bool toTf32 = tf32 && type == ElementType::F32;
    if (found == indices.end() || (expr->kind == ExprKind::Input && !toTf32))
      return; // as it lies in memory it has been rounded
    nodes[found->second].isRounded = true;
    nodes[found->second].rounding = type;
    nodes[found->second].toTf32 = toTf32;
  };
  std::vector<const TypedExpr *> roots;
  for (const TypedExpr *root : {spec.weights.argument, spec.weights.by, spec.probs})
    if (root)
      roots.push_back(root);
  FeatureList features = collectFeatures(roots);
  for (const TypedExpr *feature : features.query)
    mark(feature, ofQuery);
  for (const TypedExpr *table : features.queryTables)
    mark(table, ofQuery);
  for (const TypedExpr *feature : features.key)
    mark(feature, ofKey);
  for (const TypedExpr *table : features.keyTables)
    mark(table, ofKey);
  for (const VectorTerm &term : splitVector(spec.value).terms)
    mark(term.vector, multipliedAs(properties.valueDtype, probsRounding));
  separateRoundings();
}

/// A row that a product takes rounded may be what another row is computed from, which takes it as it was before.
void EvaluationProgram::separateRoundings() {
  const auto count = static_cast<std::int32_t>(nodes.size());
  for (std::int32_t rounded = 0; rounded < count; ++rounded) {
    if (!nodes[rounded].isRounded)
      continue;
    std::int32_t exact = -1;
    for (std::int32_t user = 0; user < count; ++user) {
      bool isRow = nodes[user].expr->type.isVector() && nodes[user].level != Level::Point;
      for (std::size_t i = 0; i < 4 && isRow; ++i) {
        if (nodes[user].operands[i] != rounded)
          continue;
        if (exact < 0) {
          exact = static_cast<std::int32_t>(nodes.size());
          nodes.push_back(nodes[rounded]);
          nodes.back().isRounded = false;
          nodes.back().storage = storageSize;
          storageSize += nodes.back().width();
        }
        nodes[user].operands[i] = exact;
      }
    }
  }
}

/// Finds each tanh that reaches the score by sums and factors alone (docs/numerics.md).
void EvaluationProgram::markTangents(const TypedExpr *summand, std::vector<Factor> factors) {
  bool isBinary = summand->kind == ExprKind::Binary;
  if (summand->kind == ExprKind::Unary && summand->unary == UnaryOp::Tanh) {
    nodes[indexOf(summand)].isTangentOfScore = true;
    tangents.push_back({indexOf(summand), std::move(factors)});
  } else if ((isBinary && (summand->binary == BinaryOp::Add || summand->binary == BinaryOp::Sub)) ||
             (summand->kind == ExprKind::Unary && summand->unary == UnaryOp::Neg)) {
    for (const TypedExpr *operand : summand->operands)
      markTangents(operand, factors);
  } else if (isBinary && (summand->binary == BinaryOp::Mul || summand->binary == BinaryOp::Div)) {
    const TypedExpr *left = summand->operands[0], *right = summand->operands[1];
    if (summand->binary == BinaryOp::Mul && right->domain.isPoint())
      std::swap(left, right);
    if (right->domain.isPoint() || !left->domain.isPoint())
      return;
    factors.push_back({indexOf(right), summand->binary == BinaryOp::Div});
    markTangents(left, std::move(factors));
  }
}

EvaluationProgram::EvaluationProgram(const TypedSpec &spec, bool tf32)
    : spec(spec), tf32(tf32), isDouble(spec.properties.queryDtype == ElementType::F64 && spec.properties.keyDtype == ElementType::F64) {
  for (const TypedExpr *root :
       {spec.mask, spec.weights.argument, spec.weights.sink, spec.weights.by, spec.probs, spec.value, spec.out})
    if (root)
      add(root);
  markRoundings();
  if (spec.weights.kind == WeightKind::Softmax && !isDouble)
    markTangents(spec.weights.argument, {});
  auto keep = [&](std::int32_t index) {
    Node &node = nodes[index];
    if (node.isKept || node.level != Level::Column || (!isComputed(*node.expr) && !node.isRounded))
      return;
    node.isKept = true;
    node.keptStorage = keptSize;
    keptSize += node.width();
  };
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].level == Level::Point) {
      for (std::int32_t operand : nodes[i].operands)
        if (operand >= 0)
          keep(operand);
      for (std::int32_t operand : nodes[i].moreOperands)
        keep(operand);
    }
  for (const TypedExpr *root : {spec.weights.argument, spec.weights.by, spec.probs, spec.value})
    if (root)
      keep(indexOf(root));
}

std::string locatedMessage(const TypedSpec &spec, const TypedExpr *expr, const std::string &message) {
  SourcePosition position = expr && expr->position.line ? expr->position : spec.position;
  return std::string(spec.fileName(position)) + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column) + ": error: " + message;
}

} // namespace attn::dsl
