// PTX text to tokens (see PtxLexer.h).
#include "runtime/emulator/PtxLexer.h"

#include <bit>
#include <charconv>
#include <cstdlib>

namespace attn::emulator::ptx {

static bool isDigit(char c) { return c >= '0' && c <= '9'; }
static bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool startsWord(char c) { return isLetter(c) || c == '_' || c == '$' || c == '%' || c == '.'; }
static bool continuesWord(char c) { return startsWord(c) || isDigit(c); }

namespace {
class Lexer {
public:
  Lexer(std::string_view text, std::vector<Token> &tokens) : text(text), tokens(tokens) {}

  LexError run() {
    while (skipBlanks() && position < text.size())
      if (!next())
        break;
    tokens.push_back({Token::Kind::End, {}, line});
    return error;
  }

private:
  char at(std::size_t offset) const { return position + offset < text.size() ? text[position + offset] : '\0'; }

  bool fail(std::string message) {
    error = {line, std::move(message)};
    return false;
  }

  bool skipBlanks() {
    while (position < text.size()) {
      char c = text[position];
      if (c == '\n')
        ++line, ++position;
      else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v')
        ++position;
      else if (c == '/' && at(1) == '/')
        while (position < text.size() && text[position] != '\n')
          ++position;
      else if (c == '/' && at(1) == '*') {
        if (!skipComment())
          return false;
      } else
        break;
    }
    return true;
  }

  bool skipComment() {
    std::size_t end = text.find("*/", position + 2);
    if (end == std::string_view::npos)
      return fail("comment without end");
    for (; position < end + 2; ++position)
      line += text[position] == '\n';
    return true;
  }

  bool next() {
    char c = text[position];
    if (isDigit(c) || (c == '.' && isDigit(at(1))))
      return number();
    if (startsWord(c))
      return word();
    if (c == '"')
      return string();
    static constexpr std::string_view kPunctuation = "{}[]()<>,;:|!@=+-*/&^~?";
    if (kPunctuation.find(c) == std::string_view::npos)
      return fail("unexpected character");
    tokens.push_back({Token::Kind::Punctuation, text.substr(position++, 1), line});
    return true;
  }

  bool word() {
    std::size_t start = position;
    while (continuesWord(at(0)) || (at(0) == ':' && at(1) == ':' && (isLetter(at(2)) || isDigit(at(2))) && position > start))
      position += at(0) == ':' ? 2 : 1;
    tokens.push_back({Token::Kind::Word, text.substr(start, position - start), line});
    return true;
  }

  bool number() {
    std::size_t start = position;
    bool isHex = at(0) == '0' && (at(1) == 'x' || at(1) == 'X' || at(1) == 'f' || at(1) == 'F' || at(1) == 'd' ||
                                  at(1) == 'D');
    while (isDigit(at(0)) || isLetter(at(0)) || at(0) == '.' ||
           (!isHex && (at(0) == '+' || at(0) == '-') && (text[position - 1] == 'e' || text[position - 1] == 'E')))
      ++position;
    tokens.push_back({Token::Kind::Number, text.substr(start, position - start), line});
    return true;
  }

  bool string() {
    std::size_t end = position + 1;
    while (end < text.size() && text[end] != '"' && text[end] != '\n')
      end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size() || text[end] != '"')
      return fail("string without end");
    tokens.push_back({Token::Kind::String, text.substr(position + 1, end - position - 1), line});
    position = end + 1;
    return true;
  }

  std::string_view text;
  std::vector<Token> &tokens;
  std::size_t position = 0;
  std::uint32_t line = 1;
  LexError error;
};
} // namespace

LexError tokenize(std::string_view text, std::vector<Token> &tokens) { return Lexer(text, tokens).run(); }

static bool parseBits(std::string_view digits, int base, std::uint64_t &bits) {
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits, base);
  return code == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

static bool parseDecimalFloat(std::string_view text, NumberValue &value) {
  double number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size())
    return false;
  value = {NumberValue::Kind::Float64, std::bit_cast<std::uint64_t>(number)};
  return true;
}

bool parseNumber(std::string_view text, NumberValue &value) {
  if (text.size() > 2 && text[0] == '0') {
    char kind = static_cast<char>(text[1] | 0x20);
    if (kind == 'f' && text.size() == 10) {
      value.kind = NumberValue::Kind::Float32;
      return parseBits(text.substr(2), 16, value.bits);
    }
    if (kind == 'd' && text.size() == 18) {
      value.kind = NumberValue::Kind::Float64;
      return parseBits(text.substr(2), 16, value.bits);
    }
  }
  bool isHex = text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
  if (!isHex && text.find_first_of(".eE") != std::string_view::npos)
    return parseDecimalFloat(text, value);
  if (!text.empty() && (text.back() | 0x20) == 'u')
    text.remove_suffix(1);
  value.kind = NumberValue::Kind::Integer;
  if (isHex)
    return text.size() > 2 && parseBits(text.substr(2), 16, value.bits);
  if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'b')
    return parseBits(text.substr(2), 2, value.bits);
  if (text.size() > 1 && text[0] == '0')
    return parseBits(text.substr(1), 8, value.bits);
  return parseBits(text, 10, value.bits);
}

} // namespace attn::emulator::ptx
