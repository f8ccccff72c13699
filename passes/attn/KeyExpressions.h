// Integers and conditions of a mask as the mask analysis sees them: exact linear forms over atoms, so that positions
// cancel before rows are quantified (`q_pos - kv_pos` loses `q_len`, `kv_len` where both have them).
//
// Expressions depend on the key (kv_idx), on the row (q_idx), on both, or on neither (*uniform*: sizes, heads, scalar
// arguments, the tile's first and last row). They are interned: equal expressions are equal as values.
#pragma once

#include "ir/attn/AttnDialect.h"

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace attn::mask {

struct Atom;
struct Predicate;

/// Larger extents are refused at launch; below it, sums of a few extents and positions fit i32.
inline constexpr std::int64_t kMaxExtent = std::int64_t{1} << 29;

/// constant + Σ coefficient · atom, over ℤ.
struct Linear {
  std::int64_t constant = 0;
  llvm::SmallVector<std::pair<const Atom *, std::int64_t>, 4> terms;   ///< by atom number, no zero coefficients

  bool isConstant() const { return terms.empty(); }
  /// The atom, if this is one and nothing else.
  const Atom *asAtom() const;
  bool onRow() const;
  bool onKey() const;
  bool isUniform() const { return !onRow() && !onKey(); }
  friend bool operator==(const Linear &a, const Linear &b) { return a.constant == b.constant && a.terms == b.terms; }
};

/// What is not a sum.
struct Atom {
  enum class Kind : std::uint8_t {
    Row,          ///< q_idx
    Key,          ///< kv_idx
    First, Last,  ///< the tile's first and last q_idx, both of rows that there are
    Extent,       ///< size `name`
    Symbol,       ///< `value`, uniform: head, argument, or any op on such
    FloorDiv,     ///< operand 0 // operand 1, the divisor uniform and at least 1
    Mod,          ///< operand 0 % operand 1, likewise
    Product,      ///< operand 0 (uniform) · operand 1
    Min, Max,     ///< of two operands or more
    Select,       ///< `condition` ? operand 0 : operand 1
    Load,         ///< element `operands` of the tensor that `value` loads from
    LowerBound,   ///< operands: indices, then the bound; in the last dimension of the tensor that `value` loads from
    Unknown,      ///< depends on row or key in a way that is not followed
  };
  unsigned number = 0;
  Kind kind = Kind::Unknown;
  mlir::Value value = {};
  std::string name = {};
  llvm::SmallVector<Linear, 2> operands = {};
  const Predicate *condition = nullptr;
  bool onRow = false, onKey = false;
};

/// A condition in negation normal form.
struct Predicate {
  enum class Kind : std::uint8_t { False, True, And, Or, NonPositive, Opaque };
  Kind kind = Kind::True;
  llvm::SmallVector<const Predicate *, 2> operands = {};   ///< of And, Or
  Linear linear = {};                                 ///< NonPositive: linear ≤ 0
  mlir::Value value = {};                             ///< Opaque: an i1
  bool negated = false;                               ///< Opaque: of `value`
  bool onRow = false, onKey = false;
  bool isUniform() const { return !onRow && !onKey; }
};

/// Values a linear form may take, both ends included, saturated far outside of i32.
struct NumberRange {
  std::int64_t lo, hi;
};

/// Makes and owns expressions.
class Expressions {
public:
  /// `op` is the attention whose regions are read.
  explicit Expressions(mlir::Operation *op) : attention(op) {}

  // From the IR; `value` is an i32 or an i1 of a region, or captured by one.
  Linear linearOf(mlir::Value value);
  const Predicate *predicateOf(mlir::Value value, bool negated = false);
  /// A size as an expression; nothing if it uses what has no place here.
  std::optional<Linear> linearOf(const SizeExpr &size);
  /// `attn.in` of the tensor or argument an atom reads, or what its type says.
  std::optional<std::pair<Linear, Linear>> promisedRange(const Atom &atom);

  // Linear forms.
  static Linear number(std::int64_t value);
  Linear add(const Linear &a, const Linear &b, std::int64_t factor = 1);
  Linear scale(const Linear &a, std::int64_t factor);
  Linear first(), last(), key(), extent(llvm::StringRef name);
  /// ⌊a / c⌋ for uniform c ≥ 1.
  Linear floorDiv(const Linear &a, const Linear &divisor);
  Linear mod(const Linear &a, const Linear &divisor);
  Linear product(const Linear &uniform, const Linear &other);
  Linear minimum(const Linear &a, const Linear &b);
  Linear maximum(const Linear &a, const Linear &b);
  Linear select(const Predicate *condition, const Linear &yes, const Linear &no);
  Linear load(mlir::Value like, llvm::ArrayRef<Linear> indices);
  Linear lowerBound(mlir::Value like, llvm::ArrayRef<Linear> indices, const Linear &bound);

  // Conditions.
  const Predicate *always();
  const Predicate *never();
  const Predicate *nonPositive(const Linear &value);
  const Predicate *conjunction(const Predicate *a, const Predicate *b);
  const Predicate *disjunction(const Predicate *a, const Predicate *b);
  const Predicate *negation(const Predicate *predicate);

  NumberRange rangeOf(const Linear &value);
  bool provablyNonPositive(const Linear &value);
  bool provablyPositive(const Linear &value) { return rangeOf(value).lo >= 1; }
  /// Whether a coefficient left 64 bits, or expressions grew beyond all use: nothing made since then means anything.
  bool hasOverflowed() const { return overflowed; }

private:
  Linear atom(Atom &&atom);
  Linear symbol(mlir::Value value);
  Linear unknown(mlir::Value value);
  Linear computeLinear(mlir::Value value);
  Linear readLeaf(mlir::Operation *op);
  Linear readBits(mlir::Operation *op, const Linear &a, const Linear &b);
  Linear readDivision(mlir::Operation *op, const Linear &a, const Linear &b);
  Linear remainderOrDifference(mlir::Value lhs, mlir::Value rhs);
  Linear extremum(Atom::Kind kind, const Linear &a, const Linear &b);
  /// max(yes, no) or min(yes, no), where that is what choosing by `condition` comes to.
  std::optional<Linear> asExtremum(const Predicate *condition, const Linear &yes, const Linear &no);
  const Predicate *compare(mlir::Operation *op, bool negated);
  const Predicate *opaque(mlir::Value value, bool negated);
  const Predicate *intern(Predicate &&predicate);
  const Predicate *join(Predicate::Kind kind, const Predicate *a, const Predicate *b);
  void findDependence(mlir::Value value, bool &onRow, bool &onKey);
  NumberRange rangeOf(const Atom &atom);
  NumberRange computeRange(const Atom &atom);
  const Predicate *computeNegation(const Predicate *predicate);
  const Predicate *computePredicate(mlir::Value value, bool negated);
  NumberRange symbolRange(mlir::Value value);

  mlir::Operation *attention;
  std::deque<Atom> atoms;
  std::deque<Predicate> predicates;
  std::map<std::string, const Atom *> atomByKey;
  std::map<std::string, const Predicate *> predicateByKey;
  // What is known of values, atoms and conditions: several ways may lead to one.
  std::map<const void *, Linear> linearByValue;
  std::map<std::pair<const void *, bool>, const Predicate *> predicateByValue;
  std::map<const Atom *, NumberRange> ranges;
  std::map<const Predicate *, const Predicate *> negations;
  unsigned comparisons = 0;
  bool overflowed = false;
};

} // namespace attn::mask
