// Calls: arguments by position, then by name; functions are inlined, their arguments evaluated once.
#include "dsl/Sema.h"

#include <utility>

namespace attn::dsl {

/// With the height of one expression this bounds the stack that analysis takes.
static constexpr unsigned kMaxCallDepth = 64;

/// Gives each name its argument, or null where it may be left out.
bool Sema::bindArguments(const ast::Expr &call, const std::vector<std::string> &names, const std::vector<bool> &optional,
                         BoundArguments &bound) {
  bound.assign(names.size(), nullptr);
  std::size_t position = 0;
  bool named = false, fine = true;
  for (const ast::Argument &argument : call.arguments) {
    std::size_t index = position++;
    if (argument.name) {
      named = true;
      index = 0;
      while (index < names.size() && names[index] != argument.name->text)
        ++index;
      if (index == names.size()) {
        std::optional<std::string> intended = intendedName(argument.name->text, names);
        report(DiagnosticKind::UnknownArgument, argument.name->range,
               {call.name.text, argument.name->text, didYouMean(intended)})
            .fix(argument.name->range, intended);
        fine = false;
        continue;
      }
    } else if (named) {
      report(DiagnosticKind::PositionAfterName, argument.value->range, {call.name.text});
      return false;
    }
    if (index >= names.size()) {
      report(DiagnosticKind::TooManyArguments, argument.value->range,
             {call.name.text, std::to_string(names.size()), std::to_string(call.arguments.size())});
      return false;
    }
    if (bound[index]) {
      report(DiagnosticKind::ArgumentTwice, argument.value->range, {call.name.text, names[index]});
      fine = false;
    }
    bound[index] = &argument;
  }
  for (std::size_t i = 0; fine && i < names.size(); ++i) {
    if (bound[i] || optional[i])
      continue;
    report(DiagnosticKind::MissingArgument, call.name.range, {call.name.text, names[i]});
    fine = false;
  }
  return fine;
}

/// An argument keeps what it is: a whole tensor and a lambda may be passed on.
Value Sema::evaluateArgument(const ast::Expr &value, const Scope &scope) {
  if (value.kind == ast::ExprKind::Lambda && refuseKnownName(value.name, &scope))
    return {};
  return evaluate(value, scope);
}

bool Sema::bindFunction(const FunctionRef &ref, const ast::Expr &call, const Scope &scope, Scope &inner) {
  std::vector<std::string> names;
  std::vector<bool> optional;
  for (const ast::FunctionArgument &argument : ref.function->arguments) {
    names.push_back(argument.name.text);
    optional.push_back(argument.defaultValue != nullptr);
  }
  BoundArguments bound;
  std::size_t errors = diagnostics.errorCount();
  if (!bindArguments(call, names, optional, bound)) {
    if (diagnostics.errorCount() != errors)
      diagnostics.last().note(DiagnosticKind::DeclaredAs, diagnostics.last().range, {signatureOf(*ref.function)});
    return false;
  }
  bool fine = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Value value;
    if (bound[i]) {
      value = evaluateArgument(*bound[i]->value, scope);
    } else {
      const Frame *caller = std::exchange(frame, inner.frame);
      value = evaluate(*ref.function->arguments[i].defaultValue, inner);
      frame = caller;
    }
    fine &= value.kind != Value::Kind::None;
    inner.names[names[i]] = value;
  }
  return fine;
}

Value Sema::inlineFunction(const FunctionRef &ref, const ast::Expr &call, const Scope &scope) {
  Frame inner{frame, call.range, ref.function, ref.file, frame->depth + 1};
  Scope innerScope;
  innerScope.frame = &inner;
  if (!bindFunction(ref, call, scope, innerScope))
    return {};
  const Frame *caller = std::exchange(frame, &inner);
  bool fine = true;
  for (const ast::Statement &let : ref.function->lets) {
    Value value = Value::of(evaluateExpr(*let.values[0], innerScope));
    // A fault that was silent, in code that is not reached, leaves its users without a value too.
    fine &= value.kind != Value::Kind::None;
    innerScope.names[let.name.text] = value;
  }
  Value result;
  if (fine) {
    result = evaluate(*ref.function->body, innerScope);
    if (result.kind == Value::Kind::Lambda)
      result = Value::of(toExpr(result, ref.function->body->range));
  }
  frame = caller;
  place(call.range);
  return result;
}

/// The lambda's body with its variable standing for `argument`, seen from where the lambda was written.
ExprRef Sema::applyLambda(const Value &lambda, ExprRef argument) {
  if (!argument)
    return nullptr;
  Scope inner;
  inner.parent = lambda.lambdaScope;
  inner.frame = lambda.lambdaScope->frame;
  inner.names[lambda.lambda->name.text] = Value::of(argument);
  const Frame *before = std::exchange(frame, inner.frame);
  ExprRef result = evaluateExpr(*lambda.lambda->operands[0], inner);
  frame = before;
  return result;
}

Value Sema::evaluateCall(const ast::Expr &call, const Scope &scope) {
  if (const Value *local = scope.find(call.name.text); local && local->kind == Value::Kind::Lambda) {
    BoundArguments bound;
    if (!bindArguments(call, {local->lambda->name.text}, {false}, bound))
      return {};
    return Value::of(applyLambda(*local, evaluateExpr(*bound[0]->value, scope)));
  }
  if (std::optional<Builtin> builtin = findBuiltin(call.name.text))
    return evaluateBuiltin(*builtin, call, scope);
  std::optional<FunctionRef> ref = program.find(frame->file, call.name.text);
  if (!ref) {
    bool isValue = isGivenValueName(call.name.text) || parameters.count(call.name.text) || lets.count(call.name.text);
    std::optional<std::string> foreign = foreignFunction(call.name.text);
    if (!isValue && foreign) {
      report(DiagnosticKind::UnknownFunction, call.name.range, {call.name.text, ""}).note(DiagnosticKind::FixWrite, call.name.range, {*foreign});
      return {};
    }
    reportUnknown(isValue ? DiagnosticKind::ValueAsFunction : DiagnosticKind::UnknownFunction, call.name,
                  program.functionNames(frame->file));
    helpChoice(call);
    return {};
  }
  if (frame->depth >= kMaxCallDepth) {
    if (std::optional<Diagnostic> recursion = diagnostics.first(DiagnosticKind::Recursion)) // said once, which is enough
      diagnostics.report(recursion->kind, recursion->range, recursion->arguments);
    else
      report(DiagnosticKind::CallsTooDeep, call.name.range, {call.name.text});
    return {};
  }
  return inlineFunction(*ref, call, scope);
}

} // namespace attn::dsl
