// See BlockLists.h. The program of a work tile of the first kernel, a warp's, is a tile of queries and 16 blocks of keys. A row of its
// fragments is a block, a column a key of it; where the mask stays the same over runs of keys or rows, one of each run:
//
//   seen = 0;  for row of the tile { seen += mask(row, key) and key < kv_len ? 1 : 0, summed along columns }
//   mark = not visited ? 0 : in a full range ? 2 : seen = 0 ? 0 : seen = all points ? 2 : 1
//
// The loop does not run where the ranges decide all 16. Sums are exact: they are below 2^24. In the second kernel a warp goes
// through the marks of a tile, 32 at a time, from the last that is visited.
#include "passes/convert/BlockLists.h"

#include "ir/tile/ListOps.h"
#include "ir/tile/WorkOps.h"
#include "passes/IndexRuns.h"
#include "passes/convert/ElementScope.h"
#include "passes/convert/RowPlaces.h"
#include "passes/convert/TileRanges.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numeric>

using namespace mlir;

namespace attn {

static constexpr int64_t kBlocksOfTile = 16, kWarpsOfMarks = 1;
static constexpr int64_t kColumnGranule = 8;     ///< of a fragment
static constexpr int64_t kPlacesOfWarp = 32;     ///< that `list_marked` looks at
static constexpr int64_t kRowsOfWarp = 16;

std::optional<BlockLists> BlockLists::of(ir::OnlineAttentionOp op) {
  auto schedule = ir::Schedule::fromAttr(op.getScheduleAttr(), [&] { return op.emitOpError(); });
  if (failed(schedule) || !schedule->listed)
    return std::nullopt;
  BlockLists lists(op);
  lists.schedule = *schedule;
  lists.ofRequests = !op.getRagged().empty() || !op.getPaged().empty();
  for (Region *region : {&op.getMask(), &op.getRanges()})
    region->walk([&](ir::IndexOp index) {
      lists.ofRequests |= index.getKind() == ir::IndexKind::b;
      if (index.getKind() == ir::IndexKind::h)
        lists.heads = Heads::QueryHeads;
      else if (index.getKind() == ir::IndexKind::kv_head && lists.heads == Heads::One)
        lists.heads = Heads::KeyHeads;
    });
  return lists;
}

StringRef BlockLists::workspaceName(unsigned number) {
  static constexpr StringRef kNames[] = {"marks.0", "lists.0", "counts.0"};
  return kNames[number];
}

SmallVector<tile::TileTensorType, 3> BlockLists::workspaceTypes() const {
  MLIRContext *context = op.getContext();
  bool isInSequence = !op.getRagged().empty() || !op.getPaged().empty();
  auto sizeOf = [&](ir::AttnTensorType type, unsigned dim, StringRef extent) {
    return isInSequence ? SizeExpr::name(extent.str()) : ir::sizeExprOf(type.getSizes()[dim]);
  };
  auto cut = [&](SizeExpr size, int64_t by) {
    return ir::sizeAttr(context, SizeExpr::binary(SizeExpr::Kind::CeilDiv, std::move(size), SizeExpr::number(by)));
  };
  Attribute one = ir::sizeAttr(context, SizeExpr::number(1));
  SmallVector<Attribute> sizes{ofRequests ? ir::sizeAttr(context, sizeOf(op.getQueryType(), 0, "batch")) : one,
                               heads == Heads::One        ? one
                               : heads == Heads::KeyHeads ? headsOf(op.getKeyType())
                                                          : headsOf(op.getQueryType()),
                               cut(sizeOf(op.getQueryType(), 1, "q_len"), schedule.queries()),
                               cut(sizeOf(op.getKeyType(), 1, "kv_len"), schedule.blockN)};
  Type f32 = Float32Type::get(context);
  auto marks = tile::TileTensorType::get(context, sizes, f32, false);
  auto lists = tile::TileTensorType::get(context, sizes, IntegerType::get(context, 32), false);
  sizes.pop_back();
  return {marks, lists, tile::TileTensorType::get(context, sizes, f32, false)};
}

//===----------------------------------------------------------------------===//
// Both kernels
//===----------------------------------------------------------------------===//

/// Requests, heads and tiles of queries that have lists of their own.
FailureOr<SmallVector<Value>> BlockLists::extents(KernelScope &scope) const {
  Location location = op.getLoc();
  auto headsOf = [&](Value tensor) { return scope.sizeOf(tensor, cast<tile::TileTensorType>(tensor.getType()).getRank() - 2, location); };
  Value one = scope.constant(1);
  Value requests = ofRequests ? scope.rows().requests(location) : one;
  Value ofHeads = heads == Heads::One ? one : headsOf(scope.tensor(storedRows(heads == Heads::KeyHeads ? op.getKey() : op.getQuery())));
  Value rows = scope.rows().longest(ir::IndexKind::q_idx, location);
  if (!requests || !ofHeads || !rows)
    return failure();
  Value tiles = arith::CeilDivSIOp::create(scope.entry, location, rows, scope.constant(static_cast<int32_t>(schedule.queries())));
  return SmallVector<Value>{requests, ofHeads, tiles};
}

/// Binds request and heads to those of a work tile.
void BlockLists::enter(KernelScope &scope, Block *body) const {
  Location location = op.getLoc();
  Value head = body->getArgument(1);
  scope.work.setInsertionPointToEnd(body);
  scope.setIndex(ir::IndexKind::b, body->getArgument(0));
  scope.setIndex(ir::IndexKind::h, head);
  scope.setIndex(ir::IndexKind::kv_head, head);
  if (heads == Heads::QueryHeads) {
    auto headsOf = [&](Value tensor) { return scope.sizeOf(tensor, cast<tile::TileTensorType>(tensor.getType()).getRank() - 2, location); };
    Value group = scope.entry.createOrFold<arith::DivUIOp>(location, headsOf(scope.tensor(storedRows(op.getQuery()))), headsOf(scope.tensor(storedRows(op.getKey()))));
    scope.setIndex(ir::IndexKind::kv_head, arith::DivUIOp::create(scope.work, location, head, group));
  }
  scope.rows().enterRequest(location);
}

SmallVector<Value, 4> BlockLists::placeOf(KernelScope &scope, Value tile) const {
  Value zero = scope.constant(0);
  Value head = heads == Heads::One ? zero : scope.index(heads == Heads::KeyHeads ? ir::IndexKind::kv_head : ir::IndexKind::h);
  return {ofRequests ? scope.index(ir::IndexKind::b) : zero, head, tile};
}

static tile::ForeachWorkOp openWork(KernelScope &scope, Location location, ValueRange extents) {
  auto work = tile::ForeachWorkOp::create(scope.entry, location, TypeRange(), extents, ValueRange(), /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = scope.entry.getI32Type();
  body->addArguments(SmallVector<Type>(extents.size(), i32), SmallVector<Location>(extents.size(), location));
  scope.entry.setInsertionPoint(work);
  return work;
}

/// A tile behind the request's last row has no list.
static void skipPastTheEnd(KernelScope &scope, OpBuilder &builder, Location location, Value firstRow) {
  if (!scope.rows().isInSequence())
    return;
  Value rows = scope.rows().length(ir::IndexKind::q_idx, location);
  Value isPast = arith::CmpIOp::create(scope.work, location, arith::CmpIPredicate::sge, firstRow, rows);
  tile::SkipWorkOp::create(builder, location, isPast);
}

//===----------------------------------------------------------------------===//
// Marks
//===----------------------------------------------------------------------===//

namespace {

/// The first kernel's work tile.
class MarksKernel {
public:
  MarksKernel(KernelScope &scope, ir::OnlineAttentionOp op, const ir::Schedule &schedule)
      : scope(scope), op(op), schedule(schedule), builder(op.getContext()), location(op.getLoc()), f32(builder.getF32Type()) {}

  LogicalResult write(Block *body, Value tile, Value chunk, Value marks, ArrayRef<Value> place);

private:
  int64_t stepOfKeys();
  Value number(int64_t value) { return scope.constant(static_cast<int32_t>(value)); }
  Value real(double value) { return arith::ConstantOp::create(scope.entry, location, builder.getF32FloatAttr(static_cast<float>(value))); }
  template <class OpTy> Value at(OpBuilder &to, Value a, Value b) { return OpTy::create(to, location, a, b); }
  Value compare(OpBuilder &to, arith::CmpIPredicate predicate, Value a, Value b) { return arith::CmpIOp::create(to, location, predicate, a, b); }
  Value within(OpBuilder &to, ArrayRef<Value> ranges, Value first, Value end, bool whole);
  Value visibleOfRow(Value row, Value sum);
  Value classify(Value seen, Value all);

  KernelScope &scope;
  ir::OnlineAttentionOp op;
  const ir::Schedule &schedule;
  OpBuilder builder;
  Location location;
  Type f32;
  TileRanges ranges;
  Value firstBlock, firstKey, keys;
};

} // namespace

/// One key of so many is looked at: of each run in which the mask stays the same at least one, and whole tiles of columns.
int64_t MarksKernel::stepOfKeys() {
  int64_t run = std::gcd(runLength(ir::yieldedBy(op.getMask())[0], ir::IndexKind::kv_idx), schedule.blockN), step = 1;
  for (int64_t divisor = 1; divisor <= run; ++divisor)
    if (schedule.blockN % (divisor * kColumnGranule) == 0)
      step = divisor;
  return step;
}

/// Whether keys [first, end) meet one of the ranges, or lie in one of them; null if there are none.
Value MarksKernel::within(OpBuilder &to, ArrayRef<Value> ranges, Value first, Value end, bool whole) {
  Value any;
  for (size_t i = 0; i + 1 < ranges.size(); i += 2) {
    Value lo = ranges[i], hi = ranges[i + 1];
    Value begins = whole ? compare(to, arith::CmpIPredicate::sle, lo, first) : compare(to, arith::CmpIPredicate::slt, lo, end);
    Value ends = whole ? compare(to, arith::CmpIPredicate::sle, end, hi) : compare(to, arith::CmpIPredicate::slt, first, hi);
    Value holds = at<arith::AndIOp>(to, begins, ends);
    if (!whole) // an empty range meets nothing
      holds = at<arith::AndIOp>(to, holds, compare(to, arith::CmpIPredicate::slt, lo, hi));
    any = any ? at<arith::OrIOp>(to, any, holds) : holds;
  }
  return any;
}

/// `sum` and what row `row` sees of each block.
Value MarksKernel::visibleOfRow(Value row, Value sum) {
  int64_t step = stepOfKeys();
  Frame frame{kBlocksOfTile, schedule.blockN / step, ir::IndexKind::q_idx, row, firstKey};
  tile::MapOp map = openMap(builder, location, frame.matrixType(f32));
  Block *block = &map.getBody().front();
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  Type i32 = builder.getI32Type();
  Value ofBlock = at<arith::MulIOp>(inner, tile::RowOp::create(inner, location, i32), number(schedule.blockN));
  Value ofColumn = tile::ColOp::create(inner, location, i32);
  if (step > 1)
    ofColumn = at<arith::MulIOp>(inner, ofColumn, number(step));
  Value key = at<arith::AddIOp>(inner, ofBlock, ofColumn);
  FragmentMap none;
  ElementScope element(scope, frame, none, block, /*row=*/number(0), /*column=*/key, /*channel=*/Value());
  Value visible = element.scalar(ir::yieldedBy(op.getMask())[0]);
  if (!visible)
    return {};
  OpBuilder &body = element.body();
  Value exists = compare(body, arith::CmpIPredicate::slt, at<arith::AddIOp>(body, firstKey, key), keys);
  visible = at<arith::AndIOp>(body, visible, exists);
  Value counted = arith::SelectOp::create(body, location, visible, real(1.0), real(0.0));
  tile::YieldOp::create(body, location, counted);
  return tile::ReduceOp::create(builder, location, tile::ReduceKind::add, map, sum);
}

/// Marks from how many points are visible of each block; `all` is how many there are.
Value MarksKernel::classify(Value seen, Value all) {
  auto map = tile::MapOp::create(builder, location, seen.getType(), ValueRange{seen});
  Block *block = &map.getBody().emplaceBlock();
  Value points = block->addArgument(f32, location);
  OpBuilder to = OpBuilder::atBlockEnd(block);
  Value blockN = number(schedule.blockN);
  Value j = at<arith::AddIOp>(to, firstBlock, tile::RowOp::create(to, location, builder.getI32Type()));
  Value first = at<arith::MulIOp>(to, j, blockN), end = at<arith::AddIOp>(to, first, blockN);
  auto choose = [&](Value condition, Value yes, Value no) -> Value { return arith::SelectOp::create(to, location, condition, yes, no); };
  Value none = real(0.0), some = real(1.0), whole = real(2.0);
  Value isWhole = at<arith::AndIOp>(to, arith::CmpFOp::create(to, location, arith::CmpFPredicate::OEQ, points, all),
                                    compare(to, arith::CmpIPredicate::sle, end, keys));
  Value isSome = arith::CmpFOp::create(to, location, arith::CmpFPredicate::OGT, points, none);
  Value mark = choose(isSome, choose(isWhole, whole, some), none);
  if (Value isFull = within(to, ranges.full, first, end, /*whole=*/true))
    mark = choose(isFull, whole, mark);
  Value isVisited = within(to, ranges.visit, first, end, /*whole=*/false);
  tile::YieldOp::create(to, location, isVisited ? choose(isVisited, mark, none) : none);
  return map;
}

LogicalResult MarksKernel::write(Block *body, Value tile, Value chunk, Value marks, ArrayRef<Value> place) {
  OpBuilder &work = scope.work;
  Value firstRow = at<arith::MulIOp>(work, tile, number(schedule.queries()));
  firstBlock = at<arith::MulIOp>(work, chunk, number(kBlocksOfTile));
  firstKey = at<arith::MulIOp>(work, firstBlock, number(schedule.blockN));
  keys = scope.rows().length(ir::IndexKind::kv_idx, location);
  auto written = writeTileRanges(scope, op.getRanges(), firstRow, schedule.queries());
  if (failed(written))
    return failure();
  ranges = std::move(*written);
  int64_t run = std::gcd(runLength(ir::yieldedBy(op.getMask())[0], ir::IndexKind::q_idx), schedule.queries());
  Value left = at<arith::SubIOp>(work, scope.rows().length(ir::IndexKind::q_idx, location), firstRow);
  Value rows = at<arith::MinSIOp>(work, left, number(schedule.queries()));
  Value looked = arith::CeilDivSIOp::create(work, location, rows, number(run));
  Value lastKey = at<arith::AddIOp>(work, firstKey, number(kBlocksOfTile * schedule.blockN));
  Value trips = number(0);
  if (Value isVisited = within(work, ranges.visit, firstKey, lastKey, /*whole=*/false))
    trips = arith::SelectOp::create(work, location, isVisited, looked, trips);
  if (Value isFull = within(work, ranges.full, firstKey, lastKey, /*whole=*/true))
    trips = arith::SelectOp::create(work, location, isFull, number(0), trips);
  Value points = at<arith::MulIOp>(work, looked, number(schedule.blockN / stepOfKeys()));
  Value all = arith::SIToFPOp::create(work, location, f32, points);
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(work, location, 0, 32);
  work.setInsertionPoint(anchor);
  builder.setInsertionPointToEnd(body);
  skipPastTheEnd(scope, builder, location, firstRow);
  auto rowType = tile::FragType::get(builder.getContext(), {kBlocksOfTile}, f32, {});
  Value zero = tile::SplatOp::create(scope.entry, location, rowType, llvm::APFloat(0.0f));
  auto loop = scf::ForOp::create(builder, location, number(0), trips, number(1), ValueRange{zero});
  builder.setInsertionPointToEnd(loop.getBody());
  Value distance = at<arith::MulIOp>(builder, loop.getInductionVar(), number(run));
  Value sum = visibleOfRow(at<arith::AddIOp>(builder, firstRow, distance), loop.getRegionIterArg(0));
  if (!sum)
    return failure();
  scf::YieldOp::create(builder, location, sum);
  builder.setInsertionPointAfter(loop);
  Value result = classify(loop.getResult(0), all);
  SmallVector<Value> at(place);
  at.push_back(firstBlock);
  tile::StoreOp::create(builder, location, result, marks, at, builder.getI32IntegerAttr(3), Value(), IntegerAttr(), StringAttr());
  tile::YieldOp::create(builder, location, ValueRange());
  anchor.erase();
  return success();
}

LogicalResult BlockLists::writeMarks(func::FuncOp plan, func::FuncOp kernel, ValueRange workspace) const {
  Location location = op.getLoc();
  KernelScope scope(plan, kernel);
  kernel->setAttr(tile::kWarpsAttr, scope.entry.getI32IntegerAttr(kWarpsOfMarks));
  kernel->setAttr(tile::kStagesAttr, scope.entry.getI32IntegerAttr(1));
  auto counts = extents(scope);
  Value keys = scope.rows().longest(ir::IndexKind::kv_idx, location);
  if (failed(counts) || !keys)
    return failure();
  Value each = scope.constant(static_cast<int32_t>(kBlocksOfTile * schedule.blockN));
  Value chunks = arith::CeilDivSIOp::create(scope.entry, location, keys, each);
  Value items = arith::MulIOp::create(scope.entry, location, (*counts)[2], chunks);
  auto work = openWork(scope, location, {(*counts)[0], (*counts)[1], items});
  Block *body = &work.getBody().front();
  enter(scope, body);
  Value item = body->getArgument(2);
  Value tile = arith::DivUIOp::create(scope.work, location, item, chunks), chunk = arith::RemUIOp::create(scope.work, location, item, chunks);
  return MarksKernel(scope, op, schedule).write(body, tile, chunk, workspace[0], placeOf(scope, tile));
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

LogicalResult BlockLists::writeLists(func::FuncOp plan, func::FuncOp kernel, ValueRange workspace) const {
  Location location = op.getLoc();
  KernelScope scope(plan, kernel);
  OpBuilder &work = scope.work;
  kernel->setAttr(tile::kWarpsAttr, scope.entry.getI32IntegerAttr(1));
  kernel->setAttr(tile::kStagesAttr, scope.entry.getI32IntegerAttr(1));
  auto counts = extents(scope);
  if (failed(counts))
    return failure();
  auto foreach = openWork(scope, location, *counts);
  Block *body = &foreach.getBody().front();
  enter(scope, body);
  Value tile = body->getArgument(2);
  auto number = [&](int64_t value) { return scope.constant(static_cast<int32_t>(value)); };
  Value firstRow = arith::MulIOp::create(work, location, tile, number(schedule.queries()));
  auto ranges = writeTileRanges(scope, op.getRanges(), firstRow, schedule.queries());
  if (failed(ranges))
    return failure();
  Value lastKey = number(0);
  for (size_t i = 1; i < ranges->visit.size(); i += 2)
    lastKey = arith::MaxSIOp::create(work, location, lastKey, ranges->visit[i]);
  lastKey = arith::MinSIOp::create(work, location, lastKey, scope.rows().length(ir::IndexKind::kv_idx, location));
  Value blocks = arith::CeilDivSIOp::create(work, location, lastKey, number(schedule.blockN));
  SmallVector<Value, 4> place = placeOf(scope, tile);
  auto anchor = arith::ConstantIntOp::create(work, location, 0, 32);
  work.setInsertionPoint(anchor);
  OpBuilder builder = OpBuilder::atBlockEnd(body);
  skipPastTheEnd(scope, builder, location, firstRow);
  Value trips = arith::CeilDivSIOp::create(work, location, blocks, number(kPlacesOfWarp));
  auto loop = scf::ForOp::create(builder, location, number(0), trips, number(1), ValueRange{number(0)});
  builder.setInsertionPointToEnd(loop.getBody());
  Value before = arith::MulIOp::create(builder, location, loop.getInductionVar(), number(kPlacesOfWarp));
  Value end = arith::SubIOp::create(builder, location, blocks, before);
  Value next = tile::ListMarkedOp::create(builder, location, workspace[0], place, end, workspace[1], loop.getRegionIterArg(0));
  scf::YieldOp::create(builder, location, next);
  builder.setInsertionPointAfter(loop);
  // One number of the tile, by the first row of a fragment.
  auto rowType = tile::FragType::get(builder.getContext(), {kRowsOfWarp}, builder.getF32Type(), {});
  auto map = tile::MapOp::create(builder, location, rowType, ValueRange());
  OpBuilder inner = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
  tile::YieldOp::create(inner, location, arith::SIToFPOp::create(inner, location, builder.getF32Type(), loop.getResult(0)).getResult());
  Value limit = arith::AddIOp::create(work, location, tile, number(1));
  tile::StoreOp::create(builder, location, map, workspace[2], place, builder.getI32IntegerAttr(2), limit, IntegerAttr(), StringAttr());
  tile::YieldOp::create(builder, location, ValueRange());
  anchor.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// In the attention's kernel
//===----------------------------------------------------------------------===//

void BlockLists::visit(KernelScope &scope, func::FuncOp kernel, Value tile, BlockRanges &blocks) const {
  auto argument = [&](unsigned number) -> Value {
    return *llvm::find_if(kernel.getArguments(), [&](BlockArgument each) {
      auto name = kernel.getArgAttrOfType<StringAttr>(each.getArgNumber(), ir::AttnDialect::kName);
      return name && name.getValue() == workspaceName(number);
    });
  };
  SmallVector<Value, 4> place = placeOf(scope, tile);
  OpBuilder &work = scope.work;
  Value counted = tile::ParamOp::create(work, op.getLoc(), work.getF32Type(), argument(2), place, Value());
  blocks.visitListed(work, argument(1), place, arith::FPToSIOp::create(work, op.getLoc(), work.getI32Type(), counted));
}

} // namespace attn
