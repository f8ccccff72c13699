// Writing a file so that nobody ever sees half of it.
#pragma once

#include "attn/Status.h"

#include <cstddef>
#include <span>
#include <string>

namespace attn::runtime {

/// Writes to a temporary name beside `path` and renames. On failure `path` is as before and nothing is left behind.
Status writeFileAtomically(const std::string &path, std::span<const std::byte> bytes);

} // namespace attn::runtime
