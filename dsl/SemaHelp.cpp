// Help beside messages: what the writer most likely meant, as text to put in the place of what stands there. And two
// warnings of what is allowed but seldom meant. All of it only in the attention's own text, not in functions.
#include "dsl/Sema.h"

#include <algorithm>

namespace attn::dsl {

using AstKind = ast::ExprKind;

bool Sema::reportUnknown(DiagnosticKind kind, const ast::Identifier &name, const std::vector<std::string> &candidates) {
  // Once for each place: a function that is inlined often repeats its mistakes, of which the first is kept.
  auto [known, isNew] = intendedAt.try_emplace({name.range.file, name.range.begin});
  if (isNew)
    known->second = intendedName(name.text, candidates);
  const std::optional<std::string> &intended = known->second;
  Diagnostic &diagnostic = report(kind, name.range, {name.text, didYouMean(intended)});
  if (!frame->function)
    diagnostic.fix(name.range, intended);
  return intended.has_value();
}

/// The text of an expression as an operand: in parentheses unless it binds tightly.
std::string Sema::operandText(const ast::Expr &expr) const {
  std::string text(textAt(expr.range));
  bool isLoose = expr.kind == AstKind::Binary || expr.kind == AstKind::If || expr.kind == AstKind::Unary;
  return isLoose && text.front() != '(' ? "(" + text + ")" : text;
}

/// `window(left, right = 0)`.
std::string Sema::signatureOf(const ast::Function &function) const {
  std::string text = function.name.text + "(";
  for (const ast::FunctionArgument &argument : function.arguments) {
    text += (text.back() == '(' ? "" : ", ") + argument.name.text;
    if (argument.defaultValue)
      text += " = " + std::string(textAt(argument.defaultValue->range));
  }
  return text + ")";
}

/// A function where its value is wanted.
void Sema::helpCall(const ast::Identifier &name) {
  std::optional<FunctionRef> ref = program.find(frame->file, name.text);
  if (!ref)
    return;
  Diagnostic &diagnostic = diagnostics.last();
  const auto &arguments = ref->function->arguments;
  bool needsNone = std::all_of(arguments.begin(), arguments.end(), [](const auto &argument) { return argument.defaultValue != nullptr; });
  if (needsNone && !frame->function)
    diagnostic.help({name.range.file, name.range.end, name.range.end}, "()");
  else
    diagnostic.note(DiagnosticKind::DeclaredAs, name.range, {signatureOf(*ref->function)});
}

/// `where(condition, a, b)`.
void Sema::helpChoice(const ast::Expr &call) {
  bool isChoice = (call.name.text == "where" || call.name.text == "select") && call.arguments.size() == 3;
  if (frame->function || !isChoice)
    return;
  auto argument = [&](std::size_t i) { return std::string(textAt(call.arguments[i].value->range)); };
  diagnostics.last().fixes.clear();
  diagnostics.last().help(call.range, "(if " + argument(0) + " then " + argument(1) + " else " + argument(2) + ")");
}

/// The size of the dimension that an index of this name belongs to; empty where it could be any.
static std::string_view extentOfIndex(std::string_view index) {
  static constexpr std::pair<std::string_view, std::string_view> kRows[] = {
      {"b", "batch"}, {"h", "q_heads"}, {"kv_head", "kv_heads"}, {"q_idx", "q_len"}, {"kv_idx", "kv_len"}};
  for (auto [name, extent] : kRows)
    if (name == index)
      return extent;
  return {};
}

/// An unknown name like no other: as a parameter, a tensor where it is indexed.
void Sema::helpParameter(const ast::Identifier &name) {
  if (mode != Mode::Value || name.text == "nan" || name.text == "NaN" || name.text == "NAN") // no number of the language
    return;
  bool isOfMask = current && findFlowName(current->statement->name.text).value_or(FlowName::Score) <= FlowName::KvPos;
  isOfMask |= current && current->statement->name.text == "mask";
  std::string declaration = name.text + ": " + (isOfMask ? "i32" : "f32");
  bool isKnown = true;
  if (indexed && indexed->operands[0]->range == name.range) {
    declaration += "[";
    for (const ast::IndexItem &item : indexed->indices) {
      std::string_view extent = item.first->kind == AstKind::Name ? extentOfIndex(item.first->name.text) : std::string_view();
      isKnown &= !extent.empty() && !item.end;
      declaration += (declaration.back() == '[' ? "" : ", ") + (extent.empty() ? std::string("\u2026") : std::string(extent));
    }
    declaration += "]";
  }
  bool isFirst = attention.parameters.empty();
  SourceRange last = isFirst ? attention.name.range : attention.parameters.back().range;
  SourceRange behind = {last.file, last.end, last.end};
  std::string text = isFirst ? "(" + declaration + ")" : ", " + declaration;
  Diagnostic &diagnostic = diagnostics.last();
  diagnostic.note(DiagnosticKind::HelpParameter, behind, {isFirst ? attention.name.text + text : declaration});
  if (isKnown)
    diagnostic.fix(behind, text);
}

/// A number where a mask stands: what is added to scores elsewhere, 0 or -inf, or 1 and 0 for true and false.
void Sema::helpMask(const ast::Expr &tree, const TypedExpr *value) {
  auto isNumber = [](const TypedExpr *expr, double number) { return expr->kind == ExprKind::Number && expr->number == number; };
  auto isHiding = [](const TypedExpr *expr) { return expr->kind == ExprKind::Number && expr->number < -1000; };
  bool isChoice = tree.kind == AstKind::If && value->kind == ExprKind::If;
  const TypedExpr *first = isChoice ? value->operands[1] : nullptr, *second = isChoice ? value->operands[2] : nullptr;
  if (isChoice && isNumber(first, 0) && isHiding(second))
    diagnostics.last().help(tree.range, std::string(textAt(tree.operands[0]->range)));
  else if (isChoice && isHiding(first) && isNumber(second, 0))
    diagnostics.last().help(tree.range, "not (" + std::string(textAt(tree.operands[0]->range)) + ")");
  else if (value->type == Type::f32())
    diagnostics.last().note(DiagnosticKind::HelpMask, tree.range);
  else
    diagnostics.last().help(tree.range, operandText(tree) + " != 0");
}

/// A real number as an index: a quotient that should round down, or any other.
void Sema::helpIndex(const ast::Expr &tree, const TypedExpr &index) {
  if (frame->function || !index.type.isNumber())
    return;
  if (tree.kind == AstKind::Binary && tree.op == TokenKind::Slash)
    diagnostics.last().help(tree.focus, "//");
  else
    diagnostics.last().help(tree.range, "floor(" + std::string(textAt(tree.range)) + ")");
}

/// What combines truths as an operator combines bits; null for operators that have no such counterpart.
static const char *logicalOperator(TokenKind kind) {
  switch (kind) {
  case TokenKind::Ampersand: return "and";
  case TokenKind::Pipe: return "or";
  case TokenKind::Caret: return "!=";
  default: return nullptr;
  }
}

/// After the operands of an operator were refused: truths as numbers and numbers as truths. Else what compares oddly.
void Sema::helpOperands(const ast::Expr &expr, std::array<ExprRef, 2> operands, bool failed) {
  if (frame->function)
    return;
  if (!failed)
    return helpQuotients(expr, operands);
  if (expr.op == TokenKind::Caret && (operands[0]->type == Type::f32() || operands[1]->type == Type::f32()))
    diagnostics.last().help(expr.focus, "**");
  if (expr.op == TokenKind::Star && operands[0]->type.isVector() && operands[1]->type.isVector() &&
      operands[0]->type == operands[1]->type)
    diagnostics.last().help(expr.range, "dot(" + std::string(textAt(expr.operands[0]->range)) + ", " +
                                            std::string(textAt(expr.operands[1]->range)) + ")");
  if (const char *logical = logicalOperator(expr.op); logical && operands[0]->type.kind == Type::Kind::Bool && operands[1]->type.kind == Type::Kind::Bool) {
    diagnostics.last().help(expr.focus, logical);
    return;
  }
  bool isLogical = expr.op == TokenKind::And || expr.op == TokenKind::Or;
  bool isCompare = expr.op >= TokenKind::EqualEqual && expr.op <= TokenKind::GreaterEqual;
  for (std::size_t i = 0; i < 2 && !isCompare; ++i) {
    const ast::Expr &tree = *expr.operands[i];
    if (isLogical && operands[i]->type.isNumber())
      diagnostics.last().help(tree.range, "(" + operandText(tree) + " != 0)");
    else if (!isLogical && operands[i]->type.kind == Type::Kind::Bool)
      diagnostics.last().help(tree.range, "(if " + std::string(textAt(tree.range)) + " then 1 else 0)");
  }
}

/// `q_idx / 16 == kv_idx / 16` compares real numbers: true only where the rows are equal.
void Sema::helpQuotients(const ast::Expr &expr, std::array<ExprRef, 2> operands) {
  if (expr.op != TokenKind::EqualEqual && expr.op != TokenKind::NotEqual)
    return;
  auto isQuotient = [&](std::size_t i) {
    const ast::Expr &tree = *expr.operands[i];
    if (tree.kind != AstKind::Binary || tree.op != TokenKind::Slash || operands[i]->kind != ExprKind::Binary)
      return false;
    return std::all_of(operands[i]->operands.begin(), operands[i]->operands.end(), [](const TypedExpr *operand) {
      return operand->kind == ExprKind::ToF32 || (operand->kind == ExprKind::Number && operand->number == operand->integer());
    });
  };
  if (!isQuotient(0) || !isQuotient(1))
    return;
  report(DiagnosticKind::QuotientsCompared, expr.focus, {std::string(spelling(expr.op))})
      .help(expr.operands[0]->focus, "//")
      .help(expr.operands[1]->focus, "//");
}

/// `bias[q_idx, h]` where the dimensions are `[q_heads, q_len]`: an index in the place of another's.
void Sema::checkIndexOrder(std::uint32_t tensor, const ast::Expr &expr, const std::vector<ExprRef> &indices) {
  if (frame->function)
    return;
  const ast::Parameter &parameter = *parameters.find(spec->tensors[tensor].name)->second.parameter;
  const std::size_t count = std::min(indices.size(), parameter.dims.size());
  auto extentOf = [&](std::size_t i) -> std::string_view {
    const ast::Expr &tree = *expr.indices[i].first;
    return tree.kind == AstKind::Name ? extentOfIndex(tree.name.text) : std::string_view();
  };
  auto sizeOf = [&](std::size_t d) -> std::string_view {
    return parameter.dims[d]->kind == AstKind::Name ? std::string_view(parameter.dims[d]->name.text) : std::string_view();
  };
  std::vector<std::size_t> order(count, count);       // of dimensions: the index that belongs there
  std::size_t wrong = count;
  std::size_t wrongDimension = 0;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t d = 0; d < count; ++d)
      if (!extentOf(i).empty() && sizeOf(d) == extentOf(i) && order[d] == count) {
        order[d] = i;
        if (d != i && extentOf(i) != sizeOf(i) && extentOf(d) != sizeOf(d) && wrong == count) {
          wrong = i;
          wrongDimension = d;
        }
        break;
      }
  if (wrong == count)
    return;
  for (std::size_t i = 0; i < count; ++i)              // the others keep their order
    if (std::find(order.begin(), order.end(), i) == order.end())
      *std::find(order.begin(), order.end(), count) = i;
  std::string text;
  for (std::size_t i : order)
    text += (text.empty() ? "" : ", ") + std::string(textAt(expr.indices[i].first->range));
  const ast::Expr &tree = *expr.indices[wrong].first;
  report(DiagnosticKind::IndexOrder, tree.range,
         {tree.name.text, std::string(textAt(parameter.dims[wrong]->range)), parameter.name.text, std::string(sizeOf(wrongDimension))})
      .help(expr.indices.front().first->range.to(expr.indices[count - 1].first->range), text);
}

} // namespace attn::dsl
