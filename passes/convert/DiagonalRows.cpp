// See DiagonalRows.h. Diagonal x of a tile of R rows is that of row 0 and column x - (R - 1): what depends on the distance
// alone is computed there.
#include "passes/convert/DiagonalRows.h"

#include "ir/tile/DiagonalOps.h"
#include "passes/DiagonalLimits.h"
#include "passes/convert/AlikeRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace attn {

/// Copies are of 16 bytes.
static constexpr int64_t kCopyBytes = 16;

static bool isCopied(const RelativeRow &row, Type element) {
  if (!row.load)
    return false;
  auto table = cast<ir::AttnTensorType>(ir::LoadOp(row.load).getTensor().getType());
  int64_t bytes = cast<VectorType>(row.row.getType()).getNumElements() * element.getIntOrFloatBitWidth() / 8;
  return table.getElementType() == element && bytes % kCopyBytes == 0;
}

/// A place on diagonal `x`, in a region of its own.
static ElementScope onDiagonal(KernelScope &kernel, const Frame &point, const FragmentMap &none, Block *block, Value channel) {
  OpBuilder body = OpBuilder::atBlockEnd(block);
  Location location = block->getArgument(0).getLoc();
  Value last = kernel.constant(static_cast<int32_t>(point.rows - 1));
  Value column = arith::SubIOp::create(body, location, block->getArgument(0), last);
  return ElementScope(kernel, point, none, block, kernel.constant(0), column, channel);
}

/// The index of the table's row, or -1 where another index is out of range.
static Value tableRow(KernelScope &kernel, ElementScope &place, const RelativeRow &row) {
  ir::LoadOp load = row.load;
  Value index = place.scalar(load.getIndices()[row.dim]);
  if (!index)
    return {};
  SmallVector<Value> others(load.getIndices().size());
  for (auto [dim, planIndex] : llvm::enumerate(load.getIndices()))
    if (dim != row.dim && !(others[dim] = kernel.uniform(planIndex)))
      return {};
  Value holds = kernel.readHolds(place.body(), load, others, row.dim);
  if (!holds)
    return index;
  return arith::SelectOp::create(place.body(), load.getLoc(), holds, index, kernel.constant(-1));
}

static Value gather(KernelScope &kernel, OpBuilder &builder, const RelativeRow &row, const Frame &point, tile::FragType type,
                    const ValueSlice *slice) {
  ir::LoadOp load = row.load;
  Location location = load.getLoc();
  Value table = kernel.tensor(load.getTensor());
  if (slice)
    table = columnsOf(kernel.entry, table, *slice);
  SmallVector<Value> places;
  for (auto [dim, planIndex] : llvm::enumerate(load.getIndices()))
    if (!places.emplace_back(dim == row.dim ? kernel.constant(0) : kernel.uniform(planIndex)))
      return {};
  auto rows = tile::LoadOp::create(builder, location, type, table, places,
                                   builder.getI32IntegerAttr(static_cast<int32_t>(row.dim)), Value(), IntegerAttr());
  Block *block = &rows.getRows().emplaceBlock();
  block->addArgument(builder.getI32Type(), location);
  FragmentMap none;
  ElementScope place = onDiagonal(kernel, point, none, block, {});
  Value index = tableRow(kernel, place, row);
  if (!index)
    return {};
  closeRegion(place, location, index);
  return rows.getResult();
}

static Value compute(KernelScope &kernel, OpBuilder &builder, const RelativeRow &row, const Frame &point, tile::FragType type,
                     const ValueSlice *slice) {
  Location location = row.row.getLoc();
  auto table = tile::TabulateOp::create(builder, location, type);
  Block *block = &table.getBody().emplaceBlock();
  block->addArguments({builder.getI32Type(), builder.getI32Type()}, {location, location});
  FragmentMap none;
  ElementScope place = onDiagonal(kernel, point, none, block, block->getArgument(1));
  Value element = place.element(row.row, slice ? -slice->first : 0);
  if (!element)
    return {};
  int64_t channels = slice ? slice->channels : cast<VectorType>(row.row.getType()).getNumElements();
  if (channels < type.getColumns()) {
    Value inside = arith::CmpIOp::create(place.body(), location, arith::CmpIPredicate::slt, block->getArgument(1),
                                         kernel.constant(static_cast<int32_t>(channels)));
    element = arith::SelectOp::create(place.body(), location, inside, element, kernel.real(0.0f));
  }
  closeRegion(place, location, element);
  return table.getResult();
}

Value diagonalRows(KernelScope &kernel, OpBuilder &builder, const RelativeRow &row, const Frame &point, int64_t columns, Type element,
                   const ValueSlice *slice) {
  auto type = tile::FragType::get(builder.getContext(), {point.rows + point.columns, columns}, element, {});
  return isCopied(row, element) ? gather(kernel, builder, row, point, type, slice) : compute(kernel, builder, row, point, type, slice);
}

bool hasRowForAll(KernelScope &kernel, const RelativeRow &row, Type element) {
  bool isShort = cast<VectorType>(row.row.getType()).getNumElements() <= kMostChannelsForAll && element.getIntOrFloatBitWidth() < 64;
  return isShort && isCopied(row, element) && mayBeAlike(kernel, row);
}

RowForAll rowForAll(KernelScope &kernel, OpBuilder &builder, const RelativeRow &row, const Frame &point, int64_t columns, Type element,
                    const ValueSlice *slice) {
  auto last = [&](Value first, int64_t count) {
    return arith::AddIOp::create(builder, row.row.getLoc(), first, kernel.constant(static_cast<int32_t>(count - 1))).getResult();
  };
  BlockCorners corners{point.rowBase, last(point.rowBase, point.rows), point.columnBase, last(point.columnBase, point.columns)};
  Value alike = areRowsAlike(kernel, builder, row, corners);
  auto type = tile::FragType::get(builder.getContext(), {kRowsForAll, columns}, element, {});
  Value rows = alike ? gather(kernel, builder, row, point, type, slice) : Value();
  return rows ? RowForAll{rows, alike} : RowForAll{};
}

} // namespace attn
