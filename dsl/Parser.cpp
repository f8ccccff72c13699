// Files, functions, attentions and their statements, and how to go on after an error.
#include "dsl/Parser.h"

#include <cctype>

namespace attn::dsl {

using ast::StatementKind;

Token Parser::take() {
  Token token = current();
  if (!token.is(TokenKind::EndOfFile))
    ++position;
  return token;
}

bool Parser::takeIf(TokenKind kind) {
  if (!at(kind))
    return false;
  take();
  return true;
}

bool Parser::atLineEnd() const {
  return brackets == 0 && current().lineBreakBefore && !continuesBefore(current().kind);
}

Diagnostic &Parser::expected(std::string what, bool statementStart) {
  bool lineBreak = brackets == 0 && current().lineBreakBefore && !statementStart && position > 0 &&
                   !continuesAfter(tokens[position - 1].kind);
  std::string seen = "`" + std::string(textOfToken(current())) + "`";
  SourceRange range = current().range;
  if (at(TokenKind::EndOfFile)) {
    seen = "the end of the file";
  } else if (lineBreak) {   // point behind the token that the line ends with
    seen = "a line break";
    range = {range.file, previousRange().end, previousRange().end};
  }
  return diagnostics.report(DiagnosticKind::Expected, range, {std::move(seen), std::move(what)});
}

bool Parser::expect(TokenKind kind, std::string_view after) {
  if (takeIf(kind))
    return true;
  Diagnostic &diagnostic = expected("`" + std::string(spelling(kind)) + "` after " + std::string(after));
  bool endsExpression = kind == TokenKind::RightParen || kind == TokenKind::RightBracket || kind == TokenKind::Then ||
                        kind == TokenKind::Else;
  if (at(TokenKind::Assign) && endsExpression)
    diagnostic.help(current().range, "==");
  else if (at(TokenKind::Semicolon) && kind == TokenKind::RightParen)
    diagnostic.help(current().range, ",");
  return false;
}

std::optional<ast::Identifier> Parser::takeName(std::string_view what, bool statementStart) {
  if (at(TokenKind::Name))
    return identifier(take());
  if (hasFixedText(current().kind) && std::isalpha(static_cast<unsigned char>(spelling(current().kind)[0])))
    diagnostics.report(DiagnosticKind::KeywordAsName, current().range,
                       {std::string(spelling(current().kind)), std::string(what)});
  else
    expected(std::string(what), statementStart);
  return std::nullopt;
}

/// To the next `import`, `fn` or `attention` that begins a line.
void Parser::skipToTopLevel() {
  brackets = 0;
  while (!at(TokenKind::EndOfFile)) {
    bool starts = at(TokenKind::Import) || at(TokenKind::Fn) || at(TokenKind::Attention);
    if (starts && current().lineBreakBefore)
      return;
    take();
  }
}

/// Past the rest of a statement: to a line break, `;` or `}` outside brackets, or to the start of the next item.
void Parser::skipToStatementEnd() {
  brackets = 0;
  int depth = 0;
  bool first = true;
  while (!at(TokenKind::EndOfFile)) {
    bool starts = at(TokenKind::Import) || at(TokenKind::Attention);
    if (starts && current().lineBreakBefore)
      return;
    bool lineEnd = current().lineBreakBefore && !continuesBefore(current().kind) &&
                   !(position > 0 && continuesAfter(tokens[position - 1].kind));
    if (depth <= 0 && ((!first && lineEnd) || at(TokenKind::Semicolon) || at(TokenKind::RightBrace)))
      return;
    // A statement that begins a line ends an open bracket: `name =`, `name:` or `let` at the line's start.
    bool statement = at(TokenKind::Let) || (at(TokenKind::Name) && (tokens[position + 1].is(TokenKind::Assign) ||
                                                                    tokens[position + 1].is(TokenKind::Colon)));
    if (!first && lineEnd && statement)
      return;
    if (at(TokenKind::LeftParen) || at(TokenKind::LeftBracket))
      ++depth;
    if (at(TokenKind::RightParen) || at(TokenKind::RightBracket))
      --depth;
    first = false;
    take();
  }
}

/// After a statement: a line break, `;`, `}` or the end of the file.
void Parser::endStatement(const ast::Expr *value) {
  if (takeIf(TokenKind::Semicolon) || at(TokenKind::RightBrace) || at(TokenKind::EndOfFile) ||
      current().lineBreakBefore)
    return;
  bool isNext = beginsStatement();
  if (!isBehindForeignCharacter()) {
    expected("`;` or a line break");
    helpStatementEnd(value);
    if (isNext)
      return;
  }
  skipToStatementEnd();
  takeIf(TokenKind::Semicolon);
}

ast::File Parser::parseFile() {
  ast::File file;
  while (!at(TokenKind::EndOfFile)) {
    switch (current().kind) {
    case TokenKind::Import:
      parseImport(file);
      break;
    case TokenKind::Fn:
      parseFunction(file);
      break;
    case TokenKind::Attention:
      parseAttention(file);
      break;
    case TokenKind::Semicolon:
      take();
      break;
    default:
      expected("`import`, `fn` or `attention`", true);
      helpTopLevel();
      take();
      skipToTopLevel();
    }
  }
  return file;
}

void Parser::parseImport(ast::File &file) {
  Token start = take();
  if (!at(TokenKind::String)) {
    expected("the path of a file in quotes after `import`");
    return skipToTopLevel();
  }
  Token path = take();
  std::string_view quoted = textOfToken(path);
  quoted.remove_prefix(1);
  if (!quoted.empty() && quoted.back() == '"')
    quoted.remove_suffix(1);
  file.imports.push_back({std::string(quoted), start.range.to(path.range)});
  endStatement();
}

void Parser::parseFunction(ast::File &file) {
  ast::Function function;
  SourceRange start = take().range;
  std::optional<ast::Identifier> name = takeName("the name of a function");
  if (!name)
    return skipToTopLevel();
  function.name = std::move(*name);
  if (!parseFunctionArguments(function) || !parseFunctionBody(function))
    return skipToTopLevel();
  function.range = start.to(previousRange());
  file.functions.push_back(std::move(function));
  endStatement();
}

bool Parser::parseFunctionArguments(ast::Function &function) {
  if (!expect(TokenKind::LeftParen, "the name of a function"))
    return false;
  ++brackets;
  while (!at(TokenKind::RightParen)) {
    std::optional<ast::Identifier> name = takeName("the name of an argument");
    if (!name)
      return false;
    ast::FunctionArgument argument{std::move(*name), nullptr};
    if (takeIf(TokenKind::Assign) && !(argument.defaultValue = parseExpr()))
      return false;
    function.arguments.push_back(std::move(argument));
    if (!takeIf(TokenKind::Comma))
      break;
  }
  bool closed = expect(TokenKind::RightParen, "the arguments");
  --brackets;
  return closed;
}

bool Parser::parseFunctionBody(ast::Function &function) {
  if (takeIf(TokenKind::Assign))
    return (function.body = parseExpr()) != nullptr;
  if (!takeIf(TokenKind::LeftBrace)) {
    expected("`=` or `{` after the arguments of a function");
    return false;
  }
  bool fine = true;
  while (at(TokenKind::Let) || at(TokenKind::Semicolon)) {
    if (takeIf(TokenKind::Semicolon))
      continue;
    std::optional<ast::Statement> let = parseLet();
    if (let) {
      function.lets.push_back(std::move(*let));
      endStatement();
    } else {
      fine = false;
      skipToStatementEnd();
    }
  }
  function.body = parseExpr();
  if (!function.body)
    return false;
  takeIf(TokenKind::Semicolon);
  return expect(TokenKind::RightBrace, "the value of a function") && fine;
}

void Parser::parseAttention(ast::File &file) {
  ast::Attention attention;
  SourceRange start = take().range;
  std::optional<ast::Identifier> name = takeName("the name of an attention");
  if (!name)
    return skipToTopLevel();
  attention.name = std::move(*name);
  if (!parseParameters(attention) || !expect(TokenKind::LeftBrace, "the name and parameters of an attention"))
    return skipToTopLevel();
  while (!at(TokenKind::RightBrace)) {
    bool nextItem = (at(TokenKind::Import) || at(TokenKind::Attention) || at(TokenKind::Fn)) && current().lineBreakBefore;
    if (at(TokenKind::EndOfFile) || nextItem) {
      diagnostics.report(DiagnosticKind::OpenBrace, attention.name.range, {attention.name.text}).help(behindPrevious(), " }");
      file.attentions.push_back(std::move(attention));
      return;
    }
    if (takeIf(TokenKind::Semicolon))
      continue;
    if (std::optional<ast::Statement> statement = parseStatement()) {
      attention.statements.push_back(std::move(*statement));
      endStatement(attention.statements.back().values.back().get());
    } else {
      skipToStatementEnd();
    }
  }
  take();
  attention.range = start.to(previousRange());
  file.attentions.push_back(std::move(attention));
  endStatement();
}

bool Parser::parseParameters(ast::Attention &attention) {
  if (!takeIf(TokenKind::LeftParen))
    return true;
  ++brackets;
  while (!at(TokenKind::RightParen)) {
    ast::Parameter parameter;
    if (!parseParameter(parameter))
      return false;
    attention.parameters.push_back(std::move(parameter));
    if (!takeIf(TokenKind::Comma))
      break;
  }
  bool isPromise = at(TokenKind::In) || at(TokenKind::Ascending);
  bool closed = expect(TokenKind::RightParen, "the parameters");
  if (isPromise)
    diagnostics.last().note(DiagnosticKind::HelpPromiseOrder, current().range, {std::string(spelling(current().kind))});
  --brackets;
  return closed;
}

bool Parser::parseParameter(ast::Parameter &parameter) {
  std::optional<ast::Identifier> name = takeName("the name of a parameter");
  if (!name)
    return false;
  if (!expect(TokenKind::Colon, "the name of a parameter")) {
    diagnostics.last().note(DiagnosticKind::HelpParameterType, name->range, {name->text});
    return false;
  }
  std::optional<ast::Identifier> element = takeName("an element type such as `f32`");
  if (!element)
    return false;
  parameter.name = std::move(*name);
  parameter.element = std::move(*element);
  if (takeIf(TokenKind::LeftBracket)) {
    parameter.isTensor = true;
    do {
      if (at(TokenKind::RightBracket) && !parameter.dims.empty())
        break;
      ast::ExprPtr dim = parseExpr();
      if (!dim)
        return false;
      parameter.dims.push_back(std::move(dim));
    } while (takeIf(TokenKind::Comma));
    if (!expect(TokenKind::RightBracket, "the sizes"))
      return false;
  }
  if (!parsePromises(parameter))
    return false;
  if (takeIf(TokenKind::Assign) && !(parameter.defaultValue = parseExpr()))
    return false;
  parameter.range = parameter.name.range.to(previousRange());
  return true;
}

/// `in lo..hi` and `ascending`, in any order, each once.
bool Parser::parsePromises(ast::Parameter &parameter) {
  while (at(TokenKind::In) || at(TokenKind::Ascending)) {
    Token promise = take();
    bool again = promise.is(TokenKind::In) ? parameter.lowest != nullptr : parameter.ascending.has_value();
    if (again)
      diagnostics.report(DiagnosticKind::PromiseTwice, promise.range,
                         {std::string(spelling(promise.kind)), parameter.name.text});
    if (promise.is(TokenKind::Ascending)) {
      parameter.ascending = promise.range;
      continue;
    }
    parameter.lowest = parseExpr();
    if (!parameter.lowest || !expect(TokenKind::DotDot, "the lower bound"))
      return false;
    parameter.highest = parseExpr();
    if (!parameter.highest)
      return false;
  }
  return true;
}

std::optional<ast::Statement> Parser::parseLet() {
  ast::Statement let;
  let.kind = StatementKind::Let;
  SourceRange start = take().range;
  std::optional<ast::Identifier> name = takeName("a name after `let`");
  if (!name || !expect(TokenKind::Assign, "the name of a `let`"))
    return std::nullopt;
  let.name = std::move(*name);
  ast::ExprPtr value = parseExpr();
  if (!value)
    return std::nullopt;
  let.values.push_back(std::move(value));
  let.range = start.to(previousRange());
  return let;
}

std::optional<ast::Statement> Parser::parseStatement() {
  if (at(TokenKind::Let))
    return parseLet();
  ast::Statement statement;
  SourceRange start = current().range;
  std::optional<ast::Identifier> name = takeName("a property, a `let`, a definition or `}`", true);
  if (!name)
    return std::nullopt;
  statement.name = std::move(*name);
  if (!at(TokenKind::Colon) && !at(TokenKind::Assign)) {
    expected("`:` of a property or `=` of a definition after `" + statement.name.text + "`");
    helpSeparator(statement.name.text);
    return std::nullopt;
  }
  statement.separator = current().range;
  statement.kind = take().is(TokenKind::Colon) ? StatementKind::Property : StatementKind::Definition;
  if (!parseStatementValue(statement))
    return std::nullopt;
  statement.range = start.to(previousRange());
  return statement;
}

bool Parser::parseStatementValue(ast::Statement &statement) {
  do {
    ast::ExprPtr value = parseExpr();
    if (!value)
      return false;
    statement.values.push_back(std::move(value));
  } while (statement.kind == StatementKind::Property && takeIf(TokenKind::Comma));
  return true;
}

ast::File parse(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics) {
  LexedText lexed = lex(text, file, diagnostics);
  return Parser(text, lexed.tokens, diagnostics).parseFile();
}

ast::ExprPtr parseExpression(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics) {
  LexedText lexed = lex(text, file, diagnostics);
  Parser parser(text, lexed.tokens, diagnostics);
  ast::ExprPtr expr = parser.parseExpr();
  if (expr && !parser.current().is(TokenKind::EndOfFile)) {
    parser.expected("nothing more");
    return nullptr;
  }
  return expr;
}

} // namespace attn::dsl
