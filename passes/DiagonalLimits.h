// Which products with a row a diagonal (RelativeRows.h) stand in kernels with warp roles, whose other products are those of
// warpgroups: those of one table (of two, consumers were seen to spill), with rows short enough that those of two blocks lie in
// shared memory. Read by the choice of the schedule and by the passes that make roles.
#pragma once

#include <cstdint>

namespace attn {

inline constexpr int64_t kMostTablesBesideRoles = 1;
inline constexpr int64_t kMostChannelsBesideRoles = 128;

} // namespace attn
