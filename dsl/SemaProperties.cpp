// What stands before `:`. Numbers are evaluated when first asked for, since properties may stand in any order and use
// one another.
#include "dsl/Sema.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace attn::dsl {

const ast::Expr *Sema::singleValue(PropertyName name) {
  auto found = properties.find(name);
  if (found == properties.end())
    return nullptr;
  const ast::Statement &statement = *found->second;
  if (statement.values.size() > 1)
    report(DiagnosticKind::PropertyOneValue, statement.values[1]->range, {statement.name.text});
  return statement.values[0].get();
}

SourcePosition Sema::propertyPosition(PropertyName name) const {
  auto found = properties.find(name);
  return program.sources().positionOf(found == properties.end() ? attention.name.range : found->second->name.range);
}

bool Sema::isWord(const ast::Expr &value, std::string_view word) const {
  return value.kind == ast::ExprKind::Name && value.name.text == word;
}

void Sema::unknownChoice(PropertyName name, const ast::Expr &value, const std::vector<std::string> &choices) {
  std::string list;
  for (const std::string &choice : choices)
    list += (list.empty() ? "`" : ", `") + choice + "`";
  std::string seen(textAt(value.range));
  std::optional<std::string> intended = intendedName(seen, choices);
  report(DiagnosticKind::PropertyChoice, value.range, {std::string(spelling(name)), seen, list, didYouMean(intended)})
      .fix(value.range, intended && intended->find('(') == std::string::npos ? intended : std::nullopt);
}

/// The value of a number property, or null: `any`, `runtime`, or an error that was reported.
ExprRef Sema::numberProperty(PropertyName name) {
  NumberProperty &number = numbers[static_cast<std::size_t>(name)];
  auto statement = properties.find(name);
  if (number.state == NumberProperty::State::Evaluating) {
    report(DiagnosticKind::PropertyCycle, statement->second->name.range, {std::string(spelling(name))});
    return nullptr;
  }
  if (number.state == NumberProperty::State::Known)
    return number.value;
  number.state = NumberProperty::State::Evaluating;
  Mode modeBefore = std::exchange(mode, Mode::Constant);
  const Frame *frameBefore = std::exchange(frame, &outerFrame);
  number.value = statement == properties.end() ? defaultNumberProperty(name) : evaluateNumberProperty(name, *statement->second);
  frame = frameBefore;
  mode = modeBefore;
  number.state = NumberProperty::State::Known;
  return number.value;
}

ExprRef Sema::defaultNumberProperty(PropertyName name) {
  place(attention.name.range);
  switch (name) {
  case PropertyName::HeadDim:
    report(DiagnosticKind::HeadDimMissing, attention.name.range, {attention.name.text});
    return nullptr;
  case PropertyName::HeadDimV:
    return numberProperty(PropertyName::HeadDim);
  case PropertyName::SoftmaxScale: {
    ExprRef headDim = numberProperty(PropertyName::HeadDim);
    return headDim ? builder.number(1 / std::sqrt(headDim->number), Type::f32()) : nullptr;
  }
  case PropertyName::KvHeads:
    return numberProperty(PropertyName::QHeads);
  default:
    break;
  }
  auto define = defines.find(spelling(name));   // q_heads: any
  if (define == defines.end())
    return nullptr;
  define->second.used = true;
  std::optional<std::int64_t> value = positiveProperty(name, *define->second.value);
  return value ? builder.integer(*value) : nullptr;
}

std::optional<std::int64_t> Sema::positiveProperty(PropertyName name, const ast::Expr &tree) {
  std::string what = "`" + std::string(spelling(name)) + "`";
  std::optional<std::int64_t> value = constantInteger(evaluateExpr(tree, outerScope), what, tree.range);
  if (!value || *value > 0)
    return value;
  report(DiagnosticKind::PropertyPositive, tree.range, {std::string(spelling(name)), std::to_string(*value)});
  return std::nullopt;
}

ExprRef Sema::evaluateNumberProperty(PropertyName name, const ast::Statement &statement) {
  const ast::Expr &tree = *singleValue(name);
  bool isHeads = name == PropertyName::QHeads || name == PropertyName::KvHeads;
  auto define = defines.find(spelling(name));
  if (isHeads && isWord(tree, "any")) {
    if (define == defines.end())
      return nullptr;
    define->second.used = true;
    std::optional<std::int64_t> value = positiveProperty(name, *define->second.value);
    return value ? builder.integer(*value) : nullptr;
  }
  if (isHeads && define != defines.end()) {
    define->second.used = true;
    report(DiagnosticKind::DefineOfFixed, define->second.range, {statement.name.text})
        .note(DiagnosticKind::FirstHere, statement.name.range, {statement.name.text});
  }
  if (name != PropertyName::SoftmaxScale) {
    std::optional<std::int64_t> value = positiveProperty(name, tree);
    place(tree.range);
    return value ? builder.integer(*value) : nullptr;
  }
  if (isWord(tree, "runtime"))
    return nullptr;
  ExprRef value = evaluateExpr(tree, outerScope);
  place(tree.range);
  if (value && !value->isConstant())
    report(DiagnosticKind::NotConstant, tree.range, {"`softmax_scale`", spelling(value->type)});
  else if (value && !value->type.isNumber())
    report(DiagnosticKind::WantsNumber, tree.range, {"`softmax_scale`", spelling(value->type)});
  else if (value && !(value->number > 0 && std::isfinite(value->number)))
    report(DiagnosticKind::PropertyPositive, tree.range, {"softmax_scale", std::string(textAt(tree.range))});
  else
    return value ? builder.toF32(value) : nullptr;
  return nullptr;
}

SizeExpr Sema::headsProperty(PropertyName name) {
  if (ExprRef value = numberProperty(name))
    return SizeExpr::number(value->integer());
  bool own = name == PropertyName::QHeads || properties.count(PropertyName::KvHeads);
  return SizeExpr::name(own ? std::string(spelling(name)) : "q_heads");
}

static const std::vector<std::string> kFloatingElements = {"f64", "f32", "bf16", "f16", "e4m3", "e5m2"};

std::optional<ElementType> Sema::dtypeProperty(PropertyName name) {
  const ast::Expr *value = singleValue(name);
  if (!value)
    return std::nullopt;
  std::optional<ElementType> element;
  if (value->kind == ast::ExprKind::Name)
    element = parseElementType(value->name.text);
  if (element && isFloat(*element))
    return element;
  unknownChoice(name, *value, kFloatingElements);
  return std::nullopt;
}

void Sema::dtypeProperties() {
  Properties &result = spec->properties;
  ElementType general = dtypeProperty(PropertyName::Dtype).value_or(ElementType::BF16);
  result.queryDtype = dtypeProperty(PropertyName::QueryDtype).value_or(general);
  result.keyDtype = dtypeProperty(PropertyName::KeyDtype).value_or(general);
  result.valueDtype = dtypeProperty(PropertyName::ValueDtype).value_or(general);
  result.outDtype = dtypeProperty(PropertyName::OutDtype).value_or(general);
  result.probsDtype = dtypeProperty(PropertyName::ProbsDtype).value_or(general);
  result.queryScale = scaleProperty(PropertyName::QueryScale);
  result.keyScale = scaleProperty(PropertyName::KeyScale);
  result.valueScale = scaleProperty(PropertyName::ValueScale);
  result.outScale = scaleProperty(PropertyName::OutScale);
}

ScaleProperty Sema::scaleProperty(PropertyName name) {
  const ast::Expr *value = singleValue(name);
  if (!value || isWord(*value, "none"))
    return {};
  if (isWord(*value, "per_tensor"))
    return {ScaleKind::PerTensor, 0};
  if (isWord(*value, "per_head"))
    return {ScaleKind::PerHead, 0};
  bool isBlock = value->kind == ast::ExprKind::Call && value->name.text == "per_block" && value->arguments.size() == 1 &&
                 !value->arguments[0].name;
  if (!isBlock) {
    unknownChoice(name, *value, {"none", "per_tensor", "per_head", "per_block(n)"});
    return {};
  }
  return {ScaleKind::PerBlock, positiveProperty(name, *value->arguments[0].value).value_or(1)};
}

void Sema::layoutProperty() {
  const ast::Expr *value = singleValue(PropertyName::Layout);
  if (!value)
    return;
  for (LayoutKind kind : {LayoutKind::Bshd, LayoutKind::Bhsd, LayoutKind::Ragged})
    if (isWord(*value, spelling(kind))) {
      spec->properties.layout = kind;
      return;
    }
  bool isPaged = value->kind == ast::ExprKind::Call && value->name.text == "paged" && value->arguments.size() == 1 &&
                 !value->arguments[0].name;
  if (!isPaged)
    return unknownChoice(PropertyName::Layout, *value, {"bshd", "bhsd", "ragged", "paged(page_size)"});
  spec->properties.layout = LayoutKind::Paged;
  spec->properties.pageSize = positiveProperty(PropertyName::Layout, *value->arguments[0].value).value_or(1);
}

void Sema::outputsProperty() {
  auto found = properties.find(PropertyName::Outputs);
  if (found == properties.end())
    return;
  Properties &result = spec->properties;
  result.outputOut = result.outputLse = result.outputMaxScore = false;
  for (const ast::ExprPtr &value : found->second->values) {
    bool *flag = isWord(*value, "out") ? &result.outputOut
                 : isWord(*value, "lse") ? &result.outputLse
                 : isWord(*value, "max_score") ? &result.outputMaxScore : nullptr;
    if (!flag)
      unknownChoice(PropertyName::Outputs, *value, {"out", "lse", "max_score"});
    else if (std::exchange(*flag, true))
      report(DiagnosticKind::ListedTwice, value->range, {value->name.text, "outputs"});
  }
}

/// After the parameters, whose names may stand here.
void Sema::gradProperty() {
  auto found = properties.find(PropertyName::Grad);
  if (found == properties.end())
    return;
  std::vector<std::string> choices = {"query", "key", "value"};
  for (const TensorParameter &tensor : spec->tensors)
    if (isFloat(tensor.element))
      choices.push_back(tensor.name);
  for (const ScalarParameter &scalar : spec->scalars)
    if (scalar.element == ElementType::F32)
      choices.push_back(scalar.name);
  for (const ast::ExprPtr &value : found->second->values) {
    bool known = value->kind == ast::ExprKind::Name &&
                 std::find(choices.begin(), choices.end(), value->name.text) != choices.end();
    std::vector<std::string> &grad = spec->properties.grad;
    if (!known)
      unknownChoice(PropertyName::Grad, *value, choices);
    else if (std::find(grad.begin(), grad.end(), value->name.text) != grad.end())
      report(DiagnosticKind::ListedTwice, value->range, {value->name.text, "grad"});
    else
      grad.push_back(value->name.text);
  }
}

void Sema::checkHeads() {
  std::optional<std::int64_t> qHeads = spec->properties.qHeads.constant(), kvHeads = spec->properties.kvHeads.constant();
  if (!qHeads || !kvHeads || *qHeads % *kvHeads == 0)
    return;
  auto written = properties.find(PropertyName::KvHeads);
  SourceRange range = written == properties.end() ? attention.name.range : written->second->name.range;
  report(DiagnosticKind::HeadsDivide, range, {std::to_string(*kvHeads), std::to_string(*qHeads)});
}

void Sema::analyzeProperties() {
  Properties &result = spec->properties;
  if (ExprRef headDim = numberProperty(PropertyName::HeadDim))
    result.headDim = headDim->integer();
  if (ExprRef headDimV = numberProperty(PropertyName::HeadDimV))
    result.headDimV = headDimV->integer();
  result.qHeads = headsProperty(PropertyName::QHeads);
  result.kvHeads = headsProperty(PropertyName::KvHeads);
  checkHeads();
  if (ExprRef scale = numberProperty(PropertyName::SoftmaxScale))
    result.softmaxScale = scale->number;
  mode = Mode::Constant;
  dtypeProperties();
  layoutProperty();
  outputsProperty();
  mode = Mode::Value;
  result.headDimPosition = propertyPosition(PropertyName::HeadDim);
  result.dtypePosition = propertyPosition(PropertyName::Dtype);
  result.layoutPosition = propertyPosition(PropertyName::Layout);
  result.outputsPosition = propertyPosition(PropertyName::Outputs);
  result.gradPosition = propertyPosition(PropertyName::Grad);
  result.headsPosition = propertyPosition(PropertyName::QHeads);
  result.softmaxScalePosition = propertyPosition(PropertyName::SoftmaxScale);
  for (PropertyName name : {PropertyName::QueryScale, PropertyName::KeyScale, PropertyName::ValueScale, PropertyName::OutScale})
    if (properties.count(name))
      result.scalesPosition = propertyPosition(name);
}

} // namespace attn::dsl
