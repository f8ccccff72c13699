#include "MaskWriter.h"

#include <vector>

namespace attn::test {

/// What a mask may read, and its declaration.
static const std::map<std::string, std::string> kParameters = {
    {"width", "i32 in 0..64"},
    {"period", "i32 in 1..12"},
    {"flag", "bool"},
    {"lengths", "i32[batch] in 0..kv_len"},
    {"limits", "i32[q_heads] in -8..64"},
    {"q_doc", "i32[batch, q_len] in 0..9 ascending"},
    {"kv_doc", "i32[batch, kv_len] in 0..9 ascending"},
    {"starts", "i32[batch, q_len] in 0..kv_len ascending"},
    {"ends", "i32[batch, q_len] in 0..kv_len"},
    {"kinds", "i8[kv_len] in 0..3"},
    {"shown", "bool[batch, kv_len]"},
    {"bits", "bit[q_len, kv_len]"},
    {"q_time", "f32[batch, q_len] in 0..1 ascending"},
    {"kv_time", "f32[batch, kv_len] in 0..1 ascending"},
    {"gate", "f32[kv_len] in -1..1"},
};

template <typename... Texts> std::string MaskWriter::oneOf(Texts... texts) {
  std::vector<std::string> list = {std::string(texts)...};
  return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
}

std::string MaskWriter::parameter(const std::string &name) {
  used.emplace(name, kParameters.at(name));
  return name;
}

std::string MaskWriter::table(const std::string &name, const std::string &index, const std::string &kind) {
  mask.kinds.insert(kind);
  return parameter(name) + "[" + index + "]";
}

std::string MaskWriter::leaf() {
  switch (below(20)) {
  case 0:
    return table("q_doc", "b, q_idx", "sorted tables");
  case 1:
    return table("kv_doc", below(4) ? "b, kv_idx" : "b, min(kv_idx + 2, kv_len - 1)", "sorted tables");
  case 2:
    return table("starts", "b, q_idx", "sorted tables");
  case 3:
    return table("ends", "b, q_idx", "unsorted tables");
  case 4:
    return table("kinds", "kv_idx", "unsorted tables");
  case 5:
    return below(2) ? table("lengths", "b", "numbers of requests and heads") : table("limits", "h", "numbers of requests and heads");
  case 6:
    return oneOf("q_len", "kv_len", "kv_len - q_len", "h", "b");
  case 7:
    return parameter(oneOf("width", "period"));
  case 8:
    return constant(-8, 60);
  default:
    return oneOf("q_idx", "kv_idx", "kv_idx", "q_pos", "q_pos", "kv_pos");
  }
}

/// a * row + b * key + c.
std::string MaskWriter::affine() {
  std::string a = oneOf("", "", "", "2 * ", "3 * ", "-"), b = oneOf(" - ", " - ", " + ", " - 2 * ", " + 3 * ");
  return "(" + a + oneOf("q_idx", "q_pos") + b + oneOf("kv_idx", "kv_pos") + " + " + constant(0, 20) + ")";
}

std::string MaskWriter::divisor() {
  if (below(4) == 0)
    return parameter("period");
  return below(8) ? constant(1, 9) : "-" + constant(1, 5);
}

std::string MaskWriter::integer(int depth) {
  if (depth == 0)
    return below(3) ? leaf() : affine();
  auto operand = [&] { return "(" + integer(depth - 1) + ")"; };
  switch (below(13)) {
  case 0:
  case 1:
    return operand() + oneOf(" + ", " - ") + operand();
  case 2:
    return operand() + " * " + (below(4) ? constant(-3, 4) : parameter("period"));
  case 3:
    mask.kinds.insert("quotients");
    return operand() + " // " + divisor();
  case 4:
    mask.kinds.insert("quotients");
    return operand() + " >> " + constant(0, 4);
  case 5:
  case 6:
    mask.kinds.insert("remainders");
    return operand() + " % " + divisor();
  case 7:
    mask.kinds.insert("bit operations");
    return operand() + oneOf(" & ", " ^ ", " | ") + (below(2) ? constant(0, 15) : operand());
  case 8:
  case 9: {
    mask.kinds.insert("abs, min, max");
    std::string x = integer(depth - 1), function = oneOf("abs", "min", "max", "clamp");
    if (function == "abs")
      return "abs(" + x + ")";
    return function + "(" + x + ", " + integer(depth - 1) + (function == "clamp" ? ", " + constant(0, 40) : "") + ")";
  }
  case 10: {
    mask.kinds.insert("branches");
    std::string yes = integer(depth - 1), no = integer(depth - 1);
    return "(if " + condition(depth - 1) + " then " + yes + " else " + no + ")";
  }
  default:
    return affine();
  }
}

std::string MaskWriter::number() {
  mask.kinds.insert("real numbers");
  switch (below(6)) {
  case 0:
    return parameter("q_time") + "[b, q_idx]";
  case 1:
    return parameter("kv_time") + "[b, kv_idx]";
  case 2:
    return parameter("gate") + "[kv_idx]";
  case 3:
    return "0.75 * " + oneOf("q_idx", "kv_idx", "q_pos") + " + 0.5";
  case 4:
    return oneOf("sqrt(kv_idx + 1.0)", "log2(q_idx + 1.0)", "kv_idx / (q_idx + 1)", "floor(0.3 * kv_idx)");
  default:
    return oneOf("0.25", "0.5", "4.5");
  }
}

std::string MaskWriter::comparison(int depth) {
  std::string compare = oneOf(" < ", " <= ", " <= ", " > ", " >= ", " == ", " != ");
  if (below(8) == 0)
    return number() + compare + number();
  return integer(depth) + compare + integer(depth);
}

/// Masks by their names, and reads of truths.
std::string MaskWriter::known() {
  switch (below(12)) {
  case 0:
    return "window(" + constant(0, 40) + ", " + constant(0, 9) + ")";
  case 1:
    mask.kinds.insert("remainders");
    return "dilated(" + constant(5, 60) + ", " + constant(1, 7) + ")";
  case 2:
    mask.kinds.insert("quotients");
    return "chunked(" + constant(3, 30) + ")";
  case 3:
    return "prefix_lm(" + constant(0, 60) + ")";
  case 4:
    mask.kinds.insert("numbers of requests and heads");
    return "padding(" + parameter("lengths") + ")";
  case 5:
    mask.kinds.insert("sorted tables");
    return "same_document(" + parameter("q_doc") + ", " + parameter("kv_doc") + ")";
  case 6:
    mask.kinds.insert("remainders");
    mask.kinds.insert("quotients");
    return "neighborhood_2d(" + constant(4, 9) + ", " + constant(5, 9) + ", " + constant(0, 2) + ")";
  case 7:
    mask.kinds.insert("unsorted tables");
    return parameter("shown") + "[b, kv_idx]";
  case 8:
    mask.kinds.insert("bits");
    return parameter("bits") + "[q_idx, kv_idx]";
  case 9:
    return parameter("flag");
  default:
    return "causal()";
  }
}

std::string MaskWriter::condition(int depth) {
  if (depth == 0)
    return below(3) ? comparison(0) : known();
  auto operand = [&] { return "(" + condition(depth - 1) + ")"; };
  switch (below(10)) {
  case 0:
  case 1:
  case 2:
    return operand() + " and " + operand();
  case 3:
  case 4:
    return operand() + " or " + operand();
  case 5:
    return "not " + operand();
  case 6:
    mask.kinds.insert("branches");
    return below(2) ? operand() + oneOf(" == ", " != ") + operand()
                    : "(if " + condition(depth - 1) + " then " + condition(depth - 1) + " else " + condition(depth - 1) + ")";
  case 7:
    return known();
  default:
    return comparison(depth - 1);
  }
}

WrittenMask MaskWriter::write() {
  mask = {};
  used.clear();
  mask.condition = condition(1 + below(3));
  bool usesPosition = mask.condition.find("q_pos") != std::string::npos;
  if (usesPosition && below(4) == 0)
    mask.positions = "q_pos = " + (below(3) ? oneOf("q_idx", "2 * q_idx", "q_idx + 7") : parameter("starts") + "[b, q_idx]");
  for (const auto &[name, declaration] : used)
    mask.parameters += (mask.parameters.empty() ? "" : ", ") + name + ": " + declaration;
  if (mask.kinds.empty())
    mask.kinds.insert("intervals");
  return mask;
}

} // namespace attn::test
