// See ElementExpander.h. Loads in regions are in ElementMemory.cpp.
#include "codegen/nvvm/ElementExpander.h"

#include "codegen/nvvm/ScalarOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/DialectConversion.h"

#include "llvm/Support/SaveAndRestore.h"

namespace attn::codegen {

namespace arith = mlir::arith;
using mlir::Value;

/// Positions lie within ±2^29, so that the difference of a position and a value clamped to ±2^30 does not overflow.
static constexpr std::int64_t kPositionBound = std::int64_t{1} << 29;

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

IntegerForm IntegerForm::of(std::int64_t constant) {
  return {{}, constant, constant > -kPositionBound / 32 && constant < kPositionBound / 32};
}

IntegerForm IntegerForm::of(Value base, bool isPosition) { return {{{base, 1}}, 0, isPosition}; }

IntegerForm IntegerForm::plus(const IntegerForm &other, std::int64_t factor) const {
  IntegerForm sum{{}, static_cast<std::int32_t>(constant + factor * other.constant), isPosition && other.isPosition};
  sum.terms = terms;
  for (auto [base, coefficient] : other.terms) {
    auto same = llvm::find_if(sum.terms, [base = base](const auto &term) { return term.first == base; });
    if (same == sum.terms.end())
      sum.terms.emplace_back(base, factor * coefficient);
    else if ((same->second += factor * coefficient) == 0)
      sum.terms.erase(same);
  }
  return sum;
}

IntegerForm IntegerForm::times(std::int64_t factor) const {
  IntegerForm product{{}, static_cast<std::int32_t>(constant * factor), isPosition && factor >= -16 && factor <= 16};
  if (factor != 0)
    for (auto [base, coefficient] : terms)
      product.terms.emplace_back(base, coefficient * factor);
  return product;
}

/// One step of `collectPositions`: whether `value` is a position, its operands being decided already.
static bool isPosition(Value value, const llvm::DenseSet<Value> &positions) {
  if (auto constant = Emitter::constantOf(value))
    return IntegerForm::of(*constant).isPosition;
  mlir::Operation *op = value.getDefiningOp();
  if (!op)
    return positions.contains(value);
  if (mlir::isa<tile::SizeOp, tile::RowOp, tile::ColOp>(op))
    return true;
  if (mlir::isa<arith::MulIOp>(op)) {
    auto factor = Emitter::constantOf(op->getOperand(1));
    return factor && *factor >= -1024 && *factor <= 1024 && positions.contains(op->getOperand(0)); // a tile's number and its size
  }
  if (mlir::isa<arith::DivUIOp>(op)) {
    auto divisor = Emitter::constantOf(op->getOperand(1));
    return divisor && *divisor >= 8 && positions.contains(op->getOperand(0)); // below 2^29 whatever is divided
  }
  if (mlir::isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp, arith::DivSIOp, arith::FloorDivSIOp,
                arith::CeilDivSIOp, arith::RemSIOp>(op))
    return positions.contains(op->getOperand(0)) && positions.contains(op->getOperand(1));
  return false;
}

llvm::DenseSet<Value> collectPositions(mlir::Operation *root) {
  llvm::DenseSet<Value> positions;
  root->walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    if (auto loop = mlir::dyn_cast<mlir::scf::ForOp>(op))
      positions.insert(loop.getInductionVar());
    if (mlir::isa<tile::ForeachWorkOp, tile::BuildOp, tile::FillOp, tile::RotateOp>(op))
      for (Value argument : op->getRegion(0).getArguments())
        if (argument.getType().isInteger(32))
          positions.insert(argument);
    for (Value result : op->getResults())
      if (result.getType().isInteger(32) && isPosition(result, positions))
        positions.insert(result);
  });
  return positions;
}

//===----------------------------------------------------------------------===//
// Bindings and domains
//===----------------------------------------------------------------------===//

ElementExpander::ElementExpander(KernelContext &kernel, Emitter &e, mlir::ConversionPatternRewriter &rewriter,
                                 mlir::Region *region)
    : kernel(kernel), e(e), rewriter(rewriter), region(region) {}

void ElementExpander::bindFragment(Value argument, tile::FragType type, mlir::ValueRange registers) {
  fragments.try_emplace(argument, FragmentBinding{type, fragmentOf(type), {registers.begin(), registers.end()}});
  if (type.getRank() == 2)
    columnSlots = fragmentOf(type).columnSlots();
}

void ElementExpander::bindIndex(Value argument, Domain domain, std::function<IntegerForm(Slot)> form) {
  indices[argument] = {domain, std::move(form)};
}

void ElementExpander::bindPositions(std::function<ThreadForm(int)> row, std::function<ThreadForm(int)> column) {
  rowBinding = {Row, [this, row](Slot slot) { return threadForm(row(slot.row)); }};
  columnBinding = {Column, [this, column](Slot slot) { return threadForm(column(slot.column)); }};
}

IntegerForm ElementExpander::threadForm(const ThreadForm &form) {
  IntegerForm result = IntegerForm::of(form.constant);
  if (Value part = kernel.threadPart(form))
    result = result.plus(IntegerForm::of(part, /*isPosition=*/true), 1);
  return result;
}

bool ElementExpander::isCaptured(Value value) const {
  // Arguments of the kernel hang in a block without a region once its signature has been converted.
  mlir::Region *home = value.getParentRegion();
  return !region || !home || !region->isAncestor(home);
}

ElementExpander::Domain ElementExpander::domainOf(Value value) {
  if (auto found = domains.find(value); found != domains.end())
    return found->second;
  unsigned domain = Uniform;
  if (auto found = fragments.find(value); found != fragments.end()) {
    domain = found->second.type.getRank() == 2 ? Point : Row;
  } else if (auto index = indices.find(value); index != indices.end()) {
    domain = index->second.domain;
  } else if (!isCaptured(value)) {
    mlir::Operation *op = value.getDefiningOp();
    if (op && mlir::isa<tile::RowOp>(op))
      domain = Row;
    else if (op && mlir::isa<tile::ColOp>(op))
      domain = Column;
    else if (op)
      for (Value operand : op->getOperands())
        domain |= domainOf(operand);
  }
  return domains[value] = static_cast<Domain>(domain);
}

ElementExpander::Key ElementExpander::keyOf(Value value, Slot slot) {
  Domain domain = domainOf(value);
  return {value.getAsOpaquePointer(), domain & Row ? slot.row : -1, domain & Column ? slot.column : -1};
}

Value ElementExpander::fail(mlir::Operation *op, const llvm::Twine &message) {
  if (!hasFailed)
    op->emitOpError(message);
  hasFailed = true;
  return Value();
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

Value ElementExpander::evaluate(Value value, Slot slot) {
  if (hasFailed)
    return Value();
  if (value.getType().isInteger(32))
    return materialize(evaluateForm(value, slot));
  Key key = keyOf(value, slot);
  if (auto found = values.find(key); found != values.end())
    return found->second;
  Value result = compute(value, slot);
  values[key] = result;
  return result;
}

IntegerForm ElementExpander::evaluateForm(Value value, Slot slot) {
  Key key = keyOf(value, slot);
  if (auto found = forms.find(key); found != forms.end())
    return found->second;
  IntegerForm form = computeForm(value, slot);
  forms[key] = form;
  return form;
}

Value ElementExpander::compute(Value value, Slot slot) {
  if (auto found = fragments.find(value); found != fragments.end())
    return computeElement(found->second, slot);
  if (isCaptured(value))
    return rewriter.getRemappedValue(value);
  mlir::Operation *op = value.getDefiningOp();
  // The place in the specification, for messages and traps of this very operation.
  llvm::SaveAndRestore place(e.location, op->getLoc());
  if (auto param = mlir::dyn_cast<tile::ParamOp>(op))
    return computeParam(param, slot);
  if (auto at = mlir::dyn_cast<tile::AtOp>(op))
    return computeAt(at, slot);
  if (auto lookup = mlir::dyn_cast<tile::LookupOp>(op))
    return computeLookup(lookup, slot);
  if (auto random = mlir::dyn_cast<tile::RandomOp>(op))
    return computeRandom(random, slot);
  if (mlir::isa<arith::CmpIOp>(op) && op->getOperand(0).getType().isInteger(32))
    return computeCompare(op, slot);
  if (mlir::isa<arith::SIToFPOp>(op) && op->getOperand(0).getType().isInteger(32))
    return computeFloatOfInteger(op, slot);
  if (!isScalarOp(op))
    return fail(op, "is not lowered in element regions");
  if (mlir::isa<arith::AndIOp>(op) && op->getResult(0).getType().isInteger(1))
    return computeConjunction(op, slot);
  if (auto division = mlir::dyn_cast<arith::DivFOp>(op))
    if (Value reciprocal = computeReciprocal(division, slot); reciprocal || hasFailed)
      return reciprocal;
  if (Value fused = computeFused(op, slot))
    return fused;
  llvm::SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(evaluate(operand, slot));
  if (hasFailed)
    return Value();
  Value result = emitScalar(e, op, operands);
  return result ? result : fail(op, "is not lowered to this target");
}

/// a · b ± c as one fma, where nothing else needs the product and it is not one for a whole row or column; else null.
Value ElementExpander::computeFused(mlir::Operation *op, Slot slot) {
  if (!mlir::isa<arith::AddFOp, arith::SubFOp>(op) || !op->getResult(0).getType().isF32())
    return Value();
  bool subtracts = mlir::isa<arith::SubFOp>(op);
  for (unsigned side : {1u, 0u}) {
    auto product = op->getOperand(side).getDefiningOp<arith::MulFOp>();
    if (!product || isCaptured(product) || !product->hasOneUse() || domainOf(product) != domainOf(op->getResult(0)))
      continue;
    Value a = evaluate(product.getLhs(), slot), b = evaluate(product.getRhs(), slot), c = evaluate(op->getOperand(1 - side), slot);
    if (hasFailed)
      return Value();
    if (subtracts)
      (side == 0 ? c : a) = e.fneg(side == 0 ? c : a);
    return e.fma(a, b, c);
  }
  return Value();
}

IntegerForm ElementExpander::computeForm(Value value, Slot slot) {
  if (auto found = indices.find(value); found != indices.end())
    return found->second.form(slot);
  if (auto constant = Emitter::constantOf(value))
    return IntegerForm::of(*constant);
  if (isCaptured(value)) {
    Value remapped = rewriter.getRemappedValue(value);
    if (auto constant = Emitter::constantOf(remapped))
      return IntegerForm::of(*constant);
    return IntegerForm::of(remapped, kernel.isPosition(value));
  }
  mlir::Operation *op = value.getDefiningOp();
  if (op && mlir::isa<tile::RowOp>(op))
    return rowBinding.form(slot);
  if (op && mlir::isa<tile::ColOp>(op))
    return columnBinding.form(slot);
  if (op && mlir::isa<arith::AddIOp, arith::SubIOp>(op)) {
    IntegerForm left = evaluateForm(op->getOperand(0), slot);
    return left.plus(evaluateForm(op->getOperand(1), slot), mlir::isa<arith::AddIOp>(op) ? 1 : -1);
  }
  if (op && mlir::isa<arith::MulIOp>(op)) {
    IntegerForm left = evaluateForm(op->getOperand(0), slot), right = evaluateForm(op->getOperand(1), slot);
    if (left.isConstant())
      std::swap(left, right);
    if (right.isConstant())
      return left.times(right.constant);
  }
  Value computed = compute(value, slot);
  return computed ? IntegerForm::of(computed, kernel.isPosition(value)) : IntegerForm::of(0);
}

/// Equal for equal sums, in whatever order they were added up.
static std::vector<std::pair<const void *, std::int64_t>> termKey(const IntegerForm &form) {
  std::vector<std::pair<const void *, std::int64_t>> key;
  for (auto [base, coefficient] : form.terms)
    key.emplace_back(base.getAsOpaquePointer(), coefficient);
  llvm::sort(key);
  return key;
}

/// The sum of the terms, without the constant; null if there are none.
Value ElementExpander::baseOf(const IntegerForm &form) {
  if (form.terms.empty())
    return Value();
  Value &base = bases[termKey(form)];
  if (base)
    return base;
  Value sum;
  for (int sign : {1, -1}) // additions first: a difference needs no negation
    for (auto [value, coefficient] : form.terms) {
      if ((coefficient > 0) != (sign > 0))
        continue;
      Value term = e.imul(value, e.i32(sign * coefficient));
      if (!sum)
        sum = sign > 0 ? term : e.isub(e.i32(0), term);
      else
        sum = sign > 0 ? e.iadd(sum, term) : e.isub(sum, term);
    }
  return base = sum;
}

Value ElementExpander::materialize(const IntegerForm &form) {
  Value base = baseOf(form);
  if (!base)
    return e.i32(form.constant);
  auto key = termKey(form);
  key.emplace_back(nullptr, form.constant);
  Value &sum = sums[key];
  if (!sum)
    sum = e.iadd(base, e.i32(form.constant));
  return sum;
}

Value ElementExpander::computeElement(const FragmentBinding &binding, Slot slot) {
  if (binding.type.getRank() == 1)
    return binding.registers[slot.row];
  int column = slot.column % 2;
  Value packed = binding.registers[binding.fragment.registerOf(slot.row / 2, slot.column / 2, slot.row % 2, column)];
  if (binding.fragment.packing() == 1)
    return packed;
  return e.unpackRaw(binding.type.getElementType(), packed, column);
}

Value ElementExpander::clampToPositions(Value value) {
  Value &result = clamped[value];
  if (!result)
    result = e.smax(e.smin(value, e.i32(2 * kPositionBound)), e.i32(-2 * kPositionBound));
  return result;
}

/// a ⋈ b. For positions as base(a - b) ⋈ constant: the base is the same for every place, unless a side is not a position:
/// then that side, computed for its own slots, is clamped, which changes no outcome and keeps the difference in range.
Value ElementExpander::computeCompare(mlir::Operation *op, Slot slot) {
  auto predicate = mlir::cast<arith::CmpIOp>(op).getPredicate();
  using P = arith::CmpIPredicate;
  bool isEquality = predicate == P::eq || predicate == P::ne;
  bool isSigned = predicate == P::slt || predicate == P::sle || predicate == P::sgt || predicate == P::sge;
  IntegerForm left = evaluateForm(op->getOperand(0), slot), right = evaluateForm(op->getOperand(1), slot);
  bool canDiffer = isEquality || (isSigned && (left.isPosition || right.isPosition));
  if (canDiffer && isSigned) {
    for (IntegerForm *side : {&left, &right})
      if (!side->isPosition && !side->isConstant())
        *side = IntegerForm::of(clampToPositions(materialize(*side)), /*isPosition=*/true);
      else if (side->isConstant())
        side->constant = std::clamp(side->constant, -2 * kPositionBound, 2 * kPositionBound);
  }
  if (!canDiffer || hasFailed) {
    Value operands[] = {materialize(left), materialize(right)};
    return emitScalar(e, op, operands);
  }
  std::int64_t constant = right.constant - left.constant;
  left.constant = right.constant = 0;
  IntegerForm difference = left.plus(right, -1);
  difference.constant = 0;
  Value operands[] = {materialize(difference), e.i32(constant)};
  return emitScalar(e, op, operands);
}

/// f32 of base + constant as f32(base) + constant: one addition an element instead of a conversion. Exact below 2^24.
Value ElementExpander::computeFloatOfInteger(mlir::Operation *op, Slot slot) {
  auto absolute = op->getOperand(0).getDefiningOp<mlir::math::AbsIOp>();
  Value source = absolute && !isCaptured(absolute.getResult()) ? absolute.getOperand() : op->getOperand(0);
  IntegerForm form = evaluateForm(source, slot);
  if (hasFailed)
    return Value();
  Value base = baseOf(form), result;
  if (!base || !form.isPosition || !op->getResult(0).getType().isF32()) {
    result = emitScalar(e, op, materialize(form));
  } else {
    Value &converted = floatBases[base];
    if (!converted)
      converted = e.toFloat(base);
    result = form.constant == 0 ? converted : e.fadd(converted, e.f32(static_cast<double>(form.constant)));
  }
  return source == op->getOperand(0) ? result : e.fabs(result);
}

} // namespace attn::codegen
