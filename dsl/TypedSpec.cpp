// Spellings and small questions about typed nodes.
#include "dsl/TypedSpec.h"

#include <iterator>

namespace attn::dsl {

std::string spelling(Type type) {
  switch (type.kind) {
  case Type::Kind::Bool: return "bool";
  case Type::Kind::I32: return "i32";
  case Type::Kind::F32: return "f32";
  case Type::Kind::Vector: return "vector of " + std::to_string(type.length);
  }
  return {};
}

std::string_view spelling(LayoutKind layout) {
  static constexpr std::string_view kTexts[] = {"bshd", "bhsd", "ragged", "paged"};
  return kTexts[static_cast<std::size_t>(layout)];
}

std::string_view spelling(UnaryOp op) {
  static constexpr std::string_view kTexts[] = {"-",   "abs", "floor", "ceil", "round", "exp",     "exp2", "log", "log2",
                                                "sin", "cos", "tanh",  "sqrt", "rsqrt", "sigmoid", "erf",  "relu"};
  static_assert(std::size(kTexts) == static_cast<std::size_t>(UnaryOp::Relu) + 1);
  return kTexts[static_cast<std::size_t>(op)];
}

std::string_view spelling(BinaryOp op) {
  static constexpr std::string_view kTexts[] = {"+", "-", "*", "min", "max", "/", "**", "//", "%", "<<", ">>", "&", "^", "|"};
  static_assert(std::size(kTexts) == static_cast<std::size_t>(BinaryOp::BitOr) + 1);
  return kTexts[static_cast<std::size_t>(op)];
}

std::string_view spelling(CompareOp op) {
  static constexpr std::string_view kTexts[] = {"==", "!=", "<", "<=", ">", ">="};
  return kTexts[static_cast<std::size_t>(op)];
}

std::string_view spelling(IndexKind index) {
  static constexpr std::string_view kTexts[] = {"b", "h", "kv_head", "q_idx", "kv_idx"};
  return kTexts[static_cast<std::size_t>(index)];
}

std::string_view spelling(InputKind input) {
  static constexpr std::string_view kTexts[] = {"query", "key", "value"};
  return kTexts[static_cast<std::size_t>(input)];
}

Domain Domain::operator|(const Domain &other) const {
  Domain result = *this;
  result.row |= other.row;
  result.column |= other.column;
  result.batch |= other.batch;
  result.qHead |= other.qHead;
  result.kvHead |= other.kvHead;
  result.inputs |= other.inputs;
  result.scan |= other.scan;
  result.weight |= other.weight;
  result.random |= other.random;
  result.bound |= other.bound;
  return result;
}

TypedExpr *TypedSpec::add(TypedExpr node) {
  nodes.push_back(std::move(node));
  return &nodes.back();
}

std::string_view TypedSpec::fileName(SourcePosition place) const {
  return place.file < fileNames.size() ? std::string_view(fileNames[place.file]) : std::string_view("<default>");
}

} // namespace attn::dsl
