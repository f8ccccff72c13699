// How tensor cores add products of 8-bit floats (docs/numerics.md, "Sums of 8-bit products"): 32 at a time, aligned to the
// largest of them and of what they are added to, and cut off 13 places below its leading bit.
#pragma once

#include <cstddef>

namespace attn::dsl {

struct Float8Sum {
  double sum = 0;
  double variance = 0;   ///< that the cutting off has, its mean included
};

/// Σ a[i] · b[i].
Float8Sum sumFloat8Products(const double *a, const double *b, std::size_t count);

} // namespace attn::dsl
