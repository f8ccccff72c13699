// See VisibleKeys.h. The length of a range is a linear form over what SolveMask.h leaves: the tile's first and last row, extents,
// numbers given at launch, tensors, quotients, minima and maxima. It is bounded from above by replacing one atom after the other,
//
//   c · min(x, y)       ≤  the lesser of the bounds with x and with y for c > 0, the greater for c < 0; max the other way round
//   c·n · (x // n)      ≤  c·x for c > 0, c·(x - n + 1) for c < 0
//   c · table[…]        ≤  c times the end of what is promised
//
// until first rows are left, whose coefficients mostly have cancelled: that of tiles is in [0, q_len - 1].
#include "passes/attn/VisibleKeys.h"

#include "passes/attn/PeriodicBounds.h"
#include "passes/attn/SolveMask.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cstdlib>

using namespace mlir;

namespace attn {

using mask::Atom;
using mask::Expressions;
using mask::Linear;

static constexpr unsigned kMostSteps = 512; // a mask needs some dozens

namespace {
class LengthBound {
public:
  LengthBound(Expressions &expressions, int64_t queries) : expressions(expressions), queries(queries) {}

  /// Over extents and arguments alone; nothing where that is not known.
  std::optional<Linear> most(const Linear &sum);
  /// What `most` gives as a size.
  std::optional<SizeExpr> textOf(const Linear &bound);

private:
  Linear ofFirst(const Linear &sum);
  std::optional<Linear> mostOfChoice(const Linear &sum, const Atom &choice, int64_t coefficient);
  std::optional<Linear> greatest(const Atom &atom, int64_t coefficient);
  std::optional<SizeExpr> textOf(const Atom &atom);
  Linear without(const Linear &sum, const Atom &atom, int64_t coefficient);

  Expressions &expressions;
  int64_t queries;
  unsigned steps = 0;
  llvm::DenseMap<const Atom *, Linear> fromFirst; ///< what ofFirst gives for an atom: values that are used twice are visited once
};
} // namespace

static Linear linearOf(const Atom &atom) {
  Linear self;
  self.terms.emplace_back(&atom, 1);
  return self;
}

/// The name of a plan's argument; empty if `value` is none.
static StringRef argumentName(Value value) {
  auto argument = dyn_cast_or_null<BlockArgument>(value);
  auto plan = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto name = plan ? plan.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName) : StringAttr();
  return name ? name.getValue() : StringRef();
}

static bool isChoice(const Atom &atom) {
  return atom.kind == Atom::Kind::Min || atom.kind == Atom::Kind::Max || atom.kind == Atom::Kind::Select;
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

Linear LengthBound::without(const Linear &sum, const Atom &atom, int64_t coefficient) {
  return expressions.add(sum, linearOf(atom), -coefficient);
}

/// The last row as so many behind the first, also in dividends. More rows see no fewer keys.
Linear LengthBound::ofFirst(const Linear &sum) {
  Linear result = Expressions::number(sum.constant);
  for (auto [atom, coefficient] : sum.terms) {
    auto known = fromFirst.find(atom);
    if (known == fromFirst.end()) {
      Linear value = linearOf(*atom);
      if (atom->kind == Atom::Kind::Last)
        value = expressions.add(expressions.first(), Expressions::number(queries - 1));
      else if (atom->kind == Atom::Kind::FloorDiv)
        value = expressions.floorDiv(ofFirst(atom->operands[0]), atom->operands[1]);
      else if (atom->kind == Atom::Kind::Product)
        value = expressions.product(atom->operands[0], ofFirst(atom->operands[1]));
      known = fromFirst.try_emplace(atom, value).first;
    }
    result = expressions.add(result, known->second, coefficient);
  }
  return result;
}

std::optional<Linear> LengthBound::mostOfChoice(const Linear &sum, const Atom &choice, int64_t coefficient) {
  bool isLesser = choice.kind != Atom::Kind::Select && (choice.kind == Atom::Kind::Min) == (coefficient > 0);
  Linear rest = without(sum, choice, coefficient);
  std::optional<Linear> result;
  for (const Linear &operand : choice.operands) {
    std::optional<Linear> bound = most(expressions.add(rest, operand, coefficient));
    if (!bound && !isLesser)
      return std::nullopt;
    if (bound && result)
      result = isLesser ? expressions.minimum(*result, *bound) : expressions.maximum(*result, *bound);
    else if (bound)
      result = bound;
  }
  return result;
}

/// What `coefficient · atom` is at most, over atoms that are nearer to extents.
std::optional<Linear> LengthBound::greatest(const Atom &atom, int64_t coefficient) {
  bool isPositive = coefficient > 0;
  auto times = [&](const Linear &value, int64_t by) { return std::optional(expressions.scale(value, by)); };
  /// n·(x // n), `by` times
  auto rounded = [&](const Linear &dividend, const Linear &divisor, int64_t by) {
    Linear least = expressions.add(expressions.add(dividend, divisor, -1), Expressions::number(1));
    return times(isPositive ? dividend : least, by);
  };
  switch (atom.kind) {
  case Atom::Kind::First:
    return isPositive ? times(expressions.add(expressions.extent("q_len"), Expressions::number(-1)), coefficient) : times({}, 1);
  case Atom::Kind::FloorDiv: {
    const Linear &divisor = atom.operands[1];
    if (!divisor.isConstant() || coefficient % divisor.constant != 0)
      return std::nullopt;
    return rounded(atom.operands[0], divisor, coefficient / divisor.constant);
  }
  case Atom::Kind::Product: {
    const Atom *quotient = atom.operands[1].asAtom();
    bool isRounded = quotient && quotient->kind == Atom::Kind::FloorDiv && quotient->operands[1] == atom.operands[0];
    return isRounded ? rounded(quotient->operands[0], atom.operands[0], coefficient) : std::nullopt;
  }
  case Atom::Kind::Mod:
  case Atom::Kind::Load: {
    auto promised = expressions.promisedRange(atom);
    return promised ? times(isPositive ? promised->second : promised->first, coefficient) : std::nullopt;
  }
  case Atom::Kind::LowerBound: {
    if (!isPositive)
      return times({}, 1);
    auto tensor = cast<ir::AttnTensorType>(atom.value.getDefiningOp<ir::LoadOp>().getTensor().getType());
    std::optional<Linear> size = expressions.linearOf(tensor.getSize(tensor.getSizes().size() - 1));
    return size ? times(*size, coefficient) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

/// Whether an atom may stand in a bound: it is known at launch.
static bool isKnown(const Atom &atom) {
  return atom.kind == Atom::Kind::Extent || (atom.kind == Atom::Kind::Symbol && !argumentName(atom.value).empty());
}

std::optional<Linear> LengthBound::most(const Linear &given) {
  if (++steps > kMostSteps || expressions.hasOverflowed())
    return std::nullopt;
  Linear sum = ofFirst(given);
  const Atom *next = nullptr;
  int64_t ofNext = 0;
  for (auto [atom, coefficient] : sum.terms) {
    if (isChoice(*atom))
      return mostOfChoice(sum, *atom, coefficient);
    if (!isKnown(*atom) && (!next || next->kind == Atom::Kind::First)) // the first row last: the others may cancel it
      next = atom, ofNext = coefficient;
  }
  if (!next)
    return sum;
  std::optional<Linear> part = greatest(*next, ofNext);
  return part ? most(expressions.add(without(sum, *next, ofNext), *part)) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

std::optional<SizeExpr> LengthBound::textOf(const Atom &atom) {
  if (atom.kind == Atom::Kind::Extent)
    return SizeExpr::name(atom.name);
  if (atom.kind == Atom::Kind::Symbol)
    return SizeExpr::name(argumentName(atom.value).str());
  if ((atom.kind != Atom::Kind::Min && atom.kind != Atom::Kind::Max) || ++steps > kMostSteps)
    return std::nullopt;
  std::optional<SizeExpr> result;
  for (const Linear &operand : atom.operands) {
    std::optional<SizeExpr> size = textOf(operand);
    if (!size)
      return std::nullopt;
    result = result ? SizeExpr::binary(atom.kind == Atom::Kind::Min ? SizeExpr::Kind::Min : SizeExpr::Kind::Max, *result, *size) : *size;
  }
  return result;
}

std::optional<SizeExpr> LengthBound::textOf(const Linear &bound) {
  std::optional<SizeExpr> sum;
  for (bool positive : {true, false}) // so that sums begin without a negation
    for (auto [atom, coefficient] : bound.terms) {
      if ((coefficient > 0) != positive)
        continue;
      std::optional<SizeExpr> part = textOf(*atom);
      if (!part)
        return std::nullopt;
      if (coefficient != 1 && coefficient != -1)
        part = SizeExpr::binary(SizeExpr::Kind::Mul, SizeExpr::number(positive ? coefficient : -coefficient), *part);
      sum = !sum ? positive ? *part : SizeExpr::negate(*part)
                 : SizeExpr::binary(positive ? SizeExpr::Kind::Add : SizeExpr::Kind::Sub, *sum, *part);
    }
  if (!sum)
    return SizeExpr::number(bound.constant);
  if (bound.constant != 0)
    sum = SizeExpr::binary(bound.constant > 0 ? SizeExpr::Kind::Add : SizeExpr::Kind::Sub, *sum, SizeExpr::number(std::abs(bound.constant)));
  return sum;
}

std::optional<SizeExpr> mostVisibleKeys(ir::AttentionOp op, int64_t queries) {
  if (op.getMask().empty())
    return std::nullopt;
  Expressions expressions(op);
  mask::MaskSolver solver(expressions);
  mask::KeySets sets = solver.solve(mask::tightenBounds(expressions, expressions.predicateOf(ir::yieldedBy(op.getMask()).front())));
  LengthBound bound(expressions, queries);
  Linear sum = Expressions::number(0), all = expressions.extent("kv_len");
  for (const mask::Interval &interval : sets.may) {
    std::optional<Linear> length = bound.most(expressions.add(interval.hi, interval.lo, -1));
    if (!length)
      return std::nullopt;
    sum = expressions.add(sum, sets.may.size() > 1 ? expressions.maximum(*length, Expressions::number(0)) : *length);
  }
  sum = expressions.minimum(sum, all);
  if (expressions.hasOverflowed() || sum == all)
    return std::nullopt;
  return bound.textOf(sum);
}

} // namespace attn
