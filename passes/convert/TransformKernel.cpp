// See TransformKernel.h. The program of a work tile, 64 rows of one head by 4 warps:
//
//   load rows → region `row` → convert to the result's type → store
//
// Rows of more than 256 channels are made slice by slice, each from memory (RowSlices.h):
//
//   for each slice { region `row` of these channels → convert → store_columns }
#include "passes/convert/TransformKernel.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/ColumnOps.h"
#include "ir/tile/WorkOps.h"
#include "passes/WideRows.h"
#include "passes/convert/RowPlaces.h"
#include "passes/convert/RowRegion.h"
#include "passes/convert/RowSlices.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace attn {

/// 16 rows a warp: a row's channels take half as many registers of a thread as it has channels.
static constexpr int64_t kRows = 64;
static constexpr int32_t kWarps = 4;

static int64_t paddedLength(const KernelScope &scope, Value vector) {
  return scope.paddedColumns(cast<VectorType>(vector.getType()).getNumElements());
}

static Value convert(OpBuilder &builder, Location location, Value fragment, Type element) {
  auto type = cast<tile::FragType>(fragment.getType());
  if (type.getElementType() == element)
    return fragment;
  return tile::ConvertOp::create(builder, location, type.withElementType(element), fragment);
}

static ir::IndexKind rowsOf(ir::TransformOp op) {
  return op.getOver() == ir::RowSide::key ? ir::IndexKind::kv_idx : ir::IndexKind::q_idx;
}

/// Whether the rows of pages are laid out by request.
static bool leavesPages(Value source, Value result) {
  return cast<tile::TileTensorType>(source.getType()).getSizes()[0] != cast<tile::TileTensorType>(result.getType()).getSizes()[0];
}

/// Whether no thread has the registers for all channels of a row.
static bool isWide(ir::TransformOp op) {
  auto vector = [](Value value) { return cast<VectorType>(value.getType()).getNumElements(); };
  Value row = op.getRow().getArgument(0);
  return areWide(vector(row), vector(ir::yieldedBy(op.getRow())[0]), cast<VectorType>(row.getType()).getElementType());
}

/// The rows' channels slice by slice.
static LogicalResult writeSlices(KernelScope &scope, OpBuilder &builder, ir::TransformOp op, const Frame &frame, const StoredRow &stored,
                                 Value result, const RowAddress &to) {
  Location location = op.getLoc();
  auto slices = RowSlices(op.getRow()).write();
  if (failed(slices))
    return failure();
  RowRegion region(scope, frame, builder, op.getRow().getArgument(0), Value(), &stored);
  region.useOwnColumns();
  for (const RowSlices::Slice &slice : *slices) {
    Value rows = region.row(slice.vector);
    if (!rows)
      return failure();
    rows = convert(builder, location, rows, cast<tile::TileTensorType>(result.getType()).getElementType());
    auto store = [&](int64_t begin, int64_t first) {
      tile::StoreColumnsOp::create(builder, location, rows, static_cast<uint32_t>(begin), static_cast<uint32_t>(slice.length), result, to.indices,
                                   static_cast<uint32_t>(to.dim), static_cast<uint32_t>(first), to.limit);
    };
    store(0, slice.first);
    if (slice.second)
      store(slice.length, *slice.second);
  }
  return success();
}

/// The body for rows from `firstRow` on of head `head`.
static LogicalResult writeRows(KernelScope &scope, OpBuilder &builder, ir::TransformOp op, Value source, Value result,
                               Value head, Value firstRow) {
  Location location = op.getLoc();
  Region &region = op.getRow();
  Value argument = region.getArgument(0), vector = ir::yieldedBy(region)[0];
  Frame frame{kRows, paddedLength(scope, argument), rowsOf(op), firstRow, {}};
  bool ofKeys = frame.rowIndex == ir::IndexKind::kv_idx;
  Value end = ofKeys && scope.rows().isInSequence() ? scope.rows().length(frame.rowIndex, location) : Value();
  RowAddress at = ofKeys ? scope.rows().keyRows(builder, source, firstRow, head, end)
                         : scope.rows().queryRows(firstRow, head, /*isStored=*/true);
  RowAddress to = at;
  if (leavesPages(source, result)) // all rows of the padded length: those that are not there are made of 0
    to = {{scope.index(ir::IndexKind::b), firstRow, head}, 1, {}, {}};
  IntegerAttr alongRows = builder.getI32IntegerAttr(at.dim);
  StoredRow stored{source, head};
  if (isWide(op))
    return writeSlices(scope, builder, op, frame, stored, result, to);
  Value loaded;
  bool isNumber = vector.getDefiningOp<vector::BroadcastOp>() && paddedLength(scope, vector) <= frame.columns; // one of the whole row
  if (isNumber || paddedLength(scope, vector) == frame.columns) {
    Type element = cast<tile::TileTensorType>(source.getType()).getElementType();
    auto type = frame.matrixType(ir::isFloat8(element) ? Type(builder.getF16Type()) : element);
    loaded = tile::LoadOp::create(builder, location, type, source, at.indices, alongRows, at.limit, IntegerAttr(), at.pages);
    loaded = convert(builder, location, loaded, scope.realType());
  }
  if (!isNumber)
    frame.columns = paddedLength(scope, vector);
  Value rows = RowRegion(scope, frame, builder, argument, loaded, &stored).row(vector);
  if (!rows)
    return failure();
  rows = convert(builder, location, rows, cast<tile::TileTensorType>(result.getType()).getElementType());
  tile::StoreOp::create(builder, location, rows, result, to.indices, builder.getI32IntegerAttr(to.dim), to.limit, IntegerAttr(), StringAttr());
  return success();
}

LogicalResult writeTransformKernel(func::FuncOp plan, func::FuncOp kernel, ir::TransformOp op, Value source,
                                   Value result) {
  Location location = op.getLoc();
  KernelScope scope(plan, kernel);
  OpBuilder &entry = scope.entry;
  kernel->setAttr(tile::kWarpsAttr, entry.getI32IntegerAttr(kWarps));
  kernel->setAttr(tile::kStagesAttr, entry.getI32IntegerAttr(1));
  unsigned headsDim = cast<tile::TileTensorType>(source.getType()).getRank() - 2;
  Value batches = scope.rows().requests(location), rows = scope.rows().longest(rowsOf(op), location),
        heads = scope.sizeOf(source, headsDim, location);
  if (!batches || !rows || !heads)
    return failure();
  Value tiles = arith::CeilDivSIOp::create(entry, location, rows, scope.constant(kRows));
  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{batches, heads, tiles}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = entry.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  Value head = body->getArgument(1);
  scope.setIndex(ir::IndexKind::b, body->getArgument(0));
  scope.setIndex(op.getOver() == ir::RowSide::key ? ir::IndexKind::kv_head : ir::IndexKind::h, head);
  scope.work.setInsertionPointToEnd(body);
  scope.rows().enterRequest(location);
  Value firstRow = arith::MulIOp::create(scope.work, location, body->getArgument(2), scope.constant(kRows));
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(scope.work, location, 0, 32);
  scope.work.setInsertionPoint(anchor);
  OpBuilder builder = OpBuilder::atBlockEnd(body);
  if (scope.rows().isInSequence() && !leavesPages(source, result)) {
    Value length = scope.rows().length(rowsOf(op), location);
    Value isPast = arith::CmpIOp::create(scope.work, location, arith::CmpIPredicate::sge, firstRow, length);
    tile::SkipWorkOp::create(builder, location, isPast);
  }
  if (failed(writeRows(scope, builder, op, source, result, head, firstRow)))
    return failure();
  tile::YieldOp::create(builder, location, ValueRange());
  anchor.erase();
  return success();
}

} // namespace attn
