// See ClippedDistances.h. Of a range [a, b] of distances each value of the computation is known at a and at b, and whether it is
// monotone between them: then it lies between the two, and is one number where they are equal. Operations that are correctly
// rounded keep that. Transcendental functions do not quite, so what comes from them counts only where it is clear of a bound
// by more than their error.
#include "passes/ClippedDistances.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;

namespace attn {

namespace {

/// A number over a range of distances: integers and f32 both fit a double.
struct Course {
  double first = 0, last = 0;
  bool isExact = true;   ///< false: off by kError at most

  bool isOne() const { return isExact && first == last; }
  double least() const { return std::min(first, last); }
  double greatest() const { return std::max(first, last); }
  int direction() const { return first < last ? 1 : first > last ? -1 : 0; }
};

/// Of numbers below 2^20 that f32 computes from a logarithm, and of what they are rounded to.
constexpr double kError = 1;

class RangeOfDistances {
public:
  RangeOfDistances(Value distance, int64_t first, int64_t last) { known[distance] = Course{double(first), double(last)}; }

  /// Nothing where the value is not shown to be monotone.
  std::optional<Course> at(Value value);

private:
  std::optional<Course> compute(Value value);
  std::optional<Course> choose(arith::SelectOp op);
  std::optional<Course> compare(Operation *op, Course a, Course b);
  std::optional<Course> bounded(Course a, Course b, bool isLeast);
  llvm::DenseMap<Value, std::optional<Course>> known;
};

} // namespace

std::optional<Course> RangeOfDistances::at(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  std::optional<Course> course = compute(value);
  known[value] = course;
  return course;
}

/// Whether a is above or below b over the whole range, clear of what they may be off by.
static std::optional<bool> isAbove(const Course &a, const Course &b, bool orEqual) {
  double margin = a.isExact && b.isExact ? 0 : kError;
  if (a.least() > b.greatest() + margin || (orEqual && margin == 0 && a.least() == b.greatest()))
    return true;
  if (a.greatest() < b.least() - margin || (!orEqual && margin == 0 && a.greatest() == b.least()))
    return false;
  return std::nullopt;
}

static std::optional<Course> truth(std::optional<bool> holds) {
  if (!holds)
    return std::nullopt;
  return Course{double(*holds), double(*holds)};
}

std::optional<Course> RangeOfDistances::compare(Operation *op, Course a, Course b) {
  auto inverse = [](std::optional<bool> value) { return value ? std::optional(!*value) : std::nullopt; };
  if (auto integers = dyn_cast<arith::CmpIOp>(op))
    switch (integers.getPredicate()) {
    case arith::CmpIPredicate::sgt: return truth(isAbove(a, b, false));
    case arith::CmpIPredicate::sge: return truth(isAbove(a, b, true));
    case arith::CmpIPredicate::slt: return truth(inverse(isAbove(a, b, true)));
    case arith::CmpIPredicate::sle: return truth(inverse(isAbove(a, b, false)));
    default: return std::nullopt;
    }
  switch (cast<arith::CmpFOp>(op).getPredicate()) {
  case arith::CmpFPredicate::OGT: return truth(isAbove(a, b, false));
  case arith::CmpFPredicate::OGE: return truth(isAbove(a, b, true));
  case arith::CmpFPredicate::OLT: return truth(inverse(isAbove(a, b, true)));
  case arith::CmpFPredicate::OLE: return truth(inverse(isAbove(a, b, false)));
  default: return std::nullopt;
  }
}

std::optional<Course> RangeOfDistances::choose(arith::SelectOp op) {
  auto condition = at(op.getCondition());
  if (!condition || !condition->isOne())
    return std::nullopt;
  return at(condition->first != 0 ? op.getTrueValue() : op.getFalseValue());
}

/// The smaller or larger of two numbers of which one is a constant.
std::optional<Course> RangeOfDistances::bounded(Course a, Course b, bool isLeast) {
  if (!b.isOne())
    std::swap(a, b);
  if (!b.isOne())
    return std::nullopt;
  if (auto above = isAbove(a, b, /*orEqual=*/true))
    return *above == isLeast ? b : a;
  auto pick = [&](double number) { return isLeast ? std::min(number, b.first) : std::max(number, b.first); };
  return Course{pick(a.first), pick(a.last), a.isExact};
}

static std::optional<Course> sum(Course a, Course b, double sign, bool isFloat) {
  if (a.direction() * b.direction() * sign < 0)
    return std::nullopt;
  auto round = [&](double number) { return isFloat ? double(float(number)) : number; };
  return Course{round(a.first + sign * b.first), round(a.last + sign * b.last), a.isExact && b.isExact};
}

/// Of one number: `function` is monotone.
template <typename Function> static Course mapped(Course a, Function function) {
  return {double(function(a.first)), double(function(a.last)), a.isExact};
}

template <typename Function> static std::optional<Course> transcendental(Course a, Function function) {
  double first = float(function(a.first)), last = float(function(a.last));
  if (!std::isfinite(first) || !std::isfinite(last))
    return std::nullopt;
  return Course{first, last, /*isExact=*/false};
}

static std::optional<Course> magnitude(Course a) {
  if (a.least() < 0 && a.greatest() > 0)
    return std::nullopt;
  return mapped(a, [](double x) { return std::abs(x); });
}

/// What is off by a part of itself stays within kError where it is small.
static std::optional<Course> unlessTooLarge(std::optional<Course> a) {
  constexpr double kLargest = 1 << 20;
  bool isFar = a && !a->isExact && std::max(std::abs(a->first), std::abs(a->last)) > kLargest;
  return isFar || (a && (!std::isfinite(a->first) || !std::isfinite(a->last))) ? std::nullopt : a;
}

static std::optional<Course> scaled(Operation *op, Course a, Course b) {
  if (isa<arith::DivFOp>(op))
    return b.isOne() && b.first != 0 ? std::optional(mapped(a, [&](double x) { return float(x / b.first); })) : std::nullopt;
  if (!b.isOne())
    std::swap(a, b);
  if (!b.isOne())
    return std::nullopt;
  if (isa<arith::MulIOp>(op))
    return mapped(a, [&](double x) { return x * b.first; });
  return mapped(a, [&](double x) { return float(x * b.first); });
}

std::optional<Course> RangeOfDistances::compute(Value value) {
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant))) {
    double number = 0;
    if (auto integer = dyn_cast<IntegerAttr>(constant))
      number = integer.getType().isInteger(1) ? double(integer.getValue().getZExtValue()) : double(integer.getValue().getSExtValue());
    else if (auto real = dyn_cast<FloatAttr>(constant))
      number = real.getValueAsDouble();
    else
      return std::nullopt;
    return Course{number, number};
  }
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0 || op->getNumOperands() == 0)
    return std::nullopt;
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return choose(select);
  auto a = at(op->getOperand(0)), b = op->getNumOperands() > 1 ? at(op->getOperand(1)) : a;
  if (isa<arith::AndIOp, arith::OrIOp>(op)) { // either may decide alone
    bool decides = isa<arith::OrIOp>(op);
    for (auto &side : {a, b})
      if (value.getType().isInteger(1) && side && side->isOne() && (side->first != 0) == decides)
        return side;
  }
  if (!a || !b)
    return std::nullopt;
  auto result = llvm::TypeSwitch<Operation *, std::optional<Course>>(op)
      .Case<arith::AddIOp>([&](auto) { return sum(*a, *b, 1, false); })
      .Case<arith::SubIOp>([&](auto) { return sum(*a, *b, -1, false); })
      .Case<arith::AddFOp>([&](auto) { return sum(*a, *b, 1, true); })
      .Case<arith::SubFOp>([&](auto) { return sum(*a, *b, -1, true); })
      .Case<arith::MulIOp, arith::MulFOp, arith::DivFOp>([&](auto each) { return scaled(each, *a, *b); })
      .Case<arith::FloorDivSIOp>([&](auto) {
        return b->isOne() && b->first > 0 ? std::optional(mapped(*a, [&](double x) { return std::floor(x / b->first); })) : std::nullopt;
      })
      .Case<arith::MinSIOp, arith::MinimumFOp, arith::MinNumFOp>([&](auto) { return bounded(*a, *b, true); })
      .Case<arith::MaxSIOp, arith::MaximumFOp, arith::MaxNumFOp>([&](auto) { return bounded(*a, *b, false); })
      .Case<arith::CmpIOp, arith::CmpFOp>([&](auto each) { return compare(each, *a, *b); })
      .Case<arith::AndIOp, arith::OrIOp>([&](auto) { return value.getType().isInteger(1) && a->isOne() && b->isOne() ? b : std::nullopt; })
      .Case<arith::SIToFPOp>([&](auto) { return mapped(*a, [](double x) { return float(x); }); })
      .Case<arith::FPToSIOp>([&](auto) { return mapped(*a, [](double x) { return std::trunc(x); }); })
      .Case<arith::NegFOp>([&](auto) { return mapped(*a, [](double x) { return -x; }); })
      .Case<math::AbsIOp, math::AbsFOp>([&](auto) { return magnitude(*a); })
      .Case<math::FloorOp>([&](auto) { return mapped(*a, [](double x) { return std::floor(x); }); })
      .Case<math::CeilOp>([&](auto) { return mapped(*a, [](double x) { return std::ceil(x); }); })
      .Case<math::RoundEvenOp>([&](auto) { return mapped(*a, [](double x) { return std::nearbyint(x); }); })
      .Case<math::LogOp>([&](auto) { return a->least() > 0 ? transcendental(*a, [](double x) { return std::log(x); }) : std::nullopt; })
      .Case<math::Log2Op>([&](auto) { return a->least() > 0 ? transcendental(*a, [](double x) { return std::log2(x); }) : std::nullopt; })
      .Case<math::SqrtOp>([&](auto) { return a->least() >= 0 ? transcendental(*a, [](double x) { return std::sqrt(x); }) : std::nullopt; })
      .Default([](Operation *) { return std::nullopt; });
  return unlessTooLarge(result);
}

/// The distance in an integer that is one, or one and a constant.
static Value withoutConstants(Value distance, llvm::function_ref<bool(Value)> isDistance) {
  Operation *op = distance.getDefiningOp();
  if (isa_and_present<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    for (unsigned side : {0u, 1u})
      if (matchPattern(op->getOperand(1 - side), m_Constant()) && isDistance(op->getOperand(side)))
        return withoutConstants(op->getOperand(side), isDistance);
  return distance;
}

/// The distance that all of `index` is computed from, constants aside.
static Value singleSource(Value index, llvm::function_ref<bool(Value)> isDistance) {
  Value source;
  SmallVector<Value> open{index};
  llvm::DenseSet<Value> seen;
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (!seen.insert(value).second || matchPattern(value, m_Constant()))
      continue;
    if (isDistance(value)) {
      Value own = withoutConstants(value, isDistance);
      if (source && source != own)
        return {};
      source = own;
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (!op || !isa<arith::ArithDialect, math::MathDialect>(op->getDialect()))
      return {};
    llvm::append_range(open, op->getOperands());
  }
  return source;
}

std::optional<ClippedDistances> findClippedDistances(Value index, llvm::function_ref<bool(Value)> isDistance) {
  Value source = singleSource(index, isDistance);
  if (!source)
    return std::nullopt;
  ClippedDistances found{source, {}, {}};
  constexpr int64_t kFarthest = std::numeric_limits<int32_t>::max(), kSearched = 1 << 20;
  auto isOneBeyond = [&](int64_t distance, int64_t side) {
    int64_t a = side * distance, b = side * kFarthest;
    auto course = RangeOfDistances(source, std::min(a, b), std::max(a, b)).at(index);
    return course && course->isOne();
  };
  for (int64_t side : {1, -1}) {
    int64_t beyond = 1, within = 0; // the index is one beyond the first, not known to be beyond the second
    while (beyond < kSearched && !isOneBeyond(beyond, side)) {
      within = beyond;
      beyond *= 2;
    }
    if (!isOneBeyond(beyond, side))
      continue;
    while (beyond - within > 1) {
      int64_t middle = (beyond + within) / 2;
      (isOneBeyond(middle, side) ? beyond : within) = middle;
    }
    (side > 0 ? found.from : found.to) = side * beyond;
  }
  return found.from || found.to ? std::optional(found) : std::nullopt;
}

} // namespace attn
