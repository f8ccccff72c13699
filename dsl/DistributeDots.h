// Splits vectors that depend on both rows into terms of one row each, so that `dot(query, key + table[r])` becomes
// `dot(query, key) + dot(query, table[r])`: what the IR multiplies are *features*, vectors made of the query row or of
// the key row alone, and table rows. The scale of an input that is multiplied as it lies in memory stands beside it as a
// factor. Free of MLIR.
#pragma once

#include "dsl/TypedSpec.h"

#include <string>
#include <utility>
#include <vector>

namespace attn::dsl {

/// What a term's vector is made of.
enum class TermSide : std::uint8_t {
  Query,  ///< the query row: a query feature
  Key,    ///< the key row: a key feature (of `value`: the row that is summed)
  Table,  ///< a row of a parameter, read at any point
  Free,   ///< neither row, computed: becomes a feature of the side that its partner is not of
};

/// One scalar that a term's vector is multiplied with, outermost first.
struct TermFactor {
  enum class Kind : std::uint8_t { Times, DividedBy, Negated, OnlyIf, OnlyUnless };
  Kind kind;
  const TypedExpr *expr = nullptr;  ///< a number, or the condition of OnlyIf and OnlyUnless; null with Negated
};

struct VectorTerm {
  TermSide side = TermSide::Free;
  const TypedExpr *vector = nullptr;
  std::vector<TermFactor> factors;
};

/// Whether the vector is an input's row as it lies in memory, or channels of one.
bool isPartOfInput(const TypedExpr &vector);

/// The terms whose sum `vector` is. Where it cannot be split `offender` is the expression in the way, else null; `problem`
/// says why.
struct SplitVector {
  std::vector<VectorTerm> terms;
  const TypedExpr *offender = nullptr;
  std::string problem;
};
SplitVector splitVector(const TypedExpr *vector);

/// The product of two terms, sorted: where there is a feature of the query it is `lhs`, a table row is `rhs`.
struct DotTerm {
  VectorTerm lhs, rhs;
};

/// The two vectors of `dot(u, v)` or of `sum(u * v)`; null where `expr` is neither.
std::pair<const TypedExpr *, const TypedExpr *> productOperands(const TypedExpr *expr);

/// Such a product at a point as a sum of products that each have a feature. `problem` says in words why it cannot be.
struct DistributedDot {
  std::vector<DotTerm> terms;
  const TypedExpr *offender = nullptr;
  std::string problem;
};
DistributedDot distributeDot(const TypedExpr *dot);

/// The features that point expressions use, each once, in order of first use.
struct FeatureList {
  std::vector<const TypedExpr *> query, key;
  std::vector<const TypedExpr *> queryTables, keyTables;  ///< table rows that are multiplied with a feature of the side
  const TypedExpr *offender = nullptr;
  std::string problem;
};
FeatureList collectFeatures(const std::vector<const TypedExpr *> &roots);

} // namespace attn::dsl
