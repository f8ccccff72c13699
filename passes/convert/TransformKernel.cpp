// See TransformKernel.h. The program of a work tile, 64 rows of one head by 4 warps:
//
//   load rows → region `row` → convert to the result's type → store
#include "passes/convert/TransformKernel.h"

#include "passes/convert/RowRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

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

static Value sizeOf(KernelScope &scope, Value tensor, unsigned dim, Location location) {
  auto type = cast<tile::TileTensorType>(tensor.getType());
  if (auto number = type.getStaticSize(dim))
    return scope.constant(static_cast<int32_t>(*number));
  return scope.size(type.getSizeText(dim), location);
}

/// The body for rows from `firstRow` on of head `head`.
static LogicalResult writeRows(KernelScope &scope, OpBuilder &builder, ir::TransformOp op, Value source, Value result,
                               Value batch, Value head, Value firstRow) {
  Location location = op.getLoc();
  Region &region = op.getRow();
  Value argument = region.getArgument(0), vector = ir::yieldedBy(region)[0];
  bool ofKeys = op.getOver() == ir::RowSide::key;
  Frame frame{kRows, paddedLength(scope, argument), ofKeys ? ir::IndexKind::kv_idx : ir::IndexKind::q_idx, firstRow, {}};
  SmallVector<Value> place{batch, firstRow, head};
  IntegerAttr alongRows = builder.getI32IntegerAttr(1);
  StoredRow stored{source, {batch}, {head}};
  Value loaded;
  if (paddedLength(scope, vector) == frame.columns) {
    auto type = frame.matrixType(cast<tile::TileTensorType>(source.getType()).getElementType());
    loaded = tile::LoadOp::create(builder, location, type, source, place, alongRows, Value(), IntegerAttr());
    loaded = convert(builder, location, loaded, builder.getF32Type());
  }
  frame.columns = paddedLength(scope, vector);
  Value rows = RowRegion(scope, frame, builder, argument, loaded, &stored).row(vector);
  if (!rows)
    return failure();
  rows = convert(builder, location, rows, cast<tile::TileTensorType>(result.getType()).getElementType());
  tile::StoreOp::create(builder, location, rows, result, place, alongRows, Value(), IntegerAttr(), StringAttr());
  return success();
}

LogicalResult writeTransformKernel(func::FuncOp plan, func::FuncOp kernel, ir::TransformOp op, Value source,
                                   Value result) {
  Location location = op.getLoc();
  KernelScope scope(plan, kernel);
  OpBuilder &entry = scope.entry;
  kernel->setAttr(tile::kWarpsAttr, entry.getI32IntegerAttr(kWarps));
  kernel->setAttr(tile::kStagesAttr, entry.getI32IntegerAttr(1));
  Value batches = sizeOf(scope, source, 0, location), rows = sizeOf(scope, source, 1, location),
        heads = sizeOf(scope, source, 2, location);
  if (!batches || !rows || !heads)
    return failure();
  Value tiles = arith::CeilDivSIOp::create(entry, location, rows, scope.constant(kRows));
  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{batches, heads, tiles}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = entry.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  Value batch = body->getArgument(0), head = body->getArgument(1);
  scope.setIndex(ir::IndexKind::b, batch);
  scope.setIndex(op.getOver() == ir::RowSide::key ? ir::IndexKind::kv_head : ir::IndexKind::h, head);
  scope.work.setInsertionPointToEnd(body);
  Value firstRow = arith::MulIOp::create(scope.work, location, body->getArgument(2), scope.constant(kRows));
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(scope.work, location, 0, 32);
  scope.work.setInsertionPoint(anchor);
  OpBuilder builder = OpBuilder::atBlockEnd(body);
  if (failed(writeRows(scope, builder, op, source, result, batch, head, firstRow)))
    return failure();
  tile::YieldOp::create(builder, location, ValueRange());
  anchor.erase();
  return success();
}

} // namespace attn
