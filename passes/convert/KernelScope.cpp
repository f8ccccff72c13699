// See KernelScope.h.
#include "passes/convert/KernelScope.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include "support/GpuTarget.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

Value cloneScalar(OpBuilder &builder, Operation *op, ValueRange operands) {
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  state.addTypes(getElementTypeOrSelf(op->getResult(0).getType()));
  for (NamedAttribute attribute : op->getAttrs())
    if (attribute.getName() != ir::AttnDialect::kFact) // of masks as specified
      state.addAttribute(attribute.getName(), attribute.getValue());
  return builder.create(state)->getResult(0);
}

KernelScope::KernelScope(func::FuncOp plan, func::FuncOp kernel)
    : entry(OpBuilder::atBlockEnd(&kernel.front())), work(entry), kernel(kernel), computesIn(entry.getF32Type()) {
  for (auto [from, to] : llvm::zip(plan.getArguments(), kernel.getArguments()))
    values[from] = to;
  auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
  const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
  if (gpu && gpu->mmaFamily == MmaFamily::Wgmma)
    columnGranule = 32; // 16-bit elements of the 64-byte swizzle
  plan.walk([&](ir::OnlineAttentionOp op) {
    queryType = op.getQueryType();
    keyType = op.getKeyType();
    rowPlaces = std::make_unique<RowPlaces>(*this, op);
    computesIn = ir::computeType(op);
    if (Type element = ir::featureType(op); element && (element.isF32() || element.isF64()))
      columnGranule = 16; // plain rows on every target
  });
}

KernelScope::~KernelScope() = default;

//===----------------------------------------------------------------------===//
// Dependence
//===----------------------------------------------------------------------===//

static uint8_t dependenceOf(ir::IndexKind kind) {
  switch (kind) {
  case ir::IndexKind::b:
  case ir::IndexKind::h:
  case ir::IndexKind::kv_head:
    return kOnWork;
  case ir::IndexKind::q_idx:
    return kOnQuery;
  case ir::IndexKind::kv_idx:
    return kOnKey;
  }
  llvm_unreachable("all kinds are handled");
}

uint8_t KernelScope::dependence(Value value) {
  if (auto known = dependences.find(value); known != dependences.end())
    return known->second;
  uint8_t result = 0;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (!isa<func::FuncOp>(argument.getOwner()->getParentOp()))
      result = value.getType().isInteger(32) ? kOnWork : kOnData; // `ranges` takes rows of the tile, the others data
  } else {
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      result |= dependence(operand);
    if (auto index = dyn_cast<ir::IndexOp>(op))
      result |= dependenceOf(packed > 1 && index.getKind() == ir::IndexKind::h ? ir::IndexKind::q_idx : index.getKind());
    if (auto size = dyn_cast<ir::SizeOp>(op); size && isOfRequest(size.getName()))
      result |= kOnWork;
    // The channels of a row: also of one that is read from a table or is a constant that differs from place to place.
    bool rowOfTable = isa<ir::LoadOp>(op) && isa<VectorType>(value.getType());
    DenseElementsAttr elements;
    bool places = matchPattern(value, m_Constant(&elements)) && !elements.isSplat();
    if (isa<ir::ChannelOp>(op) || rowOfTable || places)
      result |= kOnChannel;
    // A sum over channels of one row is data of that row; at a point a dot is data of both.
    if (op->getName().getStringRef() == "vector.reduction" || isa<ir::DotOp, ir::SuffixSumOp>(op))
      result |= kOnData;
    if (isa<ir::RandomOp>(op))
      result |= kOnWork | kOnQuery | kOnKey;
  }
  return dependences[value] = result;
}

//===----------------------------------------------------------------------===//
// Uniform values
//===----------------------------------------------------------------------===//

Value KernelScope::constant(int32_t value) {
  Value &known = constants[value];
  if (!known) {
    OpBuilder first = OpBuilder::atBlockBegin(&kernel.front());
    known = arith::ConstantIntOp::create(first, kernel.getLoc(), value, 32);
  }
  return known;
}

Value KernelScope::real(double value) {
  OpBuilder first = OpBuilder::atBlockBegin(&kernel.front());
  return arith::ConstantOp::create(first, kernel.getLoc(), first.getFloatAttr(computesIn, value));
}

Value KernelScope::size(StringRef name, Location location) {
  if (auto known = sizes.find(name); known != sizes.end())
    return known->second;
  for (BlockArgument argument : kernel.getArguments()) {
    auto type = dyn_cast<tile::TileTensorType>(argument.getType());
    for (unsigned dim = 0; type && dim < type.getRank(); ++dim)
      if (type.getSizeText(dim) == name)
        return sizes[name] = tile::SizeOp::create(entry, location, argument, dim);
  }
  if (Value given = extentArgument(name))
    return sizes[name] = given;
  emitError(location) << "no tensor of the kernel has the extent `" << name << "` as a size";
  return {};
}

/// What differs from request to request.
bool KernelScope::isOfRequest(StringRef extent) const {
  return rowPlaces && rowPlaces->isInSequence() && llvm::is_contained({"q_len", "kv_len", "q_start", "kv_start"}, extent);
}

Value KernelScope::extentArgument(StringRef name) {
  for (BlockArgument argument : kernel.getArguments())
    if (kernel.getArgAttr(argument.getArgNumber(), tile::kExtentAttr))
      if (auto own = kernel.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName); own && own.getValue() == name)
        return argument;
  return {};
}

Value KernelScope::sizeOf(Value tensor, unsigned dim, Location location) {
  auto type = cast<tile::TileTensorType>(tensor.getType());
  if (auto number = type.getStaticSize(dim))
    return constant(static_cast<int32_t>(*number));
  if (isOfRequest(type.getSizeText(dim))) // padded lengths, which tables have
    return tile::SizeOp::create(entry, location, tensor, dim);
  return size(type.getSizeText(dim), location);
}

int64_t KernelScope::paddedColumns(int64_t channels) const {
  return static_cast<int64_t>(llvm::alignTo(channels, columnGranule));
}

int64_t KernelScope::sumColumns(int64_t channels) const {
  return columnGranule > 16 ? static_cast<int64_t>(llvm::alignTo(channels, 8)) : paddedColumns(channels);
}

Value KernelScope::uniform(Value value) {
  if (Value known = values.lookup(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op) {
    emitError(value.getLoc()) << "a region's argument stands where a scalar is expected";
    return {};
  }
  if (auto index = dyn_cast<ir::IndexOp>(op))
    return values[value] = this->index(index.getKind());
  if (auto named = dyn_cast<ir::SizeOp>(op))
    return values[value] = size(named.getName(), op->getLoc());
  if (auto search = dyn_cast<ir::LowerBoundOp>(op))
    return values[value] = lowerBound(search);
  SmallVector<Value> operands;
  bool onWork = dependence(value) & kOnWork;
  if (auto load = dyn_cast<ir::LoadOp>(op)) {
    for (Value planIndex : load.getIndices())
      if (!operands.emplace_back(uniform(planIndex)))
        return {};
    return values[value] = parameter(onWork ? work : entry, load, operands, value.getType(), false);
  }
  if (op->getNumRegions() != 0 || op->getNumResults() != 1 || isa<VectorType>(value.getType()) ||
      !isa<arith::ArithDialect, math::MathDialect>(op->getDialect())) {
    op->emitOpError("is not supported as a scalar that all elements of a tile share");
    return {};
  }
  for (Value operand : op->getOperands())
    if (!operands.emplace_back(uniform(operand)))
      return {};
  APInt number;
  if (value.getType().isInteger(32) && matchPattern(value, m_ConstantInt(&number)))
    return values[value] = constant(static_cast<int32_t>(number.getSExtValue()));
  return values[value] = cloneScalar(onWork ? work : entry, op, operands);
}

Value KernelScope::headsBefore(Location location) {
  auto query = cast<ir::AttnTensorType>(queryType);
  Attribute heads = query.getSizes()[query.getRank() - 2];
  std::optional<int64_t> known = query.getConstantSize(query.getRank() - 2);
  Value count = known ? constant(static_cast<int32_t>(*known)) : size(cast<StringAttr>(heads).getValue(), location);
  return count ? work.createOrFold<arith::MulIOp>(location, index(ir::IndexKind::b), count) : Value();
}

/// A binary search over a row of an ascending tensor: the first position with a value not below the bound.
Value KernelScope::lowerBound(ir::LowerBoundOp op) {
  SmallVector<Value> row;
  for (Value planIndex : op.getIndices())
    if (!row.emplace_back(uniform(planIndex)))
      return {};
  Value bound = uniform(op.getBound());
  if (!bound)
    return {};
  Location location = op.getLoc();
  Value table = tensor(op.getTensor());
  auto type = cast<tile::TileTensorType>(table.getType());
  Value length = tile::SizeOp::create(entry, location, table, type.getRank() - 1);
  Value zero = constant(0), one = constant(1);
  // Each step halves what is left; 32 halve any i32 to nothing. A search that has ended reads nothing.
  auto loop = scf::ForOp::create(work, location, zero, constant(32), one, ValueRange{zero, length},
      [&](OpBuilder &builder, Location, Value, ValueRange ends) {
        Value lo = ends[0], hi = ends[1];
        Value open = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, lo, hi);
        Value sum = arith::AddIOp::create(builder, location, lo, hi);
        Value middle = arith::ShRUIOp::create(builder, location, sum, one);
        SmallVector<Value> place(row);
        place.push_back(middle);
        Value element = tile::ParamOp::create(builder, location, builder.getI32Type(), table, place, open);
        Value below = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, element, bound);
        Value up = arith::AndIOp::create(builder, location, below, open);
        Value next = arith::AddIOp::create(builder, location, middle, one);
        Value newLo = arith::SelectOp::create(builder, location, up, next, lo);
        Value shrink = arith::SelectOp::create(builder, location, open, middle, hi);
        Value newHi = arith::SelectOp::create(builder, location, up, hi, shrink);
        scf::YieldOp::create(builder, location, ValueRange{newLo, newHi});
      });
  return loop.getResult(0);
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

/// Whether the language or the launch check guarantees that this index is in range at every element of a tile.
bool KernelScope::indexInRange(ir::LoadOp load, unsigned dim, Value planIndex, bool channelInRange) {
  auto tensor = cast<ir::AttnTensorType>(load.getTensor().getType());
  if (!planIndex)
    return channelInRange;
  Attribute size = tensor.getSizes()[dim];
  APInt number;
  if (matchPattern(planIndex, m_ConstantInt(&number))) {
    auto known = tensor.getConstantSize(dim);
    return known && number.sge(0) && number.getSExtValue() < *known;
  }
  auto index = planIndex.getDefiningOp<ir::IndexOp>();
  auto query = dyn_cast_or_null<ir::AttnTensorType>(queryType);
  auto key = dyn_cast_or_null<ir::AttnTensorType>(keyType);
  if (!index || !query || !key)
    return false;
  switch (index.getKind()) {
  case ir::IndexKind::b:
    return size == (rowPlaces->isInSequence() ? ir::sizeAttr(load.getContext(), SizeExpr::name("batch")) : query.getSizes()[0]);
  case ir::IndexKind::h:
    return size == headsOf(query);
  case ir::IndexKind::kv_head:
    return size == headsOf(key);
  case ir::IndexKind::q_idx: // rows and keys of a tile may lie beyond the last
  case ir::IndexKind::kv_idx:
    return false;
  }
  llvm_unreachable("all kinds are handled");
}

Value KernelScope::indexHolds(OpBuilder &builder, ir::LoadOp load, unsigned dim, Value index) {
  Value size = sizeOf(tensor(load.getTensor()), dim, load.getLoc());
  return arith::CmpIOp::create(builder, load.getLoc(), arith::CmpIPredicate::ult, index, size);
}

bool KernelScope::isChecked() const { return kernel->hasAttr(tile::kCheckedAttr); }

/// `q_idx` along `q_len`, `kv_idx` along `kv_len`.
bool KernelScope::isOwnPosition(ir::LoadOp load, unsigned dim) {
  auto index = load.getIndices()[dim].getDefiningOp<ir::IndexOp>();
  auto query = dyn_cast_or_null<ir::AttnTensorType>(queryType), key = dyn_cast_or_null<ir::AttnTensorType>(keyType);
  if (!index || !query || !key)
    return false;
  Attribute size = cast<ir::AttnTensorType>(load.getTensor().getType()).getSizes()[dim];
  if (rowPlaces->isInSequence()) { // the request's own length is at most the padded one
    auto isNamed = [&](StringRef name) { return size == ir::sizeAttr(load.getContext(), SizeExpr::name(name.str())); };
    return (index.getKind() == ir::IndexKind::q_idx && isNamed("q_len")) || (index.getKind() == ir::IndexKind::kv_idx && isNamed("kv_len"));
  }
  return (index.getKind() == ir::IndexKind::q_idx && size == query.getSizes()[1]) ||
         (index.getKind() == ir::IndexKind::kv_idx && size == key.getSizes()[1]);
}

Value KernelScope::readHolds(OpBuilder &builder, ir::LoadOp load, ValueRange indices, std::optional<unsigned> except) {
  Value all;
  for (unsigned dim = 0; dim < load.getIndices().size(); ++dim) {
    if (dim == except || indexInRange(load, dim, load.getIndices()[dim], true) || isOwnPosition(load, dim))
      continue;
    Value holds = indexHolds(builder, load, dim, indices[dim]);
    all = all ? arith::AndIOp::create(builder, load.getLoc(), all, holds).getResult() : holds;
  }
  return all;
}

Value KernelScope::parameter(OpBuilder &builder, ir::LoadOp load, ValueRange indices, Type result,
                             bool channelInRange) {
  Location location = load.getLoc();
  Value table = tensor(load.getTensor());
  Value inRange;
  for (unsigned dim = 0; dim < indices.size(); ++dim) {
    Value planIndex = dim < load.getIndices().size() ? load.getIndices()[dim] : Value();
    if (indexInRange(load, dim, planIndex, channelInRange))
      continue;
    Value holds = indexHolds(builder, load, dim, indices[dim]);
    inRange = inRange ? arith::AndIOp::create(builder, location, inRange, holds).getResult() : holds;
  }
  Type element = cast<tile::TileTensorType>(table.getType()).getElementType();
  // A row of integers is read as numbers and becomes floats.
  bool integers = !isa<FloatType>(element) && isa<FloatType>(result);
  Type stored = integers ? Type(builder.getI32Type()) : result;
  Value loaded = tile::ParamOp::create(builder, location, stored, table, indices, inRange);
  return integers ? arith::SIToFPOp::create(builder, location, result, loaded).getResult() : loaded;
}

} // namespace attn
