// An interpreter of scalar operations: integers in 64 bits (i32 operations of a correct program do not overflow), floats
// in the precision of their type.
#include "passes/attn/EvaluateRegion.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace attn {

namespace {

/// A number of a region: an integer (booleans are 0 and 1) or an f32.
struct Number {
  int64_t integer = 0;
  float real = 0;
};

class RegionInterpreter {
public:
  explicit RegionInterpreter(const RegionInputs &inputs) : inputs(inputs) {}

  void bind(Value value, int64_t integer) { known[value] = {.integer = integer}; }
  void setPoint(int64_t rowIndex, int64_t keyIndex) {
    row = rowIndex;
    key = keyIndex;
  }

  std::optional<Number> evaluate(Value value);
  std::optional<std::vector<KeyInterval>> evaluatePairs(OperandRange ends);
  const std::string &reason() const { return why; }

private:
  std::optional<Number> compute(Value value);
  std::optional<Number> argument(BlockArgument value);
  std::optional<Number> index(ir::IndexKind kind);
  std::optional<Number> element(Value tensor, ValueRange indices, std::optional<int64_t> last = std::nullopt);
  std::optional<Number> search(ir::LowerBoundOp op);
  std::optional<Number> compute(Operation *op);
  std::optional<Number> computeInteger(Operation *op, int64_t a, int64_t b);
  std::optional<Number> computeFloat(Operation *op, float a, float b);
  std::nullopt_t fail(const Twine &text) {
    if (why.empty())
      why = text.str();
    return std::nullopt;
  }

  const RegionInputs &inputs;
  llvm::DenseMap<Value, Number> known;
  std::optional<int64_t> row, key;
  std::string why;
};

} // namespace

static std::string nameOf(BlockArgument argument) {
  if (auto plan = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
    if (auto name = plan.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName))
      return name.getValue().str();
  return {};
}

std::optional<Number> RegionInterpreter::evaluate(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  std::optional<Number> result = compute(value);
  if (result)
    known[value] = *result;
  return result;
}

std::optional<Number> RegionInterpreter::argument(BlockArgument value) {
  std::string name = nameOf(value);
  std::optional<double> given = inputs.scalar ? inputs.scalar(name) : std::nullopt;
  if (!given)
    return fail("scalar `" + name + "` is not known");
  return Number{static_cast<int64_t>(*given), static_cast<float>(*given)};
}

std::optional<Number> RegionInterpreter::index(ir::IndexKind kind) {
  switch (kind) {
  case ir::IndexKind::b:
    return Number{inputs.b};
  case ir::IndexKind::h:
    return Number{inputs.h};
  case ir::IndexKind::kv_head:
    return Number{inputs.kvHead};
  case ir::IndexKind::q_idx:
    return row ? std::optional(Number{*row}) : fail("no query row is given");
  case ir::IndexKind::kv_idx:
    return key ? std::optional(Number{*key}) : fail("no key row is given");
  }
  llvm_unreachable("all indices are handled");
}

std::optional<Number> RegionInterpreter::element(Value tensor, ValueRange indices, std::optional<int64_t> last) {
  std::vector<int64_t> position;
  for (Value operand : indices) {
    std::optional<Number> number = evaluate(operand);
    if (!number)
      return std::nullopt;
    position.push_back(number->integer);
  }
  if (last)
    position.push_back(*last);
  auto argument = dyn_cast<BlockArgument>(tensor);
  std::string name = argument ? nameOf(argument) : std::string();
  std::optional<double> value = inputs.element ? inputs.element(name, position) : std::nullopt;
  if (!value)
    return fail("element of tensor `" + name + "` is not known");
  return Number{static_cast<int64_t>(*value), static_cast<float>(*value)};
}

std::optional<Number> RegionInterpreter::search(ir::LowerBoundOp op) {
  auto type = cast<ir::AttnTensorType>(op.getTensor().getType());
  auto extent = [&](std::string_view name) { return inputs.extent ? inputs.extent(name) : std::nullopt; };
  std::optional<int64_t> length = type.getSize(type.getRank() - 1).evaluate(extent);
  std::optional<Number> bound = evaluate(op.getBound());
  if (!length || !bound)
    return fail("the length of an ascending row is not known");
  int64_t lo = 0, hi = *length;
  while (lo < hi) {
    int64_t middle = lo + (hi - lo) / 2;
    std::optional<Number> value = element(op.getTensor(), op.getIndices(), middle);
    if (!value)
      return std::nullopt;
    if (value->integer >= bound->integer)
      hi = middle;
    else
      lo = middle + 1;
  }
  return Number{lo};
}

std::optional<Number> RegionInterpreter::compute(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return this->argument(argument);
  if (APInt integer; matchPattern(value, m_ConstantInt(&integer)))
    return Number{value.getType().isInteger(1) ? static_cast<int64_t>(integer.getZExtValue()) : integer.getSExtValue()};
  if (APFloat real(0.0f); matchPattern(value, m_ConstantFloat(&real)))
    return Number{0, real.convertToFloat()};
  return compute(value.getDefiningOp());
}

std::optional<Number> RegionInterpreter::compute(Operation *op) {
  if (auto size = dyn_cast<ir::SizeOp>(op)) {
    std::optional<int64_t> extent = inputs.extent ? inputs.extent(size.getName().str()) : std::nullopt;
    if (!extent)
      return fail("extent `" + size.getName() + "` is not known");
    return Number{*extent};
  }
  if (auto index = dyn_cast<ir::IndexOp>(op))
    return this->index(index.getKind());
  if (auto load = dyn_cast<ir::LoadOp>(op))
    return element(load.getTensor(), load.getIndices());
  if (auto bound = dyn_cast<ir::LowerBoundOp>(op))
    return search(bound);
  if (auto select = dyn_cast<arith::SelectOp>(op)) { // only the branch taken
    std::optional<Number> condition = evaluate(select.getCondition());
    if (!condition)
      return std::nullopt;
    return evaluate(condition->integer ? select.getTrueValue() : select.getFalseValue());
  }
  if (op->getNumOperands() == 0 || op->getNumOperands() > 2 || op->getNumResults() != 1 || op->getNumRegions() != 0)
    return fail("operation `" + op->getName().getStringRef() + "` has no meaning here");
  std::optional<Number> a = evaluate(op->getOperand(0));
  if (!a)
    return std::nullopt;
  // Only what is needed: the element beside it may lie outside of its tensor.
  bool isBool = op->getOperand(0).getType().isInteger(1);
  if (isBool && isa<arith::AndIOp, arith::OrIOp>(op) && (a->integer != 0) == isa<arith::OrIOp>(op))
    return a;
  std::optional<Number> b = op->getNumOperands() == 2 ? evaluate(op->getOperand(1)) : Number{};
  if (!b)
    return std::nullopt;
  if (isa<FloatType>(op->getOperand(0).getType()))
    return computeFloat(op, a->real, b->real);
  return computeInteger(op, a->integer, b->integer);
}

static int64_t floorQuotient(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static bool compareIntegers(arith::CmpIPredicate predicate, int64_t a, int64_t b) {
  auto unsignedA = static_cast<uint32_t>(a), unsignedB = static_cast<uint32_t>(b);
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return unsignedA < unsignedB;
  case arith::CmpIPredicate::ule:
    return unsignedA <= unsignedB;
  case arith::CmpIPredicate::ugt:
    return unsignedA > unsignedB;
  case arith::CmpIPredicate::uge:
    return unsignedA >= unsignedB;
  }
  llvm_unreachable("all predicates are handled");
}

std::optional<Number> RegionInterpreter::computeInteger(Operation *op, int64_t a, int64_t b) {
  bool divides = isa<arith::DivSIOp, arith::RemSIOp, arith::FloorDivSIOp, arith::CeilDivSIOp>(op);
  if (divides && b == 0)
    return fail("a division by zero");
  if (isa<arith::AddIOp>(op))
    return Number{a + b};
  if (isa<arith::SubIOp>(op))
    return Number{a - b};
  if (isa<arith::MulIOp>(op))
    return Number{a * b};
  if (isa<arith::DivSIOp>(op))
    return Number{a / b};
  if (isa<arith::RemSIOp>(op))
    return Number{a % b};
  if (isa<arith::FloorDivSIOp>(op))
    return Number{floorQuotient(a, b)};
  if (isa<arith::CeilDivSIOp>(op))
    return Number{-floorQuotient(-a, b)};
  if (isa<arith::MinSIOp>(op))
    return Number{std::min(a, b)};
  if (isa<arith::MaxSIOp>(op))
    return Number{std::max(a, b)};
  if (isa<arith::AndIOp>(op))
    return Number{a & b};
  if (isa<arith::OrIOp>(op))
    return Number{a | b};
  if (isa<arith::XOrIOp>(op))
    return Number{a ^ b};
  if (isa<arith::ShLIOp>(op) && b >= 0 && b < 32)
    return Number{a * (int64_t{1} << b)};
  if (isa<arith::ShRSIOp>(op) && b >= 0 && b < 32)
    return Number{a >> b};
  if (isa<math::AbsIOp>(op))
    return Number{std::abs(a)};
  if (isa<arith::ExtSIOp, arith::ExtUIOp>(op))
    return Number{a};
  if (isa<arith::TruncIOp>(op))
    return Number{static_cast<int32_t>(a)};
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op))
    return Number{0, static_cast<float>(a)};
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return Number{compareIntegers(compare.getPredicate(), a, b)};
  return fail("operation `" + op->getName().getStringRef() + "` has no meaning here");
}

static std::optional<bool> compareFloats(arith::CmpFPredicate predicate, float a, float b) {
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::UNE:
    return a != b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::ULT:
    return unordered || a < b;
  case arith::CmpFPredicate::ULE:
    return unordered || a <= b;
  case arith::CmpFPredicate::UGT:
    return unordered || a > b;
  case arith::CmpFPredicate::UGE:
    return unordered || a >= b;
  default:
    return std::nullopt;
  }
}

std::optional<Number> RegionInterpreter::computeFloat(Operation *op, float a, float b) {
  auto real = [](float value) { return Number{0, value}; };
  if (isa<arith::AddFOp>(op))
    return real(a + b);
  if (isa<arith::SubFOp>(op))
    return real(a - b);
  if (isa<arith::MulFOp>(op))
    return real(a * b);
  if (isa<arith::DivFOp>(op))
    return real(a / b);
  if (isa<arith::NegFOp>(op))
    return real(-a);
  if (isa<arith::MinimumFOp, arith::MinNumFOp>(op))
    return real(std::fmin(a, b));
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(op))
    return real(std::fmax(a, b));
  if (isa<math::AbsFOp>(op))
    return real(std::fabs(a));
  if (isa<math::FloorOp>(op))
    return real(std::floor(a));
  if (isa<math::CeilOp>(op))
    return real(std::ceil(a));
  if (isa<math::RoundEvenOp>(op))
    return real(std::nearbyint(a));
  if (isa<math::ExpOp>(op))
    return real(std::exp(a));
  if (isa<math::Exp2Op>(op))
    return real(std::exp2(a));
  if (isa<math::LogOp>(op))
    return real(std::log(a));
  if (isa<math::Log2Op>(op))
    return real(std::log2(a));
  if (isa<math::SqrtOp>(op))
    return real(std::sqrt(a));
  if (isa<math::PowFOp>(op))
    return real(std::pow(a, b));
  if (isa<arith::FPToSIOp>(op))
    return Number{static_cast<int64_t>(a)};
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    if (std::optional<bool> result = compareFloats(compare.getPredicate(), a, b))
      return Number{*result};
  return fail("operation `" + op->getName().getStringRef() + "` has no meaning here");
}

std::optional<std::vector<KeyInterval>> RegionInterpreter::evaluatePairs(OperandRange ends) {
  std::vector<KeyInterval> intervals;
  std::optional<int64_t> kvLen = inputs.extent ? inputs.extent("kv_len") : std::nullopt;
  if (!kvLen)
    return fail("extent `kv_len` is not known");
  for (unsigned index = 0; index < ends.size(); index += 2) {
    std::optional<Number> lo = evaluate(ends[index]), hi = evaluate(ends[index + 1]);
    if (!lo || !hi)
      return std::nullopt;
    KeyInterval interval{std::max<int64_t>(lo->integer, 0), std::min(hi->integer, *kvLen)};
    if (interval.first < interval.second)
      intervals.push_back(interval);
  }
  std::sort(intervals.begin(), intervals.end());
  std::vector<KeyInterval> merged;
  for (const KeyInterval &interval : intervals) {
    if (!merged.empty() && interval.first <= merged.back().second)
      merged.back().second = std::max(merged.back().second, interval.second);
    else
      merged.push_back(interval);
  }
  return merged;
}

std::optional<TileKeyRanges> evaluateRanges(Region &ranges, const RegionInputs &inputs, int64_t firstRow,
                                            int64_t lastRow, std::string *reason) {
  RegionInterpreter interpreter(inputs);
  interpreter.bind(ranges.getArgument(0), firstRow);
  interpreter.bind(ranges.getArgument(1), lastRow);
  auto yield = cast<ir::YieldRangesOp>(ranges.front().getTerminator());
  auto visit = interpreter.evaluatePairs(yield.getVisit());
  auto full = visit ? interpreter.evaluatePairs(yield.getFull()) : std::nullopt;
  if (full)
    return TileKeyRanges{*visit, *full};
  if (reason)
    *reason = interpreter.reason();
  return std::nullopt;
}

std::optional<bool> evaluateMask(Region &mask, const RegionInputs &inputs, int64_t row, int64_t key,
                                 std::string *reason) {
  RegionInterpreter interpreter(inputs);
  interpreter.setPoint(row, key);
  std::optional<Number> result = interpreter.evaluate(ir::yieldedBy(mask).front());
  if (result)
    return result->integer != 0;
  if (reason)
    *reason = interpreter.reason();
  return std::nullopt;
}

} // namespace attn
