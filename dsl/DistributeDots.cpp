// The distribution of dots over sums, and the collection of the features that remain.
#include "dsl/DistributeDots.h"

#include <algorithm>
#include <set>

namespace attn::dsl {

//===----------------------------------------------------------------------===//
// One vector
//===----------------------------------------------------------------------===//

static constexpr std::size_t kMostTerms = 64;   ///< each is a product of its own; sums of sums double them with each `let`

static TermSide sideOf(const TypedExpr &vector) {
  if (vector.kind == ExprKind::Read)
    return TermSide::Table;
  if (vector.domain.row)
    return TermSide::Query;
  return vector.domain.column ? TermSide::Key : TermSide::Free;
}

static void split(const TypedExpr *vector, std::vector<TermFactor> factors, SplitVector &result);

static void splitWith(const TypedExpr *vector, std::vector<TermFactor> factors, TermFactor factor, SplitVector &result) {
  factors.push_back(factor);
  split(vector, std::move(factors), result);
}

/// A scalar times or over a vector.
static void splitScaled(const TypedExpr *vector, std::vector<TermFactor> factors, SplitVector &result) {
  const TypedExpr *lhs = vector->operands[0], *rhs = vector->operands[1];
  bool isProduct = vector->binary == BinaryOp::Mul;
  if (!rhs->type.isVector())
    return splitWith(lhs, std::move(factors), {isProduct ? TermFactor::Kind::Times : TermFactor::Kind::DividedBy, rhs},
                     result);
  if (isProduct && !lhs->type.isVector())
    return splitWith(rhs, std::move(factors), {TermFactor::Kind::Times, lhs}, result);
  result.offender = vector;
}

static void splitBinary(const TypedExpr *vector, std::vector<TermFactor> factors, SplitVector &result) {
  const TypedExpr *lhs = vector->operands[0], *rhs = vector->operands[1];
  bool isSum = vector->binary == BinaryOp::Add || vector->binary == BinaryOp::Sub;
  if (!isSum && vector->binary != BinaryOp::Mul && vector->binary != BinaryOp::Div) {
    result.offender = vector;
    return;
  }
  if (!isSum)
    return splitScaled(vector, std::move(factors), result);
  if (!lhs->type.isVector() || !rhs->type.isVector()) {
    result.offender = vector;
    return;
  }
  split(lhs, factors, result);
  if (vector->binary == BinaryOp::Sub)
    factors.push_back({TermFactor::Kind::Negated});
  split(rhs, std::move(factors), result);
}

bool isPartOfInput(const TypedExpr &vector) {
  return vector.kind == ExprKind::Input || (vector.kind == ExprKind::Slice && vector.operands[0]->kind == ExprKind::Input);
}

/// The scale of an input of which `vector` is a part, as it lies in memory, times that; null for all else.
static const TypedExpr *scaleOfInput(const TypedExpr &vector) {
  if (vector.kind != ExprKind::Binary || vector.binary != BinaryOp::Mul)
    return nullptr;
  const TypedExpr *row = vector.operands[0], *scale = vector.operands[1];
  return scale->isScale && isPartOfInput(*row) ? scale : nullptr;
}

static void split(const TypedExpr *vector, std::vector<TermFactor> factors, SplitVector &result) {
  if (result.offender)
    return;
  if (const TypedExpr *scale = scaleOfInput(*vector))
    return splitWith(vector->operands[0], std::move(factors), {TermFactor::Kind::Times, scale}, result);
  if (!vector->domain.isPoint() || vector->kind == ExprKind::Read) {
    if (result.terms.size() == kMostTerms) {
      result.offender = vector;
      result.problem = "a vector of both rows that is a sum of more than " + std::to_string(kMostTerms) + " vectors";
      return;
    }
    result.terms.push_back({sideOf(*vector), vector, std::move(factors)});
    return;
  }
  switch (vector->kind) {
  case ExprKind::Binary:
    return splitBinary(vector, std::move(factors), result);
  case ExprKind::Unary:
    if (vector->unary == UnaryOp::Neg)
      return splitWith(vector->operands[0], std::move(factors), {TermFactor::Kind::Negated}, result);
    break;
  case ExprKind::If:
    splitWith(vector->operands[1], factors, {TermFactor::Kind::OnlyIf, vector->operands[0]}, result);
    return splitWith(vector->operands[2], std::move(factors), {TermFactor::Kind::OnlyUnless, vector->operands[0]}, result);
  default:
    break;
  }
  result.offender = vector;
}

SplitVector splitVector(const TypedExpr *vector) {
  SplitVector result;
  split(vector, {}, result);
  if (result.offender && result.problem.empty())
    result.problem = "a vector of both rows that is no sum of vectors of one row";
  return result;
}

//===----------------------------------------------------------------------===//
// Dots
//===----------------------------------------------------------------------===//

/// Sorts the two terms and gives a computed vector of no row the side its partner needs. False: neither is a feature.
static bool pairTerms(DotTerm &pair) {
  VectorTerm &lhs = pair.lhs, &rhs = pair.rhs;
  if (rhs.side < lhs.side)
    std::swap(lhs, rhs);
  if (rhs.side == TermSide::Free && lhs.side == TermSide::Query)
    rhs.side = TermSide::Key;
  if (rhs.side == TermSide::Free && lhs.side == TermSide::Key) {
    rhs.side = TermSide::Query;
    std::swap(lhs, rhs);
  }
  bool hasFeature = lhs.side == TermSide::Query || lhs.side == TermSide::Key;
  return hasFeature && rhs.side != TermSide::Free;
}

std::pair<const TypedExpr *, const TypedExpr *> productOperands(const TypedExpr *expr) {
  if (expr->kind == ExprKind::Dot)
    return {expr->operands[0], expr->operands[1]};
  if (expr->kind != ExprKind::Sum)
    return {};
  const TypedExpr *summed = expr->operands[0];
  if (summed->kind != ExprKind::Binary || summed->binary != BinaryOp::Mul || !summed->operands[0]->type.isVector() ||
      !summed->operands[1]->type.isVector())
    return {};
  return {summed->operands[0], summed->operands[1]};
}

DistributedDot distributeDot(const TypedExpr *dot) {
  DistributedDot result;
  auto [first, second] = productOperands(dot);
  SplitVector lhs = splitVector(first), rhs = splitVector(second);
  result.offender = lhs.offender ? lhs.offender : rhs.offender;
  if (result.offender) {
    result.problem = lhs.offender ? lhs.problem : rhs.problem;
    return result;
  }
  for (const VectorTerm &a : lhs.terms)
    for (const VectorTerm &b : rhs.terms) {
      DotTerm pair{a, b};
      if (!pairTerms(pair)) {
        result.offender = dot;
        result.problem = "a product of two vectors of parameters added to a product with the query or the key";
        return result;
      }
      result.terms.push_back(std::move(pair));
    }
  return result;
}

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

namespace {
class FeatureCollector {
public:
  FeatureList features;

  void visit(const TypedExpr *expr) {
    if (features.offender || !visited.insert(expr).second)
      return;
    if (expr->domain.inputs && productOperands(expr).first)
      return visitDot(expr);
    for (const TypedExpr *operand : expr->operands)
      visit(operand);
  }

private:
  std::set<const TypedExpr *> visited;

  static void addOnce(std::vector<const TypedExpr *> &list, const TypedExpr *feature) {
    if (std::find(list.begin(), list.end(), feature) == list.end())
      list.push_back(feature);
  }

  void add(const VectorTerm &term) {
    if (term.side == TermSide::Query)
      addOnce(features.query, term.vector);
    if (term.side == TermSide::Key)
      addOnce(features.key, term.vector);
    if (term.side == TermSide::Table)
      for (const TypedExpr *index : term.vector->operands)
        visit(index);
    for (const TermFactor &factor : term.factors)
      if (factor.expr)
        visit(factor.expr);
  }

  void visitDot(const TypedExpr *dot) {
    DistributedDot distributed = distributeDot(dot);
    if (distributed.offender) {
      features.offender = distributed.offender;
      features.problem = distributed.problem;
      return;
    }
    for (const DotTerm &term : distributed.terms) {
      add(term.lhs);
      add(term.rhs);
      if (term.rhs.side == TermSide::Table)
        addOnce(term.lhs.side == TermSide::Query ? features.queryTables : features.keyTables, term.rhs.vector);
    }
  }
};
} // namespace

FeatureList collectFeatures(const std::vector<const TypedExpr *> &roots) {
  FeatureCollector collector;
  for (const TypedExpr *root : roots)
    collector.visit(root);
  return std::move(collector.features);
}

} // namespace attn::dsl
