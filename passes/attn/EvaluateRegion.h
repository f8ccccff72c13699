// Evaluates region `ranges` or `mask` of an attention for concrete sizes and parameters: the picture of tile classes in
// `attnc explain`, and the tests that hold the one against the other. The text of the operations is interpreted, so what
// is shown is what the kernel will do.
#pragma once

#include "mlir/IR/Region.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn {

/// Where a region is evaluated. Functions give nothing for what they do not know.
struct RegionInputs {
  std::function<std::optional<std::int64_t>(std::string_view name)> extent;
  /// A scalar launch argument by its `attn.name`.
  std::function<std::optional<double>(std::string_view name)> scalar;
  /// An element of a tensor argument by its `attn.name`; booleans are 0 and 1.
  std::function<std::optional<double>(std::string_view name, const std::vector<std::int64_t> &indices)> element;
  std::int64_t b = 0, h = 0, kvHead = 0;
};

using KeyInterval = std::pair<std::int64_t, std::int64_t>;   ///< lo ≤ key < hi

/// Ranges of a tile, within [0, kv_len): not empty, ascending, disjoint.
struct TileKeyRanges {
  std::vector<KeyInterval> visit, full;
};

/// Nothing, with a reason, where an input is not known or an operation has no meaning here.
std::optional<TileKeyRanges> evaluateRanges(mlir::Region &ranges, const RegionInputs &inputs, std::int64_t firstRow,
                                            std::int64_t lastRow, std::string *reason = nullptr);
std::optional<bool> evaluateMask(mlir::Region &mask, const RegionInputs &inputs, std::int64_t row, std::int64_t key,
                                 std::string *reason = nullptr);

} // namespace attn
