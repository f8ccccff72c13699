// See ValueTables.h.
#include "passes/convert/ValueTables.h"

#include "ir/tile/DiagonalOps.h"
#include "passes/convert/DiagonalRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace attn {

LogicalResult ValueTables::analyse(Region &weight) {
  for (Value row : rowsAddedToValue(weight)) {
    auto table = findRelativeRow(row);
    if (!table)
      return emitError(row.getLoc()) << "a row that the distance of key and query does not choose cannot be added to values";
    tables.push_back(*table);
  }
  return success();
}

SmallVector<ir::LoadOp> ValueTables::reads() const {
  SmallVector<ir::LoadOp> all;
  for (const RelativeRow &table : tables)
    llvm::append_range(all, loadsBehind(table.row));
  return all;
}

Value ValueTables::add(KernelScope &kernel, OpBuilder &builder, const Frame &point, Value weights, Value sums,
                       const HiddenValues &values, MutableArrayRef<Value> notes) const {
  Type element = cast<tile::FragType>(weights.getType()).getElementType();
  for (auto [table, note] : llvm::zip_equal(tables, notes)) {
    Location location = table.row.getLoc();
    int64_t columns = kernel.paddedColumns(slice ? slice->channels : cast<VectorType>(table.row.getType()).getNumElements());
    RowForAll forAll; // first: whether it holds says which rows are copied
    bool mayBeOne = element.getIntOrFloatBitWidth() < 32 && hasRowForAll(kernel, table, element);
    if (mayBeOne)
      forAll = rowForAll(kernel, builder, table, point, columns, element, slice);
    Value rows = diagonalRows(kernel, builder, table, point, columns, element, slice);
    if (!rows || (mayBeOne && !forAll.rows))
      return {};
    std::tie(rows, note) = values.keepFinite(builder, rows, point.columnBase, /*isFull=*/forAll.isAlike, note); // what is not read is not looked at
    if (mayBeOne) {
      Value yes = arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
      Value differ = arith::XOrIOp::create(builder, location, forAll.isAlike, yes);
      std::tie(forAll.rows, note) = values.keepFinite(builder, forAll.rows, point.columnBase, /*isFull=*/differ, note);
    }
    sums = tile::DiagonalSumOp::create(builder, location, sums.getType(), weights, rows, sums, forAll.rows, forAll.isAlike);
  }
  return sums;
}

Value ValueTables::restore(OpBuilder &builder, Value sums, const HiddenValues &values, Type element, ValueRange notes) const {
  for (auto [table, note] : llvm::zip_equal(tables, notes)) {
    HiddenValues ofTable = values;
    ofTable.row = table.row;
    ofTable.rowElement = element;
    ofTable.firstChannel = slice ? slice->first : 0;
    sums = ofTable.restore(builder, sums, note);
    if (!sums)
      return {};
  }
  return sums;
}

} // namespace attn
