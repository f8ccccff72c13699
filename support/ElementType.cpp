#include "support/ElementType.h"

#include <array>
#include <utility>

namespace attn {

struct ElementTypeRow {
  ElementType type;
  std::string_view name;
  unsigned bits;
  bool isFloat;
};
static constexpr std::array<ElementTypeRow, 11> kRows = {{
    {ElementType::F64, "f64", 64, true},
    {ElementType::F32, "f32", 32, true},
    {ElementType::BF16, "bf16", 16, true},
    {ElementType::F16, "f16", 16, true},
    {ElementType::E4M3, "e4m3", 8, true},
    {ElementType::E5M2, "e5m2", 8, true},
    {ElementType::I32, "i32", 32, false},
    {ElementType::I16, "i16", 16, false},
    {ElementType::I8, "i8", 8, false},
    {ElementType::Bool, "bool", 8, false},
    {ElementType::Bit, "bit", 1, false},
}};

std::string_view spelling(ElementType type) { return kRows[static_cast<std::size_t>(type)].name; }
unsigned storageBits(ElementType type) { return kRows[static_cast<std::size_t>(type)].bits; }
bool isFloat(ElementType type) { return kRows[static_cast<std::size_t>(type)].isFloat; }

std::optional<ElementType> parseElementType(std::string_view text) {
  for (const ElementTypeRow &row : kRows)
    if (row.name == text)
      return row.type;
  return std::nullopt;
}

} // namespace attn
