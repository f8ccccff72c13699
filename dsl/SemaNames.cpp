// What a name means where it stands.
#include "dsl/Sema.h"

#include <algorithm>
#include <utility>

namespace attn::dsl {

/// Refuses a name that varies from launch to launch or point to point where a constant or size is wanted.
bool Sema::requireMode(const ast::Identifier &name) {
  if (mode == Mode::Value)
    return true;
  report(mode == Mode::Constant ? DiagnosticKind::NotConstantName : DiagnosticKind::NotSizeName, name.range, {name.text});
  return false;
}

Value Sema::resolveExtent(const ast::Identifier &name) {
  if (std::optional<PropertyName> property = findPropertyName(name.text)) {
    std::size_t errors = diagnostics.errorCount();
    if (ExprRef value = numberProperty(*property))
      return Value::of(value);
    if (diagnostics.errorCount() != errors || *property == PropertyName::HeadDim || *property == PropertyName::HeadDimV)
      return {};
  }
  if (mode == Mode::Constant) {
    report(DiagnosticKind::NotConstantName, name.range, {name.text});
    return {};
  }
  std::string extent = name.text;
  if (extent == "kv_heads" && !properties.count(PropertyName::KvHeads))
    extent = "q_heads";
  bool perRequest = extent == "q_len" || extent == "kv_len";
  return Value::of(builder.size(extent, perRequest && mode == Mode::Value));
}

/// Rows of all requests before this one: where sequences are not in one row of tokens, a product.
Value Sema::resolveStart(const ast::Identifier &name) {
  bool ofQuery = name.text == "q_start";
  LayoutKind layout = spec->properties.layout;
  if (layout == LayoutKind::Paged && !ofQuery) {
    report(DiagnosticKind::NoKvStart, name.range);
    return {};
  }
  if (layout == LayoutKind::Ragged || layout == LayoutKind::Paged)
    return Value::of(builder.size(name.text, true));
  ExprRef length = builder.size(ofQuery ? "q_len" : "kv_len", true);
  return Value::of(builder.binary(BinaryOp::Mul, builder.index(IndexKind::B), length));
}

/// Constants, extents, indices, positions: what functions see too.
Value Sema::resolveGiven(const ast::Identifier &name, bool &known) {
  known = true;
  if (std::optional<double> constant = findConstant(name.text))
    return Value::of(builder.number(*constant, Type::f32()));
  if (isExtentName(name.text))
    return resolveExtent(name);
  if (auto fixed = fixedExtents.find(name.text); fixed != fixedExtents.end())
    return Value::of(fixed->second);
  if (newExtents.count(name.text)) {
    if (mode != Mode::Constant)
      return Value::of(builder.size(name.text, false));
    requireMode(name);
    return {};
  }
  std::optional<IndexKind> index = findIndex(name.text);
  bool position = name.text == "q_pos" || name.text == "kv_pos";
  if (index || position || isStartName(name.text)) {
    if (!requireMode(name))
      return {};
    if (index)
      return Value::of(builder.index(*index));
    return position ? Value::of(useFlow(*findFlowName(name.text), true)) : resolveStart(name);
  }
  known = false;
  return {};
}

/// The rest of the flow, `softmax_scale`, parameters and `let`s: what only the attention itself sees.
Value Sema::resolveLocal(const ast::Identifier &name, bool &known) {
  known = true;
  if (name.text == "softmax_scale") {
    std::size_t errors = diagnostics.errorCount();
    if (ExprRef value = numberProperty(PropertyName::SoftmaxScale))
      return Value::of(value);
    if (diagnostics.errorCount() != errors || !requireMode(name))
      return {};
    return Value::of(builder.softmaxScale());
  }
  if (std::optional<FlowName> flowName = findFlowName(name.text))
    return requireMode(name) ? Value::of(useFlow(*flowName, true)) : Value();
  if (auto entry = parameters.find(name.text); entry != parameters.end()) {
    entry->second.used = true;
    if (entry->second.fixed)
      return Value::of(entry->second.fixed);
    if (!requireMode(name))
      return {};
    const Value &value = entry->second.value;
    return value.kind == Value::Kind::Tensor ? value : Value::of(builder.scalar(value.tensor));
  }
  if (auto let = lets.find(name.text); let != lets.end()) {
    if (!requireMode(name))
      return {};
    let->second.used = true;
    const StatementRecord &record = records[let->second.statement];
    current->builtOn.insert(let->second.statement);
    current->builtOn.insert(record.builtOn.begin(), record.builtOn.end());
    current->named |= record.named;
    return Value::of(let->second.value);
  }
  known = false;
  return {};
}

std::vector<std::string> Sema::visibleNames(const Scope *scope) const {
  std::vector<std::string> names = namesSeenByFunctions();
  for (const Scope *at = scope; at; at = at->parent)
    for (const auto &[name, value] : at->names)
      names.push_back(name);
  names.insert(names.end(), newExtents.begin(), newExtents.end());
  if (frame->function)
    return names;
  for (const std::string &name : flowNames())
    names.push_back(name);
  names.push_back("softmax_scale");
  for (const auto &[name, entry] : parameters)
    names.push_back(name);
  for (const auto &[name, let] : lets)
    names.push_back(name);
  return names;
}

Value Sema::resolveUnknown(const ast::Identifier &name, const Scope *scope) {
  if (auto define = defines.find(name.text); define != defines.end() && mode != Mode::Value && !frame->function) {
    define->second.used = true;     // a new extent that `-D` fixes
    Mode before = std::exchange(mode, Mode::Constant);
    ExprRef value = evaluateExpr(*define->second.value, outerScope);
    mode = before;
    if (!value || !constantInteger(value, "the value of `-D " + name.text + "`", define->second.range))
      return {};
    fixedExtents[name.text] = value;
    return Value::of(value);
  }
  if (mode == Mode::Size && mayAddExtents && !frame->function) {
    newExtents.insert(name.text);
    spec->extents.push_back(name.text);
    if (std::optional<std::string> near = intendedName(name.text, extentNames()))
      report(DiagnosticKind::ExtentNearName, name.range, {name.text, didYouMean(near)});
    return Value::of(builder.size(name.text, false));
  }
  if (frame->function) {
    if (program.hasFunctionErrors() && failed())
      return {};
    bool local = isGivenValueName(name.text) || parameters.count(name.text) || lets.count(name.text);
    if (local) {
      report(DiagnosticKind::NotSeenByFunction, name.range, {name.text, frame->function->name.text});
      return {};
    }
  }
  for (const ast::Statement &statement : attention.statements)
    if (!frame->function && statement.kind == ast::StatementKind::Let && statement.name.text == name.text) {
      report(DiagnosticKind::DefinedBelow, name.range, {name.text})
          .note(DiagnosticKind::FirstHere, statement.name.range, {name.text});
      return {};
    }
  std::vector<std::string> functions = program.functionNames(frame->file);
  bool isFunction = std::find(functions.begin(), functions.end(), name.text) != functions.end();
  if (isFunction) {
    report(DiagnosticKind::FunctionAsValue, name.range, {name.text});
    helpCall(name);
  } else if (!reportUnknown(DiagnosticKind::UnknownName, name, visibleNames(scope)) && !frame->function) {
    helpParameter(name);
  }
  return {};
}

Value Sema::resolve(const ast::Identifier &name, const Scope *scope) {
  if (const Value *found = scope->find(name.text))
    return *found;
  bool known = false;
  Value value = resolveGiven(name, known);
  if (!known && !frame->function)
    value = resolveLocal(name, known);
  return known ? value : resolveUnknown(name, scope);
}

bool Sema::refuseKnownName(const ast::Identifier &name, const Scope *scope) {
  bool inFunction = frame->function != nullptr;
  if (inFunction ? isSeenByFunctions(name.text) : isGivenValueName(name.text)) {
    report(DiagnosticKind::NameGiven, name.range, {name.text});
    return true;
  }
  SourceRange first;
  bool known = scope->find(name.text) != nullptr;
  if (!inFunction) {
    if (auto entry = parameters.find(name.text); entry != parameters.end()) {
      first = entry->second.parameter->name.range;
      known = true;
    } else if (auto let = lets.find(name.text); let != lets.end()) {
      first = attention.statements[let->second.statement].name.range;
      known = true;
    }
  }
  known |= newExtents.count(name.text) || fixedExtents.count(name.text);
  if (!known)
    return false;
  Diagnostic &diagnostic = report(DiagnosticKind::NameTwice, name.range, {name.text});
  if (first.end != 0)
    diagnostic.note(DiagnosticKind::FirstHere, first, {name.text});
  return true;
}

} // namespace attn::dsl
