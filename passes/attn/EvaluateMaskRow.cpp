// See EvaluateMaskRow.h. A value is one number, or one for each key. Operations that are not in the table of integer
// operations below, which are few and rare, are left to the interpreter of single points (EvaluateRegion.h).
#include "passes/attn/EvaluateMaskRow.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cstdlib>

using namespace mlir;

namespace attn {

namespace {

/// One number, or one a key.
using Numbers = std::vector<int64_t>;

class RowOfPoints {
public:
  RowOfPoints(const RegionInputs &inputs, int64_t row, Numbers keys) : inputs(inputs), row(row), keys(std::move(keys)) {}

  /// Null where a value has no form here.
  const Numbers *evaluate(Value value);

private:
  std::optional<Numbers> compute(Value value);
  std::optional<Numbers> load(ir::LoadOp load);
  std::optional<int64_t> index(ir::IndexKind kind) const;

  const RegionInputs &inputs;
  int64_t row;
  Numbers keys;
  llvm::DenseMap<Value, std::optional<Numbers>> known;
};

using IntegerOp = int64_t (*)(int64_t, int64_t);

} // namespace

static int64_t floorQuotient(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }
static int64_t unsignedOf(int64_t a) { return static_cast<uint32_t>(a); }

static IntegerOp comparison(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return [](int64_t a, int64_t b) -> int64_t { return a == b; };
  case P::ne:
    return [](int64_t a, int64_t b) -> int64_t { return a != b; };
  case P::slt:
    return [](int64_t a, int64_t b) -> int64_t { return a < b; };
  case P::sle:
    return [](int64_t a, int64_t b) -> int64_t { return a <= b; };
  case P::sgt:
    return [](int64_t a, int64_t b) -> int64_t { return a > b; };
  case P::sge:
    return [](int64_t a, int64_t b) -> int64_t { return a >= b; };
  case P::ult:
    return [](int64_t a, int64_t b) -> int64_t { return unsignedOf(a) < unsignedOf(b); };
  case P::ule:
    return [](int64_t a, int64_t b) -> int64_t { return unsignedOf(a) <= unsignedOf(b); };
  case P::ugt:
    return [](int64_t a, int64_t b) -> int64_t { return unsignedOf(a) > unsignedOf(b); };
  case P::uge:
    return [](int64_t a, int64_t b) -> int64_t { return unsignedOf(a) >= unsignedOf(b); };
  }
  llvm_unreachable("all predicates are handled");
}

/// An operation on one or two integers; null if it is none.
static IntegerOp integerOp(Operation *op) {
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return comparison(compare.getPredicate());
  return llvm::TypeSwitch<Operation *, IntegerOp>(op)
      .Case([](arith::AddIOp) { return [](int64_t a, int64_t b) { return a + b; }; })
      .Case([](arith::SubIOp) { return [](int64_t a, int64_t b) { return a - b; }; })
      .Case([](arith::MulIOp) { return [](int64_t a, int64_t b) { return a * b; }; })
      .Case([](arith::FloorDivSIOp) { return floorQuotient; })
      .Case([](arith::CeilDivSIOp) { return [](int64_t a, int64_t b) { return -floorQuotient(-a, b); }; })
      .Case([](arith::DivSIOp) { return [](int64_t a, int64_t b) -> int64_t { return b == 0 ? 0 : a / b; }; })
      .Case([](arith::RemSIOp) { return [](int64_t a, int64_t b) -> int64_t { return b == 0 ? 0 : a % b; }; })
      .Case([](arith::MinSIOp) { return [](int64_t a, int64_t b) { return std::min(a, b); }; })
      .Case([](arith::MaxSIOp) { return [](int64_t a, int64_t b) { return std::max(a, b); }; })
      .Case([](arith::AndIOp) { return [](int64_t a, int64_t b) { return a & b; }; })
      .Case([](arith::OrIOp) { return [](int64_t a, int64_t b) { return a | b; }; })
      .Case([](arith::XOrIOp) { return [](int64_t a, int64_t b) { return a ^ b; }; })
      .Case([](arith::ShLIOp) { return [](int64_t a, int64_t b) -> int64_t { return static_cast<int32_t>(a << (b & 31)); }; })
      .Case([](arith::ShRSIOp) { return [](int64_t a, int64_t b) { return a >> (b & 31); }; })
      .Case([](math::AbsIOp) { return [](int64_t a, int64_t) -> int64_t { return std::abs(a); }; })
      .Case<arith::ExtSIOp, arith::ExtUIOp>([](auto) { return [](int64_t a, int64_t) { return a; }; })
      .Default([](Operation *) -> IntegerOp { return nullptr; });
}

static int64_t at(const Numbers &numbers, size_t i) { return numbers.size() == 1 ? numbers.front() : numbers[i]; }

static std::string nameOf(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  auto plan = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto name = plan ? plan.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName) : StringAttr();
  return name ? name.str() : std::string();
}

const Numbers *RowOfPoints::evaluate(Value value) {
  auto found = known.find(value);
  if (found == known.end())
    found = known.try_emplace(value, compute(value)).first;
  // Entries move as others come in; who needs two of them takes the second one first.
  return found->second ? &*found->second : nullptr;
}

std::optional<int64_t> RowOfPoints::index(ir::IndexKind kind) const {
  switch (kind) {
  case ir::IndexKind::b:
    return inputs.b;
  case ir::IndexKind::h:
    return inputs.h;
  case ir::IndexKind::kv_head:
    return inputs.kvHead;
  case ir::IndexKind::q_idx:
    return row;
  case ir::IndexKind::kv_idx:
    return std::nullopt;
  }
  llvm_unreachable("all indices are handled");
}

std::optional<Numbers> RowOfPoints::load(ir::LoadOp load) {
  SmallVector<Numbers> places;
  size_t count = 1;
  for (Value operand : load.getIndices()) {
    const Numbers *place = evaluate(operand);
    if (!place)
      return std::nullopt;
    places.push_back(*place);
    count = std::max(count, place->size());
  }
  std::string name = nameOf(load.getTensor());
  Numbers result(count);
  std::vector<int64_t> position(places.size());
  bool isKnown = false;
  for (size_t i = 0; i < count; ++i) {
    for (size_t dim = 0; dim < places.size(); ++dim)
      position[dim] = at(places[dim], i);
    std::optional<double> element = inputs.element ? inputs.element(name, position) : std::nullopt;
    isKnown |= element.has_value();
    result[i] = static_cast<int64_t>(element.value_or(0));
  }
  if (isKnown)
    return result;
  std::fill(position.begin(), position.end(), 0); // out of range everywhere, or a tensor that no one has
  return inputs.element && inputs.element(name, position) ? std::optional(std::move(result)) : std::nullopt;
}

std::optional<Numbers> RowOfPoints::compute(Value value) {
  Operation *op = value.getDefiningOp();
  if (!value.getType().isInteger())
    return std::nullopt;
  if (APInt integer; matchPattern(value, m_ConstantInt(&integer)))
    return Numbers{value.getType().isInteger(1) ? static_cast<int64_t>(integer.getZExtValue()) : integer.getSExtValue()};
  if (!op) {
    std::optional<double> given = inputs.scalar ? inputs.scalar(nameOf(value)) : std::nullopt;
    return given ? std::optional(Numbers{static_cast<int64_t>(*given)}) : std::nullopt;
  }
  if (auto size = dyn_cast<ir::SizeOp>(op)) {
    std::optional<int64_t> extent = inputs.extent ? inputs.extent(size.getName().str()) : std::nullopt;
    return extent ? std::optional(Numbers{*extent}) : std::nullopt;
  }
  if (auto position = dyn_cast<ir::IndexOp>(op)) {
    std::optional<int64_t> one = index(position.getKind());
    return one ? Numbers{*one} : keys;
  }
  if (auto read = dyn_cast<ir::LoadOp>(op))
    return load(read);
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    const Numbers *no = evaluate(select.getFalseValue());
    if (!no)
      return std::nullopt;
    Numbers otherwise = *no;
    const Numbers *yes = evaluate(select.getTrueValue());
    if (!yes)
      return std::nullopt;
    Numbers result = *yes;
    const Numbers *condition = evaluate(select.getCondition());
    if (!condition)
      return std::nullopt;
    size_t count = std::max({result.size(), otherwise.size(), condition->size()});
    Numbers chosen(count);
    for (size_t i = 0; i < count; ++i)
      chosen[i] = at(*condition, i) ? at(result, i) : at(otherwise, i);
    return chosen;
  }
  IntegerOp apply = integerOp(op);
  if (!apply || op->getNumOperands() == 0 || op->getNumOperands() > 2)
    return std::nullopt;
  Numbers second{0};
  if (op->getNumOperands() == 2) {
    const Numbers *b = evaluate(op->getOperand(1));
    if (!b)
      return std::nullopt;
    second = *b;
  }
  const Numbers *first = evaluate(op->getOperand(0));
  if (!first)
    return std::nullopt;
  Numbers result(std::max(first->size(), second.size()));
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = apply(at(*first, i), at(second, i));
  return result;
}

std::optional<std::vector<uint8_t>> evaluateMaskRow(Region &mask, const RegionInputs &inputs, int64_t row, int64_t begin,
                                                    int64_t end, int64_t step, std::string *reason) {
  Numbers keys;
  for (int64_t key = begin; key < end; key += step)
    keys.push_back(key);
  std::vector<uint8_t> result(keys.size());
  if (keys.empty())
    return result;
  RowOfPoints points(inputs, row, keys);
  if (const Numbers *visible = points.evaluate(ir::yieldedBy(mask).front())) {
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = at(*visible, i) != 0;
    return result;
  }
  for (size_t i = 0; i < result.size(); ++i) {
    std::optional<bool> visible = evaluateMask(mask, inputs, row, keys[i], reason);
    if (!visible)
      return std::nullopt;
    result[i] = *visible;
  }
  return result;
}

} // namespace attn
