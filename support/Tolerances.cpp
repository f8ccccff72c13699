// The comparison behind Tolerances.h.
#include "support/Tolerances.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

namespace attn {

namespace {
struct Sums {
  double error = 0, emulated = 0, exact = 0, noise = 0;
  std::size_t count = 0;
};
} // namespace

static double root(double sum, std::size_t count) { return count ? std::sqrt(sum / static_cast<double>(count)) : 0; }

static bool sameSpecial(double x, double y) { return (std::isnan(x) && std::isnan(y)) || x == y; }

/// Adds the row's finite elements; false where a NaN or an infinity stands wrongly.
static bool addRow(const ToleranceQuestion &question, std::size_t row, Sums &sums, ToleranceAnswer &answer) {
  for (std::size_t i = row * question.rowLength; i < (row + 1) * question.rowLength; ++i) {
    double actual = question.actual[i], exact = question.exact[i], emulated = question.emulated[i];
    if (!std::isfinite(exact) || !std::isfinite(emulated)) {
      if (sameSpecial(actual, exact) || sameSpecial(actual, emulated))
        continue;
      answer.problem = fmt::format("element {} is {}, but {} is right", i, actual, exact);
      return false;
    }
    double error = actual - exact;
    if (!std::isfinite(error)) {
      answer.problem = fmt::format("element {} is {}, but {:.6g} is right", i, actual, exact);
      return false;
    }
    answer.maxError = std::max(answer.maxError, std::fabs(error));
    answer.maxEmulated = std::max(answer.maxEmulated, std::fabs(emulated - exact));
    sums.error += error * error;
    sums.emulated += (emulated - exact) * (emulated - exact);
    sums.exact += exact * exact;
    ++sums.count;
  }
  return true;
}

ToleranceAnswer compareWithTolerance(const ToleranceQuestion &question) {
  assert(question.actual.size() == question.exact.size() && question.emulated.size() == question.exact.size());
  assert(question.noise.size() * question.rowLength == question.exact.size());
  ToleranceAnswer answer;
  Sums total;
  for (std::size_t row = 0; row < question.noise.size(); ++row) {
    Sums sums;
    if (!addRow(question, row, sums, answer)) {
      answer.isWithin = false;
      answer.worstRow = static_cast<std::int64_t>(row);
      return answer;
    }
    double noise = std::isfinite(question.noise[row]) ? question.noise[row] : 0;
    double allowed = Tolerance::kRowFactor * std::max(noise, root(sums.emulated, sums.count));
    double error = root(sums.error, sums.count);
    double ratio = error == 0 ? 0 : error / std::max(allowed, 1e-300);
    if (ratio > answer.worstRatio) {
      answer.worstRatio = ratio;
      answer.worstRow = static_cast<std::int64_t>(row);
    }
    total.error += sums.error;
    total.emulated += sums.emulated;
    total.exact += sums.exact;
    total.noise += noise * noise * static_cast<double>(sums.count);
    total.count += sums.count;
  }
  answer.rmsError = root(total.error, total.count);
  answer.rmsEmulated = root(total.emulated, total.count);
  answer.rmsExact = root(total.exact, total.count);
  double factor = Tolerance::kTotalFactor * (1 + 4 / std::sqrt(std::max<double>(1, static_cast<double>(total.count))));
  double floor = question.rowLength == 1 ? Tolerance::kNumberFloor : question.floor;
  double allowed = factor * answer.rmsEmulated + floor * root(total.noise, total.count);
  if (answer.worstRatio > 1)
    answer.problem = fmt::format("row {} is off by {:.3g} times what its roundings allow", answer.worstRow, answer.worstRatio);
  else if (answer.rmsError > allowed)
    answer.problem = fmt::format("the error {:.3g} exceeds {:.3g}, that of the reference algorithm with a margin",
                                 answer.rmsError, allowed);
  answer.isWithin = answer.problem.empty();
  return answer;
}

} // namespace attn
