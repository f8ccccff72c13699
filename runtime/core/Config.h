// The environment variables of the project, from Config.def. No other file calls `getenv`.
#pragma once

#include "attn/Result.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attn::runtime {

enum class Setting : std::uint8_t {
#define ATTN_SETTING(name, variable, byDefault, meaning) name,
#include "runtime/core/Config.def"
#undef ATTN_SETTING
};

/// A row of Config.def, for documentation.
struct SettingInfo {
  std::string_view variable, byDefault, meaning;
};
std::span<const SettingInfo> settings();
std::string_view variableOf(Setting setting);

/// The variable's text; nothing when it is unset or empty. Read anew each time.
std::optional<std::string> textSetting(Setting setting);
/// A whole number, or nothing when unset; fails, naming the variable, on anything else.
Result<std::optional<std::uint64_t>> numberSetting(Setting setting);
/// The index of the variable's text among `words`, or nothing when unset; fails, naming the variable, on another word.
Result<std::optional<std::size_t>> wordSetting(Setting setting, std::initializer_list<std::string_view> words);

} // namespace attn::runtime
