// The order of work, and where messages go.
#include "dsl/Sema.h"

namespace attn::dsl {

Sema::Sema(const Program &program, const ast::Attention &attention, Defines &defines, DiagnosticSink &diagnostics)
    : program(program), attention(attention), defines(defines), diagnostics(diagnostics),
      spec(std::make_unique<TypedSpec>()),
      builder(*spec, [this](DiagnosticKind kind, std::vector<std::string> arguments) {
        report(kind, currentRange, std::move(arguments));
      }) {
  outerFrame.file = attention.name.range.file;
  outerScope.frame = &outerFrame;
  frame = &outerFrame;
  errorsBefore = diagnostics.errorCount();
  spec->name = attention.name.text;
  spec->position = program.sources().positionOf(attention.name.range);
  spec->fileNames = program.sources().names();
}

std::string_view Sema::textAt(SourceRange range) const {
  return program.sources()[range.file].text.substr(range.begin, range.end - range.begin);
}

SourceRange Sema::userRange(SourceRange range) const {
  for (const Frame *at = frame; at->function && program.sources()[at->file].isPrelude; at = at->caller)
    range = at->call;
  return range;
}

/// In a function of the prelude the message stands at the call, in one of the user's own at its text with a note at
/// each call.
Diagnostic &Sema::report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments) {
  const Frame *at = frame;
  std::string context;
  const ast::Function *outermost = nullptr;
  for (; at->function && program.sources()[at->file].isPrelude; at = at->caller) {
    outermost = at->function;
    context = "in `" + outermost->name.text + "`: ";
    range = at->call;
  }
  Diagnostic &diagnostic = diagnostics.report(kind, range, std::move(arguments));
  if (!context.empty())
    diagnostic.note(DiagnosticKind::DeclaredAs, range, {signatureOf(*outermost)});
  diagnostic.context = std::move(context);
  for (int notes = 0; at->function && notes < 4; at = at->caller, ++notes)
    if (!program.sources()[at->call.file].isPrelude)
      diagnostic.note(DiagnosticKind::CalledHere, at->call, {at->function->name.text});
  return diagnostic;
}

/// Nodes made from now on, and messages of the builder, belong to `range`.
void Sema::place(SourceRange range) {
  currentRange = range;
  builder.at(program.sources().positionOf(userRange(range)));
}

void Sema::collectStatements() {
  for (const ast::Statement &statement : attention.statements) {
    std::optional<PropertyName> name = findPropertyName(statement.name.text);
    SourceRange separator = {statement.name.range.file, statement.name.range.end, statement.separator.end};
    if (statement.kind == ast::StatementKind::Definition && name && !findFlowName(statement.name.text))
      report(DiagnosticKind::DefinitionIsProperty, statement.name.range, {statement.name.text}).help(separator, ":");
    else if (statement.kind != ast::StatementKind::Property)
      continue;
    if (!name) {
      if (findFlowName(statement.name.text))
        report(DiagnosticKind::PropertyIsFlow, statement.name.range, {statement.name.text}).help(separator, " =");
      else
        reportUnknown(DiagnosticKind::UnknownProperty, statement.name, propertyNames());
      if (statement.name.text == "causal" || statement.name.text == "is_causal")
        diagnostics.last().help(statement.range, "mask = causal()");
      continue;
    }
    auto [placed, isNew] = properties.try_emplace(*name, &statement);
    if (!isNew)
      report(DiagnosticKind::PropertyTwice, statement.name.range, {statement.name.text})
          .note(DiagnosticKind::FirstHere, placed->second->name.range, {statement.name.text});
  }
}

std::unique_ptr<TypedSpec> Sema::run() {
  collectStatements();
  for (const ast::Parameter &parameter : attention.parameters) {
    auto [placed, isNew] = parameters.try_emplace(parameter.name.text);
    if (!isNew) {
      report(DiagnosticKind::NameTwice, parameter.name.range, {parameter.name.text})
          .note(DiagnosticKind::FirstHere, placed->second.parameter->name.range, {parameter.name.text});
      continue;
    }
    placed->second.parameter = &parameter;
    if (isGivenValueName(parameter.name.text))
      report(DiagnosticKind::NameGiven, parameter.name.range, {parameter.name.text});
  }
  fixParameters();
  analyzeProperties();
  if (spec->properties.headDim == 0 || spec->properties.headDimV == 0)
    return nullptr;   // lengths of all vectors: without them each expression would be refused again
  analyzeParameters();
  gradProperty();
  if (failed())
    return nullptr;
  records.resize(attention.statements.size());
  for (std::size_t i = 0; i < attention.statements.size(); ++i)
    analyzeStatement(static_cast<int>(i));
  if (!failed())
    finish();
  if (!failed())
    checkUnused();
  if (failed())
    return nullptr;
  markUses();
  return std::move(spec);
}

void Sema::checkUnused() {
  for (const auto &[name, entry] : parameters)
    if (!entry.used)
      report(DiagnosticKind::UnusedParameter, entry.parameter->name.range, {name});
  for (const auto &[name, let] : lets)
    if (!let.used)
      report(DiagnosticKind::UnusedLet, attention.statements[let.statement].name.range, {name});
}

/// What the final meanings reach: the inputs and parameters that the kernel asks for.
void Sema::markUses() {
  std::set<ExprRef> seen;
  std::vector<ExprRef> open = {spec->probs, spec->mask, spec->out};
  while (!open.empty()) {
    ExprRef expr = open.back();
    open.pop_back();
    if (!seen.insert(expr).second)
      continue;
    open.insert(open.end(), expr->operands.begin(), expr->operands.end());
    switch (expr->kind) {
    case ExprKind::WeightedSum: open.push_back(spec->value); break;
    case ExprKind::Read: spec->tensors[expr->parameter].used = true; break;
    case ExprKind::Scalar: spec->scalars[expr->parameter].used = true; break;
    case ExprKind::Input:
      spec->usesQuery |= expr->input == InputKind::Query;
      spec->usesKey |= expr->input == InputKind::Key;
      spec->usesValue |= expr->input == InputKind::Value;
      break;
    default: break;
    }
  }
}

} // namespace attn::dsl
