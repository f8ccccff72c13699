// Expressions: one function a level of precedence, loosest first (docs/language.md, section 1).
#include "dsl/Parser.h"

#include <algorithm>
#include <cstdlib>

namespace attn::dsl {

using ast::Expr;
using ast::ExprKind;
using ast::ExprPtr;

namespace {

/// Levels of the binary operators; a larger one binds tighter.
enum Level : int { kOr = 1, kAnd, kNot, kCompare, kPipe, kCaret, kAmpersand, kShift, kAdd, kMultiply, kUnary };

/// Counts open brackets while it lives.
struct BracketScope {
  explicit BracketScope(unsigned &count) : count(count) { ++count; }
  ~BracketScope() { --count; }
  unsigned &count;
};

} // namespace

static int levelOf(TokenKind kind) {
  switch (kind) {
  case TokenKind::Or: return kOr;
  case TokenKind::And: return kAnd;
  case TokenKind::EqualEqual:
  case TokenKind::NotEqual:
  case TokenKind::Less:
  case TokenKind::LessEqual:
  case TokenKind::Greater:
  case TokenKind::GreaterEqual: return kCompare;
  case TokenKind::Pipe: return kPipe;
  case TokenKind::Caret: return kCaret;
  case TokenKind::Ampersand: return kAmpersand;
  case TokenKind::ShiftLeft:
  case TokenKind::ShiftRight: return kShift;
  case TokenKind::Plus:
  case TokenKind::Minus: return kAdd;
  case TokenKind::Star:
  case TokenKind::Slash:
  case TokenKind::SlashSlash:
  case TokenKind::Percent: return kMultiply;
  default: return 0;
  }
}

ExprPtr Parser::make(ExprKind kind, SourceRange range, SourceRange focus) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->range = range;
  expr->focus = focus;
  return expr;
}

ExprPtr Parser::finish(ExprPtr expr) {
  unsigned tallest = 0;
  for (const ExprPtr &operand : expr->operands)
    tallest = std::max(tallest, operand->height);
  for (const ast::Argument &argument : expr->arguments)
    tallest = std::max(tallest, argument.value->height);
  for (const ast::IndexItem &item : expr->indices)
    tallest = std::max({tallest, item.first->height, item.end ? item.end->height : 0});
  expr->height = tallest + 1;
  if (expr->height <= ast::kMaxHeight)
    return expr;
  diagnostics.report(DiagnosticKind::TooDeep, expr->focus, {std::to_string(ast::kMaxHeight)});
  return nullptr;
}

ExprPtr Parser::parseExpr() {
  if (nesting >= ast::kMaxHeight / 2) {
    diagnostics.report(DiagnosticKind::TooDeep, current().range, {std::to_string(ast::kMaxHeight / 2)});
    return nullptr;
  }
  BracketScope scope(nesting);
  return at(TokenKind::If) ? parseIf() : parseBinary(kOr);
}

ExprPtr Parser::parseIf() {
  Token start = take();
  ExprPtr expr = make(ExprKind::If, start.range, start.range);
  for (TokenKind next : {TokenKind::Then, TokenKind::Else, TokenKind::EndOfFile}) {
    ExprPtr part = parseExpr();
    if (!part)
      return nullptr;
    expr->operands.push_back(std::move(part));
    if (next != TokenKind::EndOfFile && !expect(next, next == TokenKind::Then ? "the condition of an `if`" : "`then`"))
      return nullptr;
  }
  expr->range = start.range.to(expr->operands.back()->range);
  return finish(std::move(expr));
}

ExprPtr Parser::parseBinary(int level) {
  if (level == kUnary)
    return parseUnary();
  if (level == kNot && at(TokenKind::Not)) {
    if (nesting >= ast::kMaxHeight / 2) {
      diagnostics.report(DiagnosticKind::TooDeep, current().range, {std::to_string(ast::kMaxHeight / 2)});
      return nullptr;
    }
    BracketScope scope(nesting);
    Token op = take();
    ExprPtr operand = parseBinary(kNot);
    if (!operand)
      return nullptr;
    ExprPtr expr = make(ExprKind::Unary, op.range.to(operand->range), op.range);
    expr->op = TokenKind::Not;
    expr->operands.push_back(std::move(operand));
    return finish(std::move(expr));
  }
  ExprPtr left = parseBinary(level + 1);
  while (left && levelOf(current().kind) == level && !atLineEnd()) {
    Token op = take();
    ExprPtr right = parseBinary(level + 1);
    if (!right)
      return nullptr;
    ExprPtr expr = make(ExprKind::Binary, left->range.to(right->range), op.range);
    expr->op = op.kind;
    expr->operands.push_back(std::move(left));
    expr->operands.push_back(std::move(right));
    left = finish(std::move(expr));
    if (left && level == kCompare && levelOf(current().kind) == kCompare && !atLineEnd()) {
      SourceRange middle = left->operands[1]->range;
      diagnostics.report(DiagnosticKind::ComparisonChain, current().range)
          .help({middle.file, middle.end, middle.end}, " and " + std::string(textOf(text, middle)));
      return nullptr;
    }
  }
  return left;
}

ExprPtr Parser::parseUnary() {
  if (!at(TokenKind::Minus))
    return parsePower();
  if (nesting >= ast::kMaxHeight / 2) {
    diagnostics.report(DiagnosticKind::TooDeep, current().range, {std::to_string(ast::kMaxHeight / 2)});
    return nullptr;
  }
  BracketScope scope(nesting);
  Token op = take();
  ExprPtr operand = parseUnary();
  if (!operand)
    return nullptr;
  ExprPtr expr = make(ExprKind::Unary, op.range.to(operand->range), op.range);
  expr->op = TokenKind::Minus;
  expr->operands.push_back(std::move(operand));
  return finish(std::move(expr));
}

ExprPtr Parser::parsePower() {
  ExprPtr base = parsePostfix();
  if (!base || !at(TokenKind::StarStar) || atLineEnd())
    return base;
  if (nesting >= ast::kMaxHeight / 2) {
    diagnostics.report(DiagnosticKind::TooDeep, current().range, {std::to_string(ast::kMaxHeight / 2)});
    return nullptr;
  }
  BracketScope scope(nesting);
  Token op = take();
  ExprPtr exponent = parseUnary();
  if (!exponent)
    return nullptr;
  ExprPtr expr = make(ExprKind::Binary, base->range.to(exponent->range), op.range);
  expr->op = TokenKind::StarStar;
  expr->operands.push_back(std::move(base));
  expr->operands.push_back(std::move(exponent));
  return finish(std::move(expr));
}

ExprPtr Parser::parsePostfix() {
  ExprPtr base = parsePrimary();
  while (base && at(TokenKind::LeftBracket) && !atLineEnd()) {
    Token open = take();
    ExprPtr expr = make(ExprKind::Index, base->range, open.range);
    expr->operands.push_back(std::move(base));
    if (!parseIndices(*expr, open.range))
      return nullptr;
    expr->range = expr->range.to(previousRange());
    base = finish(std::move(expr));
  }
  return base;
}

/// From after `[` through `]`.
bool Parser::parseIndices(Expr &index, SourceRange open) {
  BracketScope scope(brackets);
  do {
    if (at(TokenKind::RightBracket) && !index.indices.empty())
      break;
    ast::IndexItem item;
    item.first = parseExpr();
    if (!item.first)
      return false;
    if (takeIf(TokenKind::Colon)) {
      item.end = parseExpr();
      if (!item.end)
        return false;
    }
    index.indices.push_back(std::move(item));
  } while (takeIf(TokenKind::Comma));
  if (expect(TokenKind::RightBracket, "the index"))
    return true;
  helpBracket(open);
  return false;
}

ExprPtr Parser::parsePrimary() {
  switch (current().kind) {
  case TokenKind::Integer:
  case TokenKind::Real:
    return parseNumber();
  case TokenKind::True:
  case TokenKind::False: {
    Token token = take();
    ExprPtr expr = make(ExprKind::Boolean, token.range, token.range);
    expr->boolean = token.is(TokenKind::True);
    return expr;
  }
  case TokenKind::Name:
    return parseNameOrCall();
  case TokenKind::LeftParen:
    return parseParenthesised();
  case TokenKind::If:
  case TokenKind::Not:
    diagnostics.report(DiagnosticKind::NeedsParentheses, current().range, {std::string(spelling(current().kind))});
    return nullptr;
  case TokenKind::Fn:
    diagnostics.report(DiagnosticKind::LambdaPlace, current().range);
    return nullptr;
  default:
    expected("an expression");
    return nullptr;
  }
}

ExprPtr Parser::parseNumber() {
  Token token = take();
  ExprPtr expr = make(ExprKind::Number, token.range, token.range);
  std::string digits(textOfToken(token));
  expr->isInteger = token.is(TokenKind::Integer);
  expr->number = std::strtod(digits.c_str(), nullptr);   // takes 0x5f as well, exactly below 2^53
  bool fits = expr->isInteger ? expr->number <= 2147483648.0 : expr->number <= 3.4028234663852886e38;
  if (fits)
    return expr;
  diagnostics.report(DiagnosticKind::NumberRange, token.range, {digits, expr->isInteger ? "i32" : "f32"});
  expr->number = 0;
  return expr;
}

ExprPtr Parser::parseNameOrCall() {
  Token token = take();
  bool isCall = at(TokenKind::LeftParen) && !atLineEnd();
  ExprPtr expr = make(isCall ? ExprKind::Call : ExprKind::Name, token.range, token.range);
  expr->name = identifier(token);
  if (!isCall)
    return expr;
  Token open = take();
  if (!parseArguments(*expr, open.range))
    return nullptr;
  expr->range = token.range.to(previousRange());
  return finish(std::move(expr));
}

/// From after `(` through `)`.
bool Parser::parseArguments(Expr &call, SourceRange open) {
  BracketScope scope(brackets);
  while (!at(TokenKind::RightParen)) {
    ast::Argument argument;
    if (at(TokenKind::Name) && tokens[position + 1].is(TokenKind::Assign)) {
      argument.name = identifier(take());
      take();
    }
    argument.value = at(TokenKind::Fn) ? parseLambda() : parseExpr();
    if (!argument.value)
      return false;
    call.arguments.push_back(std::move(argument));
    if (!takeIf(TokenKind::Comma))
      break;
  }
  if (expect(TokenKind::RightParen, "the arguments"))
    return true;
  helpLambda();
  helpBracket(open);
  return false;
}

ExprPtr Parser::parseLambda() {
  Token start = take();
  ExprPtr expr = make(ExprKind::Lambda, start.range, start.range);
  if (!expect(TokenKind::LeftParen, "`fn`"))
    return nullptr;
  std::optional<ast::Identifier> name = takeName("the variable of `fn`");
  if (!name || !expect(TokenKind::RightParen, "the variable of `fn`") || !expect(TokenKind::Assign, "`fn(" + name->text + ")`"))
    return nullptr;
  expr->name = std::move(*name);
  ExprPtr body = parseExpr();
  if (!body)
    return nullptr;
  expr->range = start.range.to(body->range);
  expr->operands.push_back(std::move(body));
  return finish(std::move(expr));
}

ExprPtr Parser::parseParenthesised() {
  BracketScope scope(brackets);
  Token open = take();
  ExprPtr inner = parseExpr();
  if (!inner)
    return nullptr;
  if (!expect(TokenKind::RightParen, "the expression in parentheses")) {
    helpBracket(open.range);
    return nullptr;
  }
  inner->range = open.range.to(previousRange());
  return inner;
}

} // namespace attn::dsl
