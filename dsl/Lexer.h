// Text into tokens. Comments are collected apart: the parser needs none, the formatter keeps them.
#pragma once

#include "dsl/Diagnostics.h"
#include "dsl/Token.h"

#include <string_view>
#include <vector>

namespace attn::dsl {

struct LexedText {
  std::vector<Token> tokens;          ///< ends with EndOfFile
  std::vector<SourceRange> comments;  ///< from `#` to before the line break, in order
};

/// Never fails: what is no token is reported and left out.
LexedText lex(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics);

/// The text of a token or range.
inline std::string_view textOf(std::string_view text, SourceRange range) {
  return text.substr(range.begin, range.end - range.begin);
}

} // namespace attn::dsl
