#include "tests/conformance/Case.h"

#include <fmt/format.h>

#include <sstream>

namespace attn::conformance {

const std::vector<Case> &allCases() {
  static const std::vector<Case> cases = {
#define CASE(caseGroup, caseName, ...) Case{.group = #caseGroup, .name = #caseName, __VA_ARGS__},
#include "tests/conformance/Cases.def"
#undef CASE
  };
  return cases;
}

static std::vector<std::string> words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> result;
  for (std::string word; stream >> word;)
    result.push_back(word);
  return result;
}

std::string CaseType::name() const {
  return headDim == headDimV ? fmt::format("{}_{}", dtype, headDim) : fmt::format("{}_{}_{}", dtype, headDim, headDimV);
}

std::vector<CaseType> typesOf(const Case &row) {
  std::vector<CaseType> types;
  for (std::string &word : words(row.types)) {
    for (char &c : word)
      c = c == '/' ? ' ' : c;
    std::vector<std::string> parts = words(word);
    int headDim = std::stoi(parts.at(1));
    types.push_back({parts.at(0), headDim, parts.size() > 2 ? std::stoi(parts[2]) : headDim});
  }
  return types;
}

std::vector<std::string> shapesOf(const Case &row) { return words(*row.shapes ? row.shapes : kUsualShapes); }

std::string specText(const Case &row, const CaseType &type) {
  std::string text = fmt::format("attention {}", row.name);
  if (*row.parameters)
    text += fmt::format("({})", row.parameters);
  text += fmt::format(" {{\n  dtype: {};  head_dim: {}", type.dtype, type.headDim);
  if (type.headDimV != type.headDim)
    text += fmt::format(";  head_dim_v: {}", type.headDimV);
  if (*row.heads)
    text += fmt::format("\n  {}", row.heads);
  return text + fmt::format("\n{}\n}}\n", row.statements);
}

} // namespace attn::conformance
