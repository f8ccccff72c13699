// The values that expressions of the mask analysis may take, and what follows for their signs.
#include "passes/attn/KeyExpressions.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;

namespace attn::mask {

static constexpr int64_t kInfinity = int64_t{1} << 61;

static int64_t saturate(__int128 value) {
  return static_cast<int64_t>(std::clamp<__int128>(value, -kInfinity, kInfinity));
}

NumberRange Expressions::rangeOf(const Linear &value) {
  __int128 lo = value.constant, hi = value.constant;
  for (auto [atom, coefficient] : value.terms) {
    NumberRange range = rangeOf(*atom);
    lo += static_cast<__int128>(coefficient) * (coefficient > 0 ? range.lo : range.hi);
    hi += static_cast<__int128>(coefficient) * (coefficient > 0 ? range.hi : range.lo);
  }
  return {saturate(lo), saturate(hi)};
}

static NumberRange productRange(NumberRange a, NumberRange b) {
  int64_t corners[] = {saturate(static_cast<__int128>(a.lo) * b.lo), saturate(static_cast<__int128>(a.lo) * b.hi),
                       saturate(static_cast<__int128>(a.hi) * b.lo), saturate(static_cast<__int128>(a.hi) * b.hi)};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
}

NumberRange Expressions::rangeOf(const Atom &atom) {
  if (auto found = ranges.find(&atom); found != ranges.end())
    return found->second;
  NumberRange range = computeRange(atom);
  return ranges.emplace(&atom, range).first->second;
}

NumberRange Expressions::computeRange(const Atom &atom) {
  auto operand = [&](unsigned index) { return rangeOf(atom.operands[index]); };
  switch (atom.kind) {
  case Atom::Kind::Row:
  case Atom::Kind::First:
  case Atom::Kind::Last:
  case Atom::Kind::Key:
    return {0, kMaxExtent - 1};
  case Atom::Kind::Extent:
    return {0, kMaxExtent};
  case Atom::Kind::Symbol:
    return symbolRange(atom.value);
  case Atom::Kind::FloorDiv: {
    NumberRange a = operand(0), b = operand(1);
    int64_t lo = std::max<int64_t>(b.lo, 1), hi = std::max(b.hi, lo);
    return {std::min(llvm::divideFloorSigned(a.lo, lo), llvm::divideFloorSigned(a.lo, hi)),
            std::max(llvm::divideFloorSigned(a.hi, lo), llvm::divideFloorSigned(a.hi, hi))};
  }
  case Atom::Kind::Mod:
    return {0, std::max<int64_t>(operand(1).hi - 1, 0)};
  case Atom::Kind::Product:
    return productRange(operand(0), operand(1));
  case Atom::Kind::Min:
  case Atom::Kind::Max: {
    NumberRange result = operand(0);
    for (unsigned index = 1; index < atom.operands.size(); ++index) {
      NumberRange other = operand(index);
      result = atom.kind == Atom::Kind::Min ? NumberRange{std::min(result.lo, other.lo), std::min(result.hi, other.hi)}
                                            : NumberRange{std::max(result.lo, other.lo), std::max(result.hi, other.hi)};
    }
    return result;
  }
  case Atom::Kind::Select: {
    NumberRange yes = operand(0), no = operand(1);
    return {std::min(yes.lo, no.lo), std::max(yes.hi, no.hi)};
  }
  case Atom::Kind::Load: {
    auto promised = promisedRange(atom);
    NumberRange lo = rangeOf(promised->first), hi = rangeOf(promised->second);
    return {lo.lo, hi.hi};
  }
  case Atom::Kind::LowerBound:
    return {0, kMaxExtent};
  case Atom::Kind::Unknown:
    return {INT32_MIN, INT32_MAX};
  }
  llvm_unreachable("all kinds are handled");
}

bool Expressions::provablyNonPositive(const Linear &value) {
  if (rangeOf(value).hi <= 0)
    return true;
  // first ≤ last ≤ q_len - 1: put the larger for the smaller where that cancels.
  Linear end = add(extent("q_len"), number(-1));
  for (auto [atom, coefficient] : value.terms) {
    bool isFirst = atom->kind == Atom::Kind::First;
    if (coefficient < 0 || (!isFirst && atom->kind != Atom::Kind::Last))
      continue;
    Linear self;
    self.terms.emplace_back(atom, 1);
    if (rangeOf(add(value, add(end, self, -1), coefficient)).hi <= 0 ||
        (isFirst && rangeOf(add(value, add(last(), self, -1), coefficient)).hi <= 0))
      return true;
  }
  return false;
}

} // namespace attn::mask
