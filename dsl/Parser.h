// Tokens into the tree. After an error it goes on with the next statement, so that one run reports all of them; the
// tree then lacks what was wrong, and only the reported errors say so.
#pragma once

#include "dsl/Ast.h"
#include "dsl/Diagnostics.h"
#include "dsl/Lexer.h"

#include <string_view>

namespace attn::dsl {

ast::File parse(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics);

/// One expression and nothing else (the value of `-D`); null after an error.
ast::ExprPtr parseExpression(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics);

/// The parser's state; the functions above are its entry. ParseExpr.cpp holds the expressions.
class Parser {
public:
  Parser(std::string_view text, const std::vector<Token> &tokens, DiagnosticSink &diagnostics)
      : text(text), tokens(tokens), diagnostics(diagnostics) {}

  ast::File parseFile();
  ast::ExprPtr parseExpr();
  const Token &current() const { return tokens[position]; }
  /// Reports what is expected instead of the current token, or of the line's end where a statement goes on.
  Diagnostic &expected(std::string what, bool statementStart = false);

private:
  bool at(TokenKind kind) const { return current().is(kind); }
  Token take();
  bool takeIf(TokenKind kind);
  bool expect(TokenKind kind, std::string_view after);
  /// True where a line break before the current token ends the statement.
  bool atLineEnd() const;
  std::string_view textOfToken(const Token &token) const { return textOf(text, token.range); }
  ast::Identifier identifier(const Token &token) const { return {std::string(textOfToken(token)), token.range}; }
  std::optional<ast::Identifier> takeName(std::string_view what, bool statementStart = false);
  /// The point behind the token before the current one.
  SourceRange behindPrevious() const { return {previousRange().file, previousRange().end, previousRange().end}; }
  SourceRange previousRange() const { return position ? tokens[position - 1].range : tokens[0].range; }

  void skipToTopLevel();
  void skipToStatementEnd();
  /// `value`: that of the statement, where it has one.
  void endStatement(const ast::Expr *value = nullptr);
  bool beginsStatement() const;
  bool isBehindForeignCharacter() const;
  void helpStatementEnd(const ast::Expr *value);
  bool helpConditional(const ast::Expr &value);
  void helpComment();
  void helpLambda();
  void helpSeparator(const std::string &name);
  void helpTopLevel();
  void helpBracket(SourceRange open);
  void parseImport(ast::File &file);
  void parseFunction(ast::File &file);
  bool parseFunctionArguments(ast::Function &function);
  bool parseFunctionBody(ast::Function &function);
  void parseAttention(ast::File &file);
  bool parseParameters(ast::Attention &attention);
  bool parseParameter(ast::Parameter &parameter);
  bool parsePromises(ast::Parameter &parameter);
  std::optional<ast::Statement> parseStatement();
  bool parseStatementValue(ast::Statement &statement);
  std::optional<ast::Statement> parseLet();

  ast::ExprPtr parseBinary(int level);
  ast::ExprPtr parseUnary();
  ast::ExprPtr parsePower();
  ast::ExprPtr parsePostfix();
  ast::ExprPtr parsePrimary();
  ast::ExprPtr parseIf();
  ast::ExprPtr parseNumber();
  ast::ExprPtr parseNameOrCall();
  ast::ExprPtr parseParenthesised();
  ast::ExprPtr parseLambda();
  bool parseArguments(ast::Expr &call, SourceRange open);
  bool parseIndices(ast::Expr &index, SourceRange open);
  ast::ExprPtr make(ast::ExprKind kind, SourceRange range, SourceRange focus);
  /// Sets the height from the children; null and a message where it is too tall.
  ast::ExprPtr finish(ast::ExprPtr expr);

  std::string_view text;
  const std::vector<Token> &tokens;
  DiagnosticSink &diagnostics;
  std::size_t position = 0;
  unsigned brackets = 0;     ///< open `(` and `[`: inside them a line break ends nothing
  unsigned nesting = 0;      ///< expressions being parsed inside one another
};

} // namespace attn::dsl
