#include "runtime/core/Config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace attn::runtime {

static constexpr auto kSettings = std::to_array<SettingInfo>({
#define ATTN_SETTING(name, variable, byDefault, meaning) {variable, byDefault, meaning},
#include "runtime/core/Config.def"
#undef ATTN_SETTING
});

std::span<const SettingInfo> settings() { return kSettings; }
std::string_view variableOf(Setting setting) { return kSettings[static_cast<std::size_t>(setting)].variable; }

std::optional<std::string> textSetting(Setting setting) {
  const char *text = std::getenv(variableOf(setting).data()); // the views come from literals, which end in 0
  return text && *text ? std::optional<std::string>(text) : std::nullopt;
}

Result<std::optional<std::uint64_t>> numberSetting(Setting setting) {
  auto text = textSetting(setting);
  if (!text)
    return std::optional<std::uint64_t>();
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size())
    return Status(StatusCode::InvalidArgument,
                  fmt::format("{}: expects a whole number, but got `{}`", variableOf(setting), *text));
  return std::optional(value);
}

Result<std::optional<std::size_t>> wordSetting(Setting setting, std::initializer_list<std::string_view> words) {
  auto text = textSetting(setting);
  if (!text)
    return std::optional<std::size_t>();
  auto found = std::find(words.begin(), words.end(), *text);
  if (found == words.end())
    return Status(StatusCode::InvalidArgument, fmt::format("{}: expects one of {}, but got `{}`", variableOf(setting),
                                                           fmt::join(words, ", "), *text));
  return std::optional(static_cast<std::size_t>(found - words.begin()));
}

} // namespace attn::runtime
