// See LookupTables.h. With R rows of the table, in whole tiles of 16, the others 0:
//
//   %t = tile.load %table[%h, 0] along 1                                              R x head_dim
//     or tile.map { %r = tile.row  %c = tile.col  tile.param %table[%h, %r, %c] }     where its numbers are of another type
//   %p = tile.dot %q, trans %t                                                        block_m x R
//   tile.write %p, %products
//   scf.for … { tile.map … { … %s = tile.at %products[%row, %index] … } }
#include "passes/convert/LookupTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace attn {

bool LookupTables::take(ir::DotOp dot, unsigned queryFeatures) {
  auto lookup = findLookup(dot, queryFeatures);
  if (!lookup)
    return false;
  found[dot.getResult()] = {*lookup, {}};
  order.push_back(dot.getResult());
  return true;
}

/// The table's rows as the right operand of a product.
Value LookupTables::tableOperand(const Lookup &lookup, KernelScope &kernel, OpBuilder &builder, Type element) {
  auto load = ir::LoadOp(lookup.load);
  Location location = load.getLoc();
  int64_t channels = cast<VectorType>(load.getType()).getNumElements(), columns = kernel.paddedColumns(channels);
  SmallVector<Value> places;
  for (auto [dim, index] : llvm::enumerate(load.getIndices())) {
    Value &place = places.emplace_back();
    if (dim != lookup.dim && !(place = kernel.uniform(index)))
      return {};
  }
  // The other indices are in range, or the rows are read one number at a time, 0 where one is not.
  if (lookup.isCopied(element) && !kernel.readHolds(builder, load, places, lookup.dim)) {
    places[lookup.dim] = kernel.constant(0);
    auto rows = tile::FragType::get(builder.getContext(), {lookup.columns(), columns}, element, {});
    return tile::LoadOp::create(builder, location, rows, kernel.tensor(load.getTensor()), places,
                                builder.getI32IntegerAttr(static_cast<int32_t>(lookup.dim)), Value(), IntegerAttr());
  }
  auto type = tile::FragType::get(builder.getContext(), {lookup.columns(), columns}, kernel.realType(), {});
  auto map = tile::MapOp::create(builder, location, type, ValueRange());
  OpBuilder body = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
  places[lookup.dim] = tile::RowOp::create(body, location, body.getI32Type());
  places.push_back(tile::ColOp::create(body, location, body.getI32Type()));
  Value number = kernel.parameter(body, load, places, kernel.realType(), /*channelInRange=*/columns == channels);
  tile::YieldOp::create(body, location, number);
  if (type.getElementType() == element)
    return map;
  return tile::ConvertOp::create(builder, location, type.withElementType(element), map);
}

LogicalResult LookupTables::write(KernelScope &kernel, OpBuilder &builder, ValueRange queryOperands, int64_t rows) {
  Type real = kernel.realType();
  MLIRContext *context = builder.getContext();
  for (auto [position, result] : llvm::enumerate(order)) {
    LookupRead &read = found.find(result)->second;
    const Lookup &lookup = read.lookup;
    for (Value earlier : ArrayRef(order).take_front(position))
      if (const LookupRead &other = found.find(earlier)->second; other.lookup.sharesProducts(lookup))
        read.products = other.products;
    if (read.products)
      continue;
    Location location = result.getLoc();
    Value query = queryOperands[lookup.feature];
    Value table = tableOperand(lookup, kernel, builder, cast<tile::FragType>(query.getType()).getElementType());
    if (!table)
      return failure();
    auto type = tile::FragType::get(context, {rows, lookup.columns()}, real, {});
    Value zero = tile::SplatOp::create(builder, location, type, llvm::APFloat(0.0f));
    Value products = tile::DotOp::create(builder, location, type, query, table, zero, /*trans=*/true);
    auto layout = tile::SmemAttr::get(context, /*swizzle=*/0, static_cast<unsigned>(lookup.pitch()));
    auto buffer = tile::BufferType::get(context, type.getShape(), real, layout);
    read.products = tile::AllocOp::create(kernel.entry, location, buffer, IntegerAttr());
    tile::WriteOp::create(builder, location, products, read.products, /*trans=*/false);
  }
  return success();
}

} // namespace attn
