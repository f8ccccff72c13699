// See RowSlices.h. A slice of an elementwise operation is the operation on slices; of a part put into a row, the part's or
// the row's, for rows are cut where parts begin and end:
//
//   %n = mulf %row, %scale                                      %n0 = mulf %row[0:128], %scale
//   %r = rotate %n[512:576] by %angle;  insert %r in %n   →     …   %r = rotate (mulf %row[512:576], %scale[512:576]) by %angle
//
// A rotation that fits stays one, a slice of its own. Of a longer one a slice has some of the first channels of pairs, and
// behind them the second ones, so that it is a rotation again:
//
//   %r = rotate %row by %angle   →   %p = rotate (%row[0:64], %row[160:224]) by %angle[0:64];  …
#include "passes/convert/RowSlices.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <set>

using namespace mlir;

namespace attn {

/// Channels of a slice: of a rotation two fragments are in registers, of pairs' halves as many each.
static constexpr int64_t kMostOfSlice = 128, kMostOfHalf = 64, kMostOfRotation = 256, kGranule = 8;

static int64_t lengthOf(Value vector) { return cast<VectorType>(vector.getType()).getNumElements(); }
/// Of f64 half as many, for a number takes two registers.
static int64_t most(int64_t channels, Value vector) {
  return cast<VectorType>(vector.getType()).getElementType().isF64() ? channels / 2 : channels;
}
static VectorType withLength(Value vector, int64_t length) {
  return VectorType::get({length}, cast<VectorType>(vector.getType()).getElementType());
}
static bool isWhole(Value vector, RowSlices::Range range) { return !range.second && range.first == 0 && range.length == lengthOf(vector); }
static int64_t firstOf(ArrayAttr offsets) { return cast<IntegerAttr>(offsets[0]).getInt(); }
static bool isElementwise(Operation *op) {
  return op->getNumRegions() == 0 && op->getNumResults() == 1 && isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
}

/// Where a row must be cut, which ranges must not be, and where pairs have their channels: beginning and half the length.
struct RowSlices::Cuts {
  std::set<int64_t> places;
  std::set<std::pair<int64_t, int64_t>> whole, halves;

  void add(int64_t place, int64_t begin, int64_t end) {
    if (begin < place && place < end)
      places.insert(place);
  }
};

RowSlices::RowSlices(Region &region) : block(region.front()), builder(block.getTerminator()) {}

//===----------------------------------------------------------------------===//
// Where rows are cut
//===----------------------------------------------------------------------===//

/// Cuts of channels `begin` … `end` - 1 of a row in which `vector` begins at channel `at`.
void RowSlices::cut(Value vector, int64_t at, int64_t begin, int64_t end, Cuts &cuts) {
  if (!isa<VectorType>(vector.getType()) || begin >= end)
    return;
  Operation *op = vector.getDefiningOp();
  if (!op)
    return;
  if (auto slice = dyn_cast<vector::ExtractStridedSliceOp>(op))
    return cut(slice.getSource(), at - firstOf(slice.getOffsets()), begin, end, cuts);
  if (auto rotation = dyn_cast<ir::RotateOp>(op))
    return cutRotation(rotation, at, begin, end, cuts);
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    int64_t first = at + firstOf(insert.getOffsets()), last = first + lengthOf(insert.getValueToStore());
    cuts.add(first, begin, end);
    cuts.add(last, begin, end);
    cut(insert.getValueToStore(), first, std::max(begin, first), std::min(end, last), cuts);
    cut(insert.getDest(), at, begin, std::min(end, first), cuts);
    return cut(insert.getDest(), at, std::max(begin, last), end, cuts);
  }
  if (isElementwise(op))
    for (Value operand : op->getOperands())
      cut(operand, at, begin, end, cuts);
}

void RowSlices::cutRotation(ir::RotateOp op, int64_t at, int64_t begin, int64_t end, Cuts &cuts) {
  int64_t half = lengthOf(op.getAngle()), behind = at + 2 * half;
  cuts.add(at, begin, end);
  cuts.add(behind, begin, end);
  cut(op.getRow(), at, std::max(begin, behind), end, cuts);
  if (begin <= at && behind <= end && 2 * half <= most(kMostOfRotation, op.getRow())) {
    cuts.whole.insert({at, behind});
    return;
  }
  cut(op.getRow(), at, std::max(begin, at), std::min(end, behind), cuts);
  if (op.getInterleaved() || begin > at || behind > end)
    return;
  cuts.halves.insert({at, half});
  cut(op.getRow(), at - half, at, at + half, cuts);
  cut(op.getRow(), at + half, at + half, behind, cuts);
}

/// Channels of a vector that are computed together.
SmallVector<RowSlices::Range> RowSlices::ranges(Value vector, int64_t alignment) {
  Cuts cuts;
  int64_t length = lengthOf(vector), begin = 0;
  cut(vector, 0, 0, length, cuts);
  for (auto [at, half] : cuts.halves) { // both halves alike
    std::set<int64_t> places = cuts.places;
    for (int64_t place : places)
      if (at <= place && place <= at + 2 * half)
        cuts.places.insert(place < at + half ? place + half : place - half);
    cuts.places.insert(at + half);
  }
  cuts.places.erase(0);
  cuts.places.insert(length);
  SmallVector<Range> result;
  for (int64_t end : cuts.places) {
    if (begin % alignment != 0 || end % alignment != 0)
      return {};
    auto halves = llvm::find_if(cuts.halves, [&](auto each) { return each.first <= begin && end <= each.first + 2 * each.second; });
    bool isInHalf = halves != cuts.halves.end();
    int64_t longest = isInHalf ? most(kMostOfHalf, vector) : cuts.whole.contains({begin, end}) ? end - begin : most(kMostOfSlice, vector);
    for (; begin < end; begin += std::min(longest, end - begin)) {
      Range range{begin, std::min(longest, end - begin)};
      if (isInHalf && begin >= halves->first + halves->second) // with the first half
        continue;
      if (isInHalf)
        range.second = begin + halves->second;
      result.push_back(range);
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

Value RowSlices::slice(Value vector, Range range) {
  if (!isa<VectorType>(vector.getType()))
    return vector;
  if (Value before = known[vector][range])
    return before;
  Value result = computeSlice(vector, range);
  return known[vector][range] = result;
}

Value RowSlices::extracted(Value vector, Range range) {
  if (isWhole(vector, range))
    return vector;
  return vector::ExtractStridedSliceOp::create(builder, vector.getLoc(), vector, ArrayRef<int64_t>{range.first}, ArrayRef<int64_t>{range.length},
                                               ArrayRef<int64_t>{1});
}

/// Two slices, one behind the other.
Value RowSlices::joined(Value vector, Range range) {
  Location location = vector.getLoc();
  Value first = slice(vector, {range.first, range.length}), second = slice(vector, {*range.second, range.length});
  auto type = withLength(vector, range.channels());
  Value row = arith::ConstantOp::create(builder, location, builder.getZeroAttr(type));
  row = vector::InsertStridedSliceOp::create(builder, location, first, row, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
  return vector::InsertStridedSliceOp::create(builder, location, second, row, ArrayRef<int64_t>{range.length}, ArrayRef<int64_t>{1});
}

Value RowSlices::constant(DenseElementsAttr elements, Range range, Location location) {
  auto type = VectorType::get({range.channels()}, elements.getElementType());
  if (elements.isSplat())
    return arith::ConstantOp::create(builder, location, elements.resizeSplat(type));
  SmallVector<Attribute> all(elements.getValues<Attribute>());
  SmallVector<Attribute> some(ArrayRef<Attribute>(all).slice(range.first, range.length));
  if (range.second)
    llvm::append_range(some, ArrayRef<Attribute>(all).slice(*range.second, range.length));
  return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, some));
}

Value RowSlices::computeSlice(Value vector, Range range) {
  Location location = vector.getLoc();
  Operation *op = vector.getDefiningOp();
  if (DenseElementsAttr elements; matchPattern(vector, m_Constant(&elements)))
    return constant(elements, range, location);
  if (auto broadcast = vector.getDefiningOp<vector::BroadcastOp>())
    return vector::BroadcastOp::create(builder, location, withLength(vector, range.channels()), broadcast.getSource());
  if (op && isElementwise(op))
    return elementwise(op, range);
  if (auto rotation = vector.getDefiningOp<ir::RotateOp>())
    return rotated(rotation, range);
  if (range.second)
    return joined(vector, range);
  int64_t end = range.first + range.length;
  if (auto whole = vector.getDefiningOp<vector::ExtractStridedSliceOp>())
    return slice(whole.getSource(), {firstOf(whole.getOffsets()) + range.first, range.length});
  if (auto insert = vector.getDefiningOp<vector::InsertStridedSliceOp>()) {
    int64_t partBegin = firstOf(insert.getOffsets()), partEnd = partBegin + lengthOf(insert.getValueToStore());
    if (partBegin <= range.first && end <= partEnd)
      return slice(insert.getValueToStore(), {range.first - partBegin, range.length});
    bool isBeside = partEnd <= range.first || end <= partBegin;
    return isBeside ? slice(insert.getDest(), range) : extracted(vector, range); // an angle: nothing cuts those
  }
  if (vector.getDefiningOp<ir::ChannelOp>() && range.first > 0) {
    Value channel = ir::ChannelOp::create(builder, location, withLength(vector, range.length));
    auto type = cast<VectorType>(channel.getType());
    auto start = DenseElementsAttr::get(type, builder.getFloatAttr(type.getElementType(), static_cast<double>(range.first)).getValue());
    return arith::AddFOp::create(builder, location, channel, arith::ConstantOp::create(builder, location, start));
  }
  if (vector.getDefiningOp<ir::ChannelOp>())
    return ir::ChannelOp::create(builder, location, withLength(vector, range.length));
  return extracted(vector, range);
}

Value RowSlices::elementwise(Operation *op, Range range) {
  OperationState state(op->getLoc(), op->getName());
  for (Value operand : op->getOperands())
    state.operands.push_back(slice(operand, range));
  state.addTypes(withLength(op->getResult(0), range.channels()));
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}

/// The cuts have it that pairs are whole, or that no channel turns.
Value RowSlices::rotated(ir::RotateOp op, Range range) {
  int64_t half = lengthOf(op.getAngle());
  if (range.first >= 2 * half && range.second.value_or(2 * half) >= 2 * half)
    return slice(op.getRow(), range);
  bool areHalves = range.second == range.first + half && !op.getInterleaved();
  bool arePairs = !range.second && (op.getInterleaved() || (range.first == 0 && range.length == 2 * half));
  if (areHalves || arePairs) {
    Range pairs{areHalves ? range.first : range.first / 2, range.channels() / 2};
    return ir::RotateOp::create(builder, op.getLoc(), slice(op.getRow(), range), slice(op.getAngle(), pairs), op.getInterleavedAttr());
  }
  return range.second ? joined(op.getResult(), range) : extracted(op.getResult(), range);
}

//===----------------------------------------------------------------------===//
// The region
//===----------------------------------------------------------------------===//

/// A sum over a row, or a dot of two, as the sum of those of slices.
void RowSlices::writeSum(Operation *op) {
  builder.setInsertionPoint(op);
  Location location = op->getLoc();
  Value sum;
  for (Range range : ranges(op->getOperand(0), /*alignment=*/1)) {
    Value summed = slice(op->getOperand(0), range);
    if (auto dot = dyn_cast<ir::DotOp>(op))
      summed = arith::MulFOp::create(builder, location, summed, slice(dot.getRhs(), range));
    Value part = vector::ReductionOp::create(builder, location, vector::CombiningKind::ADD, summed);
    sum = sum ? arith::AddFOp::create(builder, location, sum, part).getResult() : part;
  }
  op->getResult(0).replaceAllUsesWith(sum);
}

void RowSlices::eraseUnused() {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

FailureOr<SmallVector<RowSlices::Slice>> RowSlices::write() {
  SmallVector<Operation *> sums;
  for (Operation &op : block) {
    auto reduction = dyn_cast<vector::ReductionOp>(op);
    if (isa<ir::DotOp>(op) || (reduction && reduction.getKind() == vector::CombiningKind::ADD && !reduction.getAcc()))
      sums.push_back(&op);
  }
  llvm::for_each(sums, [&](Operation *sum) { writeSum(sum); });
  Operation *yield = block.getTerminator();
  builder.setInsertionPoint(yield);
  Value row = yield->getOperand(0);
  SmallVector<Slice> slices;
  for (Range range : ranges(row, kGranule))
    slices.push_back({range, slice(row, range)});
  if (slices.empty())
    return yield->emitError() << "a row of " << lengthOf(row) << " channels is computed in slices, whose parts must begin and end at multiples of "
                              << kGranule;
  SmallVector<Value> kept;
  for (const Slice &slice : slices)
    kept.push_back(slice.vector);
  yield->setOperands(kept);
  eraseUnused();
  for (auto rotation : block.getOps<ir::RotateOp>())
    if (lengthOf(rotation.getRow()) > kMostOfRotation)
      return rotation.emitError() << "pairs of " << lengthOf(rotation.getRow()) << " channels turn, of which a part is taken: more than "
                                  << kMostOfRotation << " are not supported there yet";
  return slices;
}

} // namespace attn
