// The formatter works on tokens and comments, not on the tree: nothing is lost, and what it does not know stays as it
// is. It keeps the author's line breaks (at most one blank line), sets indentation and spaces, drops needless `;`, and
// aligns the `=` of definitions on successive lines.
#include "dsl/Formatter.h"
#include "dsl/Parser.h"

#include <algorithm>
#include <vector>

namespace attn::dsl {

namespace {

/// A token or comment with the line breaks before it.
struct Item {
  Token token;
  bool isComment = false;
  unsigned lineBreaks = 0;
};

struct Block {
  bool oneLine = false;
  bool isAttention = false;
};

struct Line {
  std::string text;
  unsigned indent = 0;
  bool blankBefore = false;
  bool continues = false;        ///< not the first line of its statement
  std::size_t assignAt = 0;      ///< where the `=` of the line's only definition is to stand; 0: none
};

class Printer {
public:
  Printer(std::string_view text, const LexedText &lexed);
  std::string run();

private:
  bool startsLine(std::size_t i) const;
  bool endsStatement(std::size_t i) const;
  bool isNeedless(std::size_t i) const;
  bool blockIsOneLine(std::size_t open) const;
  void openLine(std::size_t i, bool newStatement);
  void append(std::size_t i, bool newStatement);
  bool spaceBefore(std::size_t i) const;
  bool isUnaryMinus() const;
  void track(const Token &token, std::size_t i);
  void alignAssignments();
  const Item *nextToken(std::size_t i) const;

  std::string_view text;
  std::vector<Item> items;
  std::vector<Line> lines;
  std::vector<Block> blocks;
  std::vector<TokenKind> brackets;
  TokenKind previous = TokenKind::EndOfFile;    ///< last token that is no comment
  bool previousWasUnary = false;
  bool lastWasComment = false;
  bool statementStart = true;
  bool nextBlockIsAttention = false;
};

} // namespace

Printer::Printer(std::string_view text, const LexedText &lexed) : text(text) {
  std::size_t comment = 0, end = 0;
  auto push = [&](Token token, bool isComment) {
    std::string_view gap = text.substr(end, token.range.begin - end);
    auto breaks = static_cast<unsigned>(std::count(gap.begin(), gap.end(), '\n'));
    items.push_back({token, isComment, breaks});
    end = token.range.end;
  };
  for (const Token &token : lexed.tokens) {
    while (comment < lexed.comments.size() && lexed.comments[comment].begin < token.range.begin)
      push({TokenKind::Invalid, lexed.comments[comment++], false}, true);
    push(token, false);
  }
}

const Item *Printer::nextToken(std::size_t i) const {
  while (i < items.size() && items[i].isComment)
    ++i;
  return i < items.size() ? &items[i] : nullptr;
}

/// True if no line break stands between the brace at `open` and its partner.
bool Printer::blockIsOneLine(std::size_t open) const {
  int depth = 0;
  for (std::size_t i = open; i < items.size(); ++i) {
    if (i > open && items[i].lineBreaks > 0)
      return false;
    depth += items[i].token.is(TokenKind::LeftBrace) - items[i].token.is(TokenKind::RightBrace);
    if (depth == 0)
      return true;
  }
  return false;
}

/// True where the line break before item i ends a statement.
bool Printer::endsStatement(std::size_t i) const {
  if (!brackets.empty() || previous == TokenKind::EndOfFile)
    return brackets.empty();
  if (previous == TokenKind::LeftBrace || previous == TokenKind::RightBrace || previous == TokenKind::Semicolon)
    return true;
  const Item *next = nextToken(i);
  return !continuesAfter(previous) && !(next && continuesBefore(next->token.kind));
}

/// True where item i begins a line of the result.
bool Printer::startsLine(std::size_t i) const {
  const Item &item = items[i];
  bool topLevel = blocks.empty() && brackets.empty();
  if (lines.empty() || item.lineBreaks > 0 || lastWasComment)
    return true;
  if (item.isComment)
    return false;
  bool inside = !blocks.empty() && !blocks.back().oneLine;
  if (inside && (previous == TokenKind::LeftBrace || item.token.is(TokenKind::RightBrace)))
    return true;
  return topLevel && (previous == TokenKind::RightBrace || previous == TokenKind::Semicolon);
}

/// A `;` is needed only between statements of one line, a last `,` only before a line break.
bool Printer::isNeedless(std::size_t i) const {
  const Item &next = items[i + 1];
  if (items[i].token.is(TokenKind::Comma))
    return next.lineBreaks == 0 && (next.token.is(TokenKind::RightParen) || next.token.is(TokenKind::RightBracket));
  if (!items[i].token.is(TokenKind::Semicolon))
    return false;
  if (blocks.empty() || statementStart || (items[i].lineBreaks > 0 && endsStatement(i)))
    return true;
  std::size_t after = i + 1;
  while (items[after].token.is(TokenKind::Semicolon) && items[after].lineBreaks == 0)
    ++after;
  return items[after].lineBreaks > 0 || items[after].isComment || items[after].token.is(TokenKind::RightBrace);
}

void Printer::openLine(std::size_t i, bool newStatement) {
  const Item &item = items[i];
  bool closes = item.token.is(TokenKind::RightBrace) || item.token.is(TokenKind::RightParen) || item.token.is(TokenKind::RightBracket);
  Line line;
  line.continues = !newStatement;
  auto depth = static_cast<unsigned>(blocks.size());
  if (item.token.is(TokenKind::RightBrace))
    line.indent = 2 * (depth - 1);
  else if (newStatement)
    line.indent = 2 * depth;
  else
    line.indent = 2 * (depth + (closes ? static_cast<unsigned>(brackets.size()) - 1
                                       : std::max<unsigned>(1, static_cast<unsigned>(brackets.size()))));
  line.blankBefore = item.lineBreaks > 1 && !lines.empty() && previous != TokenKind::LeftBrace &&
                     !item.token.is(TokenKind::RightBrace);
  if (lastWasComment && item.lineBreaks > 1 && !item.token.is(TokenKind::RightBrace) && !lines.empty())
    line.blankBefore = true;
  lines.push_back(std::move(line));
}

bool Printer::isUnaryMinus() const {
  switch (previous) {
  case TokenKind::Name:
  case TokenKind::Integer:
  case TokenKind::Real:
  case TokenKind::True:
  case TokenKind::False:
  case TokenKind::RightParen:
  case TokenKind::RightBracket:
    return statementStart;
  default:
    return true;
  }
}

/// One space between item i and what stands before it on its line.
bool Printer::spaceBefore(std::size_t i) const {
  TokenKind kind = items[i].token.kind;
  switch (kind) {
  case TokenKind::RightParen:
  case TokenKind::RightBracket:
  case TokenKind::Comma:
  case TokenKind::Semicolon:
  case TokenKind::Colon:
  case TokenKind::DotDot:
    return false;
  case TokenKind::RightBrace:
    return previous != TokenKind::LeftBrace;
  case TokenKind::LeftParen:
    if (previous == TokenKind::Name || previous == TokenKind::Fn)
      return false;
    break;
  case TokenKind::LeftBracket:
    return false;
  default:
    break;
  }
  bool sliceColon = previous == TokenKind::Colon && !brackets.empty() && brackets.back() == TokenKind::LeftBracket;
  return previous != TokenKind::LeftParen && previous != TokenKind::LeftBracket && previous != TokenKind::DotDot &&
         !previousWasUnary && !sliceColon;
}

void Printer::track(const Token &token, std::size_t i) {
  switch (token.kind) {
  case TokenKind::LeftParen:
  case TokenKind::LeftBracket:
    brackets.push_back(token.kind);
    break;
  case TokenKind::RightParen:
  case TokenKind::RightBracket:
    brackets.pop_back();
    break;
  case TokenKind::LeftBrace:
    blocks.push_back({blockIsOneLine(i), nextBlockIsAttention});
    break;
  case TokenKind::RightBrace:
    blocks.pop_back();
    break;
  case TokenKind::Attention:
    nextBlockIsAttention = true;
    break;
  case TokenKind::Fn:
    if (blocks.empty() && brackets.empty())
      nextBlockIsAttention = false;
    break;
  default:
    break;
  }
}

void Printer::append(std::size_t i, bool newStatement) {
  const Item &item = items[i];
  Line &line = lines.back();
  std::string_view shown = textOf(text, item.token.range);
  if (item.isComment) {
    while (!shown.empty() && (shown.back() == ' ' || shown.back() == '\t' || shown.back() == '\r'))
      shown.remove_suffix(1);
    line.text += (line.text.empty() ? "" : "  ") + std::string(shown);
    return;
  }
  bool afterSemicolon = previous == TokenKind::Semicolon && !line.text.empty(), beginsLine = line.text.empty();
  if (afterSemicolon)
    line.text += blocks.empty() || blocks.back().oneLine ? " " : "  ";
  else if (!line.text.empty() && spaceBefore(i))
    line.text += ' ';
  if (newStatement) {
    const Item *next = nextToken(i + 1);
    bool definition = !blocks.empty() && blocks.back().isAttention && !blocks.back().oneLine &&
                      item.token.is(TokenKind::Name) && next && next->token.is(TokenKind::Assign);
    line.assignAt = definition && beginsLine ? shown.size() + 1 : 0;
  }
  line.text += shown;
}

/// Pads the names of single definitions on successive lines to the longest of them.
void Printer::alignAssignments() {
  for (std::size_t first = 0; first < lines.size();) {
    if (lines[first].assignAt == 0) {
      ++first;
      continue;
    }
    std::size_t last = first, widest = 0;
    for (; last < lines.size(); ++last) {
      bool joins = last == first || (!lines[last].blankBefore && (lines[last].assignAt > 0 || lines[last].continues));
      if (!joins)
        break;
      widest = std::max(widest, lines[last].assignAt);
    }
    for (std::size_t i = first; i < last; ++i)
      if (lines[i].assignAt > 0)
        lines[i].text.insert(lines[i].assignAt - 1, widest - lines[i].assignAt, ' ');
    first = last;
  }
}

std::string Printer::run() {
  for (std::size_t i = 0; i + 1 < items.size(); ++i) {   // the last item is the end of the file
    const Item &item = items[i];
    if (!item.isComment && isNeedless(i)) {
      items[i + 1].lineBreaks += item.lineBreaks;
      if (item.token.is(TokenKind::Semicolon) && !statementStart) { // else what was printed last stands, a brace perhaps
        previous = TokenKind::Semicolon;
        statementStart = true;
      }
      continue;
    }
    bool newLine = startsLine(i);
    bool atStart = statementStart || (newLine && endsStatement(i));
    if (newLine)
      openLine(i, atStart || item.token.is(TokenKind::RightBrace));
    bool brace = item.token.is(TokenKind::LeftBrace) || item.token.is(TokenKind::RightBrace);
    bool newStatement = atStart && !item.isComment && !brace && !item.token.is(TokenKind::Semicolon);
    statementStart = atStart;
    bool unary = item.token.is(TokenKind::Minus) && isUnaryMinus();
    append(i, newStatement);
    lastWasComment = item.isComment;
    if (item.isComment)
      continue;
    track(item.token, i);
    previous = item.token.kind;
    previousWasUnary = unary;
    statementStart = brace || item.token.is(TokenKind::Semicolon);
  }
  alignAssignments();
  std::string result;
  for (const Line &line : lines) {
    if (line.blankBefore)
      result += '\n';
    result += std::string(line.indent, ' ') + line.text + '\n';
  }
  return result;
}

std::optional<std::string> formatText(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics) {
  std::size_t errors = diagnostics.errorCount();
  parse(text, file, diagnostics);
  if (diagnostics.errorCount() != errors)
    return std::nullopt;
  LexedText lexed = lex(text, file, diagnostics);
  return Printer(text, lexed).run();
}

} // namespace attn::dsl
