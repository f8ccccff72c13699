// The scanner: one pass over the bytes, longest match first.
#include "dsl/Lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <string>
#include <utility>

namespace attn::dsl {

std::string_view spelling(TokenKind kind) {
  static constexpr std::string_view kTexts[] = {
#define ATTN_TOKEN(name, text) text,
#include "dsl/TokenKinds.def"
  };
  return kTexts[static_cast<std::size_t>(kind)];
}

std::string_view tokenName(TokenKind kind) {
  static constexpr std::string_view kNames[] = {
#define ATTN_TOKEN(name, text) #name,
#include "dsl/TokenKinds.def"
  };
  return kNames[static_cast<std::size_t>(kind)];
}

bool hasFixedText(TokenKind kind) { return kind >= TokenKind::LeftParen; }

bool continuesAfter(TokenKind kind) {
  if (kind >= TokenKind::DotDot && kind <= TokenKind::Percent)
    return true;
  switch (kind) {
  case TokenKind::Comma:
  case TokenKind::Colon:
  case TokenKind::Then:
  case TokenKind::Else:
  case TokenKind::And:
  case TokenKind::Or:
  case TokenKind::Not:
    return true;
  default:
    return false;
  }
}

bool continuesBefore(TokenKind kind) {
  return kind == TokenKind::And || kind == TokenKind::Or || kind == TokenKind::Then || kind == TokenKind::Else;
}

namespace {

struct FixedText {
  TokenKind kind;
  std::string_view text;
};

class Scanner {
public:
  Scanner(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics)
      : text(text), file(file), diagnostics(diagnostics) {}
  LexedText run();

private:
  bool atEnd() const { return position >= text.size(); }
  char peek(std::size_t ahead = 0) const { return position + ahead < text.size() ? text[position + ahead] : '\0'; }
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }
  static bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
  static bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }
  SourceRange rangeFrom(std::size_t begin) const {
    return {file, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(position)};
  }
  std::string quoted(SourceRange range) const { return std::string(textOf(text, range)); }

  void skipBlanks();
  void push(TokenKind kind, std::size_t begin) {
    result.tokens.push_back({kind, rangeFrom(begin), std::exchange(lineBreak, false)});
  }
  void scanToken();
  void scanName();
  void scanNumber();
  bool scanFraction(std::size_t begin);
  void scanString();
  bool scanPunctuation();
  bool scanForeignOperator();
  void scanForeign();

  std::string_view text;
  std::uint32_t file;
  DiagnosticSink &diagnostics;
  std::size_t position = 0;
  bool lineBreak = false;
  LexedText result;
};

} // namespace

static const std::vector<FixedText> &keywords() {
  static const std::vector<FixedText> kRows = {
#define ATTN_KEYWORD(name, text) {TokenKind::name, text},
#include "dsl/TokenKinds.def"
  };
  return kRows;
}

static const std::vector<FixedText> &punctuation() {
  static const std::vector<FixedText> kRows = {
#define ATTN_KEYWORD(name, text)
#define ATTN_PUNCTUATION(name, text) {TokenKind::name, text},
#include "dsl/TokenKinds.def"
  };
  return kRows;
}

LexedText Scanner::run() {
  for (skipBlanks(); !atEnd(); skipBlanks())
    scanToken();
  lineBreak = true;
  push(TokenKind::EndOfFile, position);
  return std::move(result);
}

void Scanner::skipBlanks() {
  while (!atEnd()) {
    char c = peek();
    if (c == '\n') {
      lineBreak = true;
    } else if (c == '#') {
      std::size_t begin = position;
      while (!atEnd() && peek() != '\n')
        ++position;
      result.comments.push_back(rangeFrom(begin));
      continue;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
    ++position;
  }
}

void Scanner::scanToken() {
  char c = peek();
  if (isNameStart(c))
    return scanName();
  if (isDigit(c))
    return scanNumber();
  if (c == '"')
    return scanString();
  if (!scanForeignOperator() && !scanPunctuation())
    scanForeign();
}

void Scanner::scanName() {
  std::size_t begin = position;
  while (isNamePart(peek()))
    ++position;
  std::string_view name = text.substr(begin, position - begin);
  for (const FixedText &row : keywords())
    if (row.text == name)
      return push(row.kind, begin);
  push(TokenKind::Name, begin);
}

/// Digits after the point and the exponent; true if there were any.
bool Scanner::scanFraction(std::size_t begin) {
  bool real = false;
  if (peek() == '.' && isDigit(peek(1))) {
    real = true;
    for (++position; isDigit(peek());)
      ++position;
  } else if (peek() == '.' && peek(1) != '.') {
    ++position;
    diagnostics.report(DiagnosticKind::DigitsAtPoint, rangeFrom(begin), {quoted(rangeFrom(begin))})
        .fix(rangeFrom(begin), quoted(rangeFrom(begin)) + "0");
    real = true;
  }
  std::size_t digits = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
  if ((peek() == 'e' || peek() == 'E') && isDigit(peek(digits))) {
    real = true;
    for (position += digits; isDigit(peek());)
      ++position;
  }
  return real;
}

void Scanner::scanNumber() {
  std::size_t begin = position;
  bool real = false;
  if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && std::isxdigit(static_cast<unsigned char>(peek(2)))) {
    for (position += 2; std::isxdigit(static_cast<unsigned char>(peek()));)
      ++position;
  } else {
    while (isDigit(peek()))
      ++position;
    real = scanFraction(begin);
  }
  std::size_t numberEnd = position;
  while (isNamePart(peek()))
    ++position;
  if (position != numberEnd)
    diagnostics.report(DiagnosticKind::NumberSuffix, rangeFrom(begin),
                       {quoted(rangeFrom(begin)), std::string(text.substr(numberEnd, position - numberEnd))});
  std::size_t tokenEnd = std::exchange(position, numberEnd);
  push(real ? TokenKind::Real : TokenKind::Integer, begin);
  position = tokenEnd;
}

void Scanner::scanString() {
  std::size_t begin = position++;
  while (!atEnd() && peek() != '"' && peek() != '\n')
    ++position;
  if (peek() != '"')
    diagnostics.report(DiagnosticKind::OpenString, rangeFrom(begin));
  else
    ++position;
  push(TokenKind::String, begin);
}

bool Scanner::scanPunctuation() {
  const FixedText *best = nullptr;
  for (const FixedText &row : punctuation())
    if (text.substr(position, row.text.size()) == row.text && (!best || row.text.size() > best->text.size()))
      best = &row;
  if (!best)
    return false;
  std::size_t begin = position;
  position += best->text.size();
  push(best->kind, begin);
  return true;
}

/// Operators of other languages and of typeset mathematics stand for ours, after a message.
bool Scanner::scanForeignOperator() {
  struct Row {
    std::string_view text;
    TokenKind kind;
  };
  static constexpr Row kRows[] = {
      {"&&", TokenKind::And},         {"||", TokenKind::Or},           {"!", TokenKind::Not},
      {"\u2212", TokenKind::Minus},   {"\u2013", TokenKind::Minus},    {"\u2264", TokenKind::LessEqual},
      {"\u2265", TokenKind::GreaterEqual}, {"\u2260", TokenKind::NotEqual}, {"\u00d7", TokenKind::Star},
      {"\u00b7", TokenKind::Star},    {"\u00f7", TokenKind::Slash},    {"\u2227", TokenKind::And},
      {"\u2228", TokenKind::Or},      {"\u00ac", TokenKind::Not},
  };
  for (auto [foreign, kind] : kRows) {
    if (text.substr(position, foreign.size()) != foreign || (foreign == "!" && peek(1) == '='))
      continue;
    std::size_t begin = position;
    position += foreign.size();
    std::string native(spelling(kind)), replacement = native;
    if (isNameStart(native[0])) {   // a word needs blanks around it
      replacement = (begin > 0 && text[begin - 1] != ' ' && text[begin - 1] != '(' ? " " : "") + native +
                    (peek() != ' ' && peek() != '\n' ? " " : "");
    }
    diagnostics.report(DiagnosticKind::ForeignOperator, rangeFrom(begin), {std::string(foreign), native})
        .fix(rangeFrom(begin), replacement);
    push(kind, begin);
    return true;
  }
  return false;
}

/// Reports one character, a whole UTF-8 sequence, that no token begins with; `.5` gets a message of its own.
void Scanner::scanForeign() {
  std::size_t begin = position++;
  char c = text[begin];
  if (c == '.' && isDigit(peek())) {
    while (isDigit(peek()))
      ++position;
    diagnostics.report(DiagnosticKind::DigitsAtPoint, rangeFrom(begin), {quoted(rangeFrom(begin))})
        .fix(rangeFrom(begin), "0" + quoted(rangeFrom(begin)));
    return push(TokenKind::Real, begin);
  }
  if (c == '.' && isNameStart(peek()) && !result.tokens.empty() && result.tokens.back().is(TokenKind::Name) &&
      result.tokens.back().range.end == begin) {          // `math.exp`
    static constexpr std::string_view kModules[] = {"math", "torch", "np", "numpy", "jnp", "F", "tl"};
    SourceRange module = result.tokens.back().range;
    bool isKnown = std::find(std::begin(kModules), std::end(kModules), textOf(text, module)) != std::end(kModules);
    diagnostics.report(DiagnosticKind::ForeignCharacter, rangeFrom(begin), {"."})
        .note(DiagnosticKind::HelpNoModule, module, {quoted(module)})
        .fix(module.to(rangeFrom(begin)), isKnown ? std::optional<std::string>("") : std::nullopt);
    lineBreak = result.tokens.back().lineBreakBefore;
    return result.tokens.pop_back();
  }
  while (!atEnd() && (static_cast<unsigned char>(peek()) & 0xC0) == 0x80)
    ++position;
  bool printable = static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  std::string shown = quoted(rangeFrom(begin));
  if (!printable)
    shown = "\\" + std::to_string(static_cast<unsigned char>(c));
  Diagnostic &diagnostic = diagnostics.report(DiagnosticKind::ForeignCharacter, rangeFrom(begin), {shown});
  if (c == '?')
    diagnostic.note(DiagnosticKind::HelpConditional, rangeFrom(begin));
  else if (c == '@')
    diagnostic.note(DiagnosticKind::HelpDot, rangeFrom(begin));
  else if (shown == "\u00a0")                           // looks like a blank
    diagnostic.help(rangeFrom(begin), " ");
  else if (shown == "\u201c" || shown == "\u201d")      // typeset quotes
    diagnostic.help(rangeFrom(begin), "\"");
}

LexedText lex(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics) {
  return Scanner(text, file, diagnostics).run();
}

} // namespace attn::dsl
