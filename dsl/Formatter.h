// The canonical form of a file: spaces, indentation and alignment are set, the author's lines and comments stay.
#pragma once

#include "dsl/Diagnostics.h"

#include <optional>
#include <string>
#include <string_view>

namespace attn::dsl {

/// Nothing where the text has syntax errors, which are reported. Formatting a result again gives the same text.
std::optional<std::string> formatText(std::string_view text, std::uint32_t file, DiagnosticSink &diagnostics);

} // namespace attn::dsl
