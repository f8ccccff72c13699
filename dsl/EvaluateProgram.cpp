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

void EvaluationProgram::markRoundings() {
  const Properties &properties = spec.properties;
  auto mark = [&](const TypedExpr *expr, ElementType type) {
    auto found = indices.find(expr);
    if (found == indices.end() || expr->kind == ExprKind::Input)
      return; // as it lies in memory it has been rounded
    nodes[found->second].isRounded = true;
    nodes[found->second].rounding = type;
  };
  std::vector<const TypedExpr *> roots;
  for (const TypedExpr *root : {spec.weights.argument, spec.weights.by, spec.probs})
    if (root)
      roots.push_back(root);
  FeatureList features = collectFeatures(roots);
  for (const TypedExpr *feature : features.query)
    mark(feature, properties.queryDtype);
  for (const TypedExpr *table : features.queryTables)
    mark(table, properties.queryDtype);
  for (const TypedExpr *feature : features.key)
    mark(feature, properties.keyDtype);
  for (const TypedExpr *table : features.keyTables)
    mark(table, properties.keyDtype);
  for (const VectorTerm &term : splitVector(spec.value).terms)
    mark(term.vector, properties.valueDtype);
}

EvaluationProgram::EvaluationProgram(const TypedSpec &spec) : spec(spec) {
  for (const TypedExpr *root :
       {spec.mask, spec.weights.argument, spec.weights.sink, spec.weights.by, spec.probs, spec.value, spec.out})
    if (root)
      add(root);
  markRoundings();
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
