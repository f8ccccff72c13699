// PTX text to tokens. An opcode such as `ld.shared::cta.v4.b32` is one word; so is a directive such as `.reg`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator::ptx {

struct Token {
  enum class Kind : std::uint8_t { Word, Number, String, Punctuation, End };
  Kind kind = Kind::End;
  std::string_view text;
  std::uint32_t line = 0;

  bool is(char punctuation) const {
    return kind == Kind::Punctuation && text.size() == 1 && text[0] == punctuation;
  }
  bool isWord(std::string_view word) const { return kind == Kind::Word && text == word; }
};

/// A literal's value: an integer, or the bits of a float.
struct NumberValue {
  enum class Kind : std::uint8_t { Integer, Float32, Float64 };
  Kind kind = Kind::Integer;
  std::uint64_t bits = 0;
};

struct LexError {
  std::uint32_t line = 0;
  std::string message; ///< empty when there was none
};

/// Splits `text`; the last token is `End`.
LexError tokenize(std::string_view text, std::vector<Token> &tokens);

/// Reads `0x1F`, `0b1`, `017`, `12U`, `0fFF800000`, `0d…`, `1.5e3`. False when `text` is none of them.
bool parseNumber(std::string_view text, NumberValue &value);

} // namespace attn::emulator::ptx
