// Tokens and places in source text.
#pragma once

#include <cstdint>
#include <string_view>

namespace attn::dsl {

/// Bytes [begin, end) of source text number `file`.
struct SourceRange {
  std::uint32_t file = 0;
  std::uint32_t begin = 0, end = 0;

  SourceRange to(SourceRange last) const { return {file, begin, last.end}; }
  friend bool operator==(SourceRange, SourceRange) = default;
};

enum class TokenKind : std::uint8_t {
#define ATTN_TOKEN(name, text) name,
#include "dsl/TokenKinds.def"
};

/// The spelling of punctuation and keywords, a description of the others.
std::string_view spelling(TokenKind kind);
/// The enumerator's name, for `attn-front --emit=tokens`.
std::string_view tokenName(TokenKind kind);
/// True where the text of every such token is the same.
bool hasFixedText(TokenKind kind);

struct Token {
  TokenKind kind = TokenKind::EndOfFile;
  SourceRange range;
  bool lineBreakBefore = false;   ///< a line break stands between the token before and this one

  bool is(TokenKind other) const { return kind == other; }
};

/// True where a line break after such a token ends no statement: operators, `=`, `:`, `,`, `then`, `else`, `..`.
bool continuesAfter(TokenKind kind);
/// True where a line break before such a token ends no statement: `and`, `or`, `then`, `else`.
bool continuesBefore(TokenKind kind);

} // namespace attn::dsl
