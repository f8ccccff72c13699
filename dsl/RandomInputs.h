// Random inputs for a specification: seeded, in every promise of `in` and `ascending`, and shapes that break kernels.
#pragma once

#include "dsl/Evaluate.h"

#include <cstdint>
#include <vector>

namespace attn::dsl {

struct RandomOptions {
  std::uint64_t seed = 1;
  /// Scalars that are not given: random within their bounds instead of their default.
  bool varyScalars = false;
  /// What query, key and value are multiplied with: large ones make scores huge.
  double scale = 1;
};

/// Everything `spec` takes at the extents and scalars that `bound` has; tensors in it are replaced. Query, key, value
/// and floating parameters are normal (uniform where bounded), rounded to their element type. Integers without bounds are
/// lengths 0..kv_len where there is one for each request, else small numbers. Extents that `bound` lacks: heads 4 over 2,
/// a new name the longer of q_len and kv_len.
Result<EvaluationInput> randomInput(const TypedSpec &spec, const EvaluationInput &bound, const RandomOptions &options = {});

/// Extents (and heads, where nothing fixes them) on which kernels go wrong: one row, odd lengths, more rows than keys
/// (with a causal mask: rows without a visible key), lengths beside multiples of tiles, group sizes of 1 and more. Fewer
/// where the specification fixes many heads, so that all of them run on the virtual GPU in seconds.
std::vector<EvaluationInput> hostileShapes(const TypedSpec &spec);

} // namespace attn::dsl
