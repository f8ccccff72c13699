// See RowRegion.h. A vector of the region is written lazily: only what a rotation or a sum takes, and the result,
// become fragments of their own. Slices keep the columns of what they are taken from, so that a part of a row can be
// rotated and put back in place without moving between threads.
#include "passes/convert/RowRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace attn {

static int64_t lengthOf(Value vector) { return cast<VectorType>(vector.getType()).getNumElements(); }

static int64_t firstOf(ArrayAttr offsets) { return cast<IntegerAttr>(offsets[0]).getInt(); }

/// The column in which channel 0 of `vector` stands if nothing is moved.
static std::optional<int64_t> naturalOffset(Value vector) {
  if (!isa<VectorType>(vector.getType()))
    return std::nullopt;
  if (isa<BlockArgument>(vector))
    return 0;
  Operation *op = vector.getDefiningOp();
  if (auto slice = dyn_cast<vector::ExtractStridedSliceOp>(op)) {
    auto source = naturalOffset(slice.getSource());
    return source ? std::optional(*source + firstOf(slice.getOffsets())) : std::nullopt;
  }
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    if (auto whole = naturalOffset(insert.getDest()))
      return whole;
    auto part = naturalOffset(insert.getValueToStore());
    return part ? std::optional(*part - firstOf(insert.getOffsets())) : std::nullopt;
  }
  if (isa<ir::LoadOp>(op))
    return std::nullopt;
  for (Value operand : op->getOperands())
    if (auto offset = naturalOffset(operand))
      return offset;
  return std::nullopt;
}

/// Whether the columns beside the vector's own are 0 in its fragment.
static bool isClean(Value vector) {
  if (auto rotation = vector.getDefiningOp<ir::RotateOp>())
    return isClean(rotation.getRow());
  return !vector.getDefiningOp<vector::ExtractStridedSliceOp>();
}

RowRegion::RowRegion(KernelScope &kernel, const Frame &frame, OpBuilder &builder, Value regionArgument, Value fragment,
                     const StoredRow *stored)
    : kernel(kernel), frame(frame), builder(builder), regionArgument(regionArgument), stored(stored) {
  if (regionArgument && fragment)
    fragments[regionArgument] = {fragment, 0};
}

Frame RowRegion::frameOf(Value vector) const {
  Frame own = frame;
  if (hasOwnColumns)
    own.columns = static_cast<int64_t>(llvm::alignTo(lengthOf(vector), 8));
  return own;
}

/// The column of its frame in which channel 0 of `vector` stands.
int64_t RowRegion::offsetOf(Value vector) const { return hasOwnColumns ? 0 : naturalOffset(vector).value_or(0); }

Value RowRegion::row(Value vector) {
  if (!prepare(vector))
    return {};
  auto known = fragments.find(vector);
  if (known != fragments.end() && known->second.offset == 0 && (frameOf(vector).columns == lengthOf(vector) || isClean(vector)))
    return known->second.value;
  return mapOf(vector, 0);
}

Value RowRegion::rowFrom(Value vector, int64_t channel) {
  fragments[regionArgument].offset = -channel;
  return prepare(vector) ? mapOf(vector, -channel) : Value();
}

Value RowRegion::dot(Value a, Value b, Location location) {
  if (!prepare(a) || !prepare(b))
    return {};
  Frame own = frameOf(a);
  tile::MapOp map = openMap(builder, location, own.matrixType(kernel.realType()));
  ElementScope scope(kernel, own, fragments, map);
  scope.setStoredRow(regionArgument, stored);
  Value x = scope.element(a, 0), y = x ? scope.element(b, 0) : Value();
  if (!y)
    return {};
  closeRegion(scope, location, arith::MulFOp::create(scope.body(), location, x, y));
  return sumOfColumns(map, location);
}

Value RowRegion::sumOfColumns(Value fragment, Location location) {
  Value zero = tile::SplatOp::create(builder, location, frame.rowType(kernel.realType()), llvm::APFloat(0.0f));
  return tile::ReduceOp::create(builder, location, zero.getType(), tile::ReduceKind::add, fragment, zero);
}

//===----------------------------------------------------------------------===//
// What needs a fragment of its own
//===----------------------------------------------------------------------===//

bool RowRegion::prepare(Value value) {
  if (!prepared.insert(value).second || fragments.contains(value) || kernel.isUniform(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op)
    return true;
  for (Value operand : op->getOperands())
    if (!prepare(operand))
      return false;
  if (auto rotation = dyn_cast<ir::RotateOp>(op))
    return prepareRotation(rotation);
  if (isa<vector::ReductionOp, ir::DotOp>(op))
    return prepareReduction(op);
  return true;
}

bool RowRegion::prepareRotation(ir::RotateOp op) {
  Location location = op.getLoc();
  Frame own = frameOf(op.getRow());
  int64_t offset = offsetOf(op.getRow());
  int64_t width = 2 * lengthOf(op.getAngle());
  if (offset < 0 || offset % 2 != 0 || offset + width > own.columns || (!op.getInterleaved() && width % 4 != 0)) {
    op.emitOpError("rotates ") << width << " channels from column " << offset
                               << " on, which is not supported: half-split pairs need a multiple of 4";
    return false;
  }
  Value source = fragmentOf(op.getRow(), offset);
  if (!source)
    return false;
  auto rotation = tile::RotateOp::create(builder, location, source.getType(), source, static_cast<uint32_t>(offset),
                                         static_cast<uint32_t>(width), op.getInterleaved());
  Type i32 = builder.getI32Type();
  rotation.getBody().emplaceBlock().addArguments({i32, i32}, {location, location});
  ElementScope scope(kernel, own, fragments, rotation);
  Value angle = scope.element(op.getAngle(), 0);
  if (!angle)
    return false;
  closeRegion(scope, location, angle);
  fragments[op.getResult()] = {rotation, offset};
  return true;
}

bool RowRegion::prepareReduction(Operation *op) {
  Location location = op->getLoc();
  if (auto product = dyn_cast<ir::DotOp>(op)) {
    Value sum = dot(product.getLhs(), product.getRhs(), location);
    fragments[product.getResult()] = {sum, 0};
    return static_cast<bool>(sum);
  }
  auto reduction = cast<vector::ReductionOp>(op);
  int64_t offset = offsetOf(reduction.getVector());
  if (reduction.getKind() != vector::CombiningKind::ADD || reduction.getAcc() || offset < 0 ||
      offset + lengthOf(reduction.getVector()) > frameOf(reduction.getVector()).columns) {
    op->emitOpError("is not supported on these rows");
    return false;
  }
  Value fragment = mapOf(reduction.getVector(), offset);
  if (!fragment)
    return false;
  fragments[reduction.getResult()] = {sumOfColumns(fragment, location), 0};
  return true;
}

/// A fragment with channel 0 of `vector` in column `offset`; what stands beside its channels does not matter.
Value RowRegion::fragmentOf(Value vector, int64_t offset) {
  Value source = vector;
  int64_t column = offset;
  while (auto slice = source.getDefiningOp<vector::ExtractStridedSliceOp>()) {
    column -= firstOf(slice.getOffsets());
    source = slice.getSource();
  }
  auto known = fragments.find(source);
  if (known != fragments.end() && known->second.offset == column)
    return known->second.value;
  return mapOf(vector, offset);
}

/// The same by a map, with 0 beside the channels.
Value RowRegion::mapOf(Value vector, int64_t offset) {
  Location location = vector.getLoc();
  Frame own = frameOf(vector);
  tile::MapOp map = openMap(builder, location, own.matrixType(kernel.realType()));
  ElementScope scope(kernel, own, fragments, map);
  scope.setStoredRow(regionArgument, stored);
  Value element = scope.element(vector, offset);
  if (!element)
    return {};
  if (Value within = scope.columnWithin(offset, lengthOf(vector))) {
    OpBuilder &body = scope.body();
    Value zero = arith::ConstantOp::create(body, location, body.getZeroAttr(element.getType()));
    element = arith::SelectOp::create(body, location, within, element, zero);
  }
  closeRegion(scope, location, element);
  return map;
}

} // namespace attn
