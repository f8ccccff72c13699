// The typed form as text. Nodes with several users become `let`s, so that the printed size is that of the DAG.
#include "dsl/TypedSpec.h"

#include <cmath>
#include <fmt/format.h>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace attn::dsl {

namespace {

class ExprPrinter {
public:
  explicit ExprPrinter(const TypedSpec &spec, bool share) : spec(spec), share(share) {}

  /// Counts the users of each node under `root`.
  void count(const TypedExpr *root);
  /// `let` lines of what is shared under `expr` and was not printed yet, then `head = expr`.
  void printDefinition(std::string &out, std::string_view head, const TypedExpr *expr);
  std::string print(const TypedExpr *expr);

private:
  bool isShared(const TypedExpr *expr) const;
  void printLets(std::string &out, const TypedExpr *expr);
  std::string printNode(const TypedExpr *expr);
  std::string printBound(const TypedExpr *expr);
  std::string call(std::string_view name, const TypedExpr *expr);
  std::string variableName(const TypedExpr *variable);

  const TypedSpec &spec;
  bool share;
  std::unordered_map<const TypedExpr *, unsigned> users;
  std::unordered_map<const TypedExpr *, std::string> names;
  std::unordered_set<const TypedExpr *> visited;
  unsigned nextName = 0, nextVariable = 0;
};

} // namespace

void ExprPrinter::count(const TypedExpr *root) {
  if (++users[root] > 1)
    return;
  for (const TypedExpr *operand : root->operands)
    count(operand);
}

bool ExprPrinter::isShared(const TypedExpr *expr) const {
  if (!share || expr->operands.empty() || expr->domain.bound)
    return false;
  auto found = users.find(expr);
  return found != users.end() && found->second > 1;
}

void ExprPrinter::printLets(std::string &out, const TypedExpr *expr) {
  if (!visited.insert(expr).second)
    return;
  for (const TypedExpr *operand : expr->operands)
    printLets(out, operand);
  if (!isShared(expr))
    return;
  std::string text = printNode(expr);
  std::string name = fmt::format("%{}", nextName++);
  out += fmt::format("  let {}: {} = {}\n", name, spelling(expr->type), text);
  names.emplace(expr, std::move(name));
}

void ExprPrinter::printDefinition(std::string &out, std::string_view head, const TypedExpr *expr) {
  printLets(out, expr);
  out += fmt::format("  {}: {} = {}\n", head, spelling(expr->type), print(expr));
}

std::string ExprPrinter::print(const TypedExpr *expr) {
  auto named = names.find(expr);
  return named != names.end() ? named->second : printNode(expr);
}

std::string ExprPrinter::call(std::string_view name, const TypedExpr *expr) {
  std::string text(name);
  text += "(";
  for (std::size_t i = 0; i < expr->operands.size(); ++i)
    text += (i ? ", " : "") + print(expr->operands[i]);
  return text + ")";
}

std::string ExprPrinter::variableName(const TypedExpr *variable) {
  auto [place, isNew] = names.try_emplace(variable);
  if (isNew)
    place->second = fmt::format("%x{}", nextVariable++);
  return place->second;
}

static std::string printNumber(const TypedExpr *expr) {
  if (expr->type.kind == Type::Kind::I32)
    return std::to_string(expr->integer());
  if (std::isinf(expr->number))
    return expr->number < 0 ? "-inf" : "inf";
  std::string digits = fmt::format("{}", expr->number);
  return digits.find_first_of(".en") == std::string::npos ? digits + ".0" : digits;
}

/// Map, Vec and Rotate.
std::string ExprPrinter::printBound(const TypedExpr *expr) {
  std::string lambda = fmt::format("fn({}) = ", variableName(expr->variable));
  switch (expr->kind) {
  case ExprKind::Map:
    return fmt::format("map({}{}, {})", lambda, print(expr->operands[1]), print(expr->operands[0]));
  case ExprKind::Vec:
    return fmt::format("vec({}, {}{})", expr->type.length, lambda, print(expr->operands[0]));
  default:
    return fmt::format("rotate({}, {}{}, dim = {}, interleaved = {})", print(expr->operands[0]), lambda,
                       print(expr->operands[1]), expr->dim, expr->interleaved);
  }
}

std::string ExprPrinter::printNode(const TypedExpr *expr) {
  auto operand = [&](std::size_t i) { return print(expr->operands[i]); };
  switch (expr->kind) {
  case ExprKind::Number: return printNumber(expr);
  case ExprKind::Boolean: return expr->boolean ? "true" : "false";
  case ExprKind::Index: return std::string(spelling(expr->index));
  case ExprKind::Size: return expr->name;
  case ExprKind::SoftmaxScale: return "softmax_scale";
  case ExprKind::Scalar: return spec.scalars[expr->parameter].name;
  case ExprKind::Input: return fmt::format("input.{}", spelling(expr->input));
  case ExprKind::Read: {
    std::string text = call("", expr);
    return spec.tensors[expr->parameter].name + "[" + text.substr(1, text.size() - 2) + "]";
  }
  case ExprKind::Variable: return variableName(expr);
  case ExprKind::ToF32: return call("f32", expr);
  case ExprKind::Unary: return expr->unary == UnaryOp::Neg ? "-" + operand(0) : call(spelling(expr->unary), expr);
  case ExprKind::Binary:
    if (expr->binary == BinaryOp::Min || expr->binary == BinaryOp::Max)
      return call(spelling(expr->binary), expr);
    return fmt::format("({} {} {})", operand(0), spelling(expr->binary), operand(1));
  case ExprKind::Compare: return fmt::format("({} {} {})", operand(0), spelling(expr->compare), operand(1));
  case ExprKind::Not: return "(not " + operand(0) + ")";
  case ExprKind::And: return fmt::format("({} and {})", operand(0), operand(1));
  case ExprKind::Or: return fmt::format("({} or {})", operand(0), operand(1));
  case ExprKind::If: return fmt::format("(if {} then {} else {})", operand(0), operand(1), operand(2));
  case ExprKind::Dot: return call("dot", expr);
  case ExprKind::Sum: return call("sum", expr);
  case ExprKind::Slice: return fmt::format("{}[{}:{}]", operand(0), expr->begin, expr->end);
  case ExprKind::Concat: return call("concat", expr);
  case ExprKind::Map:
  case ExprKind::Vec:
  case ExprKind::Rotate: return printBound(expr);
  case ExprKind::WeightedSum: return "weighted_sum";
  case ExprKind::Softmax:
    return expr->operands.size() == 1 ? call("softmax", expr)
                                      : fmt::format("softmax({}, sink = {})", operand(0), operand(1));
  case ExprKind::Normalize: return fmt::format("normalize({}, by = {})", operand(0), operand(1));
  case ExprKind::Dropout: return call("dropout", expr);
  case ExprKind::SuffixSum: return call("suffix_sum", expr);
  }
  return {};
}

static std::string printScale(const ScaleProperty &scale) {
  switch (scale.kind) {
  case ScaleKind::None: return "none";
  case ScaleKind::PerTensor: return "per_tensor";
  case ScaleKind::PerHead: return "per_head";
  case ScaleKind::PerBlock: return fmt::format("per_block({})", scale.blockRows);
  }
  return {};
}

static std::string printProperties(const Properties &properties) {
  std::string text = fmt::format("  q_heads: {}\n  kv_heads: {}\n  head_dim: {}\n  head_dim_v: {}\n", properties.qHeads.text(),
                                 properties.kvHeads.text(), properties.headDim, properties.headDimV);
  text += fmt::format("  query_dtype: {}\n  key_dtype: {}\n  value_dtype: {}\n  out_dtype: {}\n  probs_dtype: {}\n",
                      spelling(properties.queryDtype), spelling(properties.keyDtype), spelling(properties.valueDtype),
                      spelling(properties.outDtype), spelling(properties.probsDtype));
  const std::pair<std::string_view, const ScaleProperty *> scales[] = {{"query_scale", &properties.queryScale},
                                                                       {"key_scale", &properties.keyScale},
                                                                       {"value_scale", &properties.valueScale},
                                                                       {"out_scale", &properties.outScale}};
  for (auto [name, scale] : scales)
    if (scale->kind != ScaleKind::None)
      text += fmt::format("  {}: {}\n", name, printScale(*scale));
  text += properties.softmaxScale ? fmt::format("  softmax_scale: {}\n", *properties.softmaxScale)
                                  : std::string("  softmax_scale: runtime\n");
  text += fmt::format("  layout: {}", spelling(properties.layout));
  text += properties.layout == LayoutKind::Paged ? fmt::format("({})\n", properties.pageSize) : "\n";
  std::string outputs;
  for (auto [name, wanted] : {std::pair("out", properties.outputOut), std::pair("lse", properties.outputLse),
                              std::pair("max_score", properties.outputMaxScore)})
    if (wanted)
      outputs += (outputs.empty() ? "" : ", ") + std::string(name);
  text += "  outputs: " + outputs + "\n";
  if (!properties.grad.empty())
    text += fmt::format("  grad: {}\n", fmt::join(properties.grad, ", "));
  return text;
}

static std::string printRange(const std::optional<RangePromise> &range) {
  return range ? fmt::format(" in {}..{}", range->lo.text(), range->hi.text()) : std::string();
}

static std::string printParameters(const TypedSpec &spec) {
  std::string text;
  for (const TensorParameter &tensor : spec.tensors) {
    std::string dims;
    for (const SizeExpr &dim : tensor.dims)
      dims += (dims.empty() ? "" : ", ") + dim.text();
    text += fmt::format("  tensor {}: {}[{}]{}{}{}\n", tensor.name, spelling(tensor.element), dims, printRange(tensor.range),
                        tensor.ascending ? " ascending" : "", tensor.used ? "" : " (not asked for)");
  }
  for (const ScalarParameter &scalar : spec.scalars)
    text += fmt::format("  scalar {}: {}{}{}{}\n", scalar.name, spelling(scalar.element), printRange(scalar.range),
                        scalar.defaultValue ? fmt::format(" = {}", *scalar.defaultValue) : std::string(),
                        scalar.used ? "" : " (not asked for)");
  return text;
}

std::string printTypedExpr(const TypedSpec &spec, const TypedExpr *expr) { return ExprPrinter(spec, false).print(expr); }

std::string printTypedSpec(const TypedSpec &spec) {
  std::string text = fmt::format("attention {} {{\n", spec.name) + printProperties(spec.properties) + printParameters(spec);
  const std::pair<std::string_view, const TypedExpr *> roots[] = {
      {"query", spec.query}, {"key", spec.key},     {"value", spec.value}, {"mask", spec.mask},
      {"score", spec.score}, {"probs", spec.probs}, {"out", spec.out}};
  ExprPrinter printer(spec, true);
  for (auto [head, root] : roots)
    if (root)
      printer.count(root);
  for (auto [head, root] : roots)
    if (root)
      printer.printDefinition(text, head, root);
  return text + "}\n";
}

} // namespace attn::dsl
