// Linear forms, atoms and conditions: construction with folding, and interning. How they are read from the IR is in
// ReadMask.cpp, the values they may take in ExpressionRanges.cpp.
#include "passes/attn/KeyExpressions.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstdlib>

using namespace mlir;

namespace attn::mask {

static constexpr unsigned kMaxComparisons = 1 << 16;   // of operands of min and max; a mask needs some hundred

//===----------------------------------------------------------------------===//
// Properties
//===----------------------------------------------------------------------===//

const Atom *Linear::asAtom() const {
  return constant == 0 && terms.size() == 1 && terms.front().second == 1 ? terms.front().first : nullptr;
}
bool Linear::onRow() const {
  return llvm::any_of(terms, [](const auto &term) { return term.first->onRow; });
}
bool Linear::onKey() const {
  return llvm::any_of(terms, [](const auto &term) { return term.first->onKey; });
}

/// A text that is equal for equal forms.
static std::string keyOf(const Linear &value) {
  std::string key = std::to_string(value.constant);
  for (auto [atom, coefficient] : value.terms)
    key += "+" + std::to_string(coefficient) + "*" + std::to_string(atom->number);
  return key;
}

//===----------------------------------------------------------------------===//
// Interning
//===----------------------------------------------------------------------===//

Linear Expressions::atom(Atom &&atom) {
  std::string key = std::to_string(static_cast<int>(atom.kind)) + ":" + atom.name;
  // A tensor's elements are the same whichever load reads them, a head whichever op names it.
  const void *identity = atom.name.empty() ? atom.value.getAsOpaquePointer() : nullptr;
  if (atom.kind == Atom::Kind::Load || atom.kind == Atom::Kind::LowerBound)
    identity = atom.value.getDefiningOp<ir::LoadOp>().getTensor().getAsOpaquePointer();
  key += ":" + std::to_string(reinterpret_cast<uintptr_t>(identity)) + ":" +
         std::to_string(reinterpret_cast<uintptr_t>(atom.condition));
  for (const Linear &operand : atom.operands)
    key += "," + keyOf(operand);
  auto [entry, isNew] = atomByKey.try_emplace(key, nullptr);
  if (isNew) {
    atom.number = atoms.size();
    for (const Linear &operand : atom.operands) {
      atom.onRow |= operand.onRow();
      atom.onKey |= operand.onKey();
    }
    if (atom.condition) {
      atom.onRow |= atom.condition->onRow;
      atom.onKey |= atom.condition->onKey;
    }
    atoms.push_back(std::move(atom));
    entry->second = &atoms.back();
  }
  Linear result;
  result.terms.emplace_back(entry->second, 1);
  return result;
}

const Predicate *Expressions::intern(Predicate &&predicate) {
  std::string key = std::to_string(static_cast<int>(predicate.kind)) + ":" +
                    std::to_string(reinterpret_cast<uintptr_t>(predicate.value.getAsOpaquePointer())) +
                    (predicate.negated ? "!" : "") + keyOf(predicate.linear);
  for (const Predicate *operand : predicate.operands)
    key += "," + std::to_string(reinterpret_cast<uintptr_t>(operand));
  auto [entry, isNew] = predicateByKey.try_emplace(key, nullptr);
  if (isNew) {
    predicate.onRow |= predicate.linear.onRow();
    predicate.onKey |= predicate.linear.onKey();
    for (const Predicate *operand : predicate.operands) {
      predicate.onRow |= operand->onRow;
      predicate.onKey |= operand->onKey;
    }
    predicates.push_back(std::move(predicate));
    entry->second = &predicates.back();
  }
  return entry->second;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

Linear Expressions::number(int64_t value) {
  Linear result;
  result.constant = value;
  return result;
}

Linear Expressions::add(const Linear &a, const Linear &b, int64_t factor) {
  auto fused = [&](int64_t x, int64_t y) {
    int64_t result = 0;
    overflowed |= __builtin_mul_overflow(y, factor, &result) || __builtin_add_overflow(x, result, &result);
    return result;
  };
  Linear result;
  result.constant = fused(a.constant, b.constant);
  auto left = a.terms.begin(), right = b.terms.begin();
  while (left != a.terms.end() || right != b.terms.end()) {
    if (right == b.terms.end() || (left != a.terms.end() && left->first->number < right->first->number)) {
      result.terms.push_back(*left++);
    } else if (left == a.terms.end() || right->first->number < left->first->number) {
      if (int64_t coefficient = fused(0, right->second))
        result.terms.emplace_back(right->first, coefficient);
      ++right;
    } else {
      if (int64_t coefficient = fused(left->second, right->second))
        result.terms.emplace_back(left->first, coefficient);
      ++left, ++right;
    }
  }
  return result;
}

Linear Expressions::scale(const Linear &a, int64_t factor) { return add(number(0), a, factor); }

Linear Expressions::first() { return atom({.kind = Atom::Kind::First}); }
Linear Expressions::last() { return atom({.kind = Atom::Kind::Last}); }
Linear Expressions::key() { return atom({.kind = Atom::Kind::Key, .onKey = true}); }
Linear Expressions::extent(StringRef name) { return atom({.kind = Atom::Kind::Extent, .name = name.str()}); }

//===----------------------------------------------------------------------===//
// Division, products
//===----------------------------------------------------------------------===//

Linear Expressions::floorDiv(const Linear &a, const Linear &divisor) {
  if (divisor.isConstant()) {
    int64_t by = divisor.constant;
    if (by == 1)
      return a;
    // Multiples of the divisor leave the quotient exactly.
    Linear whole, rest;
    for (auto [atom, coefficient] : a.terms)
      (coefficient % by == 0 ? whole : rest).terms.emplace_back(atom, coefficient % by == 0 ? coefficient / by : coefficient);
    whole.constant = llvm::divideFloorSigned(a.constant, by);
    rest.constant = a.constant - whole.constant * by;
    if (rest.terms.empty())
      return whole;
    if (const Atom *inner = rest.asAtom(); inner && inner->kind == Atom::Kind::FloorDiv && inner->operands[1].isConstant())
      return add(whole, floorDiv(inner->operands[0], scale(inner->operands[1], by)));
    return add(whole, atom({.kind = Atom::Kind::FloorDiv, .operands = {rest, divisor}}));
  }
  return atom({.kind = Atom::Kind::FloorDiv, .operands = {a, divisor}});
}

Linear Expressions::mod(const Linear &a, const Linear &divisor) {
  if (divisor.isConstant() && a.isConstant())
    return number(a.constant - divisor.constant * llvm::divideFloorSigned(a.constant, divisor.constant));
  if (divisor.isConstant() && divisor.constant == 1)
    return number(0);
  return atom({.kind = Atom::Kind::Mod, .operands = {a, divisor}});
}

Linear Expressions::product(const Linear &uniform, const Linear &other) {
  if (uniform.isConstant())
    return scale(other, uniform.constant);
  if (other.isConstant())
    return scale(uniform, other.constant);
  return atom({.kind = Atom::Kind::Product, .operands = {uniform, other}});
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

/// Drops what another operand surely beats; flattens.
Linear Expressions::extremum(Atom::Kind kind, const Linear &a, const Linear &b) {
  SmallVector<Linear, 4> operands;
  auto beats = [&](const Linear &x, const Linear &y) { // x is the extremum of both
    overflowed |= ++comparisons > kMaxComparisons;
    return kind == Atom::Kind::Min ? provablyNonPositive(add(x, y, -1)) : provablyNonPositive(add(y, x, -1));
  };
  auto insert = [&](const Linear &value) {
    if (llvm::any_of(operands, [&](const Linear &other) { return beats(other, value); }))
      return;
    llvm::erase_if(operands, [&](const Linear &other) { return beats(value, other); });
    operands.push_back(value);
  };
  for (const Linear &value : {a, b}) {
    const Atom *inner = value.asAtom();
    if (inner && inner->kind == kind)
      llvm::for_each(inner->operands, insert);
    else
      insert(value);
  }
  if (operands.size() == 1)
    return operands.front();
  llvm::sort(operands, [](const Linear &x, const Linear &y) { return keyOf(x) < keyOf(y); });
  return atom({.kind = kind, .operands = {operands.begin(), operands.end()}});
}

Linear Expressions::minimum(const Linear &a, const Linear &b) { return extremum(Atom::Kind::Min, a, b); }
Linear Expressions::maximum(const Linear &a, const Linear &b) { return extremum(Atom::Kind::Max, a, b); }

/// With `condition` L ≤ 0 (so otherwise L ≥ 1) and yes - no = e - s·L for constants s > 0 and 0 ≤ e ≤ s, `yes` is chosen
/// where it is not the smaller; with yes - no = s·L - e where it is not the greater.
std::optional<Linear> Expressions::asExtremum(const Predicate *condition, const Linear &yes, const Linear &no) {
  if (condition->kind != Predicate::Kind::NonPositive || condition->linear.isConstant())
    return std::nullopt;
  auto [atom, unit] = condition->linear.terms.front();
  Linear difference = add(yes, no, -1);
  auto term = llvm::find_if(difference.terms, [&](const auto &other) { return other.first == atom; });
  if (term == difference.terms.end() || term->second % unit != 0)
    return std::nullopt;
  int64_t factor = term->second / unit;
  Linear rest = add(difference, condition->linear, -factor);
  if (!rest.isConstant())
    return std::nullopt;
  int64_t excess = factor < 0 ? rest.constant : -rest.constant;
  if (excess < 0 || excess > std::abs(factor))
    return std::nullopt;
  return factor < 0 ? maximum(yes, no) : minimum(yes, no);
}

Linear Expressions::select(const Predicate *condition, const Linear &yes, const Linear &no) {
  if (condition->kind == Predicate::Kind::True || yes == no)
    return yes;
  if (condition->kind == Predicate::Kind::False)
    return no;
  if (std::optional<Linear> extremum = asExtremum(condition, yes, no))
    return *extremum;
  return atom({.kind = Atom::Kind::Select, .operands = {yes, no}, .condition = condition});
}

Linear Expressions::load(Value like, ArrayRef<Linear> indices) {
  return atom({.kind = Atom::Kind::Load, .value = like, .operands = {indices.begin(), indices.end()}});
}

Linear Expressions::lowerBound(Value like, ArrayRef<Linear> indices, const Linear &bound) {
  Atom result{.kind = Atom::Kind::LowerBound, .value = like, .operands = {indices.begin(), indices.end()}};
  result.operands.push_back(bound);
  return atom(std::move(result));
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

const Predicate *Expressions::always() { return intern({.kind = Predicate::Kind::True}); }
const Predicate *Expressions::never() { return intern({.kind = Predicate::Kind::False}); }

const Predicate *Expressions::nonPositive(const Linear &value) {
  if (provablyNonPositive(value))
    return always();
  if (provablyPositive(value))
    return never();
  return intern({.kind = Predicate::Kind::NonPositive, .linear = value});
}

const Predicate *Expressions::join(Predicate::Kind kind, const Predicate *a, const Predicate *b) {
  bool isAnd = kind == Predicate::Kind::And;
  const Predicate *neutral = isAnd ? always() : never(), *absorbing = isAnd ? never() : always();
  if (a == absorbing || b == absorbing)
    return absorbing;
  if (a == neutral || a == b)
    return b;
  if (b == neutral)
    return a;
  return intern({.kind = kind, .operands = {a, b}});
}

const Predicate *Expressions::conjunction(const Predicate *a, const Predicate *b) {
  return join(Predicate::Kind::And, a, b);
}
const Predicate *Expressions::disjunction(const Predicate *a, const Predicate *b) {
  return join(Predicate::Kind::Or, a, b);
}

const Predicate *Expressions::opaque(Value value, bool negated) {
  Predicate result{.kind = Predicate::Kind::Opaque, .value = value, .negated = negated};
  findDependence(value, result.onRow, result.onKey);
  return intern(std::move(result));
}

const Predicate *Expressions::negation(const Predicate *predicate) {
  if (auto found = negations.find(predicate); found != negations.end())
    return found->second;
  const Predicate *result = computeNegation(predicate);
  return negations[predicate] = result;
}

const Predicate *Expressions::computeNegation(const Predicate *predicate) {
  switch (predicate->kind) {
  case Predicate::Kind::False:
    return always();
  case Predicate::Kind::True:
    return never();
  case Predicate::Kind::And:
    return disjunction(negation(predicate->operands[0]), negation(predicate->operands[1]));
  case Predicate::Kind::Or:
    return conjunction(negation(predicate->operands[0]), negation(predicate->operands[1]));
  case Predicate::Kind::NonPositive: // not (x ≤ 0)  ⇔  1 - x ≤ 0
    return nonPositive(add(number(1), predicate->linear, -1));
  case Predicate::Kind::Opaque:
    return opaque(predicate->value, !predicate->negated);
  }
  llvm_unreachable("all kinds are handled");
}

} // namespace attn::mask
