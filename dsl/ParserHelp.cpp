// Help beside the parser's messages: where text of another language stands, what to write instead.
#include "dsl/Parser.h"

#include <algorithm>
#include <cctype>

namespace attn::dsl {

/// After a bracket that was not closed where a line or a body ends: where it was opened.
void Parser::helpBracket(SourceRange open) {
  if (current().lineBreakBefore || at(TokenKind::RightBrace) || at(TokenKind::EndOfFile))
    diagnostics.last().note(DiagnosticKind::OpenedHere, open, {std::string(textOf(text, open))});
}

/// `lambda x: …` among the arguments of a call.
void Parser::helpLambda() {
  bool isLambda = position > 0 && textOfToken(tokens[position - 1]) == "lambda" && at(TokenKind::Name) && tokens[position + 1].is(TokenKind::Colon);
  if (isLambda)
    diagnostics.last().help(tokens[position - 1].range.to(tokens[position + 1].range), "fn(" + std::string(textOfToken(current())) + ") =");
}

/// `//` on the line before the current token divides here; elsewhere it begins a comment.
void Parser::helpComment() {
  for (std::size_t i = position + 1; i-- > 0;) {
    if (tokens[i].is(TokenKind::SlashSlash)) {
      diagnostics.last().help(tokens[i].range, "#");
      return;
    }
    if (tokens[i].lineBreakBefore)
      return;
  }
}

/// `a if c else b`, with `value` the a: reads on, and says how it is written here.
bool Parser::helpConditional(const ast::Expr &value) {
  std::size_t errors = diagnostics.errorCount();
  take();
  ast::ExprPtr condition = parseExpr();
  if (!condition || !takeIf(TokenKind::Else))
    return false;
  ast::ExprPtr other = parseExpr();
  if (!other || diagnostics.errorCount() != errors)
    return false;
  auto textOfExpr = [&](const ast::Expr &expr) { return std::string(textOf(text, expr.range)); };
  diagnostics.last().help(value.range.to(other->range),
                          "if " + textOfExpr(*condition) + " then " + textOfExpr(value) + " else " + textOfExpr(*other));
  return true;
}

/// `let`, `name =` or `name:`.
bool Parser::beginsStatement() const {
  if (!at(TokenKind::Name))
    return at(TokenKind::Let);
  const Token &next = tokens[position + 1];
  return (next.is(TokenKind::Assign) || next.is(TokenKind::Colon)) && !next.lineBreakBefore;
}

/// True where the lexer has reported a character between the token before and the current one.
bool Parser::isBehindForeignCharacter() const {
  return std::any_of(diagnostics.all().begin(), diagnostics.all().end(), [&](const Diagnostic &diagnostic) {
    return diagnostic.kind == DiagnosticKind::ForeignCharacter && diagnostic.range.file == current().range.file &&
           previousRange().end <= diagnostic.range.begin && diagnostic.range.end <= current().range.begin;
  });
}

/// What the writer most likely meant where a statement should have ended.
void Parser::helpStatementEnd(const ast::Expr *value) {
  Diagnostic &diagnostic = diagnostics.last();
  std::string_view word = textOfToken(current());
  if (at(TokenKind::Assign) && position > 0 && !tokens[position - 1].lineBreakBefore)
    diagnostic.help(current().range, "==");
  else if (word == "AND" || word == "And" || word == "OR" || word == "Or")
    diagnostic.help(current().range, word[0] == 'A' ? "and" : "or");
  else if (at(TokenKind::If) && value)
    helpConditional(*value);
  else if (at(TokenKind::Colon) && position > 1 && tokens[position - 2].is(TokenKind::Comma)) // `head_dim: 64, q_heads: 8`
    diagnostic.help(tokens[position - 2].range, ";");
  else if (beginsStatement())
    diagnostic.help(behindPrevious(), ";");
  else
    helpComment();
}

/// `name == value`, `name += value`.
void Parser::helpSeparator(const std::string &name) {
  Diagnostic &diagnostic = diagnostics.last();
  const Token &next = tokens[std::min(position + 1, tokens.size() - 1)];
  bool isOperator = at(TokenKind::Plus) || at(TokenKind::Minus) || at(TokenKind::Star) || at(TokenKind::Slash);
  if (name == "for" || name == "while")
    diagnostic.note(DiagnosticKind::HelpNoLoop, current().range);
  else if (at(TokenKind::EqualEqual))
    diagnostic.help(current().range, "=");
  else if (isOperator && next.is(TokenKind::Assign) && next.range.begin == current().range.end)
    diagnostic.help(current().range.to(next.range), "= " + name + " " + std::string(spelling(current().kind)));
  else
    helpComment();
}

/// Keywords of other languages where a function or an attention begins.
void Parser::helpTopLevel() {
  std::string word(textOfToken(current()));
  for (char &c : word)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (word == "attention")
    diagnostics.last().help(current().range, "attention");
  else if (at(TokenKind::Slash) && tokens[position + 1].is(TokenKind::Star))
    diagnostics.last().note(DiagnosticKind::HelpComment, current().range);
  else if (word == "def" || word == "func" || word == "function" || word == "fn")
    diagnostics.last().help(current().range, "fn");
  else
    helpComment();
}

} // namespace attn::dsl
