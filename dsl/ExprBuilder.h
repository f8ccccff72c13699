// Makes typed nodes: converts operands to one type, folds constants, derives domains and bounds, and refuses what has
// no meaning. Every function returns null where an operand is null or after reporting an error.
#pragma once

#include "dsl/Diagnostics.h"
#include "dsl/TypedSpec.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace attn::dsl {

using ExprRef = const TypedExpr *;

class ExprBuilder {
public:
  using Report = std::function<void(DiagnosticKind, std::vector<std::string>)>;
  /// `report` places messages; `position` of the node being made is set through `at`.
  ExprBuilder(TypedSpec &spec, Report report) : spec(spec), reportError(std::move(report)) {}

  void at(SourcePosition place) { position = place; }
  /// While positive, faults of constant arithmetic are not reported: the code is not reached.
  int unreached = 0;

  // Leaves.
  ExprRef number(double value, Type type);
  ExprRef integer(std::int64_t value) { return number(static_cast<double>(value), Type::i32()); }
  ExprRef boolean(bool value);
  ExprRef index(IndexKind kind);
  ExprRef size(std::string name, bool perRequest);
  ExprRef softmaxScale();
  ExprRef scalar(std::uint32_t parameter);
  ExprRef input(InputKind kind, std::int64_t length);
  ExprRef weightedSum(std::int64_t length);
  ExprRef variable(Type type, double lowest, double highest, unsigned depth);
  ExprRef read(std::uint32_t parameter, std::vector<ExprRef> indices, Type type);

  // Scalars and vectors by element.
  ExprRef toF32(ExprRef operand);
  ExprRef unary(UnaryOp op, ExprRef operand);
  ExprRef binary(BinaryOp op, ExprRef left, ExprRef right);
  ExprRef compare(CompareOp op, ExprRef left, ExprRef right);
  ExprRef logicalNot(ExprRef operand);
  ExprRef logicalAnd(ExprRef left, ExprRef right);
  ExprRef logicalOr(ExprRef left, ExprRef right);
  ExprRef select(ExprRef condition, ExprRef thenValue, ExprRef elseValue);

  // Vectors.
  ExprRef dot(ExprRef left, ExprRef right);
  ExprRef sum(ExprRef vector);
  ExprRef slice(ExprRef vector, std::int64_t begin, std::int64_t end);
  ExprRef concat(ExprRef left, ExprRef right);
  ExprRef map(ExprRef variable, ExprRef body, ExprRef vector, unsigned depth);
  ExprRef vec(std::int64_t length, ExprRef variable, ExprRef body, unsigned depth);
  ExprRef rotate(ExprRef vector, ExprRef variable, ExprRef angle, std::int64_t dim, bool interleaved, unsigned depth);

  // Over the visible keys of a row.
  ExprRef softmax(ExprRef argument, ExprRef sink);
  ExprRef normalize(ExprRef weight, ExprRef by);
  ExprRef dropout(ExprRef weight, ExprRef rate, ExprRef seed, ExprRef offset);
  ExprRef suffixSum(ExprRef operand);

  /// True where every value of a bool expression is false, as far as bounds show.
  static bool isAlwaysFalse(ExprRef expr);
  static bool isAlwaysTrue(ExprRef expr);

private:
  ExprRef error(DiagnosticKind kind, std::vector<std::string> arguments = {});
  /// Like `error`, but silent where the code is not reached.
  ExprRef fault(DiagnosticKind kind, std::vector<std::string> arguments = {});
  ExprRef add(TypedExpr node, unsigned boundDepth = 32);
  TypedExpr node(ExprKind kind, Type type, std::vector<ExprRef> operands) const;
  bool requireScalar(std::string_view what, ExprRef operand);
  bool requireVector(std::string_view what, ExprRef operand);
  /// Refuses a vector that depends on both rows where only a vector of one row can stand.
  bool requireOneRow(std::string_view what, ExprRef vector);

  ExprRef foldUnary(UnaryOp op, ExprRef operand, Type type);
  ExprRef foldBinary(BinaryOp op, ExprRef left, ExprRef right, Type type);
  ExprRef foldInteger(BinaryOp op, std::int64_t left, std::int64_t right);
  ExprRef simplify(BinaryOp op, ExprRef left, ExprRef right, Type type);
  ExprRef vectorBinary(BinaryOp op, ExprRef left, ExprRef right);
  ExprRef vectorUnary(UnaryOp op, ExprRef operand);

  TypedSpec &spec;
  Report reportError;
  SourcePosition position;
};

/// Bounds of the results of the operators, from those of the operands.
void boundUnary(TypedExpr &node);
void boundBinary(TypedExpr &node);

} // namespace attn::dsl
