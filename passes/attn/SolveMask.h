// Which keys a tile of query rows may see, and which all its rows surely see: the mask solved for the key.
//
// The rows of a tile are q_idx ∈ [first, last] of one head. A condition m becomes a pair of key sets,
//     may ⊇ {k : some row sees k}      must ⊆ {k : every row sees k},
// each a union of at most four intervals whose ends are uniform expressions. No block size appears, so the result holds
// for every schedule. By induction over the condition: `and` intersects, `or` unites both sets (negation has been pushed
// to the leaves); a comparison is solved for k by inverting monotone steps, exact on ℤ; only then rows are quantified,
// by the bounds of what is left over [first, last]. What is not solved has may = all keys, must = none.
#pragma once

#include "passes/attn/KeyExpressions.h"

namespace attn::mask {

/// Keys lo ≤ k < hi where `guard` (uniform) holds, none elsewhere.
struct Interval {
  Linear lo, hi;
  const Predicate *guard;
};
using KeySet = llvm::SmallVector<Interval, 4>;

struct KeySets {
  KeySet may, must;
};

class MaskSolver {
public:
  explicit MaskSolver(Expressions &expressions) : expressions(expressions) {}

  KeySets solve(const Predicate *mask);
  KeySet allKeys();
  /// Conditions and loads that were left open, for a remark.
  llvm::ArrayRef<mlir::Value> openValues() const { return open; }

private:
  enum class Bound : bool { Lower, Upper };
  /// Which set intervals are in: may takes more where it must give up, must takes less.
  enum class Side : bool { May, Must };

  KeySets compute(const Predicate *mask);
  KeySets solveSum(const Linear &sum);
  KeySets solveChoice(const Linear &sum, const Atom &choice, std::int64_t coefficient);
  KeySets solveAtom(const Atom &atom, const Linear &limit, bool atMost);
  KeySets solveByRange(const Linear &sum, const Atom &atom, std::int64_t coefficient);
  KeySets keyFree(const Linear &sum);
  KeySets keyAtMost(const Linear &limit);
  KeySets keyAtLeast(const Linear &limit);
  KeySets unsolved(mlir::Value because);

  /// The least or greatest value over the rows of the tile.
  std::optional<Linear> bound(const Linear &value, Bound which);
  std::optional<Linear> bound(const Atom &atom, Bound which);
  std::optional<Linear> computeBound(const Atom &atom, Bound which);

  KeySet guarded(const Predicate *guard);
  KeySet intersect(const KeySet &a, const KeySet &b, Side side);
  KeySet unite(const KeySet &a, const KeySet &b, Side side);
  KeySet limited(KeySet set, Side side);
  void insert(KeySet &set, Interval interval);
  bool isContained(const Interval &inner, const Interval &outer);

  Expressions &expressions;
  std::map<const Predicate *, KeySets> solved;
  std::map<std::pair<const Atom *, Bound>, std::optional<Linear>> bounds;
  llvm::SmallVector<mlir::Value> open;
  unsigned steps = 0, depth = 0;
};

} // namespace attn::mask
