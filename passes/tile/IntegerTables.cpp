// See IntegerTables.h.
//
//   %d = …  %l = math.log …  %b = minsi (fptosi …), 15      →    %p = clamp %d to [lo, hi]   %b = lookup dense<…>[%p - lo]
//
// One evaluation serves the values and the proof: in intervals. At a single number an interval is a number, in f64 as the
// kernel would compute it; over all numbers above `hi` it must be one number as well, that at `hi`. Every function here is
// monotone in each operand, so an interval's ends are those of its operands. What is not known is no table.
#include "passes/tile/IntegerTables.h"

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

using namespace mlir;

namespace attn {

namespace {

struct Interval {
  double lo = 0, hi = 0;
  bool isNumber() const { return lo == hi; }
};
using Known = std::optional<Interval>;

/// The largest distance from 0 at which a table may end.
constexpr int64_t kFarthest = 2048;
constexpr double kLeastInteger = std::numeric_limits<int32_t>::min(), kMostInteger = std::numeric_limits<int32_t>::max();

/// The values of a block's expressions where one of them, `argument`, lies in an interval.
class Evaluation {
public:
  Evaluation(Value argument, Interval range) { known[argument] = range; }

  Known of(Value value);

private:
  Known compute(Value value);
  std::optional<SmallVector<Interval, 2>> ofOperands(Operation *op);   ///< nothing where one of them is unknown
  Known computeSelect(arith::SelectOp op);
  Known computeInteger(Operation *op);
  Known computeReal(Operation *op);
  Known compare(arith::CmpIOp op);
  Known compare(arith::CmpFOp op);

  llvm::DenseMap<Value, Known> known;
};

/// An i32 to be replaced, as a function of `argument`.
struct Candidate {
  Value value, argument;
};

struct Table {
  int64_t first = 0;
  SmallVector<int32_t> values;
};

} // namespace

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

static bool isNan(double number) { return std::isnan(number); }

/// NaN if one of the ends is.
static Interval hull(ArrayRef<double> ends) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  return llvm::any_of(ends, isNan) ? Interval{kNan, kNan} : Interval{*llvm::min_element(ends), *llvm::max_element(ends)};
}

/// Not NaN, which has no order.
static Known checked(Interval range) { return isNan(range.lo) || isNan(range.hi) ? Known() : Known(range); }

/// Of i32 arithmetic: nothing where it may wrap around.
static Known integer(Interval range) {
  return checked(range) && range.lo >= kLeastInteger && range.hi <= kMostInteger ? Known(range) : Known();
}

template <typename Function> static Interval rising(Interval a, Function function) { return {function(a.lo), function(a.hi)}; }

static Interval absolute(Interval a) {
  if (a.lo <= 0 && a.hi >= 0)
    return {0, std::max(-a.lo, a.hi)};
  return hull({std::fabs(a.lo), std::fabs(a.hi)});
}

template <typename Function> static Interval atCorners(Interval a, Interval b, Function function) {
  return hull({function(a.lo, b.lo), function(a.lo, b.hi), function(a.hi, b.lo), function(a.hi, b.hi)});
}

static Known divided(Interval a, Interval b, double (*round)(double)) {
  if (b.lo <= 0 && b.hi >= 0)
    return std::nullopt;
  return checked(atCorners(a, b, [&](double x, double y) { return round ? round(x / y) : x / y; }));
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

Known Evaluation::of(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Known result = compute(value);
  return known[value] = result;
}

Known Evaluation::compute(Value value) {
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number))) {
    double as = value.getType().isInteger(1) ? static_cast<double>(number.getZExtValue()) : static_cast<double>(number.getSExtValue());
    return Interval{as, as};
  }
  FloatAttr real;
  if (matchPattern(value, m_Constant(&real)))
    return checked({real.getValueAsDouble(), real.getValueAsDouble()});
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0 || op->getNumResults() != 1)
    return std::nullopt;
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return computeSelect(select);
  if (auto comparison = dyn_cast<arith::CmpIOp>(op))
    return compare(comparison);
  if (auto comparison = dyn_cast<arith::CmpFOp>(op))
    return compare(comparison);
  return value.getType().isInteger() ? computeInteger(op) : computeReal(op);
}

/// A choice that is made needs the chosen side alone: the other may be a logarithm of 0.
Known Evaluation::computeSelect(arith::SelectOp op) {
  Known condition = of(op.getCondition());
  if (!condition)
    return std::nullopt;
  if (condition->isNumber())
    return of(condition->lo != 0 ? op.getTrueValue() : op.getFalseValue());
  Known yes = of(op.getTrueValue()), no = of(op.getFalseValue());
  return yes && no ? Known(hull({yes->lo, yes->hi, no->lo, no->hi})) : Known();
}

std::optional<SmallVector<Interval, 2>> Evaluation::ofOperands(Operation *op) {
  SmallVector<Interval, 2> ranges;
  for (Value operand : op->getOperands()) {
    Known range = of(operand);
    if (!range)
      return std::nullopt;
    ranges.push_back(*range);
  }
  return ranges;
}

Known Evaluation::computeInteger(Operation *op) {
  std::optional<SmallVector<Interval, 2>> ranges = ofOperands(op);
  if (!ranges)
    return std::nullopt;
  const SmallVector<Interval, 2> &in = *ranges;
  bool isLogical = op->getResult(0).getType().isInteger(1);
  return llvm::TypeSwitch<Operation *, Known>(op)
      .Case([&](arith::AddIOp) { return integer({in[0].lo + in[1].lo, in[0].hi + in[1].hi}); })
      .Case([&](arith::SubIOp) { return integer({in[0].lo - in[1].hi, in[0].hi - in[1].lo}); })
      .Case([&](arith::MulIOp) { return integer(atCorners(in[0], in[1], [](double a, double b) { return a * b; })); })
      .Case([&](arith::MinSIOp) { return Interval{std::min(in[0].lo, in[1].lo), std::min(in[0].hi, in[1].hi)}; })
      .Case([&](arith::MaxSIOp) { return Interval{std::max(in[0].lo, in[1].lo), std::max(in[0].hi, in[1].hi)}; })
      .Case([&](math::AbsIOp) { return integer(absolute(in[0])); })
      .Case([&](arith::DivSIOp) { return divided(in[0], in[1], [](double x) { return std::trunc(x); }); })
      .Case([&](arith::FloorDivSIOp) { return divided(in[0], in[1], [](double x) { return std::floor(x); }); })
      .Case([&](arith::FPToSIOp) { return integer(rising(in[0], [](double x) { return std::trunc(x); })); })
      .Case([&](arith::AndIOp) { return isLogical ? Known(Interval{std::min(in[0].lo, in[1].lo), std::min(in[0].hi, in[1].hi)}) : Known(); })
      .Case([&](arith::OrIOp) { return isLogical ? Known(Interval{std::max(in[0].lo, in[1].lo), std::max(in[0].hi, in[1].hi)}) : Known(); })
      .Default([](Operation *) { return Known(); });
}

/// A logarithm of numbers that are not negative: of 0 it is -infinity, which a minimum or a choice may take away again.
static Known logarithm(Interval a, double (*function)(double)) {
  return a.lo < 0 ? Known() : Known(rising(a, function));
}

/// Transcendental functions in f64 alone: those in f32 are computed in other ways, by other roundings.
Known Evaluation::computeReal(Operation *op) {
  std::optional<SmallVector<Interval, 2>> ranges = ofOperands(op);
  if (!ranges)
    return std::nullopt;
  const SmallVector<Interval, 2> &in = *ranges;
  Type type = op->getResult(0).getType();
  bool isDouble = type.isF64();
  if (!isDouble && (!type.isF32() || (isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::FloorOp, math::CeilOp>(op))))
    return std::nullopt;
  Known exact = llvm::TypeSwitch<Operation *, Known>(op)
      .Case<arith::SIToFPOp, arith::ExtFOp, arith::TruncFOp>([&](auto) { return in[0]; })
      .Case([&](arith::AddFOp) { return checked({in[0].lo + in[1].lo, in[0].hi + in[1].hi}); })
      .Case([&](arith::SubFOp) { return checked({in[0].lo - in[1].hi, in[0].hi - in[1].lo}); })
      .Case([&](arith::MulFOp) { return checked(atCorners(in[0], in[1], [](double a, double b) { return a * b; })); })
      .Case([&](arith::DivFOp) { return divided(in[0], in[1], nullptr); })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>([&](auto) { return Interval{std::max(in[0].lo, in[1].lo), std::max(in[0].hi, in[1].hi)}; })
      .Case<arith::MinimumFOp, arith::MinNumFOp>([&](auto) { return Interval{std::min(in[0].lo, in[1].lo), std::min(in[0].hi, in[1].hi)}; })
      .Case([&](arith::NegFOp) { return Interval{-in[0].hi, -in[0].lo}; })
      .Case([&](math::AbsFOp) { return absolute(in[0]); })
      .Case([&](math::FloorOp) { return rising(in[0], [](double x) { return std::floor(x); }); })
      .Case([&](math::CeilOp) { return rising(in[0], [](double x) { return std::ceil(x); }); })
      .Case([&](math::RoundEvenOp) { return rising(in[0], [](double x) { return std::nearbyint(x); }); })
      .Case([&](math::LogOp) { return logarithm(in[0], [](double x) { return std::log(x); }); })
      .Case([&](math::Log2Op) { return logarithm(in[0], [](double x) { return std::log2(x); }); })
      .Case([&](math::SqrtOp) { return in[0].lo < 0 ? Known() : Known(rising(in[0], [](double x) { return std::sqrt(x); })); })
      .Case([&](math::ExpOp) { return rising(in[0], [](double x) { return std::exp(x); }); })
      .Case([&](math::Exp2Op) { return rising(in[0], [](double x) { return std::exp2(x); }); })
      .Default([](Operation *) { return Known(); });
  if (!exact || isDouble)
    return exact;
  return rising(*exact, [](double x) { return static_cast<double>(static_cast<float>(x)); });
}

/// 1, 0, or both.
static Known decided(bool always, bool never) { return Interval{always ? 1.0 : 0.0, never ? 0.0 : 1.0}; }

static Known less(Interval a, Interval b, bool orEqual) {
  return orEqual ? decided(a.hi <= b.lo, a.lo > b.hi) : decided(a.hi < b.lo, a.lo >= b.hi);
}

static Known equal(Interval a, Interval b) { return decided(a.isNumber() && b.isNumber() && a.lo == b.lo, a.hi < b.lo || a.lo > b.hi); }

static Known negated(Known value) { return value ? Known(Interval{1 - value->hi, 1 - value->lo}) : value; }

Known Evaluation::compare(arith::CmpIOp op) {
  Known a = of(op.getLhs()), b = of(op.getRhs());
  if (!a || !b)
    return std::nullopt;
  using P = arith::CmpIPredicate;
  bool areNotNegative = a->lo >= 0 && b->lo >= 0;
  switch (op.getPredicate()) {
  case P::eq:
    return equal(*a, *b);
  case P::ne:
    return negated(equal(*a, *b));
  case P::slt:
    return less(*a, *b, false);
  case P::sle:
    return less(*a, *b, true);
  case P::sgt:
    return less(*b, *a, false);
  case P::sge:
    return less(*b, *a, true);
  case P::ult:
    return areNotNegative ? less(*a, *b, false) : Known();
  case P::ule:
    return areNotNegative ? less(*a, *b, true) : Known();
  case P::ugt:
    return areNotNegative ? less(*b, *a, false) : Known();
  case P::uge:
    return areNotNegative ? less(*b, *a, true) : Known();
  }
  return std::nullopt;
}

Known Evaluation::compare(arith::CmpFOp op) {
  Known a = of(op.getLhs()), b = of(op.getRhs());
  if (!a || !b)
    return std::nullopt;
  using P = arith::CmpFPredicate;
  switch (op.getPredicate()) { // nothing known is NaN
  case P::OEQ:
  case P::UEQ:
    return equal(*a, *b);
  case P::ONE:
  case P::UNE:
    return negated(equal(*a, *b));
  case P::OLT:
  case P::ULT:
    return less(*a, *b, false);
  case P::OLE:
  case P::ULE:
    return less(*a, *b, true);
  case P::OGT:
  case P::UGT:
    return less(*b, *a, false);
  case P::OGE:
  case P::UGE:
    return less(*b, *a, true);
  default:
    return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

static bool isConstant(Value value) { return matchPattern(value, m_Constant()); }

/// Operations of `block` that `value` is computed from, without constants.
static llvm::DenseSet<Operation *> computedFrom(Value value, Block &block) {
  llvm::DenseSet<Operation *> found;
  SmallVector<Value> open{value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (op && op->getBlock() == &block && !isConstant(next) && found.insert(op).second)
      llvm::append_range(open, op->getOperands());
  }
  return found;
}

/// Whether `value` is computed from `argument` and constants alone, by operations of `block`.
static bool isFunctionOf(Value value, Value argument, Block &block) {
  SmallVector<Value> open{value};
  llvm::DenseSet<Value> seen;
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (next == argument || isConstant(next) || !seen.insert(next).second)
      continue;
    Operation *op = next.getDefiningOp();
    if (!op || op->getBlock() != &block || op->getNumOperands() == 0 || op->getNumRegions() != 0)
      return false;
    llvm::append_range(open, op->getOperands());
  }
  return true;
}

static bool isTranscendental(Operation *op) {
  return isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::FloorOp, math::CeilOp>(op);
}

/// The last i32 whose computation takes a transcendental function, with an i32 before it that it is a function of: the
/// first one for which `succeeds`. Those that have none are `refused`.
static std::optional<Candidate> findCandidate(Block &block, llvm::DenseSet<Value> &refused, llvm::function_ref<bool(const Candidate &)> succeeds) {
  for (Operation &op : llvm::reverse(block)) {
    if (op.getNumResults() != 1 || !op.getResult(0).getType().isInteger(32) || refused.contains(op.getResult(0)))
      continue;
    Value value = op.getResult(0);
    llvm::DenseSet<Operation *> from = computedFrom(value, block);
    if (llvm::none_of(from, isTranscendental))
      continue;
    SmallVector<Value> arguments(block.args_begin(), block.args_end());
    for (Operation &source : block)
      if (from.contains(&source) && &source != &op && source.getNumResults() == 1)
        arguments.push_back(source.getResult(0));
    for (Value argument : arguments)
      if (Candidate candidate{value, argument}; argument.getType().isInteger(32) && isFunctionOf(value, argument, block) && succeeds(candidate))
        return candidate;
    refused.insert(value);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

static std::optional<int32_t> valueIn(const Candidate &candidate, Interval range) {
  Known value = Evaluation(candidate.argument, range).of(candidate.value);
  return value && value->isNumber() ? std::optional(static_cast<int32_t>(value->lo)) : std::nullopt;
}

static std::optional<int32_t> valueAt(const Candidate &candidate, int64_t place) {
  return valueIn(candidate, {static_cast<double>(place), static_cast<double>(place)});
}

/// The number nearest to 0 on the side of `sign` from which on the value is constant. That of -2^31, which is no distance
/// of two positions, is not considered: it has no absolute value.
static std::optional<int64_t> constantFrom(const Candidate &candidate, int64_t sign) {
  for (int64_t from = 16; from <= kFarthest; from *= 2) {
    double end = static_cast<double>(sign * from), far = static_cast<double>(sign) * kMostInteger;
    std::optional<int32_t> value = valueIn(candidate, {std::min(end, far), std::max(end, far)});
    if (!value)
      continue;
    while (from > 0 && valueAt(candidate, sign * (from - 1)) == value)
      --from;
    return sign * from;
  }
  return std::nullopt;
}

static std::optional<Table> tabulate(const Candidate &candidate) {
  auto lo = constantFrom(candidate, -1), hi = constantFrom(candidate, 1);
  if (!lo || !hi)
    return std::nullopt;
  Table table{*lo, {}};
  for (int64_t place = *lo; place <= *hi; ++place) {
    auto value = valueAt(candidate, place);
    if (!value)
      return std::nullopt;
    table.values.push_back(*value);
  }
  return table;
}

/// Comparisons with a constant that all of the table decides in one way.
static void decideComparisons(Value read, const Table &table) {
  Interval range{static_cast<double>(*llvm::min_element(table.values)), static_cast<double>(*llvm::max_element(table.values))};
  for (Operation *user : llvm::make_early_inc_range(read.getUsers())) {
    auto comparison = dyn_cast<arith::CmpIOp>(user);
    Known outcome = comparison ? Evaluation(read, range).of(comparison) : Known();
    if (!outcome || !outcome->isNumber())
      continue;
    OpBuilder builder(comparison);
    auto constant = arith::ConstantOp::create(builder, comparison.getLoc(), builder.getBoolAttr(outcome->lo != 0));
    for (Operation *access : llvm::make_early_inc_range(comparison->getUsers()))
      if (auto param = dyn_cast<tile::ParamOp>(access); param && param.getPredicate() == comparison.getResult() && outcome->lo != 0)
        param.getPredicateMutable().clear();
    comparison.getResult().replaceAllUsesWith(constant);
    comparison.erase();
  }
}

static Value readTable(const Candidate &candidate, const Table &table) {
  Location location = candidate.value.getLoc();
  OpBuilder builder(candidate.value.getDefiningOp());
  auto number = [&](int64_t value) { return arith::ConstantIntOp::create(builder, location, value, 32).getResult(); };
  Value last = number(table.first + static_cast<int64_t>(table.values.size()) - 1), first = number(table.first);
  Value place = arith::MinSIOp::create(builder, location, candidate.argument, last);
  place = arith::MaxSIOp::create(builder, location, place, first);
  place = arith::AddIOp::create(builder, location, place, number(-table.first));
  auto type = VectorType::get({static_cast<int64_t>(table.values.size())}, builder.getI32Type());
  auto contents = DenseElementsAttr::get(type, ArrayRef<int32_t>(table.values));
  return tile::LookupOp::create(builder, location, builder.getI32Type(), contents, place);
}

void tabulateIntegers(Block &block) {
  llvm::DenseSet<Value> refused;
  std::optional<Table> table;
  while (auto candidate = findCandidate(block, refused, [&](const Candidate &each) { return (table = tabulate(each)).has_value(); })) {
    Value read = readTable(*candidate, *table);
    Operation *replaced = candidate->value.getDefiningOp();
    candidate->value.replaceAllUsesWith(read);
    replaced->erase();
    decideComparisons(read, *table);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) // what it was computed from
      if (isOpTriviallyDead(&op))
        op.erase();
  }
}

} // namespace attn
