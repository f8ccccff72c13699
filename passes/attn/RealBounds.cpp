// See RealBounds.h. What is no operation of a few known ones is any number.
#include "passes/attn/RealBounds.h"

#include "support/SizeExpr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace attn {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

RealRange unite(RealRange a, RealRange b) {
  return {std::min(a.lo, b.lo), std::max(a.hi, b.hi), a.mayHide || b.mayHide};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static RealRange hull(std::initializer_list<double> numbers) {
  RealRange range{kInfinity, -kInfinity};
  for (double number : numbers) {
    if (std::isnan(number)) // of infinite ends
      return {};
    range.lo = std::min(range.lo, number);
    range.hi = std::max(range.hi, number);
  }
  return range;
}

/// -inf and a number make -inf.
static RealRange sum(RealRange a, RealRange b) {
  bool mayHide = (a.mayHide && b.isBounded()) || (b.mayHide && a.isBounded());
  if ((a.mayHide || b.mayHide) && !mayHide)
    return {};
  if (a.isNoNumber() || b.isNoNumber())
    return {kInfinity, -kInfinity, true};
  return {a.lo + b.lo, a.hi + b.hi, mayHide};
}

static RealRange negated(RealRange a) { return a.mayHide ? RealRange() : RealRange{-a.hi, -a.lo}; }

static RealRange product(RealRange a, RealRange b) {
  if (b.mayHide)
    std::swap(a, b);
  if (a.mayHide && !(b.lo > 0 && b.isBounded() && !b.mayHide))
    return {};
  if (a.isNoNumber())
    return a;
  RealRange range = hull({a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi});
  range.mayHide = a.mayHide;
  return range;
}

static RealRange quotient(RealRange a, RealRange b) {
  bool isApart = (b.lo > 0 || b.hi < 0) && !b.isNoNumber() && !b.mayHide;
  if (!isApart || a.mayHide)
    return {};
  return hull({a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi});
}

/// A function that rises; `atInfinity`: what it makes of -inf.
template <typename Function> static RealRange rising(RealRange a, Function function, double atInfinity) {
  RealRange range{function(a.lo), function(a.hi)};
  if (a.isNoNumber())
    range = {kInfinity, -kInfinity};
  if (a.mayHide)
    range = unite(range, {atInfinity, atInfinity});
  return range;
}

static RealRange within(RealRange a, double lo, double hi) { return {std::max(a.lo, lo), std::min(a.hi, hi), false}; }

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

RealRange RealBounds::of(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  RealRange range = compute(value);
  return known[value] = range;
}

RealRange RealBounds::ofInteger(Value value) {
  if (!value.getType().isInteger(32))
    return {};
  mask::NumberRange range = integers.rangeOf(integers.linearOf(value));
  return integers.hasOverflowed() ? RealRange() : RealRange{static_cast<double>(range.lo), static_cast<double>(range.hi)};
}

/// What is promised of a launch argument, by numbers alone.
static RealRange promised(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto plan = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto bounds = plan ? plan.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), ir::AttnDialect::kIn) : ArrayAttr();
  if (!bounds)
    return {};
  auto end = [&](unsigned index) -> std::optional<int64_t> {
    auto size = SizeExpr::parse(cast<StringAttr>(bounds[index]).getValue());
    return size ? size->constant() : std::nullopt;
  };
  std::optional<int64_t> lo = end(0), hi = end(1);
  return {lo ? static_cast<double>(*lo) : -kInfinity, hi ? static_cast<double>(*hi) : kInfinity};
}

RealRange RealBounds::compute(Value value) {
  APFloat number(0.0);
  if (matchPattern(value, m_ConstantFloat(&number))) {
    double constant = number.convertToDouble();
    if (constant == -kInfinity)
      return {kInfinity, -kInfinity, true};
    return std::isfinite(constant) ? RealRange{constant, constant} : RealRange();
  }
  if (!isa<FloatType>(value.getType()))
    return {};
  Operation *op = value.getDefiningOp();
  return op ? ofOperation(op) : promised(value);
}

RealRange RealBounds::ofOperation(Operation *op) {
  auto operand = [&](unsigned index) { return of(op->getOperand(index)); };
  auto monotone = [&](auto function, double atInfinity) { return rising(operand(0), function, atInfinity); };
  return TypeSwitch<Operation *, RealRange>(op)
      .Case<arith::AddFOp>([&](auto) { return sum(operand(0), operand(1)); })
      .Case<arith::SubFOp>([&](auto) { return sum(operand(0), negated(operand(1))); })
      .Case<arith::MulFOp>([&](auto) { return product(operand(0), operand(1)); })
      .Case<arith::DivFOp>([&](auto) { return quotient(operand(0), operand(1)); })
      .Case<arith::NegFOp>([&](auto) { return negated(operand(0)); })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](auto) { return operand(0); })
      .Case<arith::SIToFPOp>([&](auto) { return ofInteger(op->getOperand(0)); })
      .Case<arith::SelectOp>([&](auto) { return unite(operand(1), operand(2)); })
      .Case<arith::MaximumFOp>([&](auto) -> RealRange {
        RealRange a = operand(0), b = operand(1);
        if (a.mayHide || b.mayHide)
          return {};
        return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)};
      })
      .Case<arith::MinimumFOp>([&](auto) -> RealRange {
        RealRange a = operand(0), b = operand(1);
        if (a.mayHide || b.mayHide)
          return {};
        return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)};
      })
      .Case<math::TanhOp>([&](auto) { return within(monotone([](double x) { return std::tanh(x); }, -1), -1, 1); })
      .Case<math::ErfOp>([&](auto) { return within(monotone([](double x) { return std::erf(x); }, -1), -1, 1); })
      .Case<math::ExpOp>([&](auto) { return monotone([](double x) { return std::exp(x); }, 0); })
      .Case<math::Exp2Op>([&](auto) { return monotone([](double x) { return std::exp2(x); }, 0); })
      .Case<math::SinOp, math::CosOp>([&](auto) { return RealRange{-1, 1}; })
      .Case<math::SqrtOp>([&](auto) {
        RealRange a = operand(0);
        return a.mayHide || a.lo < 0 ? RealRange{0, kInfinity} : monotone([](double x) { return std::sqrt(x); }, 0);
      })
      .Case<math::LogOp>([&](auto) {
        return operand(0).lo > 0 ? monotone([](double x) { return std::log(x); }, 0) : RealRange();
      })
      .Case<math::Log2Op>([&](auto) {
        return operand(0).lo > 0 ? monotone([](double x) { return std::log2(x); }, 0) : RealRange();
      })
      .Case<math::AbsFOp>([&](auto) -> RealRange {
        RealRange a = operand(0);
        if (a.mayHide)
          return {0, kInfinity};
        return {std::max({a.lo, -a.hi, 0.0}), std::max(-a.lo, a.hi)};
      })
      .Case<math::FloorOp>([&](auto) { return monotone([](double x) { return std::floor(x); }, -kInfinity); })
      .Case<math::CeilOp>([&](auto) { return monotone([](double x) { return std::ceil(x); }, -kInfinity); })
      .Case<ir::RandomOp>([&](auto) { return RealRange{0, 1}; })
      .Case<ir::LoadOp>([&](ir::LoadOp load) { return isa<FloatType>(load.getType()) ? promised(load.getTensor()) : RealRange(); })
      .Default([](Operation *) { return RealRange(); });
}

} // namespace attn
