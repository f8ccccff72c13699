// The name a person most likely meant: for messages that say what there is instead.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attn {

/// The candidate with the fewest single-character edits (a swap of neighbours counts one) from `name`, ignoring case;
/// nothing when even that differs in more than a third of its characters (at least two edits are always allowed).
std::optional<std::string_view> nearestName(std::string_view name, std::span<const std::string> candidates);

/// "; did you mean `query`?", or "; there are `a`, `b`" when nothing is near, or "" when there is nothing at all.
std::string nameHint(std::string_view name, std::span<const std::string> candidates);

} // namespace attn
