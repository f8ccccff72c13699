// The text form of size expressions, read by recursive descent. Input may come from a damaged file, so length and
// nesting are bounded.
#include "support/SizeExpr.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <limits>
#include <utility>

namespace attn {

static constexpr std::size_t kMaxLength = 8192;
static constexpr int kMaxNesting = 100;

namespace {

class SizeExprParser {
public:
  explicit SizeExprParser(std::string_view text) : text(text) {}

  std::optional<SizeExpr> parse() {
    if (text.size() > kMaxLength)
      return fail(fmt::format("an expression of {} characters; the limit is {}", text.size(), kMaxLength));
    auto result = sum();
    if (result && (skipSpace(), position != text.size()))
      return fail(fmt::format("expected an operator or the end, but got `{}`", text[position]));
    return result;
  }
  const std::string &message() const { return error; }

private:
  std::optional<SizeExpr> sum() {
    if (++nesting > kMaxNesting)
      return fail(fmt::format("nested deeper than {}", kMaxNesting));
    auto lhs = product();
    while (lhs) {
      SizeExpr::Kind kind;
      if (accept("+"))
        kind = SizeExpr::Kind::Add;
      else if (accept("-"))
        kind = SizeExpr::Kind::Sub;
      else
        break;
      lhs = combine(kind, std::move(*lhs), product());
    }
    --nesting;
    return lhs;
  }

  std::optional<SizeExpr> product() {
    auto lhs = unary();
    while (lhs) {
      SizeExpr::Kind kind;
      if (accept("*"))
        kind = SizeExpr::Kind::Mul;
      else if (accept("//"))
        kind = SizeExpr::Kind::FloorDiv;
      else if (accept("%"))
        kind = SizeExpr::Kind::Mod;
      else
        break;
      lhs = combine(kind, std::move(*lhs), unary());
    }
    return lhs;
  }

  std::optional<SizeExpr> unary() {
    bool negative = false;
    while (accept("-"))
      negative = !negative;
    if (atDigit())
      return numeral(negative);
    auto operand = primary();
    return operand && negative ? SizeExpr::negate(std::move(*operand)) : std::move(operand);
  }

  std::optional<SizeExpr> primary() {
    if (accept("(")) {
      auto inner = sum();
      return inner && !accept(")") ? fail("expected `)`") : std::move(inner);
    }
    skipSpace();
    std::size_t start = position;
    while (position < text.size() && isWordCharacter(text[position]))
      ++position;
    std::string_view word = text.substr(start, position - start);
    if (word.empty())
      return fail(start < text.size() ? fmt::format("expected a number, a name or `(`, but got `{}`", text[start])
                                      : "expected a number, a name or `(` at the end");
    static constexpr std::array<std::pair<std::string_view, SizeExpr::Kind>, 3> kFunctions = {
        {{"min", SizeExpr::Kind::Min}, {"max", SizeExpr::Kind::Max}, {"ceildiv", SizeExpr::Kind::CeilDiv}}};
    if (accept("(")) {
      for (const auto &[name, kind] : kFunctions)
        if (word == name)
          return call(kind);
      position = start;
      return fail(fmt::format("unknown function `{}`; there are min, max and ceildiv", word));
    }
    return SizeExpr::name(std::string(word));
  }

  /// `a, b)` after the name and the opening bracket.
  std::optional<SizeExpr> call(SizeExpr::Kind kind) {
    auto lhs = sum();
    if (!lhs)
      return lhs;
    if (!accept(","))
      return fail("expected `,`");
    auto result = combine(kind, std::move(*lhs), sum());
    return result && !accept(")") ? fail("expected `)`") : std::move(result);
  }

  std::optional<SizeExpr> numeral(bool negative) {
    std::uint64_t magnitude = 0;
    const std::uint64_t limit = std::uint64_t{std::numeric_limits<std::int64_t>::max()} + (negative ? 1 : 0);
    std::size_t start = position;
    for (; position < text.size() && atDigit(); ++position) {
      std::uint64_t digit = static_cast<std::uint64_t>(text[position] - '0');
      if (magnitude > (limit - digit) / 10) {
        position = start;
        return fail("a number too large for 64 bits");
      }
      magnitude = magnitude * 10 + digit;
    }
    if (position < text.size() && isWordCharacter(text[position]))
      return fail(fmt::format("expected an operator or the end, but got `{}`", text[position]));
    return SizeExpr::number(static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude));
  }

  static std::optional<SizeExpr> combine(SizeExpr::Kind kind, SizeExpr lhs, std::optional<SizeExpr> rhs) {
    if (!rhs)
      return std::nullopt;
    return SizeExpr::binary(kind, std::move(lhs), std::move(*rhs));
  }

  static bool isWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  bool atDigit() {
    return position < text.size() && std::isdigit(static_cast<unsigned char>(text[position]));
  }
  void skipSpace() {
    while (position < text.size() && std::isspace(static_cast<unsigned char>(text[position])))
      ++position;
  }
  bool accept(std::string_view symbol) {
    skipSpace();
    bool found = text.substr(position).starts_with(symbol);
    position += found ? symbol.size() : 0;
    skipSpace();
    return found;
  }
  /// Remembers the first message, with the column (from 1).
  std::optional<SizeExpr> fail(std::string message) {
    if (error.empty())
      error = fmt::format("column {}: {}", position + 1, message);
    return std::nullopt;
  }

  std::string_view text;
  std::size_t position = 0;
  int nesting = 0;
  std::string error;
};

} // namespace

std::optional<SizeExpr> SizeExpr::parse(std::string_view text, std::string *error) {
  SizeExprParser parser(text);
  auto result = parser.parse();
  if (!result && error)
    *error = parser.message();
  return result;
}

} // namespace attn
