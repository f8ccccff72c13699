// Uniform expressions as operations of region `ranges`. Arithmetic is i32 where it provably fits, else i64 with the end
// clamped to [0, kv_len] before it is narrowed: a bound such as `q_idx + window` may leave i32 although the mask's own
// `q_idx - kv_idx < window` never does. The tile's last row is taken as one that there is. Indices of loads are clamped
// to the tensor, for a condition beside the load may have kept the index in range; along an ascending row that only
// widens.
#include "passes/attn/EmitRanges.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;

namespace attn::mask {

namespace {

class RangeEmitter {
public:
  RangeEmitter(OpBuilder &builder, Location location, Expressions &expressions, Block &block)
      : builder(builder), location(location), expressions(expressions), block(block) {}

  /// An end of an interval, i32.
  Value emitEnd(const Linear &end);
  Value emit(const Predicate *condition);

private:
  Value emit(const Linear &value, bool wide);
  Value emit(const Atom &atom, bool wide);
  Value emitNarrow(const Atom &atom);
  Value emitLoad(ir::LoadOp load, ValueRange indices);
  Value emitIndex(const Linear &index, const SizeExpr &size);
  Value clampIndex(Value index, const SizeExpr &size);
  /// A copy of a uniform value of another region.
  Value clone(Value value);

  bool fits(const Linear &value);
  bool doOperandsFit(const Atom &atom);
  Type type(bool wide) { return wide ? builder.getI64Type() : builder.getI32Type(); }
  Value constant(int64_t value, bool wide) {
    return arith::ConstantOp::create(builder, location, builder.getIntegerAttr(type(wide), value));
  }

  OpBuilder &builder;
  Location location;
  Expressions &expressions;
  Block &block;
  std::map<const Atom *, bool> operandsFit;
  std::map<std::pair<const Atom *, bool>, Value> atoms;
  std::map<const Predicate *, Value> conditions;
  std::map<const void *, Value> clones;
};

} // namespace

//===----------------------------------------------------------------------===//
// Width
//===----------------------------------------------------------------------===//

bool RangeEmitter::doOperandsFit(const Atom &atom) {
  if (auto found = operandsFit.find(&atom); found != operandsFit.end())
    return found->second;
  // Loads and searches take care of their indices themselves.
  bool isRead = atom.kind == Atom::Kind::Load || atom.kind == Atom::Kind::LowerBound;
  bool result = isRead || llvm::all_of(atom.operands, [&](const Linear &operand) { return fits(operand); });
  return operandsFit[&atom] = result;
}

/// Whether i32 holds every partial result.
bool RangeEmitter::fits(const Linear &value) {
  if (const Atom *atom = value.asAtom()) {
    NumberRange range = expressions.rangeOf(value);
    return range.lo >= INT32_MIN && range.hi <= INT32_MAX && doOperandsFit(*atom);
  }
  __int128 magnitude = value.constant < 0 ? -static_cast<__int128>(value.constant) : value.constant;
  for (auto [atom, coefficient] : value.terms) {
    Linear self;
    self.terms.emplace_back(atom, 1);
    NumberRange range = expressions.rangeOf(self);
    __int128 largest = std::max<__int128>(range.hi < 0 ? -static_cast<__int128>(range.hi) : range.hi,
                                          range.lo < 0 ? -static_cast<__int128>(range.lo) : range.lo);
    magnitude += largest * (coefficient < 0 ? -static_cast<__int128>(coefficient) : coefficient);
    if (!doOperandsFit(*atom))
      return false;
  }
  return magnitude <= INT32_MAX;
}

Value RangeEmitter::emitEnd(const Linear &end) {
  if (fits(end))
    return emit(end, false);
  Value value = emit(end, true), kvLen = emit(expressions.extent("kv_len"), true);
  value = arith::MinSIOp::create(builder, location, value, kvLen);
  value = arith::MaxSIOp::create(builder, location, value, constant(0, true));
  return arith::TruncIOp::create(builder, location, type(false), value);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

Value RangeEmitter::emit(const Linear &value, bool wide) {
  Value sum;
  // What is added first, so that sums begin without a negation.
  for (bool positive : {true, false})
    for (auto [atom, coefficient] : value.terms) {
      if ((coefficient > 0) != positive)
        continue;
      Value part = emit(*atom, wide);
      int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
      if (magnitude != 1)
        part = arith::MulIOp::create(builder, location, part, constant(magnitude, wide));
      if (positive)
        sum = sum ? arith::AddIOp::create(builder, location, sum, part).getResult() : part;
      else
        sum = arith::SubIOp::create(builder, location, sum ? sum : constant(0, wide), part);
    }
  if (!sum)
    return constant(value.constant, wide);
  if (value.constant != 0)
    sum = arith::AddIOp::create(builder, location, sum, constant(value.constant, wide));
  return sum;
}

//===----------------------------------------------------------------------===//
// Atoms
//===----------------------------------------------------------------------===//

Value RangeEmitter::emit(const Atom &atom, bool wide) {
  auto entry = atoms.find({&atom, wide});
  if (entry != atoms.end())
    return entry->second;
  auto operand = [&](unsigned index) { return emit(atom.operands[index], wide); };
  auto isNonNegative = [&](unsigned index) { return expressions.rangeOf(atom.operands[index]).lo >= 0; };
  auto compute = [&]() -> Value {
    switch (atom.kind) {
    case Atom::Kind::FloorDiv:
      if (isNonNegative(0))
        return arith::DivSIOp::create(builder, location, operand(0), operand(1));
      return arith::FloorDivSIOp::create(builder, location, operand(0), operand(1));
    case Atom::Kind::Mod: {
      if (isNonNegative(0))
        return arith::RemSIOp::create(builder, location, operand(0), operand(1));
      Value quotient = arith::FloorDivSIOp::create(builder, location, operand(0), operand(1));
      return arith::SubIOp::create(builder, location, operand(0),
                                   arith::MulIOp::create(builder, location, quotient, operand(1)));
    }
    case Atom::Kind::Product:
      return arith::MulIOp::create(builder, location, operand(0), operand(1));
    case Atom::Kind::Min:
    case Atom::Kind::Max: {
      Value result = operand(0);
      for (unsigned index = 1; index < atom.operands.size(); ++index)
        result = atom.kind == Atom::Kind::Min
                     ? arith::MinSIOp::create(builder, location, result, operand(index)).getResult()
                     : arith::MaxSIOp::create(builder, location, result, operand(index)).getResult();
      return result;
    }
    case Atom::Kind::Select:
      return arith::SelectOp::create(builder, location, emit(atom.condition), operand(0), operand(1));
    default: {
      Value narrow = emitNarrow(atom);
      return wide ? arith::ExtSIOp::create(builder, location, type(true), narrow).getResult() : narrow;
    }
    }
  };
  return atoms[{&atom, wide}] = compute();
}

/// Atoms that are i32 by themselves.
Value RangeEmitter::emitNarrow(const Atom &atom) {
  switch (atom.kind) {
  case Atom::Kind::First:
    return block.getArgument(0);
  case Atom::Kind::Last: { // a tile may reach beyond the last row
    Linear end = expressions.add(expressions.extent("q_len"), Expressions::number(-1));
    return arith::MinSIOp::create(builder, location, block.getArgument(1), emit(end, false));
  }
  case Atom::Kind::Extent:
    return ir::SizeOp::create(builder, location, atom.name);
  case Atom::Kind::Symbol:
    return clone(atom.value);
  case Atom::Kind::Load:
  case Atom::Kind::LowerBound: {
    auto load = atom.value.getDefiningOp<ir::LoadOp>();
    auto tensor = cast<ir::AttnTensorType>(load.getTensor().getType());
    bool isSearch = atom.kind == Atom::Kind::LowerBound;
    SmallVector<Value> indices;
    for (auto [dim, index] : llvm::enumerate(ArrayRef(atom.operands).drop_back(isSearch ? 1 : 0)))
      indices.push_back(emitIndex(index, tensor.getSize(dim)));
    if (!isSearch)
      return ir::LoadOp::create(builder, location, load.getType(), load.getTensor(), indices);
    const Linear &bound = atom.operands.back();
    Value narrow;
    if (fits(bound)) {
      narrow = emit(bound, false);
    } else {
      Value value = emit(bound, true);
      value = arith::MaxSIOp::create(builder, location, value, constant(INT32_MIN, true));
      value = arith::MinSIOp::create(builder, location, value, constant(INT32_MAX, true));
      narrow = arith::TruncIOp::create(builder, location, type(false), value);
    }
    return ir::LowerBoundOp::create(builder, location, load.getTensor(), indices, narrow);
  }
  default:
    llvm_unreachable("uniform expressions hold no row, no key and nothing unknown");
  }
}

/// `index` clamped to [0, size - 1], i32; heads and requests are in range as they are.
Value RangeEmitter::emitIndex(const Linear &index, const SizeExpr &size) {
  const Atom *atom = index.asAtom();
  if (atom && atom->kind == Atom::Kind::Symbol && atom->value.getDefiningOp<ir::IndexOp>())
    return emit(*atom, false);
  std::optional<Linear> end = expressions.linearOf(size);
  assert(end && "sizes of tensors are positive, so their divisions are by something positive");
  Linear last = expressions.add(*end, Expressions::number(-1));
  Linear clamped = expressions.maximum(expressions.minimum(index, last), Expressions::number(0));
  if (fits(clamped))
    return emit(clamped, false);
  return arith::TruncIOp::create(builder, location, type(false), emit(clamped, true));
}

//===----------------------------------------------------------------------===//
// Conditions and copies
//===----------------------------------------------------------------------===//

Value RangeEmitter::emit(const Predicate *condition) {
  auto entry = conditions.find(condition);
  if (entry != conditions.end())
    return entry->second;
  auto compute = [&]() -> Value {
    switch (condition->kind) {
    case Predicate::Kind::False:
    case Predicate::Kind::True:
      return arith::ConstantOp::create(builder, location,
                                       builder.getBoolAttr(condition->kind == Predicate::Kind::True));
    case Predicate::Kind::And:
      return arith::AndIOp::create(builder, location, emit(condition->operands[0]), emit(condition->operands[1]));
    case Predicate::Kind::Or:
      return arith::OrIOp::create(builder, location, emit(condition->operands[0]), emit(condition->operands[1]));
    case Predicate::Kind::NonPositive: {
      bool wide = !fits(condition->linear);
      return arith::CmpIOp::create(builder, location, arith::CmpIPredicate::sle, emit(condition->linear, wide),
                                   constant(0, wide));
    }
    case Predicate::Kind::Opaque: {
      Value value = clone(condition->value);
      if (!condition->negated)
        return value;
      Value yes = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
      return arith::XOrIOp::create(builder, location, value, yes);
    }
    }
    llvm_unreachable("all kinds are handled");
  };
  return conditions[condition] = compute();
}

Value RangeEmitter::clampIndex(Value index, const SizeExpr &size) {
  if (index.getDefiningOp<ir::IndexOp>())
    return index;
  std::optional<Linear> end = expressions.linearOf(size);
  assert(end && "sizes of tensors are positive, so their divisions are by something positive");
  Value last = emit(expressions.add(*end, Expressions::number(-1)), false);
  index = arith::MinSIOp::create(builder, location, index, last);
  return arith::MaxSIOp::create(builder, location, index, constant(0, false));
}

Value RangeEmitter::clone(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !block.getParentOp()->isProperAncestor(op))
    return value;
  if (auto found = clones.find(value.getAsOpaquePointer()); found != clones.end())
    return found->second;
  SmallVector<Value> operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) { return clone(operand); });
  if (auto load = dyn_cast<ir::LoadOp>(op)) {
    auto tensor = cast<ir::AttnTensorType>(load.getTensor().getType());
    for (unsigned dim = 0; dim + 1 < operands.size(); ++dim)
      operands[dim + 1] = clampIndex(operands[dim + 1], tensor.getSize(dim));
  }
  Operation *copy = builder.clone(*op);
  copy->setOperands(operands);
  return clones[value.getAsOpaquePointer()] = copy->getResult(cast<OpResult>(value).getResultNumber());
}

//===----------------------------------------------------------------------===//
// The region
//===----------------------------------------------------------------------===//

void emitRanges(Region &region, Location location, Expressions &expressions, const KeySets &sets, const KeySet &facts) {
  Block &block = region.emplaceBlock();
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  block.addArguments({builder.getI32Type(), builder.getI32Type()}, {location, location});
  RangeEmitter emitter(builder, location, expressions, block);
  auto emitSet = [&](const KeySet &set) {
    SmallVector<Value> ends;
    for (const Interval &interval : set) {
      // Where the guard fails the interval ends before it begins.
      Linear hi = expressions.select(interval.guard, interval.hi, Expressions::number(0));
      ends.push_back(emitter.emitEnd(interval.lo));
      ends.push_back(emitter.emitEnd(hi));
    }
    return ends;
  };
  SmallVector<Value> visit = emitSet(sets.may), full = emitSet(sets.must), known = emitSet(facts);
  ir::YieldRangesOp::create(builder, location, visit, full, known);
}

} // namespace attn::mask
