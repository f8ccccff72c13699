// What `pending` of `tile.await` says beside a number of groups.
#pragma once

#include <cstdint>
#include <limits>

namespace attn::tile {

/// Any number of groups may be in flight: what is awaited was written by threads, or is waited for again before it is used.
inline constexpr std::int32_t kAnyPending = std::numeric_limits<std::int32_t>::max();

} // namespace attn::tile
