// Leaves, and the typing rules of scalar operators (docs/language.md, section 2). Vectors are in BuildVectors.cpp,
// arithmetic on constants in FoldConstants.cpp.
#include "dsl/ExprBuilder.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attn::dsl {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

ExprRef ExprBuilder::error(DiagnosticKind kind, std::vector<std::string> arguments) {
  reportError(kind, std::move(arguments));
  return nullptr;
}

ExprRef ExprBuilder::fault(DiagnosticKind kind, std::vector<std::string> arguments) {
  if (unreached == 0)
    reportError(kind, std::move(arguments));
  return nullptr;
}

TypedExpr ExprBuilder::node(ExprKind kind, Type type, std::vector<ExprRef> operands) const {
  TypedExpr result;
  result.kind = kind;
  result.type = type;
  result.operands = std::move(operands);
  if (type.isNumber()) {
    result.lowest = -kInfinity;
    result.highest = kInfinity;
  }
  return result;
}

/// Derives what follows from the operands; the variable of `boundDepth` ends here.
ExprRef ExprBuilder::add(TypedExpr node, unsigned boundDepth) {
  node.position = position;
  for (ExprRef operand : node.operands) {
    node.domain = node.domain | operand->domain;
    node.variables |= operand->variables;
    node.height = std::max(node.height, operand->height + 1);
  }
  if (boundDepth < 32)
    node.variables &= ~(1u << boundDepth);
  node.domain.bound = node.variables != 0;
  if (node.height > TypedExpr::kMaxHeight)
    return error(DiagnosticKind::TooHigh, {std::to_string(TypedExpr::kMaxHeight)});
  return spec.add(std::move(node));
}

ExprRef ExprBuilder::number(double value, Type type) {
  TypedExpr result = node(ExprKind::Number, type, {});
  result.number = result.lowest = result.highest = value;
  return add(std::move(result));
}

ExprRef ExprBuilder::boolean(bool value) {
  TypedExpr result = node(ExprKind::Boolean, Type::boolean(), {});
  result.boolean = value;
  return add(std::move(result));
}

ExprRef ExprBuilder::index(IndexKind kind) {
  TypedExpr result = node(ExprKind::Index, Type::i32(), {});
  result.index = kind;
  result.lowest = 0;
  result.highest = 2147483647;
  result.domain.batch = kind == IndexKind::B;
  result.domain.qHead = kind == IndexKind::H;
  result.domain.kvHead = kind == IndexKind::KvHead;
  result.domain.row = kind == IndexKind::QIdx;
  result.domain.column = kind == IndexKind::KvIdx;
  return add(std::move(result));
}

ExprRef ExprBuilder::size(std::string name, bool perRequest) {
  TypedExpr result = node(ExprKind::Size, Type::i32(), {});
  result.name = std::move(name);
  result.lowest = 0;
  result.highest = 2147483647;
  result.domain.batch = perRequest;
  return add(std::move(result));
}

ExprRef ExprBuilder::softmaxScale() {
  TypedExpr result = node(ExprKind::SoftmaxScale, Type::f32(), {});
  result.lowest = 0;
  return add(std::move(result));
}

/// The bounds that `in` promises, where they are constants.
static void boundByPromise(TypedExpr &node, ElementType element, const std::optional<RangePromise> &range) {
  if (!node.type.isNumber())
    return;
  if (element == ElementType::I8 || element == ElementType::I16) {
    node.lowest = element == ElementType::I8 ? -128 : -32768;
    node.highest = -node.lowest - 1;
  }
  if (!range)
    return;
  if (std::optional<std::int64_t> lowest = range->lo.constant())
    node.lowest = static_cast<double>(*lowest);
  if (std::optional<std::int64_t> highest = range->hi.constant())
    node.highest = static_cast<double>(*highest);
}

ExprRef ExprBuilder::scalar(std::uint32_t parameter) {
  const ScalarParameter &scalar = spec.scalars[parameter];
  Type type = scalar.element == ElementType::Bool ? Type::boolean()
              : scalar.element == ElementType::I32 ? Type::i32() : Type::f32();
  TypedExpr result = node(ExprKind::Scalar, type, {});
  result.parameter = parameter;
  result.isScale = scalar.isScale;
  boundByPromise(result, scalar.element, scalar.range);
  return add(std::move(result));
}

ExprRef ExprBuilder::input(InputKind kind, std::int64_t length) {
  TypedExpr result = node(ExprKind::Input, Type::vector(length), {});
  result.input = kind;
  bool isQuery = kind == InputKind::Query;
  result.domain.row = result.domain.qHead = isQuery;
  result.domain.column = result.domain.kvHead = !isQuery;
  result.domain.batch = result.domain.inputs = true;
  return add(std::move(result));
}

ExprRef ExprBuilder::weightedSum(std::int64_t length) {
  TypedExpr result = node(ExprKind::WeightedSum, Type::vector(length), {});
  result.domain.row = result.domain.qHead = result.domain.batch = result.domain.inputs = true;
  return add(std::move(result));
}

ExprRef ExprBuilder::variable(Type type, double lowest, double highest, unsigned depth) {
  TypedExpr result = node(ExprKind::Variable, type, {});
  result.lowest = lowest;
  result.highest = highest;
  result.variables = 1u << depth;
  return add(std::move(result));
}

ExprRef ExprBuilder::read(std::uint32_t parameter, std::vector<ExprRef> indices, Type type) {
  const TensorParameter &tensor = spec.tensors[parameter];
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (!indices[i])
      return nullptr;
    std::optional<std::int64_t> size = tensor.dims[i].constant();
    bool below = indices[i]->highest < 0;
    bool above = size && indices[i]->lowest >= static_cast<double>(*size);
    if (below || above)
      return fault(DiagnosticKind::IndexOutOfRange,
                   {tensor.name, std::to_string(i), tensor.dims[i].text(), below ? "below 0" : "past the end"});
  }
  TypedExpr result = node(ExprKind::Read, type, std::move(indices));
  result.parameter = parameter;
  result.isScale = tensor.isScale;
  boundByPromise(result, tensor.element, tensor.range);
  return add(std::move(result));
}

bool ExprBuilder::requireScalar(std::string_view what, ExprRef operand) {
  if (!operand)
    return false;
  if (operand->type.isNumber())
    return true;
  error(DiagnosticKind::WantsNumber, {std::string(what), spelling(operand->type)});
  return false;
}

ExprRef ExprBuilder::toF32(ExprRef operand) {
  if (!requireScalar("this place", operand) || operand->type == Type::f32())
    return operand && operand->type == Type::f32() ? operand : nullptr;
  if (operand->kind == ExprKind::Number)
    return number(operand->number, Type::f32());
  TypedExpr result = node(ExprKind::ToF32, Type::f32(), {operand});
  result.lowest = operand->lowest;
  result.highest = operand->highest;
  return add(std::move(result));
}

/// The operators that keep i32 (`abs min max clamp + - *` and unary `-`).
static bool keepsInteger(UnaryOp op) { return op == UnaryOp::Neg || op == UnaryOp::Abs; }
static bool roundsToInteger(UnaryOp op) {
  return op == UnaryOp::Floor || op == UnaryOp::Ceil || op == UnaryOp::Round;
}

ExprRef ExprBuilder::unary(UnaryOp op, ExprRef operand) {
  if (!operand)
    return nullptr;
  std::string name = "`" + std::string(spelling(op)) + "`";
  if (operand->type.isVector())
    return vectorUnary(op, operand);
  if (!requireScalar(name, operand))
    return nullptr;
  bool isInteger = operand->type == Type::i32();
  if (isInteger && roundsToInteger(op))
    return operand;
  if (isInteger && !keepsInteger(op))
    operand = toF32(operand);
  if (!operand)
    return nullptr;
  Type type = roundsToInteger(op) ? Type::i32() : operand->type;
  if (operand->kind == ExprKind::Number)
    return foldUnary(op, operand, type);
  TypedExpr result = node(ExprKind::Unary, type, {operand});
  result.unary = op;
  boundUnary(result);
  return add(std::move(result));
}

static bool takesIntegersOnly(BinaryOp op) { return op >= BinaryOp::FloorDiv; }
static bool isReal(BinaryOp op) { return op == BinaryOp::Div || op == BinaryOp::Pow; }

ExprRef ExprBuilder::binary(BinaryOp op, ExprRef left, ExprRef right) {
  if (!left || !right)
    return nullptr;
  std::string name = "`" + std::string(spelling(op)) + "`";
  if (left->type.isVector() || right->type.isVector())
    return vectorBinary(op, left, right);
  if (!requireScalar(name, left) || !requireScalar(name, right))
    return nullptr;
  bool integers = left->type == Type::i32() && right->type == Type::i32();
  if (takesIntegersOnly(op) && !integers)
    return error(DiagnosticKind::WantsIntegers, {name, spelling(left->type), spelling(right->type)});
  bool isShift = op == BinaryOp::ShiftLeft || op == BinaryOp::ShiftRight;
  if (isShift && right->kind == ExprKind::Number && (right->number < 0 || right->number > 31))
    return error(DiagnosticKind::ShiftRange, {std::to_string(right->integer())});
  if (!integers || isReal(op)) {
    left = toF32(left);
    right = toF32(right);
  }
  if (!left || !right)
    return nullptr;
  Type type = left->type;
  if (right->kind == ExprKind::Number && right->number == 0 && (op == BinaryOp::FloorDiv || op == BinaryOp::Mod))
    return fault(DiagnosticKind::DivisionByZero, {name});
  if (left->kind == ExprKind::Number && right->kind == ExprKind::Number)
    return foldBinary(op, left, right, type);
  if (ExprRef simple = simplify(op, left, right, type))
    return simple;
  TypedExpr result = node(ExprKind::Binary, type, {left, right});
  result.binary = op;
  boundBinary(result);
  return add(std::move(result));
}

/// x + 0, x - 0, x * 1, x / 1 and their mirrors are x; null for anything else.
ExprRef ExprBuilder::simplify(BinaryOp op, ExprRef left, ExprRef right, Type type) {
  auto is = [&](ExprRef expr, double value) {
    return expr->kind == ExprKind::Number && expr->number == value && expr->type == type;
  };
  switch (op) {
  case BinaryOp::Add:
    return is(right, 0) ? left : is(left, 0) ? right : nullptr;
  case BinaryOp::Sub:
    return is(right, 0) ? left : nullptr;
  case BinaryOp::Mul:
    return is(right, 1) ? left : is(left, 1) ? right : nullptr;
  case BinaryOp::Div:
  case BinaryOp::FloorDiv:
    return is(right, 1) ? left : nullptr;
  default:
    return nullptr;
  }
}

static bool compareNumbers(CompareOp op, double left, double right) {
  switch (op) {
  case CompareOp::Eq: return left == right;
  case CompareOp::Ne: return left != right;
  case CompareOp::Lt: return left < right;
  case CompareOp::Le: return left <= right;
  case CompareOp::Gt: return left > right;
  case CompareOp::Ge: return left >= right;
  }
  return false;
}

ExprRef ExprBuilder::compare(CompareOp op, ExprRef left, ExprRef right) {
  if (!left || !right)
    return nullptr;
  bool equality = op == CompareOp::Eq || op == CompareOp::Ne;
  bool bools = left->type == Type::boolean() && right->type == Type::boolean();
  bool numbers = left->type.isNumber() && right->type.isNumber();
  if (!numbers && !(equality && bools))
    return error(DiagnosticKind::CompareTypes,
                 {std::string(spelling(op)), equality ? "two numbers or two bools" : "two numbers", spelling(left->type),
                  spelling(right->type)});
  if (numbers && !(left->type == right->type)) {
    left = toF32(left);
    right = toF32(right);
    if (!left || !right)
      return nullptr;
  }
  if (left->isConstant() && right->isConstant())
    return boolean(numbers ? compareNumbers(op, left->number, right->number)
                           : (left->boolean == right->boolean) == (op == CompareOp::Eq));
  TypedExpr result = node(ExprKind::Compare, Type::boolean(), {left, right});
  result.compare = op;
  return add(std::move(result));
}

ExprRef ExprBuilder::logicalNot(ExprRef operand) {
  if (!operand)
    return nullptr;
  if (operand->type.kind != Type::Kind::Bool)
    return error(DiagnosticKind::WantsBool, {"`not`", spelling(operand->type)});
  if (operand->kind == ExprKind::Boolean)
    return boolean(!operand->boolean);
  if (operand->kind == ExprKind::Not)
    return operand->operands[0];
  return add(node(ExprKind::Not, Type::boolean(), {operand}));
}

ExprRef ExprBuilder::logicalAnd(ExprRef left, ExprRef right) {
  if (!left || !right)
    return nullptr;
  for (ExprRef side : {left, right})
    if (side->type.kind != Type::Kind::Bool)
      return error(DiagnosticKind::WantsBool, {"`and`", spelling(side->type)});
  if (left->kind == ExprKind::Boolean)
    return left->boolean ? right : left;
  if (right->kind == ExprKind::Boolean)
    return right->boolean ? left : right;
  return add(node(ExprKind::And, Type::boolean(), {left, right}));
}

ExprRef ExprBuilder::logicalOr(ExprRef left, ExprRef right) {
  if (!left || !right)
    return nullptr;
  for (ExprRef side : {left, right})
    if (side->type.kind != Type::Kind::Bool)
      return error(DiagnosticKind::WantsBool, {"`or`", spelling(side->type)});
  if (left->kind == ExprKind::Boolean)
    return left->boolean ? left : right;
  if (right->kind == ExprKind::Boolean)
    return right->boolean ? right : left;
  return add(node(ExprKind::Or, Type::boolean(), {left, right}));
}

ExprRef ExprBuilder::select(ExprRef condition, ExprRef thenValue, ExprRef elseValue) {
  if (!condition || !thenValue || !elseValue)
    return nullptr;
  if (condition->type.kind != Type::Kind::Bool)
    return error(DiagnosticKind::WantsBool, {"the condition of `if`", spelling(condition->type)});
  if (thenValue->type.isNumber() && elseValue->type.isNumber() && !(thenValue->type == elseValue->type)) {
    thenValue = toF32(thenValue);
    elseValue = toF32(elseValue);
    if (!thenValue || !elseValue)
      return nullptr;
  }
  if (!(thenValue->type == elseValue->type))
    return error(DiagnosticKind::BranchTypes, {spelling(thenValue->type), spelling(elseValue->type)});
  if (condition->kind == ExprKind::Boolean)
    return condition->boolean ? thenValue : elseValue;
  if (thenValue == elseValue)
    return thenValue;
  TypedExpr result = node(ExprKind::If, thenValue->type, {condition, thenValue, elseValue});
  result.lowest = std::min(thenValue->lowest, elseValue->lowest);
  result.highest = std::max(thenValue->highest, elseValue->highest);
  Domain domain = condition->domain | thenValue->domain | elseValue->domain;
  bool oneRow = !domain.isPoint();
  if (thenValue->type.isVector() && !oneRow)
    for (ExprRef branch : {thenValue, elseValue})
      if (branch->kind == ExprKind::Vec && branch->domain.isPoint())
        return error(DiagnosticKind::BothRows, {"`if`"});
  return add(std::move(result));
}

ExprRef ExprBuilder::softmax(ExprRef argument, ExprRef sink) {
  argument = argument ? toF32(argument) : nullptr;
  if (!argument)
    return nullptr;
  std::vector<ExprRef> operands = {argument};
  if (sink) {
    sink = toF32(sink);
    if (!sink)
      return nullptr;
    if (sink->domain.column)
      return error(DiagnosticKind::SinkDomain);
    bool none = sink->kind == ExprKind::Number && sink->number == -kInfinity;
    if (!none)
      operands.push_back(sink);
  }
  TypedExpr result = node(ExprKind::Softmax, Type::f32(), std::move(operands));
  result.lowest = 0;
  result.highest = 1;
  result.domain.weight = result.domain.row = result.domain.column = true;
  return add(std::move(result));
}

ExprRef ExprBuilder::normalize(ExprRef weight, ExprRef by) {
  weight = weight ? toF32(weight) : nullptr;
  by = by ? toF32(by) : nullptr;
  if (!weight || !by)
    return nullptr;
  TypedExpr result = node(ExprKind::Normalize, Type::f32(), {weight, by});
  result.domain.weight = result.domain.row = result.domain.column = true;
  return add(std::move(result));
}

ExprRef ExprBuilder::dropout(ExprRef weight, ExprRef rate, ExprRef seed, ExprRef offset) {
  weight = weight ? toF32(weight) : nullptr;
  rate = rate ? toF32(rate) : nullptr;
  if (!weight || !rate || !seed || !offset)
    return nullptr;
  for (ExprRef number : {seed, offset})
    if (!(number->type == Type::i32()))
      return error(DiagnosticKind::DropoutInteger, {number == seed ? "seed" : "offset", spelling(number->type)});
  for (ExprRef number : {rate, seed, offset})
    if (number->domain.row || number->domain.column)
      return error(DiagnosticKind::DropoutDomain);
  if (rate->kind == ExprKind::Number && (rate->number < 0 || rate->number >= 1))
    return error(DiagnosticKind::DropoutRate);
  TypedExpr result = node(ExprKind::Dropout, Type::f32(), {weight, rate, seed, offset});
  result.domain.random = result.domain.row = result.domain.column = true;
  return add(std::move(result));
}

ExprRef ExprBuilder::suffixSum(ExprRef operand) {
  operand = operand ? toF32(operand) : nullptr;
  if (!operand)
    return nullptr;
  TypedExpr result = node(ExprKind::SuffixSum, Type::f32(), {operand});
  if (operand->lowest >= 0)
    result.lowest = 0;
  result.domain.scan = result.domain.row = result.domain.column = true;
  return add(std::move(result));
}

bool ExprBuilder::isAlwaysFalse(ExprRef expr) {
  switch (expr->kind) {
  case ExprKind::Boolean: return !expr->boolean;
  case ExprKind::Not: return isAlwaysTrue(expr->operands[0]);
  case ExprKind::And: return isAlwaysFalse(expr->operands[0]) || isAlwaysFalse(expr->operands[1]);
  case ExprKind::Or: return isAlwaysFalse(expr->operands[0]) && isAlwaysFalse(expr->operands[1]);
  case ExprKind::Compare: break;
  default: return false;
  }
  ExprRef left = expr->operands[0], right = expr->operands[1];
  switch (expr->compare) {
  case CompareOp::Lt: return left->lowest >= right->highest && left->type.isNumber();
  case CompareOp::Le: return left->lowest > right->highest;
  case CompareOp::Gt: return left->highest <= right->lowest && left->type.isNumber();
  case CompareOp::Ge: return left->highest < right->lowest;
  case CompareOp::Eq: return left->lowest > right->highest || left->highest < right->lowest;
  case CompareOp::Ne: return false;
  }
  return false;
}

bool ExprBuilder::isAlwaysTrue(ExprRef expr) {
  switch (expr->kind) {
  case ExprKind::Boolean: return expr->boolean;
  case ExprKind::Not: return isAlwaysFalse(expr->operands[0]);
  case ExprKind::And: return isAlwaysTrue(expr->operands[0]) && isAlwaysTrue(expr->operands[1]);
  case ExprKind::Or: return isAlwaysTrue(expr->operands[0]) || isAlwaysTrue(expr->operands[1]);
  case ExprKind::Compare: break;
  default: return false;
  }
  ExprRef left = expr->operands[0], right = expr->operands[1];
  switch (expr->compare) {
  case CompareOp::Lt: return left->highest < right->lowest;
  case CompareOp::Le: return left->highest <= right->lowest && left->type.isNumber();
  case CompareOp::Gt: return left->lowest > right->highest;
  case CompareOp::Ge: return left->lowest >= right->highest && left->type.isNumber();
  case CompareOp::Ne: return left->lowest > right->highest || left->highest < right->lowest;
  case CompareOp::Eq: return false;
  }
  return false;
}

} // namespace attn::dsl
