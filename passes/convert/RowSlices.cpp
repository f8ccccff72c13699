// See RowSlices.h. A slice of an elementwise operation is the operation on slices; of a part put into a row, the part's or
// the row's, for rows are cut where parts begin and end:
//
//   %n = mulf %row, %scale                                      %n0 = mulf %row[0:128], %scale
//   %r = rotate %n[512:576] by %angle;  insert %r in %n   →     …   %r = rotate (mulf %row[512:576], %scale[512:576]) by %angle
//
// A rotation that fits stays one, a slice of its own. Of a longer one half the channels of a slice would have to come from
// another: each channel is turned by itself, with the sine and cosine of its angle, which are computed twice then:
//
//   x'[p] = x[p]·cos angle[p] - x[p + n]·sin angle[p];   x'[p + n] = x[p + n]·cos angle[p] + x[p]·sin angle[p]
#include "passes/convert/RowSlices.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <set>

using namespace mlir;

namespace attn {

/// Channels of a slice: of a rotation two fragments are in registers.
static constexpr int64_t kMostOfSlice = 128, kMostOfRotation = 256, kGranule = 8;

static int64_t lengthOf(Value vector) { return cast<VectorType>(vector.getType()).getNumElements(); }
static VectorType withLength(Value vector, int64_t length) {
  return VectorType::get({length}, cast<VectorType>(vector.getType()).getElementType());
}
static int64_t firstOf(ArrayAttr offsets) { return cast<IntegerAttr>(offsets[0]).getInt(); }
static bool isElementwise(Operation *op) {
  return op->getNumRegions() == 0 && op->getNumResults() == 1 && isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
}

/// Where a row must be cut, and which ranges must not be.
struct RowSlices::Cuts {
  std::set<int64_t> places;
  std::set<std::pair<int64_t, int64_t>> whole;

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
  if (begin <= at && behind <= end && 2 * half <= kMostOfRotation) {
    cuts.whole.insert({at, behind});
    return;
  }
  int64_t first = std::max(begin, at), last = std::min(end, behind);
  cut(op.getRow(), at, first, last, cuts);
  if (op.getInterleaved())
    return;
  cuts.add(at + half, begin, end);
  cut(op.getRow(), at - half, first, std::min(last, at + half), cuts);
  cut(op.getRow(), at + half, std::max(first, at + half), last, cuts);
}

/// Channels of a vector that are computed together: begin and end.
SmallVector<std::pair<int64_t, int64_t>> RowSlices::ranges(Value vector, int64_t alignment) {
  Cuts cuts;
  int64_t length = lengthOf(vector), begin = 0;
  cut(vector, 0, 0, length, cuts);
  cuts.places.insert(length);
  SmallVector<std::pair<int64_t, int64_t>> result;
  for (int64_t end : cuts.places) {
    int64_t most = cuts.whole.contains({begin, end}) ? end - begin : kMostOfSlice;
    if (begin % alignment != 0 || end % alignment != 0)
      return {};
    for (; begin < end; begin += most)
      result.push_back({begin, std::min(begin + most, end)});
    begin = end;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

Value RowSlices::slice(Value vector, int64_t first, int64_t length) {
  if (!isa<VectorType>(vector.getType()))
    return vector;
  if (first == 0 && length == lengthOf(vector) && length <= kMostOfSlice && !vector.getDefiningOp())
    return vector;
  std::pair<int64_t, int64_t> range(first, length);
  if (Value before = known[vector][range])
    return before;
  Value result = computeSlice(vector, first, length);
  return known[vector][range] = result;
}

Value RowSlices::extracted(Value vector, int64_t first, int64_t length) {
  if (first == 0 && length == lengthOf(vector))
    return vector;
  return vector::ExtractStridedSliceOp::create(builder, vector.getLoc(), vector, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{length},
                                               ArrayRef<int64_t>{1});
}

Value RowSlices::computeSlice(Value vector, int64_t first, int64_t length) {
  Location location = vector.getLoc();
  Operation *op = vector.getDefiningOp();
  if (DenseElementsAttr constants; matchPattern(vector, m_Constant(&constants))) {
    auto type = withLength(vector, length);
    if (constants.isSplat())
      return arith::ConstantOp::create(builder, location, constants.resizeSplat(type));
    SmallVector<Attribute> elements(constants.getValues<Attribute>());
    return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, ArrayRef<Attribute>(elements).slice(first, length)));
  }
  if (!op)
    return extracted(vector, first, length);
  if (auto whole = dyn_cast<vector::ExtractStridedSliceOp>(op))
    return slice(whole.getSource(), firstOf(whole.getOffsets()) + first, length);
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    int64_t begin = firstOf(insert.getOffsets()), end = begin + lengthOf(insert.getValueToStore());
    if (begin <= first && first + length <= end)
      return slice(insert.getValueToStore(), first - begin, length);
    bool isBeside = end <= first || first + length <= begin;
    return isBeside ? slice(insert.getDest(), first, length) : extracted(vector, first, length); // an angle: nothing cuts those
  }
  if (auto rotation = dyn_cast<ir::RotateOp>(op))
    return rotated(rotation, first, length);
  if (auto broadcast = dyn_cast<vector::BroadcastOp>(op))
    return vector::BroadcastOp::create(builder, location, withLength(vector, length), broadcast.getSource());
  if (isa<ir::ChannelOp>(op)) {
    Value channel = ir::ChannelOp::create(builder, location, withLength(vector, length));
    auto type = cast<FloatType>(cast<VectorType>(channel.getType()).getElementType());
    auto start = DenseElementsAttr::get(cast<ShapedType>(channel.getType()), builder.getFloatAttr(type, static_cast<double>(first)).getValue());
    return first == 0 ? channel : arith::AddFOp::create(builder, location, channel, arith::ConstantOp::create(builder, location, start)).getResult();
  }
  if (!isElementwise(op))
    return extracted(vector, first, length);
  OperationState state(location, op->getName());
  for (Value operand : op->getOperands())
    state.operands.push_back(slice(operand, first, length));
  state.addTypes(withLength(vector, length));
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}

Value RowSlices::rotated(ir::RotateOp op, int64_t first, int64_t length) {
  int64_t half = lengthOf(op.getAngle());
  if (first >= 2 * half)
    return slice(op.getRow(), first, length);
  bool isWhole = first == 0 && length == 2 * half && length <= kMostOfRotation;
  if (!isWhole && !op.getInterleaved())
    return turned(op, first, length);
  return ir::RotateOp::create(builder, op.getLoc(), slice(op.getRow(), first, length), slice(op.getAngle(), first / 2, length / 2),
                              op.getInterleavedAttr());
}

/// Channels of one half of the pairs, from both halves of the row.
Value RowSlices::turned(ir::RotateOp op, int64_t first, int64_t length) {
  Location location = op.getLoc();
  int64_t half = lengthOf(op.getAngle());
  bool isSecond = first >= half;
  Value own = slice(op.getRow(), first, length), other = slice(op.getRow(), isSecond ? first - half : first + half, length);
  auto rounded = op.getAngle().getDefiningOp<arith::TruncFOp>(); // an angle needs more than f32 (codegen/nvvm/Rotate.cpp)
  Value angle = slice(rounded ? rounded.getIn() : op.getAngle(), isSecond ? first - half : first, length);
  auto wide = VectorType::get({length}, builder.getF64Type());
  if (angle.getType() != wide)
    angle = arith::ExtFOp::create(builder, location, wide, angle);
  auto narrow = [&](Value number) -> Value { return arith::TruncFOp::create(builder, location, own.getType(), number); };
  Value cosine = narrow(math::CosOp::create(builder, location, angle)), sine = narrow(math::SinOp::create(builder, location, angle));
  Value kept = arith::MulFOp::create(builder, location, own, cosine), moved = arith::MulFOp::create(builder, location, other, sine);
  if (isSecond)
    return arith::AddFOp::create(builder, location, kept, moved);
  return arith::SubFOp::create(builder, location, kept, moved);
}

//===----------------------------------------------------------------------===//
// The region
//===----------------------------------------------------------------------===//

/// A sum over a row, or a dot of two, as the sum of those of slices.
void RowSlices::writeSum(Operation *op) {
  builder.setInsertionPoint(op);
  Location location = op->getLoc();
  Value sum;
  for (auto [begin, end] : ranges(op->getOperand(0), /*alignment=*/1)) {
    Value part;
    if (auto dot = dyn_cast<ir::DotOp>(op)) {
      auto a = slice(dot.getLhs(), begin, end - begin), b = slice(dot.getRhs(), begin, end - begin);
      part = vector::ReductionOp::create(builder, location, vector::CombiningKind::ADD, arith::MulFOp::create(builder, location, a, b));
    } else {
      part = vector::ReductionOp::create(builder, location, vector::CombiningKind::ADD, slice(op->getOperand(0), begin, end - begin));
    }
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
  for (auto [begin, end] : ranges(row, kGranule))
    slices.push_back({begin, slice(row, begin, end - begin)});
  if (slices.empty())
    return yield->emitError() << "a row of " << lengthOf(row) << " channels is computed in slices, whose parts must begin and end at multiples of "
                              << kGranule;
  SmallVector<Value> kept;
  for (const Slice &slice : slices)
    kept.push_back(slice.vector);
  yield->setOperands(kept);
  eraseUnused();
  return slices;
}

} // namespace attn
