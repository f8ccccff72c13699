// The built-in functions.
#include "dsl/Sema.h"

#include <limits>

namespace attn::dsl {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// "x, sink?" into names, and which may be left out.
static void parseSignature(std::string_view signature, std::vector<std::string> &names, std::vector<bool> &optional) {
  while (!signature.empty()) {
    std::size_t comma = signature.find(", ");
    std::string_view name = signature.substr(0, comma);
    signature = comma == std::string_view::npos ? std::string_view() : signature.substr(comma + 2);
    optional.push_back(name.back() == '?');
    if (name.back() == '?')
      name.remove_suffix(1);
    names.emplace_back(name);
  }
}

/// `softmax(x, sink = …)`.
static std::string builtinSignature(Builtin builtin, const std::vector<std::string> &names, const std::vector<bool> &optional) {
  std::string text = std::string(spelling(builtin)) + "(";
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i ? ", " : "") + names[i] + (optional[i] ? " = \u2026" : "");
  return text + ")";
}

static std::optional<UnaryOp> unaryOp(Builtin builtin) {
  if (builtin > Builtin::Relu)
    return std::nullopt;
  return static_cast<UnaryOp>(static_cast<int>(builtin) + static_cast<int>(UnaryOp::Abs));
}

Value Sema::evaluateBuiltin(Builtin builtin, const ast::Expr &call, const Scope &scope) {
  if (builtin == Builtin::Min || builtin == Builtin::Max)
    return Value::of(evaluateMinMax(builtin == Builtin::Min ? BinaryOp::Min : BinaryOp::Max, call, scope));
  std::vector<std::string> names;
  std::vector<bool> optional;
  parseSignature(builtinArguments(builtin), names, optional);
  BoundArguments bound;
  std::size_t errors = diagnostics.errorCount();
  if (!bindArguments(call, names, optional, bound)) {
    if (diagnostics.errorCount() != errors)
      diagnostics.last().note(DiagnosticKind::DeclaredAs, diagnostics.last().range, {builtinSignature(builtin, names, optional)});
    return {};
  }
  if (builtin == Builtin::Map)
    return Value::of(evaluateMap(bound, call, scope));
  if (builtin == Builtin::Vec)
    return Value::of(evaluateVec(bound, call, scope));
  if (builtin == Builtin::Rotate)
    return Value::of(evaluateRotate(bound, call, scope));
  std::vector<ExprRef> arguments;
  for (const ast::Argument *argument : bound) {
    arguments.push_back(argument ? evaluateExpr(*argument->value, scope) : nullptr);
    if (argument && !arguments.back())
      return {};
  }
  place(call.range);
  if (std::optional<UnaryOp> op = unaryOp(builtin))
    return Value::of(builder.unary(*op, arguments[0]));
  switch (builtin) {
  case Builtin::Clamp:
    return Value::of(builder.binary(BinaryOp::Min, builder.binary(BinaryOp::Max, arguments[0], arguments[1]), arguments[2]));
  case Builtin::Dot: return Value::of(builder.dot(arguments[0], arguments[1]));
  case Builtin::Sum: return Value::of(builder.sum(arguments[0]));
  case Builtin::Concat: return Value::of(builder.concat(arguments[0], arguments[1]));
  case Builtin::SuffixSum: return Value::of(builder.suffixSum(arguments[0]));
  case Builtin::Softmax: return Value::of(builder.softmax(arguments[0], arguments[1]));
  case Builtin::Normalize: return Value::of(builder.normalize(arguments[0], arguments[1] ? arguments[1] : arguments[0]));
  case Builtin::Dropout: return Value::of(builder.dropout(arguments[0], arguments[1], arguments[2], arguments[3]));
  case Builtin::Len:
    if (arguments[0]->type.isVector())
      return Value::of(builder.integer(arguments[0]->type.length));
    report(DiagnosticKind::WantsVector, call.range, {"`len`", spelling(arguments[0]->type)});
    return {};
  default:
    return {};
  }
}

ExprRef Sema::evaluateMinMax(BinaryOp op, const ast::Expr &call, const Scope &scope) {
  if (call.arguments.size() < 2) {
    report(DiagnosticKind::TooFewArguments, call.name.range, {call.name.text});
    return nullptr;
  }
  ExprRef result = nullptr;
  for (const ast::Argument &argument : call.arguments) {
    if (argument.name) {
      report(DiagnosticKind::UnknownArgument, argument.name->range, {call.name.text, argument.name->text, ""});
      return nullptr;
    }
    ExprRef value = evaluateExpr(*argument.value, scope);
    if (!value)
      return nullptr;
    place(call.range);
    result = result ? builder.binary(op, result, value) : value;
    if (!result)
      return nullptr;
  }
  return result;
}

std::optional<Value> Sema::lambdaArgument(const ast::Argument &argument, std::string_view what, const Scope &scope) {
  Value value = evaluateArgument(*argument.value, scope);
  if (value.kind == Value::Kind::Lambda)
    return value;
  if (value.kind != Value::Kind::None)
    report(DiagnosticKind::WantsLambda, argument.value->range, {std::string(what)});
  return std::nullopt;
}

/// Applies a lambda to the variable that a Map, Vec or Rotate binds.
ExprRef Sema::applyBound(const Value &lambda, ExprRef variable) {
  ++lambdaDepth;
  ExprRef body = applyLambda(lambda, variable);
  --lambdaDepth;
  return body;
}

ExprRef Sema::evaluateMap(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope) {
  std::optional<Value> lambda = lambdaArgument(*arguments[0], "`map`", scope);
  ExprRef vector = evaluateExpr(*arguments[1]->value, scope);
  if (!lambda || !vector)
    return nullptr;
  place(call.range);
  if (lambdaDepth >= 31) {
    report(DiagnosticKind::TooDeep, call.range, {"31"});
    return nullptr;
  }
  ExprRef variable = builder.variable(Type::f32(), -kInfinity, kInfinity, lambdaDepth);
  ExprRef body = variable ? applyBound(*lambda, variable) : nullptr;
  place(call.range);
  return body ? builder.map(variable, body, vector, lambdaDepth) : nullptr;
}

ExprRef Sema::evaluateVec(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope) {
  ExprRef size = evaluateExpr(*arguments[0]->value, scope);
  std::optional<std::int64_t> length = constantInteger(size, "the length of `vec`", arguments[0]->value->range);
  std::optional<Value> lambda = lambdaArgument(*arguments[1], "`vec`", scope);
  if (!length || !lambda)
    return nullptr;
  constexpr std::int64_t kMaxLength = 65536;
  if (*length < 1 || *length > kMaxLength || lambdaDepth >= 31) {
    report(DiagnosticKind::VecLength, call.range, {std::to_string(*length), std::to_string(kMaxLength)});
    return nullptr;
  }
  place(call.range);
  ExprRef variable = builder.variable(Type::i32(), 0, static_cast<double>(*length - 1), lambdaDepth);
  ExprRef body = variable ? applyBound(*lambda, variable) : nullptr;
  place(call.range);
  return body ? builder.vec(*length, variable, body, lambdaDepth) : nullptr;
}

ExprRef Sema::evaluateRotate(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope) {
  ExprRef vector = evaluateExpr(*arguments[0]->value, scope);
  std::optional<Value> lambda = lambdaArgument(*arguments[1], "`rotate`", scope);
  if (!vector || !lambda)
    return nullptr;
  if (!vector->type.isVector()) {
    report(DiagnosticKind::WantsVector, arguments[0]->value->range, {"`rotate`", spelling(vector->type)});
    return nullptr;
  }
  std::optional<std::int64_t> dim = vector->type.length;
  if (arguments[2])
    dim = constantInteger(evaluateExpr(*arguments[2]->value, scope), "`dim` of `rotate`", arguments[2]->value->range);
  ExprRef style = arguments[3] ? evaluateExpr(*arguments[3]->value, scope) : builder.boolean(false);
  if (style && style->kind != ExprKind::Boolean) {
    report(DiagnosticKind::WantsConstantBool, arguments[3]->value->range, {"`interleaved` of `rotate`", spelling(style->type)});
    return nullptr;
  }
  if (!dim || !style)
    return nullptr;
  place(call.range);
  if (lambdaDepth >= 31) {
    report(DiagnosticKind::TooDeep, call.range, {"31"});
    return nullptr;
  }
  double last = static_cast<double>(*dim / 2 - 1);
  ExprRef variable = builder.variable(Type::i32(), 0, last, lambdaDepth);
  ExprRef angle = variable ? applyBound(*lambda, variable) : nullptr;
  place(call.range);
  std::size_t errors = diagnostics.errorCount();
  ExprRef rotated = angle ? builder.rotate(vector, variable, angle, *dim, style->boolean, lambdaDepth) : nullptr;
  bool isOfOneRow = vector->domain.row != vector->domain.column;
  if (angle && diagnostics.errorCount() != errors && diagnostics.last().kind == DiagnosticKind::BothRows && isOfOneRow)
    diagnostics.last().note(DiagnosticKind::HelpOwnRow, diagnostics.last().range,
                            vector->domain.row ? std::vector<std::string>{"query", "q_pos"} : std::vector<std::string>{"key", "kv_pos"});
  return rotated;
}

} // namespace attn::dsl
