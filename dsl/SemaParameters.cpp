// Parameters: element types, sizes, promises, defaults, and what `-D` fixes.
#include "dsl/Sema.h"

#include <algorithm>

namespace attn::dsl {

static const std::vector<std::string> kElements = {"f64", "f32", "bf16", "f16",  "e4m3", "e5m2",
                                                   "i32", "i16", "i8",   "bool", "bit"};
static const std::vector<std::string> kScalarElements = {"bool", "i32", "f32"};

static std::string listed(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "`" : ", `") + name + "`";
  return text;
}

/// Element type of a parameter, if it is one that such a parameter may have.
static std::optional<ElementType> elementOf(const ast::Parameter &parameter) {
  std::optional<ElementType> element = parseElementType(parameter.element.text);
  bool scalarFits = element == ElementType::Bool || element == ElementType::I32 || element == ElementType::F32;
  return element && (parameter.isTensor || scalarFits) ? element : std::nullopt;
}

/// First of all: properties may use what `-D` fixes.
void Sema::fixParameters() {
  for (auto &[name, entry] : parameters) {
    const ast::Parameter &parameter = *entry.parameter;
    const std::vector<std::string> &choices = parameter.isTensor ? kElements : kScalarElements;
    if (!elementOf(parameter))
      unknownElement(parameter, choices);
    else if (defines.count(name))
      fixParameter(parameter, entry, *elementOf(parameter));
  }
}

void Sema::unknownElement(const ast::Parameter &parameter, const std::vector<std::string> &choices) {
  std::optional<std::string> intended = intendedName(parameter.element.text, choices);
  report(DiagnosticKind::UnknownElement, parameter.element.range,
         {parameter.element.text, parameter.isTensor ? "a tensor" : "a scalar parameter", listed(choices), didYouMean(intended)})
      .fix(parameter.element.range, intended);
}

void Sema::fixParameter(const ast::Parameter &parameter, ParameterEntry &entry, ElementType element) {
  Define &define = defines.find(parameter.name.text)->second;
  define.used = true;
  if (parameter.isTensor) {
    report(DiagnosticKind::DefineOfTensor, define.range, {parameter.name.text});
    return;
  }
  mode = Mode::Constant;
  std::optional<double> value = constantOfType(*define.value, element, "the value of `-D " + parameter.name.text + "`");
  mode = Mode::Value;
  if (!value)
    return;
  place(define.range);
  entry.fixed = element == ElementType::Bool ? builder.boolean(*value != 0)
                : builder.number(*value, element == ElementType::I32 ? Type::i32() : Type::f32());
}

std::optional<double> Sema::constantOfType(const ast::Expr &tree, ElementType element, std::string_view what) {
  ExprRef value = evaluateExpr(tree, outerScope);
  if (!value)
    return std::nullopt;
  if (!value->isConstant()) {
    report(DiagnosticKind::NotConstant, tree.range, {std::string(what), spelling(value->type)});
    return std::nullopt;
  }
  bool isBool = value->type == Type::boolean();
  bool fits = element == ElementType::Bool ? isBool
              : element == ElementType::I32 ? value->type == Type::i32() : value->type.isNumber();
  if (!fits) {
    report(DiagnosticKind::ConstantType, tree.range,
           {std::string(what), spelling(value->type), std::string(spelling(element))});
    return std::nullopt;
  }
  return isBool ? static_cast<double>(value->boolean) : value->number;
}

void Sema::analyzeParameters() {
  // All sizes before all bounds: a bound may name an extent that a later parameter introduces.
  mode = Mode::Size;
  for (const ast::Parameter &parameter : attention.parameters) {
    std::optional<ElementType> element = elementOf(parameter);
    if (!element || parameters.find(parameter.name.text)->second.parameter != &parameter)
      continue;
    parameter.isTensor ? analyzeTensor(parameter, *element) : analyzeScalar(parameter, *element);
  }
  for (const ast::Parameter &parameter : attention.parameters) {
    const ParameterEntry &entry = parameters.find(parameter.name.text)->second;
    std::optional<ElementType> element = elementOf(parameter);
    if (!element || entry.parameter != &parameter)
      continue;
    std::optional<RangePromise> range;
    analyzeRange(parameter, *element, range);
    if (entry.fixed && entry.fixed->kind == ExprKind::Number)
      checkInRange(parameter, entry.fixed->number, defines.find(parameter.name.text)->second.range, range);
    if (entry.value.kind == Value::Kind::Tensor)
      spec->tensors[entry.value.tensor].range = range;
    else if (entry.value.kind == Value::Kind::Expr) {
      ScalarParameter &scalar = spec->scalars[entry.value.tensor];
      scalar.range = range;
      if (scalar.defaultValue)
        checkInRange(parameter, *scalar.defaultValue, parameter.defaultValue->range, range);
    }
  }
  mode = Mode::Value;
  checkArgumentNames();
}

void Sema::analyzeTensor(const ast::Parameter &parameter, ElementType element) {
  TensorParameter tensor;
  tensor.name = parameter.name.text;
  tensor.element = element;
  tensor.ascending = parameter.ascending.has_value();
  tensor.position = program.sources().positionOf(parameter.name.range);
  for (const ast::ExprPtr &dim : parameter.dims) {
    std::optional<SizeExpr> size = sizeOf(*dim, true);
    if (size && size->constant() && *size->constant() < 1)
      report(DiagnosticKind::SizePositive, dim->range, {size->text()});
    tensor.dims.push_back(size.value_or(SizeExpr::number(1)));
  }
  if (parameter.defaultValue)
    report(DiagnosticKind::TensorDefault, parameter.defaultValue->range, {parameter.name.text});
  bool isBool = element == ElementType::Bool || element == ElementType::Bit;
  if (isBool && parameter.ascending)
    report(DiagnosticKind::PromiseElement, *parameter.ascending, {"ascending", parameter.name.text, parameter.element.text});
  parameters.find(parameter.name.text)->second.value = Value::ofTensor(static_cast<std::uint32_t>(spec->tensors.size()));
  spec->tensors.push_back(std::move(tensor));
}

void Sema::analyzeScalar(const ast::Parameter &parameter, ElementType element) {
  ScalarParameter scalar;
  scalar.name = parameter.name.text;
  scalar.element = element;
  scalar.position = program.sources().positionOf(parameter.name.range);
  if (parameter.ascending)
    report(DiagnosticKind::AscendingScalar, *parameter.ascending, {parameter.name.text});
  if (parameter.defaultValue) {
    mode = Mode::Constant;
    scalar.defaultValue = constantOfType(*parameter.defaultValue, element, "the default of `" + scalar.name + "`");
    mode = Mode::Size;
  }
  ParameterEntry &entry = parameters.find(parameter.name.text)->second;
  if (entry.fixed)
    return;
  entry.value.kind = Value::Kind::Expr;   // its node is made at each use, `tensor` is its number among the scalars
  entry.value.tensor = static_cast<std::uint32_t>(spec->scalars.size());
  spec->scalars.push_back(std::move(scalar));
}

void Sema::analyzeRange(const ast::Parameter &parameter, ElementType element, std::optional<RangePromise> &range) {
  if (!parameter.lowest)
    return;
  if (element == ElementType::Bool || element == ElementType::Bit) {
    report(DiagnosticKind::PromiseElement, parameter.lowest->range, {"in", parameter.name.text, parameter.element.text});
    return;
  }
  std::optional<SizeExpr> lowest = sizeOf(*parameter.lowest, false), highest = sizeOf(*parameter.highest, false);
  if (!lowest || !highest)
    return;
  if (lowest->constant() && highest->constant() && *lowest->constant() > *highest->constant()) {
    report(DiagnosticKind::RangeEmpty, parameter.lowest->range.to(parameter.highest->range),
           {lowest->text(), highest->text()});
    return;
  }
  range = RangePromise{*lowest, *highest};
}

void Sema::checkInRange(const ast::Parameter &parameter, double value, SourceRange range,
                        const std::optional<RangePromise> &promise) {
  if (!promise)
    return;
  std::optional<std::int64_t> lowest = promise->lo.constant(), highest = promise->hi.constant();
  bool below = lowest && value < static_cast<double>(*lowest), above = highest && value > static_cast<double>(*highest);
  if (below || above)
    report(DiagnosticKind::OutsideRange, range,
           {parameter.name.text, std::string(textAt(range)), promise->lo.text(), promise->hi.text()});
}

std::optional<SizeExpr> Sema::sizeOf(const ast::Expr &expr, bool mayAdd) {
  mayAddExtents = mayAdd;
  ExprRef value = evaluateExpr(expr, outerScope);
  mayAddExtents = false;
  return value ? toSize(value, expr.range) : std::nullopt;
}

static std::optional<SizeExpr::Kind> sizeKind(BinaryOp op) {
  switch (op) {
  case BinaryOp::Add: return SizeExpr::Kind::Add;
  case BinaryOp::Sub: return SizeExpr::Kind::Sub;
  case BinaryOp::Mul: return SizeExpr::Kind::Mul;
  case BinaryOp::FloorDiv: return SizeExpr::Kind::FloorDiv;
  case BinaryOp::Mod: return SizeExpr::Kind::Mod;
  case BinaryOp::Min: return SizeExpr::Kind::Min;
  case BinaryOp::Max: return SizeExpr::Kind::Max;
  default: return std::nullopt;
  }
}

/// A typed i32 expression over extents as a SizeExpr.
std::optional<SizeExpr> Sema::toSize(ExprRef expr, SourceRange range) {
  if (expr->type == Type::i32()) {
    if (expr->kind == ExprKind::Number)
      return SizeExpr::number(expr->integer());
    if (expr->kind == ExprKind::Size)
      return SizeExpr::name(expr->name);
    if (expr->kind == ExprKind::Unary && expr->unary == UnaryOp::Neg) {
      std::optional<SizeExpr> operand = toSize(expr->operands[0], range);
      return operand ? std::optional(SizeExpr::negate(*operand)) : std::nullopt;
    }
    std::optional<SizeExpr::Kind> kind = expr->kind == ExprKind::Binary ? sizeKind(expr->binary) : std::nullopt;
    if (kind) {
      std::optional<SizeExpr> left = toSize(expr->operands[0], range), right = toSize(expr->operands[1], range);
      return left && right ? std::optional(SizeExpr::binary(*kind, *left, *right)) : std::nullopt;
    }
  }
  report(DiagnosticKind::NotSize, range, {spelling(expr->type)});
  return std::nullopt;
}

/// A parameter may not have the name of another argument that the kernel takes or gives.
void Sema::checkArgumentNames() {
  const Properties &own = spec->properties;
  std::vector<std::string> taken;
  if (own.outputLse)
    taken.push_back("lse");
  if (own.outputMaxScore)
    taken.push_back("max_score");
  if (own.layout == LayoutKind::Ragged || own.layout == LayoutKind::Paged)
    taken.push_back("cu_seqlens_q");
  if (own.layout == LayoutKind::Ragged)
    taken.push_back("cu_seqlens_kv");
  if (own.layout == LayoutKind::Paged)
    taken.insert(taken.end(), {"page_table", "kv_lens"});
  const std::pair<const char *, const ScaleProperty *> scales[] = {{"query_scale", &own.queryScale},
                                                                   {"key_scale", &own.keyScale},
                                                                   {"value_scale", &own.valueScale},
                                                                   {"out_scale", &own.outScale}};
  for (auto [name, scale] : scales)
    if (scale->kind != ScaleKind::None)
      taken.push_back(name);
  for (const ast::Parameter &parameter : attention.parameters)
    if (std::find(taken.begin(), taken.end(), parameter.name.text) != taken.end())
      report(DiagnosticKind::ArgumentName, parameter.name.range, {parameter.name.text});
  for (const std::string &extent : newExtents)
    if (auto entry = parameters.find(extent); entry != parameters.end())
      report(DiagnosticKind::NameTwice, entry->second.parameter->name.range, {extent});
}

} // namespace attn::dsl
