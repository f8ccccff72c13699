// The tree as text: one line a statement, expressions fully parenthesised so that grouping shows.
#include "dsl/Ast.h"

#include <fmt/format.h>

namespace attn::dsl::ast {

template <typename Range, typename Function> static std::string joined(const Range &range, Function text) {
  std::string result;
  for (const auto &item : range) {
    if (!result.empty())
      result += ", ";
    result += text(item);
  }
  return result;
}

static std::string printIndex(const IndexItem &item) {
  return item.end ? print(*item.first) + ":" + print(*item.end) : print(*item.first);
}

std::string print(const Expr &expr) {
  auto operand = [&](std::size_t i) { return print(*expr.operands[i]); };
  switch (expr.kind) {
  case ExprKind::Number: {
    std::string digits = fmt::format("{}", expr.number);
    bool looksReal = digits.find_first_of(".en") != std::string::npos;
    return expr.isInteger || looksReal ? digits : digits + ".0";
  }
  case ExprKind::Boolean:
    return expr.boolean ? "true" : "false";
  case ExprKind::Name:
    return expr.name.text;
  case ExprKind::Call:
    return expr.name.text + "(" + joined(expr.arguments, [](const Argument &argument) {
             return (argument.name ? argument.name->text + " = " : "") + print(*argument.value);
           }) + ")";
  case ExprKind::Lambda:
    return "fn(" + expr.name.text + ") = " + operand(0);
  case ExprKind::Index:
    return operand(0) + "[" + joined(expr.indices, printIndex) + "]";
  case ExprKind::Unary:
    return fmt::format("({}{}{})", spelling(expr.op), expr.op == TokenKind::Not ? " " : "", operand(0));
  case ExprKind::Binary:
    return fmt::format("({} {} {})", operand(0), spelling(expr.op), operand(1));
  case ExprKind::If:
    return fmt::format("(if {} then {} else {})", operand(0), operand(1), operand(2));
  }
  return {};
}

static std::string printStatement(const Statement &statement) {
  std::string values = joined(statement.values, [](const ExprPtr &value) { return print(*value); });
  switch (statement.kind) {
  case StatementKind::Property:
    return "property " + statement.name.text + ": " + values;
  case StatementKind::Let:
    return "let " + statement.name.text + " = " + values;
  case StatementKind::Definition:
    return "define " + statement.name.text + " = " + values;
  }
  return {};
}

static std::string printParameter(const Parameter &parameter) {
  std::string text = parameter.name.text + ": " + parameter.element.text;
  if (parameter.isTensor)
    text += "[" + joined(parameter.dims, [](const ExprPtr &dim) { return print(*dim); }) + "]";
  if (parameter.lowest)
    text += " in " + print(*parameter.lowest) + ".." + print(*parameter.highest);
  if (parameter.ascending)
    text += " ascending";
  if (parameter.defaultValue)
    text += " = " + print(*parameter.defaultValue);
  return text;
}

std::string print(const File &file) {
  std::string text;
  for (const Import &import : file.imports)
    text += "import \"" + import.path + "\"\n";
  for (const Function &function : file.functions) {
    text += "function " + function.name.text + "(" + joined(function.arguments, [](const FunctionArgument &argument) {
              return argument.name.text + (argument.defaultValue ? " = " + print(*argument.defaultValue) : "");
            }) + ")\n";
    for (const Statement &let : function.lets)
      text += "  " + printStatement(let) + "\n";
    text += "  value " + print(*function.body) + "\n";
  }
  for (const Attention &attention : file.attentions) {
    text += "attention " + attention.name.text + "\n";
    for (const Parameter &parameter : attention.parameters)
      text += "  parameter " + printParameter(parameter) + "\n";
    for (const Statement &statement : attention.statements)
      text += "  " + printStatement(statement) + "\n";
  }
  return text;
}

} // namespace attn::dsl::ast
