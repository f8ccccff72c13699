// Which products with a row a diagonal (RelativeRows.h) stand in kernels with warp roles, whose other products are those of
// warpgroups: those of two tables at most, be they multiplied with queries, keys or weights, with rows short enough that those of
// a block lie in shared memory beside keys and values. Read by the choice of the schedule and by the passes that make roles.
#pragma once

#include <cstdint>

namespace attn {

inline constexpr int64_t kMostTablesBesideRoles = 2;
inline constexpr int64_t kMostChannelsBesideRoles = 128;
/// Of rows that stand for all of a block (convert/AlikeRows.h): longer ones leave no shared memory for a second place.
inline constexpr int64_t kMostChannelsForAll = 128;

} // namespace attn
