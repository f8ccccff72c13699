// From which distance on an index no longer changes: learned tables have rows for some distances, and far ones share the last
// row of a side, be it by a clamp or by buckets. Found when compiling, by evaluating the index at both ends of a range of
// distances over which it is shown to rise or fall only.
#pragma once

#include "mlir/IR/Value.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>
#include <optional>

namespace attn {

struct ClippedDistances {
  mlir::Value distance;             ///< the i32 that the index is computed from, and from nothing else but constants
  std::optional<int64_t> from, to;  ///< the index is one for all distances of at least `from`; one for all of at most `to`
};

/// `isDistance`: whether a value is a distance of query and key, and constants beside. Nothing where the index is computed from
/// anything else that is no constant, or changes for ever.
std::optional<ClippedDistances> findClippedDistances(mlir::Value index, llvm::function_ref<bool(mlir::Value)> isDistance);

} // namespace attn
