// See PeriodicBounds.h. A conjunction with lo ≤ x % c ≤ hi allows x only in [lo + t·c, hi + t·c]. So
//
//   x ≤ B   becomes   x ≤ min(B, hi + t·c)  with  t = ⌊(B - lo) / c⌋
//   x ≥ B   becomes   x ≥ max(B, lo + t·c)  with  t = ⌈(B - hi) / c⌉
//
// exact on ℤ while the remainder's own condition stays in the conjunction; where lo > hi nothing is allowed, before and
// after. A disjunction inside the conjunction is treated under the same remainders.
#include "passes/attn/PeriodicBounds.h"

using namespace mlir;

namespace attn::mask {

namespace {

/// lo ≤ value % divisor ≤ hi, the ends free of the key.
struct Residues {
  const Atom *remainder;
  Linear lo, hi;

  const Linear &value() const { return remainder->operands[0]; }
  const Linear &divisor() const { return remainder->operands[1]; }
};

class BoundTightener {
public:
  explicit BoundTightener(Expressions &expressions) : expressions(expressions) {}

  const Predicate *tighten(const Predicate *predicate);

private:
  void flatten(const Predicate *predicate, SmallVectorImpl<const Predicate *> &parts);
  void addResidues(const Predicate *part);
  const Predicate *tightenBound(const Predicate *bound);
  const Predicate *tightenBound(const Predicate *bound, const Residues &residues);
  Linear ceilDiv(const Linear &a, const Linear &divisor) {
    return expressions.scale(expressions.floorDiv(expressions.scale(a, -1), divisor), -1);
  }

  Expressions &expressions;
  SmallVector<Residues> known;   ///< of all conjunctions around
  unsigned steps = 0;
};

constexpr unsigned kMaxSteps = 4096;   // a condition that several others share is treated under each of them

} // namespace

/// The coefficient of `atom` in `sum`.
static int64_t coefficientOf(const Linear &sum, const Atom *atom) {
  for (auto [other, coefficient] : sum.terms)
    if (other == atom)
      return coefficient;
  return 0;
}

static Linear self(const Atom *atom) {
  Linear result;
  result.terms.emplace_back(atom, 1);
  return result;
}

/// The parts of a conjunction; max(x, y) ≤ B is one of x ≤ B and y ≤ B.
void BoundTightener::flatten(const Predicate *predicate, SmallVectorImpl<const Predicate *> &parts) {
  if (predicate->kind == Predicate::Kind::And) {
    for (const Predicate *operand : predicate->operands)
      flatten(operand, parts);
    return;
  }
  if (predicate->kind == Predicate::Kind::NonPositive)
    for (auto [atom, coefficient] : predicate->linear.terms) {
      if (!atom->onKey || atom->kind != (coefficient > 0 ? Atom::Kind::Max : Atom::Kind::Min))
        continue;
      Linear rest = expressions.add(predicate->linear, self(atom), -coefficient);
      for (const Linear &operand : atom->operands)
        flatten(expressions.nonPositive(expressions.add(rest, operand, coefficient)), parts);
      return;
    }
  parts.push_back(predicate);
}

/// Remembers what `part` says about a remainder, if that is all it says.
void BoundTightener::addResidues(const Predicate *part) {
  if (part->kind != Predicate::Kind::NonPositive)
    return;
  for (auto [atom, coefficient] : part->linear.terms) {
    if (atom->kind != Atom::Kind::Mod || !atom->onKey || (coefficient != 1 && coefficient != -1))
      continue;
    Linear rest = expressions.add(part->linear, self(atom), -coefficient);
    if (rest.onKey())
      return;
    Residues *entry = llvm::find_if(known, [&](const Residues &other) { return other.remainder == atom; });
    if (entry == known.end()) {
      Linear last = expressions.add(atom->operands[1], Expressions::number(-1));
      known.push_back({atom, Expressions::number(0), last});
      entry = &known.back();
    }
    if (coefficient > 0) // x % c + rest ≤ 0
      entry->hi = expressions.minimum(entry->hi, expressions.scale(rest, -1));
    else
      entry->lo = expressions.maximum(entry->lo, rest);
    return;
  }
}

/// `bound` under one remainder; itself where it does not bound the same value.
const Predicate *BoundTightener::tightenBound(const Predicate *bound, const Residues &residues) {
  const Linear &value = residues.value(), &divisor = residues.divisor();
  const Atom *shared = nullptr;
  for (auto [atom, coefficient] : value.terms)
    if (atom->onKey)
      shared = atom;
  int64_t own = coefficientOf(value, shared), theirs = coefficientOf(bound->linear, shared);
  if (own == 0 || theirs == 0 || theirs % own != 0)
    return bound;
  int64_t factor = theirs / own; // factor·value + rest ≤ 0
  Linear rest = expressions.add(bound->linear, value, -factor);
  if (rest.onKey())
    return bound;
  if (factor > 0) {
    Linear limit = expressions.floorDiv(expressions.scale(rest, -1), Expressions::number(factor));
    Linear period = expressions.floorDiv(expressions.add(limit, residues.lo, -1), divisor);
    Linear reached = expressions.add(expressions.product(divisor, period), residues.hi);
    // With one residue the second is never above the first, which range analysis does not see.
    Linear tight = residues.lo == residues.hi ? reached : expressions.minimum(limit, reached);
    return expressions.nonPositive(expressions.add(value, tight, -1));
  }
  Linear limit = ceilDiv(rest, Expressions::number(-factor));
  Linear period = ceilDiv(expressions.add(limit, residues.hi, -1), divisor);
  Linear reached = expressions.add(expressions.product(divisor, period), residues.lo);
  Linear tight = residues.lo == residues.hi ? reached : expressions.maximum(limit, reached);
  return expressions.nonPositive(expressions.add(tight, value, -1));
}

const Predicate *BoundTightener::tightenBound(const Predicate *bound) {
  for (const Residues &residues : known)
    bound = bound->kind == Predicate::Kind::NonPositive ? tightenBound(bound, residues) : bound;
  return bound;
}

const Predicate *BoundTightener::tighten(const Predicate *predicate) {
  if (++steps > kMaxSteps)
    return predicate;
  if (predicate->kind == Predicate::Kind::Or)
    return expressions.disjunction(tighten(predicate->operands[0]), tighten(predicate->operands[1]));
  SmallVector<const Predicate *> parts;
  flatten(predicate, parts);
  SmallVector<Residues> saved(known);
  llvm::for_each(parts, [&](const Predicate *part) { addResidues(part); });
  const Predicate *result = expressions.always();
  for (const Predicate *part : parts) {
    const Predicate *tight = part->kind == Predicate::Kind::Or ? tighten(part) : tightenBound(part);
    result = expressions.conjunction(result, tight);
  }
  known = std::move(saved);
  return result;
}

const Predicate *tightenBounds(Expressions &expressions, const Predicate *mask) {
  return BoundTightener(expressions).tighten(mask);
}

} // namespace attn::mask
