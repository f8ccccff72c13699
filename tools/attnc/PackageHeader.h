// A C header that embeds a package: its bytes, and the names, types and sizes of the arguments of its plans.
#pragma once

#include "attn/Package.h"

#include <string>

namespace attn::tools {

Result<std::string> packageHeader(const Package &package);

} // namespace attn::tools
