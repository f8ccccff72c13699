// See ElementScope.h.
#include "passes/convert/ElementScope.h"

#include "ir/tile/RandomOps.h"
#include "passes/convert/ReadChecks.h"
#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

tile::MapOp openMap(OpBuilder &builder, Location location, tile::FragType result) {
  auto map = tile::MapOp::create(builder, location, result, ValueRange());
  map.getBody().emplaceBlock();
  return map;
}

void closeRegion(ElementScope &scope, Location location, Value yielded) {
  tile::YieldOp::create(scope.body(), location, yielded);
}

ElementScope::ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, tile::MapOp map)
    : kernel(kernel), frame(frame), fragments(fragments), map(map), block(&map.getBody().front()),
      builder(OpBuilder::atBlockEnd(block)), location(map.getLoc()), checks(std::make_unique<ReadChecks>(kernel, *this)) {}

ElementScope::ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, tile::RotateOp rotate)
    : kernel(kernel), frame(frame), fragments(fragments), block(&rotate.getBody().front()),
      builder(OpBuilder::atBlockEnd(block)), location(rotate.getLoc()), checks(std::make_unique<ReadChecks>(kernel, *this)) {
  rowValue = block->getArgument(0);
  columnValue = block->getArgument(1);
}

ElementScope::ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, Block *block, Value row,
                           Value column, Value channel)
    : kernel(kernel), frame(frame), fragments(fragments), block(block), builder(OpBuilder::atBlockEnd(block)),
      location(block->getNumArguments() > 0 ? block->getArgument(0).getLoc() : block->getParentOp()->getLoc()), rowValue(row), columnValue(column), channelValue(channel) {}

ElementScope::~ElementScope() = default;

void ElementScope::assume(Value condition) {
  scalars[condition] = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
}

void ElementScope::setCounting(Value condition) { checks->setCounting(condition); }

Value ElementScope::exists() {
  if (existence || !frame.rowBase)
    return existence;
  auto below = [&](ir::IndexKind kind, Value base, Value place) -> Value {
    Value index = arith::AddIOp::create(builder, location, base, place);
    Value length = kernel.size(kind == ir::IndexKind::q_idx ? "q_len" : "kv_len", location);
    return arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, index, length);
  };
  existence = below(frame.rowIndex, frame.rowBase, rowPlace());
  if (frame.isPoint())
    existence = arith::AndIOp::create(builder, location, existence, below(ir::IndexKind::kv_idx, frame.columnBase, column()));
  return existence;
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Value ElementScope::row() {
  if (!rowValue)
    rowValue = tile::RowOp::create(builder, location, builder.getI32Type());
  return rowValue;
}

Value ElementScope::column() {
  if (!columnValue)
    columnValue = tile::ColOp::create(builder, location, builder.getI32Type());
  return columnValue;
}

Value ElementScope::channel(int64_t offset) {
  Value first = channelValue ? channelValue : column();
  if (offset == 0)
    return first;
  Value &known = channels[offset];
  if (!known)
    known = arith::SubIOp::create(builder, location, first, kernel.constant(static_cast<int32_t>(offset)));
  return known;
}

Value ElementScope::columnWithin(int64_t offset, int64_t length) {
  Value holds;
  if (offset > 0)
    holds = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::sge, column(),
                                  kernel.constant(static_cast<int32_t>(offset)));
  if (offset + length < frame.columns || !map) {
    Value below = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, column(),
                                        kernel.constant(static_cast<int32_t>(offset + length)));
    holds = holds ? arith::AndIOp::create(builder, location, holds, below).getResult() : below;
  }
  return holds;
}

/// Distance of this row's query or key from that of row 0.
Value ElementScope::rowPlace() {
  if (!isPacked())
    return row();
  return arith::DivUIOp::create(builder, location, row(), kernel.constant(static_cast<int32_t>(kernel.packedHeads())));
}

/// The row's head, where row 0 is of head `first`.
Value ElementScope::packedHead(Value first) {
  Value heads = kernel.constant(static_cast<int32_t>(kernel.packedHeads()));
  Value place = arith::RemUIOp::create(builder, location, row(), heads);
  return arith::AddIOp::create(builder, location, first, place);
}

Value ElementScope::index(ir::IndexKind kind, Location place) {
  bool ofRow = kind == frame.rowIndex;
  if (isPacked() && kind == ir::IndexKind::h)
    return packedHead(kernel.index(ir::IndexKind::h));
  bool ofColumn = frame.isPoint() && kind == ir::IndexKind::kv_idx;
  if (ofRow) {
    if (!rowIndex)
      rowIndex = arith::AddIOp::create(builder, place, frame.rowBase, rowPlace());
    return rowIndex;
  }
  if (ofColumn) {
    if (!columnIndex)
      columnIndex = arith::AddIOp::create(builder, place, frame.columnBase, column());
    return columnIndex;
  }
  if (frame.key && kind == ir::IndexKind::kv_idx)
    return frame.key;
  emitError(place) << "`" << ir::stringifyIndexKind(kind) << "` is not an index of the rows at hand";
  return {};
}

Value ElementScope::random(ir::RandomOp op) {
  Location place = op.getLoc();
  Value seed = scalar(op.getSeed()), offset = scalar(op.getOffset());
  Value query = index(ir::IndexKind::q_idx, place), key = index(ir::IndexKind::kv_idx, place);
  Value before = kernel.headsBefore(place);
  if (!seed || !offset || !query || !key || !before)
    return {};
  Value ofRequest = kernel.index(ir::IndexKind::h);
  if (isPacked())
    ofRequest = packedHead(ofRequest);
  Value head = arith::AddIOp::create(builder, place, before, ofRequest);
  return tile::RandomOp::create(builder, place, builder.getF32Type(), seed, offset, query, head, key);
}

//===----------------------------------------------------------------------===//
// Inputs and parameters
//===----------------------------------------------------------------------===//

Value ElementScope::input(Value fragment) {
  Value &known = inputs[fragment];
  if (known)
    return known;
  map.getInputsMutable().append(fragment);
  return known = block->addArgument(cast<tile::FragType>(fragment.getType()).getElementType(), location);
}

Value ElementScope::load(ir::LoadOp op, Value channel, bool channelInRange) {
  SmallVector<Value> places;
  for (Value planIndex : op.getIndices())
    if (!places.emplace_back(scalar(planIndex)))
      return {};
  if (checks)
    checks->check(op, places);
  if (channel)
    places.push_back(channel);
  return kernel.parameter(builder, op, places, getElementTypeOrSelf(op.getType()), channelInRange);
}

LogicalResult ElementScope::check(ir::LoadOp load) {
  SmallVector<Value> places;
  for (Value planIndex : load.getIndices())
    if (!places.emplace_back(scalar(planIndex)))
      return failure();
  checks->check(load, places);
  return success();
}

/// The element of the row in memory at `channel`, 0 beyond the last row or channel.
Value ElementScope::stored(Value channel, Location location) {
  auto type = cast<tile::TileTensorType>(storedRow->tensor.getType());
  Value index = arith::AddIOp::create(builder, location, frame.rowBase, rowPlace());
  Value head = isPacked() ? packedHead(storedRow->head) : storedRow->head;
  Value rows = kernel.rows().length(frame.rowIndex, location);
  if (!rows)
    return {};
  Value channels = kernel.constant(static_cast<int32_t>(*type.getStaticSize(type.getRank() - 1)));
  Value inRows = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, index, rows);
  Value inChannels = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, channel, channels);
  Value inRange = arith::AndIOp::create(builder, location, inRows, inChannels);
  return kernel.rows().element(builder, location, storedRow->tensor, frame.rowIndex, index, head, channel, inRange);
}

/// The point's product with the row of a table. Where the element does not count the index may be anything: some row then.
Value ElementScope::lookedUp(const LookupRead &read) {
  auto load = ir::LoadOp(read.lookup.load);
  SmallVector<Value> places;
  for (Value planIndex : load.getIndices())
    if (!places.emplace_back(scalar(planIndex)))
      return {};
  checks->check(load, places);
  Value place = places[read.lookup.dim];
  if (!isWithin(read.lookup.index(), read.lookup.rows)) {
    Value last = kernel.constant(static_cast<int32_t>(read.lookup.rows - 1));
    place = arith::MinUIOp::create(builder, load.getLoc(), place, last);
  }
  return tile::AtOp::create(builder, load.getLoc(), kernel.realType(), read.products, ValueRange{row(), place});
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value ElementScope::scalar(Value value) {
  if (Value known = scalars.lookup(value))
    return known;
  Value result = computeScalar(value);
  return result ? scalars[value] = result : Value();
}

Value ElementScope::computeScalar(Value value) {
  if (auto known = fragments.find(value); known != fragments.end()) {
    if (map)
      return input(known->second.value);
    emitError(value.getLoc()) << "an angle that depends on the rows' data is not supported";
    return {};
  }
  if (lookups)
    if (auto read = lookups->find(value); read != lookups->end())
      return lookedUp(read->second);
  if (kernel.isUniform(value)) {
    if (checks)
      checks->checkShared(value);
    return kernel.uniform(value);
  }
  Operation *op = value.getDefiningOp();
  if (!op) {
    emitError(value.getLoc()) << "this argument of the region can only be used in a dot";
    return {};
  }
  if (auto position = dyn_cast<ir::IndexOp>(op))
    return index(position.getKind(), position.getLoc());
  if (auto number = dyn_cast<ir::RandomOp>(op))
    return random(number);
  if (auto parameter = dyn_cast<ir::LoadOp>(op))
    return load(parameter, {}, true);
  if (op->getNumRegions() != 0 || op->getNumResults() != 1 || !isa<arith::ArithDialect, math::MathDialect>(op->getDialect())) {
    op->emitOpError("is not supported here");
    return {};
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    if (!operands.emplace_back(scalar(operand)))
      return {};
  return cloneScalar(builder, op, operands);
}

//===----------------------------------------------------------------------===//
// Channels of rows
//===----------------------------------------------------------------------===//

Value ElementScope::element(Value vector, int64_t offset) {
  if (!isa<VectorType>(vector.getType()))
    return scalar(vector);
  if (Value known = elements.lookup({vector, offset}))
    return known;
  Value result = computeElement(vector, offset);
  return result ? elements[{vector, offset}] = result : Value();
}

Value ElementScope::computeElement(Value vector, int64_t offset) {
  auto known = fragments.find(vector);
  if (known != fragments.end() && map && known->second.offset == offset)
    return input(known->second.value);
  Location location = vector.getLoc();
  if (vector == storedArgument && storedRow)
    return stored(channel(offset), location);
  if (known != fragments.end() || isa<BlockArgument>(vector)) {
    emitError(location) << "channels of this row would have to move to other columns, which is not supported";
    return {};
  }
  Operation *op = vector.getDefiningOp();
  int64_t length = cast<VectorType>(vector.getType()).getNumElements();
  DenseElementsAttr constants;
  if (matchPattern(vector, m_Constant(&constants))) {
    if (!constants.isSplat()) {
      Value place = channel(offset);
      if (channelValue || (map && (offset != 0 || frame.columns > length))) { // columns beside the row: any entry does
        place = arith::MaxSIOp::create(builder, location, place, kernel.constant(0));
        place = arith::MinSIOp::create(builder, location, place, kernel.constant(static_cast<int32_t>(length - 1)));
      }
      return tile::LookupOp::create(builder, location, constants.getElementType(), constants, place);
    }
    auto value = constants.getSplatValue<TypedAttr>();
    return arith::ConstantOp::create(builder, location, value);
  }
  if (isa<ir::ChannelOp>(op))
    return arith::SIToFPOp::create(builder, location, getElementTypeOrSelf(op->getResult(0).getType()), channel(offset));
  if (auto broadcast = dyn_cast<vector::BroadcastOp>(op))
    return element(broadcast.getSource(), offset);
  if (auto parameter = dyn_cast<ir::LoadOp>(op)) {
    bool inRange = map && offset == 0 && frame.columns <= length;
    return load(parameter, channel(offset), inRange || (!map && !channelValue));
  }
  if (auto slice = dyn_cast<vector::ExtractStridedSliceOp>(op)) {
    int64_t first = cast<IntegerAttr>(slice.getOffsets()[0]).getInt();
    return element(slice.getSource(), offset - first);
  }
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    int64_t first = cast<IntegerAttr>(insert.getOffsets()[0]).getInt() + offset;
    int64_t part = cast<VectorType>(insert.getValueToStore().getType()).getNumElements();
    Value inside = element(insert.getValueToStore(), first);
    Value outside = inside ? element(insert.getDest(), offset) : Value();
    if (!outside)
      return {};
    Value within = columnWithin(first, part);
    return within ? arith::SelectOp::create(builder, location, within, inside, outside).getResult() : inside;
  }
  if (op->getNumRegions() != 0 || op->getNumResults() != 1 || !isa<arith::ArithDialect, math::MathDialect>(op->getDialect())) {
    op->emitOpError("is not supported on rows");
    return {};
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    if (!operands.emplace_back(element(operand, offset)))
      return {};
  return cloneScalar(builder, op, operands);
}

} // namespace attn
