// Integers of region scalars that neither rise and fall again with the query nor with the key: over a block of queries and keys
// such a number has its least and its greatest value at two corners.
#pragma once

#include "passes/convert/KernelScope.h"

#include <optional>

namespace attn {

/// The queries and keys of a block, q_idx and kv_idx, both ends included.
struct BlockCorners {
  mlir::Value firstQuery, lastQuery, firstKey, lastKey;
};

/// How a number changes as the query grows, and as the key grows: never down (1), never up (-1), not at all.
struct Slopes {
  int query = 0, key = 0;
};

/// Nothing for numbers that rise and fall, or of which that is not known.
std::optional<Slopes> slopesOf(mlir::Value value, KernelScope &kernel);

/// The value of a number that has slopes at the corner where it is least, or greatest; null after a message.
mlir::Value atCorner(mlir::Value number, bool greatest, const BlockCorners &corners, KernelScope &kernel, mlir::OpBuilder &builder);

} // namespace attn
