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

/// The same without tensors: extents that `bound` lacks, and scalars without a default.
Result<EvaluationInput> randomScalars(const TypedSpec &spec, const EvaluationInput &bound, const RandomOptions &options = {});

/// One tensor parameter, as `randomInput` with this seed makes it. `extents` are those of `boundExtents`.
Result<HostTensor> randomParameter(const TensorParameter &parameter,
                                   const std::map<std::string, std::int64_t, std::less<>> &extents, std::uint64_t seed);

/// Extents (and heads, where nothing fixes them) on which kernels go wrong: one row, odd lengths, more rows than keys
/// (with a causal mask: rows without a visible key), lengths beside multiples of tiles, group sizes of 1 and more. Fewer
/// where the specification fixes many heads, so that all of them run on the virtual GPU in seconds.
std::vector<EvaluationInput> hostileShapes(const TypedSpec &spec);

} // namespace attn::dsl
