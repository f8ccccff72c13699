// The least and the greatest value of a linear form over the rows of a tile, for SolveMask.cpp: expressions that hold neither row
// nor key are their own bounds, monotone steps those of their operands, and what is promised of a tensor bounds its elements.
#include "passes/attn/SolveMask.h"

using namespace mlir;

namespace attn::mask {

std::optional<Linear> MaskSolver::bound(const Linear &value, Bound which) {
  Linear result = Expressions::number(value.constant);
  for (auto [atom, coefficient] : value.terms) {
    Bound own = coefficient > 0 ? which : which == Bound::Lower ? Bound::Upper : Bound::Lower;
    std::optional<Linear> part = bound(*atom, own);
    if (!part)
      return std::nullopt;
    result = expressions.add(result, *part, coefficient);
  }
  return result;
}

std::optional<Linear> MaskSolver::bound(const Atom &atom, Bound which) {
  if (auto found = bounds.find({&atom, which}); found != bounds.end())
    return found->second;
  std::optional<Linear> result = computeBound(atom, which);
  return bounds[{&atom, which}] = result;
}

std::optional<Linear> MaskSolver::computeBound(const Atom &atom, Bound which) {
  if (!atom.onRow) {
    Linear self;
    self.terms.emplace_back(&atom, 1);
    return self;
  }
  auto operand = [&](unsigned index) { return bound(atom.operands[index], which); };
  switch (atom.kind) {
  case Atom::Kind::Row:
    return which == Bound::Upper ? expressions.last() : expressions.first();
  case Atom::Kind::FloorDiv: {
    std::optional<Linear> dividend = operand(0);
    return dividend ? std::optional(expressions.floorDiv(*dividend, atom.operands[1])) : std::nullopt;
  }
  case Atom::Kind::Product: {
    NumberRange factor = expressions.rangeOf(atom.operands[0]);
    if (factor.lo < 0 && factor.hi > 0)
      return std::nullopt;
    Bound own = factor.lo >= 0 ? which : which == Bound::Lower ? Bound::Upper : Bound::Lower;
    std::optional<Linear> other = bound(atom.operands[1], own);
    return other ? std::optional(expressions.product(atom.operands[0], *other)) : std::nullopt;
  }
  case Atom::Kind::Min:
  case Atom::Kind::Max: {
    std::optional<Linear> result = operand(0);
    for (unsigned index = 1; index < atom.operands.size() && result; ++index) {
      std::optional<Linear> other = operand(index);
      if (!other)
        return std::nullopt;
      result = atom.kind == Atom::Kind::Min ? expressions.minimum(*result, *other) : expressions.maximum(*result, *other);
    }
    return result;
  }
  case Atom::Kind::Select: {
    std::optional<Linear> yes = operand(0), no = operand(1);
    if (!yes || !no)
      return std::nullopt;
    if (atom.condition->isUniform())
      return expressions.select(atom.condition, *yes, *no);
    return which == Bound::Upper ? expressions.maximum(*yes, *no) : expressions.minimum(*yes, *no);
  }
  case Atom::Kind::LowerBound: {
    if (llvm::any_of(ArrayRef(atom.operands).drop_back(), [](const Linear &index) { return index.onRow(); }))
      return std::nullopt;
    std::optional<Linear> limit = operand(atom.operands.size() - 1);
    return limit ? std::optional(expressions.lowerBound(atom.value, ArrayRef(atom.operands).drop_back(), *limit))
                 : std::nullopt;
  }
  case Atom::Kind::Load: {
    auto type = cast<ir::AttnTensorType>(atom.value.getDefiningOp<ir::LoadOp>().getTensor().getType());
    ArrayRef<Linear> leading = ArrayRef(atom.operands).drop_back();
    bool ascends = type.getAscending() && llvm::all_of(leading, [](const Linear &index) { return index.isUniform(); });
    if (std::optional<Linear> index = ascends ? operand(atom.operands.size() - 1) : std::nullopt) {
      SmallVector<Linear> indices(leading);
      indices.push_back(*index);
      return expressions.load(atom.value, indices);
    }
    [[fallthrough]];
  }
  case Atom::Kind::Mod:
    if (auto promised = expressions.promisedRange(atom))
      return which == Bound::Upper ? promised->second : promised->first;
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

} // namespace attn::mask
