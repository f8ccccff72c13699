// Test data of the layouts `ragged` and `paged`: lengths of requests, their prefix sums, and pages in a random order. In
// other layouts these functions do nothing.
#pragma once

#include "dsl/Evaluate.h"
#include "dsl/RequestRows.h"

#include <cstdint>
#include <vector>

namespace attn::dsl {

/// Gives every request a length (`lengthName`), where it has none the extent's own, and sets the extents that follow: the
/// longest lengths, rows, and for pages a few more than are used.
void giveLengths(const TypedSpec &spec, ExtentsByName &extents);

/// The layout's tensors for these extents. Rows of keys and values that no request has become NaN, page table entries that
/// no request uses -1: a kernel may look at neither.
void addLayoutTensors(const TypedSpec &spec, const ExtentsByName &extents, std::uint64_t seed, TensorsByName &tensors);

/// Batches on which kernels go wrong: requests without queries or keys, of one row, of lengths beside multiples of tiles
/// and pages, long ones beside short ones.
std::vector<EvaluationInput> hostileBatches(const TypedSpec &spec);

} // namespace attn::dsl
