// See Float8Sum.h.
#include "dsl/Float8Sum.h"

#include <algorithm>
#include <cmath>

namespace attn::dsl {

static constexpr std::size_t kDepth = 32;
static constexpr int kPlaces = 13;

Float8Sum sumFloat8Products(const double *a, const double *b, std::size_t count) {
  Float8Sum result;
  for (std::size_t first = 0; first < count; first += kDepth) {
    std::size_t end = std::min(first + kDepth, count);
    double largest = std::fabs(result.sum), plain = result.sum;
    for (std::size_t i = first; i < end; ++i) {
      largest = std::max(largest, std::fabs(a[i] * b[i]));
      plain += a[i] * b[i];
    }
    if (!std::isfinite(plain)) { // as in any sum
      result.sum = plain;
      continue;
    }
    if (largest == 0)
      continue;
    double unit = std::ldexp(1.0, std::ilogb(largest) - kPlaces), units = std::trunc(result.sum / unit);
    for (std::size_t i = first; i < end; ++i)
      units += std::trunc(a[i] * b[i] / unit);
    result.sum = units * unit;
    result.variance += static_cast<double>(end - first + 1) * unit * unit / 3;
  }
  return result;
}

} // namespace attn::dsl
