// When a computed tensor counts as right: the one home of numeric tolerances, argued in docs/numerics.md.
//
// The bar is an algorithm, not a constant: a kernel may be as far from float64 as FlashAttention-2 with the same
// roundings is on the same inputs (`emulated`; dsl/Evaluate.h computes it). Its error is one sample of a random
// quantity, so a row is also given `noise`, the error's expected size from the same roundings.
//   each row:    rms(actual - exact) <= kRowFactor · max(noise, rms(emulated - exact))
//   all rows:    rms(actual - exact) <= kTotalFactor · (1 + 4 / √elements) · rms(emulated - exact) + floor · rms(noise)
// A NaN or an infinity must stand where float64 (or the emulation, where a type overflows) has it, and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace attn {

struct Tolerance {
  /// `noise` counts every rounding with its largest size, so a correct row stays well below; a mask that is wrong at one
  /// of n keys shifts the row by about 1/n of a value and stands out up to thousands of keys.
  static constexpr double kRowFactor = 2.5;
  /// Over all rows chance averages out.
  static constexpr double kTotalFactor = 1.25;
  static constexpr double kFloor = 0.02;
  /// For rows of one number (`lse`), and where nothing is rounded to less than f32: what remains are f32 roundings and the bias
  /// of instructions, the same in every row, so that they do not average out; `noise` is their bound.
  static constexpr double kNumberFloor = 1;
};

/// The tensors to compare, rows of `rowLength` elements; `noise` has an entry a row.
struct ToleranceQuestion {
  std::span<const double> actual, exact, emulated, noise;
  std::size_t rowLength = 1;
  double floor = Tolerance::kFloor;            ///< for rows of more than one number
};

struct ToleranceAnswer {
  bool isWithin = true;
  double maxError = 0, rmsError = 0;           ///< of actual against exact, over finite elements
  double maxEmulated = 0, rmsEmulated = 0;     ///< of the emulation
  double rmsExact = 0;
  double worstRatio = 0;                       ///< largest row error over what its row is allowed, 1 is the limit
  std::int64_t worstRow = -1;
  std::string problem;                         ///< what is wrong, in words; empty when within
};

ToleranceAnswer compareWithTolerance(const ToleranceQuestion &question);

} // namespace attn
