// Options of the tests that draw masks at random: `--masks=N`, `--seed=N`.
#pragma once

#include <charconv>
#include <string_view>

namespace attn::test {

/// Whether `argument` is `prefix` and a number, which `value` then is.
inline bool readNumber(std::string_view argument, std::string_view prefix, unsigned &value) {
  const char *end = argument.data() + argument.size();
  return argument.starts_with(prefix) && std::from_chars(argument.data() + prefix.size(), end, value).ptr == end;
}

} // namespace attn::test
