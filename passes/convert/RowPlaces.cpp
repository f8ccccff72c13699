// See RowPlaces.h.
#include "passes/convert/RowPlaces.h"

#include "passes/convert/KernelScope.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

Value storedRows(Value operand) {
  while (auto transform = operand.getDefiningOp<ir::TransformOp>())
    operand = transform.getTensor();
  return operand;
}

static StringRef lengthName(ir::IndexKind rows) { return rows == ir::IndexKind::q_idx ? "q_len" : "kv_len"; }

Value RowPlaces::padded(StringRef extent, Location location) {
  Value value = scope.extentArgument(extent);
  if (!value)
    emitError(location) << "the kernel is given no `" << extent << "`";
  return value;
}

Value RowPlaces::requests(Location location) {
  if (isInSequence())
    return padded("batch", location);
  return scope.sizeOf(scope.tensor(storedRows(attention.getQuery())), 0, location);
}

Value RowPlaces::longest(ir::IndexKind rows, Location location) {
  if (isInSequence())
    return padded(lengthName(rows), location);
  return length(rows, location);
}

Value RowPlaces::length(ir::IndexKind rows, Location location) {
  if (isInSequence())
    return scope.size(lengthName(rows), location);
  Value operand = rows == ir::IndexKind::q_idx ? attention.getQuery() : attention.getKey();
  return scope.sizeOf(scope.tensor(storedRows(operand)), 1, location);
}

void RowPlaces::enterRequest(Location location) {
  if (!isInSequence())
    return;
  OpBuilder &work = scope.work;
  Value b = scope.index(ir::IndexKind::b);
  auto read = [&](Value planTensor, Value index) -> Value {
    return tile::ParamOp::create(work, location, work.getI32Type(), scope.tensor(planTensor), index, Value());
  };
  Value next = arith::AddIOp::create(work, location, b, scope.constant(1));
  auto enter = [&](Value sums, ir::IndexKind rows, StringRef startName) {
    Value start = read(sums, b), end = read(sums, next);
    scope.bindSize(startName, start);
    scope.bindSize(lengthName(rows), arith::SubIOp::create(work, location, end, start));
    return start;
  };
  if (isRagged()) {
    queryStart = enter(attention.getRagged()[0], ir::IndexKind::q_idx, "q_start");
    keyStart = enter(attention.getRagged()[1], ir::IndexKind::kv_idx, "kv_start");
    return;
  }
  queryStart = enter(attention.getPaged()[0], ir::IndexKind::q_idx, "q_start");
  scope.bindSize("kv_len", read(attention.getPaged()[2], b));
}

RowAddress RowPlaces::queryRows(Value first, Value head, bool isStored) {
  if (!isInSequence())
    return {{scope.index(ir::IndexKind::b), first, head}, 1, {}, {}};
  Location location = first.getLoc();
  OpBuilder &work = scope.work;
  Value row = arith::AddIOp::create(work, location, queryStart, first), end;
  if (isStored)
    end = arith::AddIOp::create(work, location, queryStart, length(ir::IndexKind::q_idx, location));
  return {{row, head}, 0, end, {}};
}

RowAddress RowPlaces::rowNumbers(Value first, Value head) {
  if (!isInSequence())
    return {{scope.index(ir::IndexKind::b), head, first}, 2, {}, {}};
  return queryRows(first, head, /*isStored=*/true);
}

bool RowPlaces::hasPages(Value tensor) {
  auto firstSize = [](Value of) { return cast<tile::TileTensorType>(of.getType()).getSizes()[0]; };
  return isPaged() && firstSize(tensor) == firstSize(scope.tensor(storedRows(attention.getKey())));
}

RowAddress RowPlaces::keyRows(OpBuilder &builder, Value tensor, Value first, Value head, Value end) {
  Value b = scope.index(ir::IndexKind::b);
  if (!isInSequence())
    return {{b, first, head}, 1, end, {}};
  Location location = first.getLoc();
  OpBuilder &work = scope.work;
  Value last = length(ir::IndexKind::kv_idx, location);
  if (end)
    last = arith::MinSIOp::create(work, location, end, last);
  if (hasPages(tensor))
    return {{b, first, head}, 1, last, scope.tensor(attention.getPaged()[1])};
  if (isPaged())
    return {{b, first, head}, 1, end ? last : Value(), {}};
  Value row = arith::AddIOp::create(builder, location, keyStart, first), limit;
  if (end)
    limit = arith::AddIOp::create(work, location, keyStart, last);
  return {{row, head}, 0, limit, {}};
}

Value RowPlaces::element(OpBuilder &builder, Location location, Value tensor, ir::IndexKind rows, Value row, Value head,
                         Value channel, Value holds) {
  Value b = scope.index(ir::IndexKind::b);
  SmallVector<Value, 4> place;
  bool ofKeys = rows == ir::IndexKind::kv_idx;
  if (!isInSequence() || (ofKeys && isPaged() && !hasPages(tensor))) {
    place = {b, row, head, channel};
  } else if (!ofKeys || !isPaged()) {
    place = {arith::AddIOp::create(builder, location, start(rows), row), head, channel};
  } else {
    auto number = [&](int64_t value) { return scope.constant(static_cast<int32_t>(value)); };
    int64_t pageRows = static_cast<int64_t>(*attention.getPageSize());
    Value column = arith::ShRUIOp::create(builder, location, row, number(llvm::Log2_64(static_cast<uint64_t>(pageRows))));
    Value table = scope.tensor(attention.getPaged()[1]);
    Value page = tile::ParamOp::create(builder, location, builder.getI32Type(), table, ValueRange{b, column}, holds);
    place = {page, arith::AndIOp::create(builder, location, row, number(pageRows - 1)), head, channel};
  }
  return tile::ParamOp::create(builder, location, scope.realType(), tensor, place, holds);
}

} // namespace attn
