// Expressions: the tree's nodes into typed ones.
#include "dsl/Sema.h"

#include <utility>

namespace attn::dsl {

using AstKind = ast::ExprKind;

/// More evaluated expressions or nodes than this means functions that double the work at every level.
static constexpr std::size_t kMaxWork = 300'000;

/// Reports once, at the outermost call, that inlining does not end soon.
Value Sema::stopWork(SourceRange range) {
  if (!std::exchange(stopped, true)) {
    for (; frame->function; frame = frame->caller)
      range = frame->call;
    report(DiagnosticKind::TooMuchWork, range, {std::to_string(kMaxWork)});
  }
  return {};
}

Value Sema::evaluate(const ast::Expr &expr, const Scope &scope) {
  if (++work > kMaxWork || spec->nodeCount() > kMaxWork)
    return stopWork(expr.focus);
  switch (expr.kind) {
  case AstKind::Number:
    return Value::of(evaluateNumber(expr));
  case AstKind::Boolean:
    place(expr.range);
    return Value::of(builder.boolean(expr.boolean));
  case AstKind::Name:
    place(expr.range);
    return resolve(expr.name, &scope);
  case AstKind::Call:
    return evaluateCall(expr, scope);
  case AstKind::Index:
    return evaluateIndex(expr, scope);
  case AstKind::Unary:
    return Value::of(evaluateUnary(expr, scope));
  case AstKind::Binary:
    return Value::of(evaluateBinary(expr, scope));
  case AstKind::If:
    return Value::of(evaluateIf(expr, scope));
  case AstKind::Lambda:
    return Value::ofLambda(expr, scope);
  }
  return {};
}

ExprRef Sema::evaluateExpr(const ast::Expr &expr, const Scope &scope) { return toExpr(evaluate(expr, scope), expr.range); }

/// A value as a number, bool or vector: a tensor of one dimension is a vector by its name.
ExprRef Sema::toExpr(const Value &value, SourceRange range) {
  switch (value.kind) {
  case Value::Kind::None:
    return nullptr;
  case Value::Kind::Expr:
    return value.expr;
  case Value::Kind::Lambda:
    report(DiagnosticKind::LambdaValue, range);
    return nullptr;
  case Value::Kind::Tensor:
    break;
  }
  const TensorParameter &tensor = spec->tensors[value.tensor];
  if (tensor.dims.size() == 1)
    return readRow(value.tensor, {}, range);
  report(DiagnosticKind::TensorRank, range, {tensor.name, std::to_string(tensor.dims.size()), "none",
                                             std::to_string(tensor.dims.size() - 1)});
  return nullptr;
}

ExprRef Sema::evaluateNumber(const ast::Expr &expr) {
  place(expr.range);
  if (expr.isInteger && expr.number > 2147483647.0) {
    report(DiagnosticKind::NumberRange, expr.range, {std::string(textAt(expr.range)), "i32"});
    return nullptr;
  }
  return builder.number(expr.number, expr.isInteger ? Type::i32() : Type::f32());
}

ExprRef Sema::evaluateUnary(const ast::Expr &expr, const Scope &scope) {
  const ast::Expr &operandTree = *expr.operands[0];
  if (expr.op == TokenKind::Minus && operandTree.kind == AstKind::Number && operandTree.isInteger) {
    place(expr.range);
    return builder.integer(-static_cast<std::int64_t>(operandTree.number));   // -2147483648 has no positive twin
  }
  ExprRef operand = evaluateExpr(operandTree, scope);
  place(expr.focus);
  return expr.op == TokenKind::Not ? builder.logicalNot(operand) : builder.unary(UnaryOp::Neg, operand);
}

ExprRef Sema::evaluateUnreached(const ast::Expr &expr, const Scope &scope, bool unreached) {
  builder.unreached += unreached;
  ExprRef value = evaluateExpr(expr, scope);
  builder.unreached -= unreached;
  return value;
}

static std::optional<CompareOp> compareOp(TokenKind kind) {
  switch (kind) {
  case TokenKind::EqualEqual: return CompareOp::Eq;
  case TokenKind::NotEqual: return CompareOp::Ne;
  case TokenKind::Less: return CompareOp::Lt;
  case TokenKind::LessEqual: return CompareOp::Le;
  case TokenKind::Greater: return CompareOp::Gt;
  case TokenKind::GreaterEqual: return CompareOp::Ge;
  default: return std::nullopt;
  }
}

static BinaryOp binaryOp(TokenKind kind) {
  switch (kind) {
  case TokenKind::Plus: return BinaryOp::Add;
  case TokenKind::Minus: return BinaryOp::Sub;
  case TokenKind::Star: return BinaryOp::Mul;
  case TokenKind::Slash: return BinaryOp::Div;
  case TokenKind::SlashSlash: return BinaryOp::FloorDiv;
  case TokenKind::Percent: return BinaryOp::Mod;
  case TokenKind::StarStar: return BinaryOp::Pow;
  case TokenKind::ShiftLeft: return BinaryOp::ShiftLeft;
  case TokenKind::ShiftRight: return BinaryOp::ShiftRight;
  case TokenKind::Ampersand: return BinaryOp::BitAnd;
  case TokenKind::Caret: return BinaryOp::BitXor;
  default: return BinaryOp::BitOr;
  }
}

ExprRef Sema::evaluateBinary(const ast::Expr &expr, const Scope &scope) {
  ExprRef left = evaluateExpr(*expr.operands[0], scope);
  bool isAnd = expr.op == TokenKind::And, isOr = expr.op == TokenKind::Or;
  bool decided = left && left->kind == ExprKind::Boolean && ((isAnd && !left->boolean) || (isOr && left->boolean));
  std::size_t errors = diagnostics.errorCount();
  ExprRef right = evaluateUnreached(*expr.operands[1], scope, decided);
  place(expr.focus);
  if (decided && !right && diagnostics.errorCount() == errors)
    return left;    // a silent fault in what is never evaluated
  ExprRef result;
  if (isAnd)
    result = builder.logicalAnd(left, right);
  else if (isOr)
    result = builder.logicalOr(left, right);
  else if (std::optional<CompareOp> op = compareOp(expr.op))
    result = builder.compare(*op, left, right);
  else
    result = builder.binary(binaryOp(expr.op), left, right);
  if (left && right)
    helpOperands(expr, {left, right}, diagnostics.errorCount() != errors);
  return result;
}

ExprRef Sema::evaluateIf(const ast::Expr &expr, const Scope &scope) {
  ExprRef condition = evaluateExpr(*expr.operands[0], scope);
  bool decided = condition && condition->kind == ExprKind::Boolean;
  std::size_t errors = diagnostics.errorCount();
  ExprRef thenValue = evaluateUnreached(*expr.operands[1], scope, decided && !condition->boolean);
  ExprRef elseValue = evaluateUnreached(*expr.operands[2], scope, decided && condition->boolean);
  place(expr.focus);
  if (decided && diagnostics.errorCount() == errors && (!thenValue || !elseValue))
    return condition->boolean ? thenValue : elseValue;
  return builder.select(condition, thenValue, elseValue);
}

std::optional<std::int64_t> Sema::constantInteger(ExprRef expr, std::string_view what, SourceRange range) {
  if (!expr)
    return std::nullopt;
  if (expr->kind == ExprKind::Number && expr->type == Type::i32())
    return expr->integer();
  bool constant = expr->isConstant();
  report(constant ? DiagnosticKind::WantsInteger : DiagnosticKind::NotConstant, range,
         {std::string(what), spelling(expr->type)});
  return std::nullopt;
}

Value Sema::evaluateIndex(const ast::Expr &expr, const Scope &scope) {
  const ast::Expr *before = std::exchange(indexed, &expr);
  Value base = evaluate(*expr.operands[0], scope);
  indexed = before;
  if (base.kind == Value::Kind::Tensor)
    return Value::of(evaluateRead(base.tensor, expr, scope));
  ExprRef vector = toExpr(base, expr.operands[0]->range);
  if (!vector)
    return {};
  if (!vector->type.isVector()) {
    report(DiagnosticKind::IndexOfScalar, expr.focus, {spelling(vector->type)});
    return {};
  }
  if (expr.indices.size() != 1 || !expr.indices[0].end) {
    report(DiagnosticKind::VectorIndex, expr.focus);
    return {};
  }
  return Value::of(evaluateSlice(vector, expr.indices[0], expr.range, scope));
}

ExprRef Sema::evaluateSlice(ExprRef vector, const ast::IndexItem &item, SourceRange range, const Scope &scope) {
  auto begin = constantInteger(evaluateExpr(*item.first, scope), "a slice bound", item.first->range);
  auto end = constantInteger(evaluateExpr(*item.end, scope), "a slice bound", item.end->range);
  place(range);
  return begin && end ? builder.slice(vector, *begin, *end) : nullptr;
}

/// `t[i, j]`: a scalar with all indices, a row with all but the last, of which a last `a:b` cuts a part.
ExprRef Sema::evaluateRead(std::uint32_t number, const ast::Expr &expr, const Scope &scope) {
  const TensorParameter &tensor = spec->tensors[number];
  const ast::IndexItem *cut = nullptr;
  std::vector<ExprRef> indices;
  bool fine = true;
  for (const ast::IndexItem &item : expr.indices) {
    bool isLast = &item == &expr.indices.back();
    if (item.end) {
      cut = &item;
      if (isLast && expr.indices.size() == tensor.dims.size())
        continue;
      report(DiagnosticKind::SlicePlace, item.first->range, {tensor.name});
      return nullptr;
    }
    ExprRef index = evaluateExpr(*item.first, scope);
    if (index && !(index->type == Type::i32())) {
      report(DiagnosticKind::IndexType, item.first->range, {spelling(index->type)});
      helpIndex(*item.first, *index);
      index = nullptr;
    }
    fine &= index != nullptr;
    indices.push_back(index);
  }
  std::size_t rank = tensor.dims.size();
  if (indices.size() > rank || indices.size() + 1 < rank) {
    report(DiagnosticKind::TensorRank, expr.focus,
           {tensor.name, std::to_string(rank), std::to_string(indices.size()), std::to_string(rank - 1)})
        .note(DiagnosticKind::DeclaredHere, parameters.find(tensor.name)->second.parameter->name.range, {tensor.name});
    return nullptr;
  }
  if (!fine)
    return nullptr;
  checkIndexOrder(number, expr, indices);
  if (indices.size() + 1 == rank) {
    ExprRef row = readRow(number, std::move(indices), expr.range);
    return row && cut ? evaluateSlice(row, *cut, expr.range, scope) : row;
  }
  place(expr.range);
  bool isBool = tensor.element == ElementType::Bool || tensor.element == ElementType::Bit;
  return builder.read(number, std::move(indices),
                      isBool ? Type::boolean() : isFloat(tensor.element) ? Type::f32() : Type::i32());
}

ExprRef Sema::readRow(std::uint32_t number, std::vector<ExprRef> indices, SourceRange range) {
  const TensorParameter &tensor = spec->tensors[number];
  std::optional<std::int64_t> length = tensor.dims.back().constant();
  if (!length) {
    report(DiagnosticKind::RowLength, range, {tensor.name, tensor.dims.back().text()})
        .note(DiagnosticKind::DeclaredHere, parameters.find(tensor.name)->second.parameter->name.range, {tensor.name});
    return nullptr;
  }
  if (tensor.element == ElementType::Bool || tensor.element == ElementType::Bit) {
    report(DiagnosticKind::BoolRow, range, {tensor.name, std::string(spelling(tensor.element))});
    return nullptr;
  }
  place(range);
  return builder.read(number, std::move(indices), Type::vector(*length));
}

} // namespace attn::dsl
