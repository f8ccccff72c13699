#include "dsl/FunctionCheck.h"
#include "dsl/Names.h"

namespace attn::dsl {

using ast::Expr;
using AstKind = ast::ExprKind;

FunctionCheck::Local *FunctionCheck::findLocal(std::string_view name) {
  for (auto local = locals.rbegin(); local != locals.rend(); ++local)
    if (local->name == name)
      return &*local;
  return nullptr;
}

void FunctionCheck::declare(const ast::Identifier &name, bool isLet) {
  if (Local *first = findLocal(name.text))
    diagnostics.report(DiagnosticKind::NameTwice, name.range, {name.text})
        .note(DiagnosticKind::FirstHere, first->range, {name.text});
  else if (isSeenByFunctions(name.text))
    diagnostics.report(DiagnosticKind::NameGiven, name.range, {name.text});
  locals.push_back({name.text, name.range, isLet, false});
}

void FunctionCheck::check(const FunctionRef &ref) {
  file = ref.file;
  functionName = ref.function->name.text;
  locals.clear();
  for (const ast::FunctionArgument &argument : ref.function->arguments) {
    if (argument.defaultValue)
      visit(*argument.defaultValue);
    declare(argument.name, false);
  }
  for (const ast::Statement &let : ref.function->lets) {
    visit(*let.values[0]);
    declare(let.name, true);
  }
  visit(*ref.function->body);
  for (const Local &local : locals)
    if (local.isLet && !local.used)
      diagnostics.report(DiagnosticKind::UnusedLet, local.range, {local.name});
}

void FunctionCheck::visitName(const ast::Identifier &name) {
  if (Local *local = findLocal(name.text)) {
    local->used = true;
    return;
  }
  if (isSeenByFunctions(name.text) || sizeNames.count(name.text))
    return;
  if (isGivenValueName(name.text) || localNames.count(name.text)) {
    diagnostics.report(DiagnosticKind::NotSeenByFunction, name.range, {name.text, functionName});
    return;
  }
  std::vector<std::string> candidates = namesSeenByFunctions();
  for (const Local &local : locals)
    candidates.push_back(local.name);
  std::optional<std::string> intended = intendedName(name.text, candidates);
  diagnostics.report(DiagnosticKind::UnknownName, name.range, {name.text, didYouMean(intended)}).fix(name.range, intended);
}

void FunctionCheck::visitCall(const Expr &call) {
  Local *local = findLocal(call.name.text);
  if (local)
    local->used = true;
  else if (!findBuiltin(call.name.text) && !program.find(file, call.name.text)) {
    if (std::optional<std::string> foreign = foreignFunction(call.name.text)) {
      diagnostics.report(DiagnosticKind::UnknownFunction, call.name.range, {call.name.text, ""})
          .note(DiagnosticKind::FixWrite, call.name.range, {*foreign});
      return;
    }
    std::optional<std::string> intended = intendedName(call.name.text, program.functionNames(file));
    diagnostics.report(DiagnosticKind::UnknownFunction, call.name.range, {call.name.text, didYouMean(intended)})
        .fix(call.name.range, intended);
  }
}

void FunctionCheck::visit(const Expr &expr) {
  if (expr.kind == AstKind::Name)
    return visitName(expr.name);
  if (expr.kind == AstKind::Call)
    visitCall(expr);
  if (expr.kind == AstKind::Lambda)
    declare(expr.name, false);
  for (const ast::ExprPtr &operand : expr.operands)
    visit(*operand);
  for (const ast::Argument &argument : expr.arguments)
    visit(*argument.value);
  for (const ast::IndexItem &item : expr.indices) {
    visit(*item.first);
    if (item.end)
      visit(*item.end);
  }
  if (expr.kind == AstKind::Lambda)
    locals.pop_back();
}

} // namespace attn::dsl
