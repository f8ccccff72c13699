// Evaluates region `mask` of an attention for a row and many keys at once: what the kernels that list blocks see
// (passes/attn/ListedBlocks.h), for `attnc explain` and tests. An operation is looked at once a row, not once a point.
#pragma once

#include "passes/attn/EvaluateRegion.h"

namespace attn {

/// Whether row `row` sees the keys begin, begin + step, … below `end`. A read out of range gives 0, as in kernels. Nothing, with a
/// reason, where an input is not known or an operation has no meaning here.
std::optional<std::vector<std::uint8_t>> evaluateMaskRow(mlir::Region &mask, const RegionInputs &inputs, std::int64_t row,
                                                         std::int64_t begin, std::int64_t end, std::int64_t step,
                                                         std::string *reason = nullptr);

} // namespace attn
