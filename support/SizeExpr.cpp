// Integer expressions over extents: construction with folding, printing, evaluation, substitution.
// The parser of the text form is SizeExprParser.cpp.
#include "support/SizeExpr.h"

#include <algorithm>

namespace attn {

using Kind = SizeExpr::Kind;

/// An operation and its operands. Shared by the expressions it is part of and never changed.
struct SizeExpr::Node {
  Kind kind;
  std::int64_t value = 0;                ///< of a number
  std::string name = {};                 ///< of a name
  std::shared_ptr<const Node> lhs = {};  ///< of operations; the operand of `Neg`
  std::shared_ptr<const Node> rhs = {};

  int precedence() const;
  void print(int tightness, std::string &out) const;
  void collectNames(std::vector<std::string> &out) const;
  std::optional<std::int64_t> evaluate(const Lookup &lookup) const;
  bool equals(const Node &other) const;
};

/// `lhs / rhs` rounded towards minus infinity, for `rhs` != 0 and no overflow.
static std::int64_t floorQuotient(std::int64_t lhs, std::int64_t rhs) {
  std::int64_t quotient = lhs / rhs;
  return quotient - (lhs % rhs != 0 && (lhs < 0) != (rhs < 0));
}

/// One operation in 64 bits; nothing on overflow or division by zero.
static std::optional<std::int64_t> apply(Kind kind, std::int64_t lhs, std::int64_t rhs) {
  std::int64_t result = 0;
  switch (kind) {
  case Kind::Add: return __builtin_add_overflow(lhs, rhs, &result) ? std::nullopt : std::optional(result);
  case Kind::Sub: return __builtin_sub_overflow(lhs, rhs, &result) ? std::nullopt : std::optional(result);
  case Kind::Mul: return __builtin_mul_overflow(lhs, rhs, &result) ? std::nullopt : std::optional(result);
  case Kind::Min: return std::min(lhs, rhs);
  case Kind::Max: return std::max(lhs, rhs);
  case Kind::FloorDiv:
  case Kind::CeilDiv:
  case Kind::Mod:
    if (rhs == 0)
      return std::nullopt;
    if (rhs == -1) { // the one divisor whose quotient can overflow
      if (kind == Kind::Mod)
        return 0;
      return __builtin_sub_overflow(std::int64_t{0}, lhs, &result) ? std::nullopt : std::optional(result);
    }
    if (kind == Kind::FloorDiv)
      return floorQuotient(lhs, rhs);
    if (kind == Kind::CeilDiv)
      return floorQuotient(lhs, rhs) + (lhs % rhs != 0);
    return lhs - floorQuotient(lhs, rhs) * rhs;
  case Kind::Number:
  case Kind::Name:
  case Kind::Neg: break;
  }
  return std::nullopt;
}

SizeExpr SizeExpr::number(std::int64_t value) {
  return SizeExpr(std::make_shared<Node>(Node{.kind = Kind::Number, .value = value}));
}

SizeExpr SizeExpr::name(std::string name) {
  return SizeExpr(std::make_shared<Node>(Node{.kind = Kind::Name, .name = std::move(name)}));
}

SizeExpr SizeExpr::binary(Kind kind, SizeExpr lhs, SizeExpr rhs) {
  if (lhs.node->kind == Kind::Number && rhs.node->kind == Kind::Number)
    if (auto value = apply(kind, lhs.node->value, rhs.node->value))
      return number(*value);
  return SizeExpr(std::make_shared<Node>(Node{.kind = kind, .lhs = std::move(lhs.node), .rhs = std::move(rhs.node)}));
}

SizeExpr SizeExpr::negate(SizeExpr operand) {
  if (operand.node->kind == Kind::Number)
    if (auto value = apply(Kind::Sub, 0, operand.node->value))
      return number(*value);
  return SizeExpr(std::make_shared<Node>(Node{.kind = Kind::Neg, .lhs = std::move(operand.node)}));
}

std::optional<std::int64_t> SizeExpr::constant() const {
  return node->kind == Kind::Number ? std::optional(node->value) : std::nullopt;
}

std::optional<std::string_view> SizeExpr::asName() const {
  return node->kind == Kind::Name ? std::optional<std::string_view>(node->name) : std::nullopt;
}

/// How tightly the printed form binds: 1 for sums, 2 for products, 3 for unary minus, 4 for the rest.
int SizeExpr::Node::precedence() const {
  switch (kind) {
  case Kind::Add:
  case Kind::Sub: return 1;
  case Kind::Mul:
  case Kind::FloorDiv:
  case Kind::Mod: return 2;
  case Kind::Neg: return 3;
  case Kind::Number: return value < 0 ? 3 : 4;
  default: return 4;
  }
}

static std::string_view symbol(Kind kind) {
  switch (kind) {
  case Kind::Add: return " + ";
  case Kind::Sub: return " - ";
  case Kind::Mul: return " * ";
  case Kind::FloorDiv: return " // ";
  case Kind::Mod: return " % ";
  case Kind::Min: return "min";
  case Kind::Max: return "max";
  default: return "ceildiv";
  }
}

void SizeExpr::Node::print(int tightness, std::string &out) const {
  int own = precedence();
  if (own < tightness) {
    out += '(';
    print(0, out);
    out += ')';
    return;
  }
  switch (kind) {
  case Kind::Number: out += std::to_string(value); return;
  case Kind::Name: out += name; return;
  case Kind::Neg:
    out += '-';
    lhs->print(4, out);
    return;
  case Kind::Min:
  case Kind::Max:
  case Kind::CeilDiv:
    out += symbol(kind);
    out += '(';
    lhs->print(0, out);
    out += ", ";
    rhs->print(0, out);
    out += ')';
    return;
  default:
    lhs->print(own, out);
    out += symbol(kind);
    rhs->print(own + 1, out);
  }
}

void SizeExpr::Node::collectNames(std::vector<std::string> &out) const {
  if (kind == Kind::Name && std::find(out.begin(), out.end(), name) == out.end())
    out.push_back(name);
  if (lhs)
    lhs->collectNames(out);
  if (rhs)
    rhs->collectNames(out);
}

std::optional<std::int64_t> SizeExpr::Node::evaluate(const Lookup &lookup) const {
  if (kind == Kind::Number)
    return value;
  if (kind == Kind::Name)
    return lookup(name);
  auto left = lhs->evaluate(lookup);
  if (!left)
    return std::nullopt;
  if (kind == Kind::Neg)
    return apply(Kind::Sub, 0, *left);
  auto right = rhs->evaluate(lookup);
  return right ? apply(kind, *left, *right) : std::nullopt;
}

bool SizeExpr::Node::equals(const Node &other) const {
  if (this == &other)
    return true;
  if (kind != other.kind || value != other.value || name != other.name)
    return false;
  return (!lhs || lhs->equals(*other.lhs)) && (!rhs || rhs->equals(*other.rhs));
}

SizeExpr::Kind SizeExpr::kind() const { return node->kind; }
SizeExpr SizeExpr::lhs() const { return SizeExpr(node->lhs); }
SizeExpr SizeExpr::rhs() const { return SizeExpr(node->rhs); }

std::string SizeExpr::text() const {
  std::string out;
  node->print(0, out);
  return out;
}

std::vector<std::string> SizeExpr::names() const {
  std::vector<std::string> out;
  node->collectNames(out);
  return out;
}

std::optional<std::int64_t> SizeExpr::evaluate(const Lookup &lookup) const {
  return node->evaluate(lookup);
}

std::optional<std::int64_t> SizeExpr::evaluate(const std::map<std::string, std::int64_t, std::less<>> &extents) const {
  return evaluate([&](std::string_view name) -> std::optional<std::int64_t> {
    auto found = extents.find(name);
    return found == extents.end() ? std::nullopt : std::optional(found->second);
  });
}

SizeExpr SizeExpr::substitute(const Lookup &lookup) const {
  switch (node->kind) {
  case Kind::Number: return *this;
  case Kind::Name:
    if (auto value = lookup(node->name))
      return number(*value);
    return *this;
  case Kind::Neg: return negate(SizeExpr(node->lhs).substitute(lookup));
  default:
    return binary(node->kind, SizeExpr(node->lhs).substitute(lookup), SizeExpr(node->rhs).substitute(lookup));
  }
}

bool operator==(const SizeExpr &a, const SizeExpr &b) { return a.node->equals(*b.node); }

} // namespace attn
