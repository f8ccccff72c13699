// The element types of tensors and scalars, spelled as the language spells them (docs/language.md, section 2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace attn {

enum class ElementType : std::uint8_t { F64, F32, BF16, F16, E4M3, E5M2, I32, I16, I8, Bool, Bit };

/// `f32`, `bf16`, `bit`, … as in the language, the manifest and messages.
std::string_view spelling(ElementType type);
std::optional<ElementType> parseElementType(std::string_view text);

/// Bits a stored element takes: 64 for f64 … 8 for bool (a byte), 1 for bit (rows packed into 32-bit words).
unsigned storageBits(ElementType type);
bool isFloat(ElementType type);

} // namespace attn
