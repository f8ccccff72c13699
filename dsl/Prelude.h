// The prelude's text, put into the library at build time from dsl/prelude/*.attn (EmbedPrelude.cmake).
#pragma once

#include <string_view>

namespace attn::dsl {

std::string_view preludeText();

} // namespace attn::dsl
