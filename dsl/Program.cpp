// Loading: imports once each, tables of functions, and the checks that need no call.
#include "dsl/Program.h"
#include "dsl/FunctionCheck.h"
#include "dsl/Names.h"
#include "dsl/Parser.h"

namespace attn::dsl {

void Program::load(std::uint32_t main, std::uint32_t prelude, const ImportLoader &loader) {
  mainFile = main;
  preludeFile = prelude;
  parseFile(prelude);
  parseFile(main);
  if (!diagnostics.hasErrors())
    loadImports(main, loader);
  syntaxErrors = diagnostics.hasErrors();
  if (syntaxErrors)
    return;
  for (std::uint32_t file = 0; file < files.count(); ++file)
    collectFunctions(file);
  for (std::uint32_t file = 0; file < files.count(); ++file)
    collectImported(file);
  collectNames();
  std::size_t before = diagnostics.errorCount();
  for (std::uint32_t file = 0; file < files.count(); ++file)
    checkFunctions(file);
  checkRecursion();
  functionErrors = diagnostics.errorCount() != before;
}

void Program::parseFile(std::uint32_t file) { files[file].tree = parse(files[file].text, file, diagnostics); }

/// Imports of imports too; a file that is met again is not read again.
void Program::loadImports(std::uint32_t file, const ImportLoader &loader) {
  for (const ast::Import &import : files[file].tree.imports) {
    std::optional<ImportedText> found = loader(files[file].name, import.path);
    if (!found) {
      diagnostics.report(DiagnosticKind::ImportUnreadable, import.range, {import.path});
      continue;
    }
    std::uint32_t index = 0;
    while (index < files.count() && files[index].name != found->name)
      ++index;
    bool isNew = index == files.count();
    if (isNew) {
      files.add(found->name, found->text);
      parseFile(index);
    }
    files[file].imports.push_back(index);
    if (isNew)
      loadImports(index, loader);
  }
}

void Program::collectFunctions(std::uint32_t file) {
  own.resize(files.count());
  for (const ast::Function &function : files[file].tree.functions) {
    if (findBuiltin(function.name.text)) {
      diagnostics.report(DiagnosticKind::FunctionBuiltin, function.name.range, {function.name.text});
      continue;
    }
    auto [place, isNew] = own[file].try_emplace(function.name.text, FunctionRef{&function, file});
    if (!isNew)
      diagnostics.report(DiagnosticKind::FunctionTwice, function.name.range, {function.name.text})
          .note(DiagnosticKind::FirstHere, place->second.function->name.range, {function.name.text});
  }
}

void Program::collectImported(std::uint32_t file) {
  imported.resize(files.count());
  for (std::size_t i = 0; i < files[file].imports.size(); ++i) {
    for (const auto &[name, ref] : own[files[file].imports[i]]) {
      auto local = own[file].find(name);
      auto [place, isNew] = imported[file].try_emplace(name, ref);
      bool another = !isNew && place->second.function != ref.function;
      const FunctionRef *clash = another ? &place->second : nullptr;
      if (local != own[file].end() && local->second.function != ref.function)
        clash = &local->second;
      if (clash)
        diagnostics.report(DiagnosticKind::ImportClash, files[file].tree.imports[i].range, {name})
            .note(DiagnosticKind::FirstHere, clash->function->name.range, {name});
    }
  }
}

void Program::collectSizeNames(const ast::Expr &expr) {
  if (expr.kind == ast::ExprKind::Name)
    sizeNames.insert(expr.name.text);
  for (const ast::ExprPtr &operand : expr.operands)
    collectSizeNames(*operand);
  for (const ast::Argument &argument : expr.arguments)
    collectSizeNames(*argument.value);
}

void Program::collectNames() {
  for (std::uint32_t file = 0; file < files.count(); ++file)
    for (const ast::Attention &attention : files[file].tree.attentions) {
      for (const ast::Parameter &parameter : attention.parameters) {
        localNames.insert(parameter.name.text);
        for (const ast::ExprPtr &dim : parameter.dims)
          collectSizeNames(*dim);
      }
      for (const ast::Statement &statement : attention.statements)
        if (statement.kind == ast::StatementKind::Let)
          localNames.insert(statement.name.text);
    }
}

void Program::checkFunctions(std::uint32_t file) {
  FunctionCheck check(*this, sizeNames, localNames, diagnostics);
  for (const ast::Function &function : files[file].tree.functions)
    check.check({&function, file});
}

static void collectCalls(const ast::Expr &expr, std::vector<const ast::Expr *> &calls) {
  if (expr.kind == ast::ExprKind::Call)
    calls.push_back(&expr);
  for (const ast::ExprPtr &operand : expr.operands)
    collectCalls(*operand, calls);
  for (const ast::Argument &argument : expr.arguments)
    collectCalls(*argument.value, calls);
  for (const ast::IndexItem &item : expr.indices) {
    collectCalls(*item.first, calls);
    if (item.end)
      collectCalls(*item.end, calls);
  }
}

/// Depth-first over the call graph; state 1: on the path, 2: done. False after an error.
bool Program::visitCalls(const FunctionRef &ref, std::map<const ast::Function *, int> &state, unsigned depth) {
  constexpr unsigned kMaxCalls = 64;
  state[ref.function] = 1;
  std::vector<const ast::Expr *> calls;
  for (const ast::FunctionArgument &argument : ref.function->arguments)
    if (argument.defaultValue)
      collectCalls(*argument.defaultValue, calls);
  for (const ast::Statement &let : ref.function->lets)
    collectCalls(*let.values[0], calls);
  collectCalls(*ref.function->body, calls);
  for (const ast::Expr *call : calls) {
    bool isArgument = false;
    for (const ast::FunctionArgument &argument : ref.function->arguments)
      isArgument |= argument.name.text == call->name.text;
    std::optional<FunctionRef> callee = isArgument ? std::nullopt : find(ref.file, call->name.text);
    if (!callee)
      continue;
    int calleeState = state[callee->function];
    if (calleeState == 1 || depth >= kMaxCalls) {
      diagnostics.report(calleeState == 1 ? DiagnosticKind::Recursion : DiagnosticKind::CallsTooDeep, call->name.range,
                         {call->name.text});
      return false;
    }
    if (calleeState == 0 && !visitCalls(*callee, state, depth + 1))
      return false;
  }
  state[ref.function] = 2;
  return true;
}

void Program::checkRecursion() {
  for (std::uint32_t file = 0; file < files.count(); ++file) {
    std::map<const ast::Function *, int> state;
    for (const ast::Function &function : files[file].tree.functions)
      if (state[&function] == 0)
        visitCalls({&function, file}, state, 0);
  }
}

std::optional<FunctionRef> Program::find(std::uint32_t file, std::string_view name) const {
  for (const Table *table : {&own[file], &imported[file], &own[preludeFile]})
    if (auto found = table->find(name); found != table->end())
      return found->second;
  return std::nullopt;
}

std::vector<std::string> Program::functionNames(std::uint32_t file) const {
  std::vector<std::string> names = builtinNames();
  for (const Table *table : {&own[file], &imported[file], &own[preludeFile]})
    for (const auto &[name, ref] : *table)
      names.push_back(name);
  return names;
}

} // namespace attn::dsl
