// Integer expressions over extents: tensor sizes, `in` bounds, grid dimensions, derived extents.
//
// Text form is the language's own integer syntax, fully parenthesised where needed: numbers, extent names,
// `+ - * // %`, unary `-`, `min(a, b)`, `max(a, b)`, `ceildiv(a, b)`, and `( )`.
// `//` and `%` floor, as in the language. Evaluation is in 64 bits and reports overflow and division by zero.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn {

class SizeExpr {
public:
  enum class Kind : std::uint8_t { Number, Name, Add, Sub, Mul, FloorDiv, Mod, Min, Max, CeilDiv, Neg };

  static SizeExpr number(std::int64_t value);
  static SizeExpr name(std::string name);
  /// Folds when both operands are numbers.
  static SizeExpr binary(Kind kind, SizeExpr lhs, SizeExpr rhs);
  static SizeExpr negate(SizeExpr operand);

  /// Parses the text form. On failure returns nothing and sets `*error` (if given) to a message with the column.
  static std::optional<SizeExpr> parse(std::string_view text, std::string *error = nullptr);

  Kind kind() const;
  /// Of an operation; the operand of `Neg` is `lhs`.
  SizeExpr lhs() const;
  SizeExpr rhs() const;
  std::string text() const;
  std::optional<std::int64_t> constant() const;
  /// The name if this is a bare extent name.
  std::optional<std::string_view> asName() const;
  /// All extent names in it, each once, in order of appearance.
  std::vector<std::string> names() const;

  using Lookup = std::function<std::optional<std::int64_t>(std::string_view)>;
  /// Nothing when a name is unknown, on overflow of 64 bits, or on division by zero.
  std::optional<std::int64_t> evaluate(const Lookup &lookup) const;
  std::optional<std::int64_t> evaluate(const std::map<std::string, std::int64_t, std::less<>> &extents) const;
  /// Replaces names for which `lookup` has a value, folding what becomes constant.
  SizeExpr substitute(const Lookup &lookup) const;

  friend bool operator==(const SizeExpr &a, const SizeExpr &b);

private:
  struct Node;
  explicit SizeExpr(std::shared_ptr<const Node> node) : node(std::move(node)) {}
  std::shared_ptr<const Node> node;
};

} // namespace attn
