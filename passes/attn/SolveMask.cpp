// See SolveMask.h. First sets of keys, then comparisons solved for the key; bounds over rows are in MaskBounds.cpp.
#include "passes/attn/SolveMask.h"

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace attn::mask {

static constexpr unsigned kMaxIntervals = 4;
static constexpr unsigned kMaxSteps = 4096;   // min, max and select multiply cases; a mask needs a few dozen
static constexpr unsigned kMaxDepth = 200;    // of sums that were put in the place of a choice

//===----------------------------------------------------------------------===//
// Sets of keys
//===----------------------------------------------------------------------===//

KeySet MaskSolver::allKeys() { return guarded(expressions.always()); }

/// All keys where `guard` holds.
KeySet MaskSolver::guarded(const Predicate *guard) {
  KeySet result;
  insert(result, {Expressions::number(0), expressions.extent("kv_len"), guard});
  return result;
}

bool MaskSolver::isContained(const Interval &inner, const Interval &outer) {
  return (outer.guard == inner.guard || outer.guard->kind == Predicate::Kind::True) &&
         expressions.provablyNonPositive(expressions.add(outer.lo, inner.lo, -1)) &&
         expressions.provablyNonPositive(expressions.add(inner.hi, outer.hi, -1));
}

/// Adds an interval, joining it with those that share an end.
void MaskSolver::insert(KeySet &set, Interval interval) {
  if (interval.guard->kind == Predicate::Kind::False ||
      expressions.provablyNonPositive(expressions.add(interval.hi, interval.lo, -1)))
    return;
  for (Interval &other : set) {
    if (isContained(interval, other))
      return;
    if (other.guard != interval.guard || (other.lo != interval.lo && other.hi != interval.hi))
      continue;
    // [a, b) ∪ [a, c) = [a, max(b, c)), empty ones included; likewise at the other end.
    Interval joined = other.lo == interval.lo
                          ? Interval{other.lo, expressions.maximum(other.hi, interval.hi), other.guard}
                          : Interval{expressions.minimum(other.lo, interval.lo), other.hi, other.guard};
    set.erase(&other);
    insert(set, joined);
    return;
  }
  llvm::erase_if(set, [&](const Interval &other) { return isContained(other, interval); });
  set.push_back(interval);
}

/// At most four intervals: may takes the hull of all, must drops the last.
KeySet MaskSolver::limited(KeySet set, Side side) {
  if (set.size() <= kMaxIntervals)
    return set;
  if (side == Side::Must) {
    set.truncate(kMaxIntervals);
    return set;
  }
  Linear lo = expressions.extent("kv_len"), hi = Expressions::number(0);
  for (const Interval &interval : set) {
    lo = expressions.minimum(lo, expressions.select(interval.guard, interval.lo, expressions.extent("kv_len")));
    hi = expressions.maximum(hi, expressions.select(interval.guard, interval.hi, Expressions::number(0)));
  }
  KeySet hull;
  insert(hull, {lo, hi, expressions.always()});
  return hull;
}

KeySet MaskSolver::intersect(const KeySet &a, const KeySet &b, Side side) {
  KeySet result;
  for (const Interval &x : a)
    for (const Interval &y : b)
      insert(result, {expressions.maximum(x.lo, y.lo), expressions.minimum(x.hi, y.hi),
                      expressions.conjunction(x.guard, y.guard)});
  return limited(std::move(result), side);
}

KeySet MaskSolver::unite(const KeySet &a, const KeySet &b, Side side) {
  KeySet result;
  for (const KeySet *set : {&a, &b})
    for (const Interval &interval : *set)
      insert(result, interval);
  return limited(std::move(result), side);
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

KeySets MaskSolver::unsolved(Value because) {
  if (because && !llvm::is_contained(open, because))
    open.push_back(because);
  return {allKeys(), {}};
}

/// sum ≤ 0 without the key: all keys or none.
KeySets MaskSolver::keyFree(const Linear &sum) {
  std::optional<Linear> least = bound(sum, Bound::Lower), greatest = bound(sum, Bound::Upper);
  return {least ? guarded(expressions.nonPositive(*least)) : allKeys(),
          greatest ? guarded(expressions.nonPositive(*greatest)) : KeySet()};
}

KeySets MaskSolver::keyAtMost(const Linear &limit) {
  auto upTo = [&](std::optional<Linear> end) {
    KeySet result;
    Linear all = expressions.extent("kv_len");
    insert(result, {Expressions::number(0),
                    expressions.minimum(expressions.add(*end, Expressions::number(1)), all), expressions.always()});
    return result;
  };
  std::optional<Linear> least = bound(limit, Bound::Lower), greatest = bound(limit, Bound::Upper);
  return {greatest ? upTo(greatest) : allKeys(), least ? upTo(least) : KeySet()};
}

KeySets MaskSolver::keyAtLeast(const Linear &limit) {
  auto from = [&](std::optional<Linear> begin) {
    KeySet result;
    insert(result, {expressions.maximum(*begin, Expressions::number(0)), expressions.extent("kv_len"),
                    expressions.always()});
    return result;
  };
  std::optional<Linear> least = bound(limit, Bound::Lower), greatest = bound(limit, Bound::Upper);
  return {least ? from(least) : allKeys(), greatest ? from(greatest) : KeySet()};
}

/// `sum` with `coefficient · atom` replaced by `coefficient · value`.
static Linear substitute(Expressions &expressions, const Linear &sum, const Atom &atom, int64_t coefficient,
                         const Linear &value) {
  Linear self;
  self.terms.emplace_back(&atom, 1);
  return expressions.add(expressions.add(sum, self, -coefficient), value, coefficient);
}

/// min(x, y)·c + … ≤ 0 for c > 0 if it holds with x *or* with y; max: and; `select`: by its condition.
KeySets MaskSolver::solveChoice(const Linear &sum, const Atom &choice, int64_t coefficient) {
  auto solveWith = [&](const Linear &operand) {
    return solveSum(substitute(expressions, sum, choice, coefficient, operand));
  };
  auto both = [&](const KeySets &a, const KeySets &b) {
    return KeySets{intersect(a.may, b.may, Side::May), intersect(a.must, b.must, Side::Must)};
  };
  auto either = [&](const KeySets &a, const KeySets &b) {
    return KeySets{unite(a.may, b.may, Side::May), unite(a.must, b.must, Side::Must)};
  };
  if (choice.kind == Atom::Kind::Select) {
    KeySets first = solveWith(choice.operands[0]), second = solveWith(choice.operands[1]);
    KeySets yes = both(solve(choice.condition), first), no = both(solve(expressions.negation(choice.condition)), second);
    // Rows that choose differently still agree on what both choices show.
    KeySets result{unite(yes.may, no.may, Side::May), intersect(first.must, second.must, Side::Must)};
    result.must = unite(unite(result.must, yes.must, Side::Must), no.must, Side::Must);
    return result;
  }
  bool isEither = (choice.kind == Atom::Kind::Min) == (coefficient > 0);
  KeySets result = solveWith(choice.operands[0]);
  for (const Linear &operand : ArrayRef(choice.operands).drop_front())
    result = isEither ? either(result, solveWith(operand)) : both(result, solveWith(operand));
  return result;
}

/// Where the atom's own bounds decide: the sum at its least for may, at its greatest for must.
KeySets MaskSolver::solveByRange(const Linear &sum, const Atom &atom, int64_t coefficient) {
  auto promised = expressions.promisedRange(atom);
  if (!promised)
    return unsolved(atom.value);
  auto &[lo, hi] = *promised;
  Linear least = substitute(expressions, sum, atom, coefficient, coefficient > 0 ? lo : hi);
  Linear greatest = substitute(expressions, sum, atom, coefficient, coefficient > 0 ? hi : lo);
  KeySets result{solveSum(least).may, solveSum(greatest).must};
  if (atom.value && !llvm::is_contained(open, atom.value))
    open.push_back(atom.value);
  return result;
}

/// atom ≤ limit or atom ≥ limit, the limit free of the key: one monotone step inverted.
KeySets MaskSolver::solveAtom(const Atom &atom, const Linear &limit, bool atMost) {
  auto solveOperand = [&](const Linear &operand, const Linear &end) { // operand ≤ end, or ≥
    Linear difference = expressions.add(operand, end, -1);
    return solveSum(atMost ? difference : expressions.scale(difference, -1));
  };
  switch (atom.kind) {
  case Atom::Kind::Key:
    return atMost ? keyAtMost(limit) : keyAtLeast(limit);
  case Atom::Kind::FloorDiv: {
    // x // c ≤ B  ⇔  x ≤ c·B + c - 1;  x // c ≥ B  ⇔  x ≥ c·B
    const Linear &divisor = atom.operands[1];
    Linear end = expressions.product(divisor, limit);
    if (atMost)
      end = expressions.add(expressions.add(end, divisor), Expressions::number(-1));
    return solveOperand(atom.operands[0], end);
  }
  case Atom::Kind::Product: {
    // c·x ≤ B  ⇔  x ≤ ⌊B / c⌋;  c·x ≥ B  ⇔  x ≥ ⌈B / c⌉, for uniform c ≥ 1
    const Linear &factor = atom.operands[0];
    if (!expressions.provablyPositive(factor))
      break;
    Linear end = atMost ? expressions.floorDiv(limit, factor)
                        : expressions.scale(expressions.floorDiv(expressions.scale(limit, -1), factor), -1);
    return solveOperand(atom.operands[1], end);
  }
  case Atom::Kind::Load: {
    // t[x] ≤ B  ⇔  x < lower_bound(t, B + 1);  t[x] ≥ B  ⇔  x ≥ lower_bound(t, B), for ascending t
    auto type = cast<ir::AttnTensorType>(atom.value.getDefiningOp<ir::LoadOp>().getTensor().getType());
    ArrayRef<Linear> leading = ArrayRef(atom.operands).drop_back();
    if (!type.getAscending() || !llvm::all_of(leading, [](const Linear &index) { return index.isUniform(); }))
      break;
    Linear bound = atMost ? expressions.add(limit, Expressions::number(1)) : limit;
    Linear position = expressions.lowerBound(atom.value, leading, bound);
    if (atMost)
      position = expressions.add(position, Expressions::number(-1));
    return solveOperand(atom.operands.back(), position);
  }
  default:
    break;
  }
  Linear self;
  self.terms.emplace_back(&atom, 1);
  Linear difference = expressions.add(self, limit, -1);
  return atMost ? solveByRange(difference, atom, 1)
                : solveByRange(expressions.scale(difference, -1), atom, -1);
}

/// sum ≤ 0.
KeySets MaskSolver::solveSum(const Linear &sum) {
  llvm::SaveAndRestore deeper(depth, depth + 1);
  if (++steps > kMaxSteps || depth > kMaxDepth || expressions.hasOverflowed())
    return unsolved({});
  const Atom *only = nullptr;
  int64_t coefficient = 0;
  unsigned keyAtoms = 0;
  for (auto [atom, own] : sum.terms) {
    bool isChoice = atom->kind == Atom::Kind::Min || atom->kind == Atom::Kind::Max || atom->kind == Atom::Kind::Select;
    if (isChoice && (atom->onKey || (atom->kind == Atom::Kind::Select && atom->onRow)))
      return solveChoice(sum, *atom, own);
    if (!atom->onKey)
      continue;
    ++keyAtoms;
    // Of several atoms that hold the key one whose values are bounded goes first.
    if (!only || expressions.promisedRange(*atom)) {
      only = atom;
      coefficient = own;
    }
  }
  if (keyAtoms == 0)
    return keyFree(sum);
  if (keyAtoms > 1)
    return solveByRange(sum, *only, coefficient);
  // c·atom + rest ≤ 0  ⇔  atom ≤ ⌊-rest / c⌋, or atom ≥ ⌈rest / |c|⌉
  Linear self;
  self.terms.emplace_back(only, 1);
  Linear rest = expressions.add(sum, self, -coefficient);
  if (coefficient > 0)
    return solveAtom(*only, expressions.floorDiv(expressions.scale(rest, -1), Expressions::number(coefficient)), true);
  Linear limit = expressions.scale(
      expressions.floorDiv(expressions.scale(rest, -1), Expressions::number(-coefficient)), -1);
  return solveAtom(*only, limit, false);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// The parts of a conjunction, each once.
static SmallVector<const Predicate *> flatten(const Predicate *predicate) {
  SmallVector<const Predicate *> open{predicate}, parts;
  llvm::SmallPtrSet<const Predicate *, 8> seen;
  while (!open.empty()) {
    const Predicate *next = open.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    if (next->kind == Predicate::Kind::And)
      llvm::append_range(open, llvm::reverse(next->operands));
    else
      parts.push_back(next);
  }
  return parts;
}

/// Of (c and x) or (not c and y), `if c then x else y`: x and y, which is seen whichever way a row chooses. Else null.
static const Predicate *commonToBranches(Expressions &expressions, const Predicate *either) {
  SmallVector<const Predicate *> a = flatten(either->operands[0]), b = flatten(either->operands[1]);
  for (const Predicate *&yes : a) {
    auto no = llvm::find(b, expressions.negation(yes));
    if (no == b.end())
      continue;
    yes = *no = expressions.always();
    const Predicate *result = expressions.always();
    for (const Predicate *part : llvm::concat<const Predicate *>(a, b))
      result = expressions.conjunction(result, part);
    return result;
  }
  return nullptr;
}

KeySets MaskSolver::solve(const Predicate *mask) {
  if (auto found = solved.find(mask); found != solved.end())
    return found->second;
  KeySets sets = compute(mask);
  return solved[mask] = sets;
}

KeySets MaskSolver::compute(const Predicate *mask) {
  if (expressions.hasOverflowed())
    return unsolved({});
  switch (mask->kind) {
  case Predicate::Kind::False:
    return {};
  case Predicate::Kind::True:
    return {allKeys(), allKeys()};
  case Predicate::Kind::And: {
    KeySets a = solve(mask->operands[0]), b = solve(mask->operands[1]);
    return {intersect(a.may, b.may, Side::May), intersect(a.must, b.must, Side::Must)};
  }
  case Predicate::Kind::Or: {
    KeySets a = solve(mask->operands[0]), b = solve(mask->operands[1]);
    KeySet must = unite(a.must, b.must, Side::Must);
    if (const Predicate *agreed = commonToBranches(expressions, mask))
      must = unite(solve(agreed).must, must, Side::Must);
    return {unite(a.may, b.may, Side::May), must};
  }
  case Predicate::Kind::NonPositive:
    return solveSum(mask->linear);
  case Predicate::Kind::Opaque:
    if (mask->isUniform())
      return {guarded(mask), guarded(mask)};
    return unsolved(mask->value);
  }
  llvm_unreachable("all kinds are handled");
}

} // namespace attn::mask
