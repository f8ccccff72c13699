// Between which numbers a real value of a region lies, at all points: interval analysis over `arith` and `math`.
#pragma once

#include "passes/attn/KeyExpressions.h"

#include "llvm/ADT/DenseMap.h"

#include <limits>

namespace attn {

/// What a value is where it is a number: lo ≤ x ≤ hi, ends infinite where nothing is known, lo > hi where it never is one.
struct RealRange {
  double lo = -std::numeric_limits<double>::infinity(), hi = std::numeric_limits<double>::infinity();
  bool mayHide = false;   ///< may also be -inf, as a score that hides its key

  bool isBounded() const { return lo > -std::numeric_limits<double>::infinity() && hi < std::numeric_limits<double>::infinity(); }
  bool isNoNumber() const { return lo > hi; }
};

/// The smallest range that has both.
RealRange unite(RealRange a, RealRange b);

class RealBounds {
public:
  explicit RealBounds(ir::AttentionOp op) : integers(op) {}

  /// Promises (`attn.in`) count. Roundings do not: ends may be passed by some units of the last place. Nor does NaN, which spreads.
  RealRange of(mlir::Value value);

private:
  RealRange compute(mlir::Value value);
  RealRange ofOperation(mlir::Operation *op);
  RealRange ofInteger(mlir::Value value);

  mask::Expressions integers;
  llvm::DenseMap<mlir::Value, RealRange> known;
};

} // namespace attn
