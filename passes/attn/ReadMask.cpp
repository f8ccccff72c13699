// Reads integers and conditions of a region into the expressions of the mask analysis. What has no form there becomes
// Unknown, or a Symbol or opaque condition where it is uniform: less is skipped then, never too much.
#include "passes/IndexUses.h"
#include "passes/attn/KeyExpressions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace attn::mask {

//===----------------------------------------------------------------------===//
// What a value depends on, and what is promised of it
//===----------------------------------------------------------------------===//

void Expressions::findDependence(Value value, bool &onRow, bool &onKey) {
  findBehind(value, [&](Value behind) {
    Operation *op = behind.getDefiningOp();
    if (auto argument = dyn_cast<BlockArgument>(behind)) {
      // Features, weights and value rows have no place in a mask; what else is captured is uniform.
      if (attention->isAncestor(argument.getOwner()->getParentOp()))
        onRow = onKey = true;
      return WalkBehind::Skip;
    }
    if (!attention->isProperAncestor(op))
      return WalkBehind::Skip;
    if (auto index = dyn_cast<ir::IndexOp>(op)) {
      onRow |= index.getKind() == ir::IndexKind::q_idx;
      onKey |= index.getKind() == ir::IndexKind::kv_idx;
    }
    if (!isPure(op) || isa<ir::RandomOp, ir::SuffixSumOp>(op) || op->getNumRegions() != 0)
      onRow = onKey = true;
    return onRow && onKey ? WalkBehind::Found : WalkBehind::Descend;
  });
}

/// Whether there is a key head for each query head.
static bool hasOwnKeyHeads(Operation *op) {
  auto attention = dyn_cast<ir::AttentionOp>(op);
  if (!attention)
    return false;
  ir::AttnTensorType query = attention.getQueryType(), key = attention.getKeyType();
  auto queryHeads = query.getConstantSize(query.getRank() - 2), keyHeads = key.getConstantSize(key.getRank() - 2);
  return queryHeads && queryHeads == keyHeads;
}

/// Attributes of a plan's argument; null if `value` is none.
static DictionaryAttr argumentAttributes(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return {};
  auto plan = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return plan ? plan.getArgAttrDict(argument.getArgNumber()) : DictionaryAttr();
}

static std::optional<std::pair<SizeExpr, SizeExpr>> promiseOf(Value value) {
  DictionaryAttr attributes = argumentAttributes(value);
  auto bounds = attributes ? attributes.getAs<ArrayAttr>(ir::AttnDialect::kIn) : ArrayAttr();
  if (!bounds)
    return std::nullopt;
  auto parse = [&](unsigned index) { return SizeExpr::parse(cast<StringAttr>(bounds[index]).getValue()); };
  auto lo = parse(0), hi = parse(1);
  return lo && hi ? std::optional(std::pair(*lo, *hi)) : std::nullopt;
}

std::optional<Linear> Expressions::linearOf(const SizeExpr &size) {
  using Kind = SizeExpr::Kind;
  if (size.kind() == Kind::Number)
    return number(*size.constant());
  if (size.kind() == Kind::Name)
    return extent(StringRef(*size.asName()));
  std::optional<Linear> a = linearOf(size.lhs());
  if (!a)
    return std::nullopt;
  if (size.kind() == Kind::Neg)
    return scale(*a, -1);
  std::optional<Linear> b = linearOf(size.rhs());
  if (!b)
    return std::nullopt;
  switch (size.kind()) {
  case Kind::Add:
    return add(*a, *b);
  case Kind::Sub:
    return add(*a, *b, -1);
  case Kind::Mul:
    return product(*a, *b);
  case Kind::Min:
    return minimum(*a, *b);
  case Kind::Max:
    return maximum(*a, *b);
  case Kind::FloorDiv:
    return provablyPositive(*b) ? std::optional(floorDiv(*a, *b)) : std::nullopt;
  case Kind::Mod:
    return provablyPositive(*b) ? std::optional(mod(*a, *b)) : std::nullopt;
  case Kind::CeilDiv:
    return provablyPositive(*b) ? std::optional(scale(floorDiv(scale(*a, -1), *b), -1)) : std::nullopt;
  default:
    return std::nullopt;
  }
}

std::optional<std::pair<Linear, Linear>> Expressions::promisedRange(const Atom &atom) {
  if (atom.kind == Atom::Kind::Mod)
    return std::pair(number(0), add(atom.operands[1], number(-1)));
  if (atom.kind != Atom::Kind::Load)
    return std::nullopt;
  auto load = atom.value.getDefiningOp<ir::LoadOp>();
  if (auto promise = promiseOf(load.getTensor())) {
    std::optional<Linear> lo = linearOf(promise->first), hi = linearOf(promise->second);
    if (lo && hi)
      return std::pair(*lo, *hi);
  }
  unsigned width = cast<ir::AttnTensorType>(load.getTensor().getType()).getElementType().getIntOrFloatBitWidth();
  int64_t limit = int64_t{1} << (std::min(width, 32u) - 1);
  return std::pair(number(-limit), number(limit - 1));
}

NumberRange Expressions::symbolRange(Value value) {
  if (auto index = value.getDefiningOp<ir::IndexOp>())
    return {0, kMaxExtent - 1};
  if (auto promise = promiseOf(value)) {
    std::optional<Linear> lo = linearOf(promise->first), hi = linearOf(promise->second);
    if (lo && hi)
      return {std::max<int64_t>(rangeOf(*lo).lo, INT32_MIN), std::min<int64_t>(rangeOf(*hi).hi, INT32_MAX)};
  }
  return {INT32_MIN, INT32_MAX};
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Linear Expressions::symbol(Value value) { return atom({.kind = Atom::Kind::Symbol, .value = value}); }

Linear Expressions::unknown(Value value) {
  Atom result{.kind = Atom::Kind::Unknown, .value = value};
  findDependence(value, result.onRow, result.onKey);
  if (!result.onRow && !result.onKey)
    return symbol(value);
  return atom(std::move(result));
}

/// `x - (x // c) * c` is `x % c`, however x is spelled.
Linear Expressions::remainderOrDifference(Value lhs, Value rhs) {
  Linear a = linearOf(lhs), b = linearOf(rhs);
  auto isQuotientOf = [&](const Linear &value, const Linear &divisor) {
    return provablyPositive(divisor) && value == floorDiv(a, divisor);
  };
  if (auto mul = rhs.getDefiningOp<arith::MulIOp>())
    for (unsigned side : {0u, 1u}) {
      Linear quotient = linearOf(mul->getOperand(side)), divisor = linearOf(mul->getOperand(1 - side));
      if (divisor.isUniform() && isQuotientOf(quotient, divisor))
        return mod(a, divisor);
    }
  return add(a, b, -1);
}

Linear Expressions::linearOf(Value value) {
  // Values live as long as this object, so they may be remembered.
  const void *key = value.getAsOpaquePointer();
  if (auto found = linearByValue.find(key); found != linearByValue.end())
    return found->second;
  Linear linear = computeLinear(value);
  return linearByValue[key] = linear;
}

Linear Expressions::computeLinear(Value value) {
  if (APInt number; matchPattern(value, m_ConstantInt(&number)))
    return Expressions::number(number.getSExtValue());
  Operation *op = value.getDefiningOp();
  if (!op || !attention->isProperAncestor(op))
    return unknown(value);
  if (isa<ir::IndexOp, ir::SizeOp, ir::LoadOp, arith::SelectOp, arith::ExtUIOp>(op))
    return readLeaf(op);
  if (op->getNumOperands() == 1 && isa<math::AbsIOp>(op)) {
    Linear a = linearOf(op->getOperand(0));
    return maximum(a, scale(a, -1));
  }
  if (auto difference = dyn_cast<arith::SubIOp>(op))
    return remainderOrDifference(difference.getLhs(), difference.getRhs());
  if (!isa<arith::AddIOp, arith::MulIOp, arith::MinSIOp, arith::MaxSIOp, arith::ShLIOp, arith::ShRSIOp, arith::AndIOp, arith::FloorDivSIOp,
           arith::CeilDivSIOp, arith::DivSIOp, arith::RemSIOp>(op))
    return unknown(value);
  Linear a = linearOf(op->getOperand(0)), b = linearOf(op->getOperand(1));
  return llvm::TypeSwitch<Operation *, Linear>(op)
      .Case([&](arith::AddIOp) { return add(a, b); })
      .Case([&](arith::MulIOp) { return a.isUniform() ? product(a, b) : b.isUniform() ? product(b, a) : unknown(value); })
      .Case([&](arith::MinSIOp) { return minimum(a, b); })
      .Case([&](arith::MaxSIOp) { return maximum(a, b); })
      .Case<arith::ShLIOp, arith::ShRSIOp, arith::AndIOp>([&](Operation *) { return readBits(op, a, b); })
      .Default([&](Operation *) { return readDivision(op, a, b); });
}

/// What is read, or chosen by a condition.
Linear Expressions::readLeaf(Operation *op) {
  Value value = op->getResult(0);
  return llvm::TypeSwitch<Operation *, Linear>(op)
      .Case([&](ir::IndexOp index) {
        if (index.getKind() == ir::IndexKind::kv_idx)
          return key();
        if (index.getKind() == ir::IndexKind::q_idx)
          return atom({.kind = Atom::Kind::Row, .onRow = true});
        // One name for all ops that read the same head; a query head's own key head is that head.
        bool isOwn = index.getKind() == ir::IndexKind::kv_head && hasOwnKeyHeads(attention);
        ir::IndexKind kind = isOwn ? ir::IndexKind::h : index.getKind();
        return atom({.kind = Atom::Kind::Symbol, .value = value, .name = stringifyIndexKind(kind).str()});
      })
      .Case([&](ir::SizeOp size) { return extent(size.getName()); })
      .Case([&](ir::LoadOp load) {
        SmallVector<Linear> indices = llvm::map_to_vector(load.getIndices(), [&](Value i) { return linearOf(i); });
        return this->load(value, indices);
      })
      .Case([&](arith::SelectOp choice) {
        return select(predicateOf(choice.getCondition()), linearOf(choice.getTrueValue()), linearOf(choice.getFalseValue()));
      })
      .Case([&](arith::ExtUIOp extension) {
        bool isTruth = extension.getIn().getType().isInteger(1);
        return isTruth ? select(predicateOf(extension.getIn()), number(1), number(0)) : unknown(value);
      })
      .Default([&](Operation *) { return unknown(value); });
}

/// Shifts are products and quotients; x & (2^n - 1) is x % 2^n.
Linear Expressions::readBits(Operation *op, const Linear &a, const Linear &b) {
  bool isShift = b.isConstant() && b.constant >= 0 && b.constant < 31;
  if (isa<arith::ShLIOp>(op) && isShift)
    return scale(a, int64_t{1} << b.constant);
  if (isa<arith::ShRSIOp>(op) && isShift)
    return floorDiv(a, number(int64_t{1} << b.constant));
  bool isLowBits = b.isConstant() && b.constant >= 0 && (b.constant & (b.constant + 1)) == 0;
  return isa<arith::AndIOp>(op) && isLowBits ? mod(a, number(b.constant + 1)) : unknown(op->getResult(0));
}

Linear Expressions::readDivision(Operation *op, const Linear &a, const Linear &b) {
  if (!b.isUniform() || !provablyPositive(b))
    return unknown(op->getResult(0));
  if (isa<arith::FloorDivSIOp>(op))
    return floorDiv(a, b);
  if (isa<arith::CeilDivSIOp>(op))
    return scale(floorDiv(scale(a, -1), b), -1);
  if (rangeOf(a).lo < 0) // towards zero: floor where nothing is negative
    return unknown(op->getResult(0));
  return isa<arith::DivSIOp>(op) ? floorDiv(a, b) : mod(a, b);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

const Predicate *Expressions::compare(Operation *op, bool negated) {
  auto comparison = cast<arith::CmpIOp>(op);
  using P = arith::CmpIPredicate;
  P predicate = comparison.getPredicate();
  if (comparison.getLhs().getType().isInteger(1)) {
    if (predicate != P::eq && predicate != P::ne)
      return opaque(comparison, negated);
    const Predicate *a = predicateOf(comparison.getLhs()), *b = predicateOf(comparison.getRhs());
    if ((predicate == P::ne) != negated)
      b = negation(b);
    return disjunction(conjunction(a, b), conjunction(negation(a), negation(b)));
  }
  Linear a = linearOf(comparison.getLhs()), b = linearOf(comparison.getRhs());
  bool isUnsigned = predicate >= P::ult;
  if (isUnsigned && (rangeOf(a).lo < 0 || rangeOf(b).lo < 0))
    return opaque(comparison, negated);
  Linear difference = add(a, b, -1), opposite = scale(difference, -1), one = number(1);
  const Predicate *result = nullptr;
  switch (predicate) {
  case P::sle:
  case P::ule:
    result = nonPositive(difference);
    break;
  case P::slt:
  case P::ult:
    result = nonPositive(add(difference, one));
    break;
  case P::sge:
  case P::uge:
    result = nonPositive(opposite);
    break;
  case P::sgt:
  case P::ugt:
    result = nonPositive(add(opposite, one));
    break;
  case P::eq:
    result = conjunction(nonPositive(difference), nonPositive(opposite));
    break;
  case P::ne:
    result = disjunction(nonPositive(add(difference, one)), nonPositive(add(opposite, one)));
    break;
  }
  return negated ? negation(result) : result;
}

const Predicate *Expressions::predicateOf(Value value, bool negated) {
  std::pair<const void *, bool> key(value.getAsOpaquePointer(), negated);
  if (auto found = predicateByValue.find(key); found != predicateByValue.end())
    return found->second;
  const Predicate *result = computePredicate(value, negated);
  return predicateByValue[key] = result;
}

const Predicate *Expressions::computePredicate(Value value, bool negated) {
  if (APInt constant; matchPattern(value, m_ConstantInt(&constant)))
    return constant.isZero() != negated ? never() : always();
  Operation *op = value.getDefiningOp();
  if (!op || !attention->isProperAncestor(op))
    return opaque(value, negated);
  auto operand = [&](unsigned index, bool flip) { return predicateOf(op->getOperand(index), flip); };
  if (isa<arith::CmpIOp>(op))
    return compare(op, negated);
  if (isa<arith::AndIOp>(op)) // De Morgan
    return negated ? disjunction(operand(0, true), operand(1, true)) : conjunction(operand(0, false), operand(1, false));
  if (isa<arith::OrIOp>(op))
    return negated ? conjunction(operand(0, true), operand(1, true)) : disjunction(operand(0, false), operand(1, false));
  if (isa<arith::XOrIOp>(op)) {
    const Predicate *a = operand(0, false), *b = operand(1, !negated);
    return disjunction(conjunction(a, b), conjunction(negation(a), negation(b)));
  }
  if (isa<arith::SelectOp>(op))
    return disjunction(conjunction(operand(0, false), operand(1, negated)),
                       conjunction(operand(0, true), operand(2, negated)));
  return opaque(value, negated);
}

} // namespace attn::mask
