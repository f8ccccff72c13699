// Conjunctions in element regions. Comparisons of one difference of positions from both sides, a window's, are one:
//
//   kv - q ≤ 0  and  q - kv ≤ 1023      →      (kv - q) + 1023 <u 1024
#include "codegen/nvvm/ElementExpander.h"

#include "codegen/nvvm/ScalarOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace attn::codegen {

namespace arith = mlir::arith;
using mlir::Value;

namespace {
constexpr std::int64_t kNoBound = std::numeric_limits<std::int64_t>::max();

/// lo ≤ form ≤ hi for what a form is without its constant.
struct PositionRange {
  IntegerForm form;
  std::int64_t lo = -kNoBound, hi = kNoBound;
  llvm::SmallVector<Value> leaves; ///< the comparisons that it stands for

  bool isClosed() const { return lo != -kNoBound && hi != kNoBound && lo <= hi; }
};
} // namespace

/// left ⋈ right as a bound of left - right; nothing for other predicates.
static std::optional<PositionRange> rangeOf(arith::CmpIPredicate predicate, const IntegerForm &left, const IntegerForm &right) {
  PositionRange range{left.plus(right, -1), -kNoBound, kNoBound, {}};
  std::int64_t bound = -range.form.constant;
  range.form.constant = 0;
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::slt:
    range.hi = bound - 1;
    break;
  case P::sle:
    range.hi = bound;
    break;
  case P::sgt:
    range.lo = bound + 1;
    break;
  case P::sge:
    range.lo = bound;
    break;
  default:
    return std::nullopt;
  }
  return range;
}

/// 1 if the terms are the same, -1 if they are each other's negatives, else 0.
static int signBetween(const IntegerForm &a, const IntegerForm &b) {
  for (int sign : {1, -1})
    if (a.plus(b, -sign).isConstant())
      return sign;
  return 0;
}

static void join(llvm::SmallVectorImpl<PositionRange> &ranges, const PositionRange &range) {
  for (PositionRange &known : ranges) {
    int sign = signBetween(known.form, range.form);
    if (sign == 0)
      continue;
    known.lo = std::max(known.lo, sign > 0 ? range.lo : -range.hi);
    known.hi = std::min(known.hi, sign > 0 ? range.hi : -range.lo);
    known.leaves.append(range.leaves);
    return;
  }
  ranges.push_back(range);
}

Value ElementExpander::computeConjunction(mlir::Operation *op, Slot slot) {
  llvm::SmallVector<Value> open{op->getOperand(1), op->getOperand(0)}, others;
  llvm::SmallVector<PositionRange> ranges;
  while (!open.empty() && !hasFailed) {
    Value value = open.pop_back_val();
    mlir::Operation *part = isCaptured(value) ? nullptr : value.getDefiningOp();
    if (part && mlir::isa<arith::AndIOp>(part)) {
      open.append({part->getOperand(1), part->getOperand(0)});
      continue;
    }
    auto comparison = mlir::dyn_cast_or_null<arith::CmpIOp>(part);
    if (!comparison || !comparison.getLhs().getType().isInteger(32)) {
      others.push_back(value);
      continue;
    }
    IntegerForm left = evaluateForm(comparison.getLhs(), slot), right = evaluateForm(comparison.getRhs(), slot);
    auto range = left.isPosition && right.isPosition ? rangeOf(comparison.getPredicate(), left, right) : std::nullopt;
    if (range && !range->form.isConstant()) {
      range->leaves.push_back(value);
      join(ranges, *range);
    } else {
      others.push_back(value);
    }
  }
  Value all;
  auto add = [&](Value condition) { all = all && condition ? e.land(all, condition) : condition; };
  for (PositionRange &range : ranges) {
    if (!range.isClosed()) {
      others.append(range.leaves);
      continue;
    }
    range.form.constant = -range.lo;
    add(e.icmp(Compare::UnsignedLt, materialize(range.form), e.i32(range.hi - range.lo + 1)));
  }
  for (Value other : others)
    if (!hasFailed)
      add(evaluate(other, slot));
  return hasFailed ? Value() : all;
}

} // namespace attn::codegen
