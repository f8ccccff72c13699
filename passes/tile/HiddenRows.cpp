// See HiddenRows.h.
//
//   scf.if limit < (size = 0 ? firstRow + rows : min(firstRow + rows, size)) {
//     %b = await   %f = read %b   %g = map %f { row < limit - firstRow ? x : 0 }   write %g, %b
//   }
#include "passes/tile/HiddenRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace attn {

/// Warps over which fragments of this kernel are spread: those of its first fragment in layout `acc`.
static tile::AccAttr layoutOf(tile::AwaitOp await) {
  tile::AccAttr layout;
  auto look = [&](Value value) {
    auto type = dyn_cast<tile::FragType>(value.getType());
    if (auto acc = type ? dyn_cast_or_null<tile::AccAttr>(type.getLayout()) : tile::AccAttr())
      layout = acc;
  };
  for (Operation *user : await->getUsers()) {
    llvm::for_each(user->getOperands(), look);
    llvm::for_each(user->getResults(), look);
  }
  return layout;
}

static Value keepRowsBelow(OpBuilder &builder, Location location, Value fragment, Value count) {
  auto type = cast<tile::FragType>(fragment.getType());
  auto map = tile::MapOp::create(builder, location, type, ValueRange{fragment});
  Block *block = &map.getBody().emplaceBlock();
  Value element = block->addArgument(type.getElementType(), location);
  OpBuilder body = OpBuilder::atBlockEnd(block);
  Value row = tile::RowOp::create(body, location, body.getI32Type());
  Value counts = arith::CmpIOp::create(body, location, arith::CmpIPredicate::slt, row, count);
  Value zero = arith::ConstantOp::create(body, location, cast<TypedAttr>(body.getZeroAttr(type.getElementType())));
  tile::YieldOp::create(body, location, arith::SelectOp::create(body, location, counts, element, zero).getResult());
  return map;
}

void clearRowsBeyond(OpBuilder &builder, Location location, tile::AwaitOp await, Value entry, Value tensor, unsigned dim,
                     Value firstRow, Value limit) {
  auto buffer = cast<tile::BufferType>(await.getResult().getType());
  tile::AccAttr layout = layoutOf(await);
  assert(layout && "what is awaited is multiplied");
  Value rows = arith::ConstantIntOp::create(builder, location, buffer.getShape()[0], 32);
  Value end = arith::AddIOp::create(builder, location, firstRow, rows);
  Value size = tile::SizeOp::create(builder, location, builder.getI32Type(), tensor, dim);
  // Beyond the tensor the copy has filled zeros in; of a tensor without rows nothing has been copied at all.
  Value zero = arith::ConstantIntOp::create(builder, location, 0, 32);
  Value isEmpty = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::eq, size, zero);
  Value inside = arith::MinSIOp::create(builder, location, end, size);
  Value last = arith::SelectOp::create(builder, location, isEmpty, end, inside);
  Value hides = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, limit, last);
  auto guard = scf::IfOp::create(builder, location, hides, /*withElseRegion=*/false);
  OpBuilder inner = guard.getThenBodyBuilder();
  Value landed = tile::AwaitOp::create(inner, location, buffer, await.getRing(), entry, IntegerAttr(), UnitAttr());
  auto type = tile::FragType::get(builder.getContext(), buffer.getShape(), buffer.getElementType(), layout);
  Value fragment = tile::ReadOp::create(inner, location, type, landed, /*trans=*/false);
  Value count = arith::SubIOp::create(inner, location, limit, firstRow);
  tile::WriteOp::create(inner, location, keepRowsBelow(inner, location, fragment, count), landed, /*trans=*/false);
}

} // namespace attn
