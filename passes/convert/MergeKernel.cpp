// See MergeKernel.h. The program of a work tile, 16 rows of a tile of the kernel for few rows, always of one head or of as many as
// share the tile:
//
//   for each share that is not empty, from the first { load sums, maximum, total;  rescale and add }   finish, region `out`, stores
//
// in that order always, so that results are the same from launch to launch. Rows of sums come by copies that run ahead; a row's
// numbers are loaded kAhead shares before they are used.
#include "passes/convert/MergeKernel.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/WorkOps.h"
#include "passes/WideRows.h"
#include "passes/convert/RowOutputs.h"
#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <limits>

using namespace mlir;

namespace attn {

static constexpr int64_t kRows = 16;            ///< of a warp
static constexpr int64_t kBytesOfWarp = 512;    ///< of a row of sums: twice 64 registers a thread
static constexpr int64_t kBytesInFlight = 1 << 16, kMostStages = 4;
static constexpr int64_t kAhead = 3;            ///< shares

namespace {
class MergeKernel {
public:
  MergeKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp op, ir::FinalizeOp finalize,
              const llvm::StringMap<Value> &outputs, ArrayRef<std::pair<Value, Value>> workspace, const SplitPlan &split,
              const SplitArguments &arguments)
      : kernel(kernel), op(op), finalize(finalize), outputs(outputs), split(split), arguments(arguments), scope(plan, kernel),
        builder(kernel.getContext()), location(op.getLoc()), real(ir::computeType(op)) {
    for (auto [made, argument] : workspace)
      scope.bind(made, argument);
  }

  LogicalResult write();

private:
  LogicalResult writeWork(Block *body);
  void enterTile(Block *body);
  Value heads(Value tensor) { return scope.sizeOf(tensor, cast<tile::TileTensorType>(tensor.getType()).getRank() - 2, location); }
  Value number(int64_t value) { return scope.constant(static_cast<int32_t>(value)); }
  tile::FragType rowType() { return tile::FragType::get(builder.getContext(), {kRows}, real, {}); }
  Value splat(tile::FragType type, float value);
  Value rowOfShare(OpBuilder &at, Value share);
  Value load(tile::FragType type, Value tensor, Value row, Value end);
  SmallVector<Value> loadNumbers(Value share);
  template <class Body> Value map(tile::FragType type, ValueRange inputs, Body body);
  SmallVector<Value> mergeShares();
  void addShare(scf::ForOp loop);

  func::FuncOp kernel;
  ir::OnlineAttentionOp op;
  ir::FinalizeOp finalize;
  const llvm::StringMap<Value> &outputs;
  const SplitPlan &split;
  SplitArguments arguments;
  KernelScope scope;
  OpBuilder builder;
  Location location;
  Type real;
  tile::FragType sumsType;
  SplitExtents extents;
  Value place, rowsBefore, validRows, firstRow, shares;   ///< of the tile; `rowsBefore`: of its own, ahead of the 16
};
} // namespace

Value MergeKernel::splat(tile::FragType type, float value) {
  return tile::SplatOp::create(scope.entry, location, type, llvm::APFloat(value));
}

LogicalResult MergeKernel::write() {
  const ir::Schedule &few = split.schedule();
  int64_t columns = op.getValueRowLength(), bytesOfNumber = real.getIntOrFloatBitWidth() / 8;
  auto parts = static_cast<int64_t>(llvm::divideCeil(columns * bytesOfNumber, kBytesOfWarp));
  columns = parts > 1 ? wideSumColumns(columns, parts) : scope.sumColumns(columns);
  kernel->setAttr(tile::kWarpsAttr, builder.getI32IntegerAttr(static_cast<int32_t>(parts)));
  int64_t stages = std::clamp<int64_t>(kBytesInFlight / (kRows * columns * bytesOfNumber), 1, kMostStages);
  kernel->setAttr(tile::kStagesAttr, builder.getI32IntegerAttr(static_cast<int32_t>(stages)));
  if (parts > 1)
    kernel->setAttr(tile::kPartsAttr, builder.getI32IntegerAttr(static_cast<int32_t>(parts)));
  sumsType = tile::FragType::get(builder.getContext(), {kRows, columns}, real, {});
  scope.packHeads(std::min(few.pack, kRows));

  OpBuilder &entry = scope.entry;
  Value rows = scope.rows().longest(ir::IndexKind::q_idx, location);
  Value queryHeads = heads(scope.tensor(op.getQuery()));
  extents.batch = scope.rows().requests(location);
  if (!rows || !queryHeads || !extents.batch)
    return failure();
  extents.groups = few.pack > 1 ? entry.createOrFold<arith::DivUIOp>(location, queryHeads, number(few.pack)) : queryHeads;
  extents.tiles = arith::CeilDivSIOp::create(entry, location, rows, number(few.queries()));
  Value pieces = arith::MulIOp::create(entry, location, extents.tiles, number(few.blockM / kRows));
  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{extents.batch, extents.groups, pieces}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = builder.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  scope.work.setInsertionPointToEnd(body);
  if (failed(writeWork(body)))
    return failure();
  OpBuilder last = OpBuilder::atBlockEnd(body);
  tile::YieldOp::create(last, location, ValueRange());
  return success();
}

/// Which rows of which tile, and how many shares have left something for them.
void MergeKernel::enterTile(Block *body) {
  const ir::Schedule &few = split.schedule();
  OpBuilder &work = scope.work;
  auto times = [&](Value a, int64_t b) -> Value { return work.createOrFold<arith::MulIOp>(location, a, number(b)); };
  auto over = [&](Value a, int64_t b) -> Value { return work.createOrFold<arith::DivUIOp>(location, a, number(b)); };
  auto rest = [&](Value a, int64_t b) -> Value { return work.createOrFold<arith::RemUIOp>(location, a, number(b)); };
  Value b = body->getArgument(0), group = body->getArgument(1), pieces = body->getArgument(2);
  scope.setIndex(ir::IndexKind::b, b);
  scope.rows().enterRequest(location);
  int64_t ofTile = few.blockM / kRows;
  Value tile = over(pieces, ofTile);
  rowsBefore = times(rest(pieces, ofTile), kRows);
  place = placeOfTile(work, location, extents, b, group, tile);
  firstRow = arith::AddIOp::create(work, location, times(tile, few.queries()), over(rowsBefore, few.pack));
  Value head = times(group, few.pack);
  if (few.pack > kRows) // the tile's first heads, or later ones
    head = arith::AddIOp::create(work, location, head, rest(rowsBefore, few.pack));
  scope.setIndex(ir::IndexKind::h, head);
  Value ofKeyHead = work.createOrFold<arith::DivUIOp>(location, heads(scope.tensor(op.getQuery())), heads(scope.tensor(op.getKey())));
  scope.setIndex(ir::IndexKind::kv_head, arith::DivUIOp::create(work, location, head, ofKeyHead));
}

LogicalResult MergeKernel::writeWork(Block *body) {
  OpBuilder &work = scope.work;
  enterTile(body);
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(work, location, 0, 32);
  work.setInsertionPoint(anchor);
  builder.setInsertionPointToEnd(body);
  Value length = scope.rows().length(ir::IndexKind::q_idx, location);
  Value isPast = arith::CmpIOp::create(work, location, arith::CmpIPredicate::sge, firstRow, length);
  validRows = arith::MulIOp::create(work, location, arith::SubIOp::create(work, location, length, firstRow), number(scope.packedHeads()));
  tile::SkipWorkOp::create(builder, location, isPast);
  Value left = tile::ParamOp::create(builder, location, real, arguments.counts, place, Value());
  shares = arith::FPToSIOp::create(builder, location, builder.getI32Type(), left);
  SmallVector<Value> state = mergeShares();
  Frame frame{kRows, sumsType.getColumns(), ir::IndexKind::q_idx, firstRow, {}};
  Value one = arith::ConstantOp::create(scope.entry, location, builder.getFloatAttr(real, 1.0)); // maxima are in log2 units
  LogicalResult written = RowOutputs(scope, finalize, outputs, frame).write(builder, {state[1], state[2], state[0], one});
  anchor.erase();
  return written;
}

//===----------------------------------------------------------------------===//
// Shares
//===----------------------------------------------------------------------===//

Value MergeKernel::rowOfShare(OpBuilder &at, Value share) {
  Value all = arith::MulIOp::create(at, location, arith::MulIOp::create(at, location, extents.batch, extents.groups), extents.tiles);
  Value tile = arith::AddIOp::create(at, location, arith::MulIOp::create(at, location, share, all), place);
  return arith::AddIOp::create(at, location, arith::MulIOp::create(at, location, tile, number(split.schedule().blockM)), rowsBefore);
}

Value MergeKernel::load(tile::FragType type, Value tensor, Value row, Value end) {
  return tile::LoadOp::create(builder, location, type, tensor, ValueRange{row}, builder.getI32IntegerAttr(0), end, IntegerAttr());
}

template <class Body> Value MergeKernel::map(tile::FragType type, ValueRange inputs, Body body) {
  auto map = tile::MapOp::create(builder, location, type, inputs);
  Block *block = &map.getBody().emplaceBlock();
  for (Value input : inputs)
    block->addArgument(cast<tile::FragType>(input.getType()).getElementType(), location);
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  Value result = body(inner, block->getArguments());
  tile::YieldOp::create(inner, location, result);
  return map;
}

/// What the rows of a share have, one number each: its maximum, its total. Of a share that is empty they are not read.
SmallVector<Value> MergeKernel::loadNumbers(Value share) {
  Value row = rowOfShare(builder, share), end = arith::AddIOp::create(builder, location, row, validRows);
  Value isThere = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, share, shares);
  end = arith::SelectOp::create(builder, location, isThere, end, scope.constant(0));
  SmallVector<Value> numbers;
  for (Value tensor : {arguments.maxima, arguments.totals})
    if (tensor)
      numbers.push_back(load(rowType(), tensor, row, end));
  return numbers;
}

/// Sums, maxima and totals of all shares, and numbers of the next ones.
SmallVector<Value> MergeKernel::mergeShares() {
  SmallVector<Value> state{splat(sumsType, 0.0f), splat(rowType(), -std::numeric_limits<float>::infinity()), splat(rowType(), 0.0f)};
  for (int64_t share = 0; share < kAhead; ++share)
    state.append(loadNumbers(number(share)));
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), shares, scope.constant(1), state);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  addShare(loop);
  return SmallVector<Value>(loop.getResults());
}

void MergeKernel::addShare(scf::ForOp loop) {
  Value sums = loop.getRegionIterArgs()[0], maximum = loop.getRegionIterArgs()[1], total = loop.getRegionIterArgs()[2];
  SmallVector<Value> numbers(loop.getRegionIterArgs().drop_front(3));
  numbers.append(loadNumbers(arith::AddIOp::create(builder, location, loop.getInductionVar(), number(kAhead))));
  const Value *next = numbers.begin();
  Value ownMaximum = arguments.maxima ? *next++ : Value(), ownTotal = arguments.totals ? *next++ : Value();
  ArrayRef<Value> later(next, numbers.end());
  Value row = rowOfShare(builder, loop.getInductionVar());
  Value own = load(sumsType, arguments.sums, row, arith::AddIOp::create(builder, location, row, validRows));
  auto yield = [&](Value sums, Value maximum, Value total) {
    SmallVector<Value> values{sums, maximum, total};
    llvm::append_range(values, later);
    scf::YieldOp::create(builder, location, values);
  };
  auto add = [&](OpBuilder &at, ValueRange v) -> Value { return arith::AddFOp::create(at, location, v[0], v[1]); };
  if (!ownMaximum) {
    total = ownTotal ? map(rowType(), {total, ownTotal}, add) : total;
    return yield(map(sumsType, {sums, own}, add), maximum, total);
  }
  Value newMaximum = map(rowType(), {maximum, ownMaximum},
                         [&](OpBuilder &at, ValueRange v) -> Value { return arith::MaxNumFOp::create(at, location, v[0], v[1]); });
  // A row that has seen no key counts from 0: its sums, all 0, are multiplied by 2^-inf = 0 and not by NaN.
  auto factor = [&](OpBuilder &at, ValueRange v) -> Value {
    Value none = arith::ConstantOp::create(at, location, at.getFloatAttr(real, -std::numeric_limits<double>::infinity()));
    Value zero = arith::ConstantOp::create(at, location, at.getFloatAttr(real, 0.0));
    Value isNone = arith::CmpFOp::create(at, location, arith::CmpFPredicate::OEQ, v[1], none);
    Value offset = arith::SelectOp::create(at, location, isNone, zero, v[1]);
    return math::Exp2Op::create(at, location, arith::SubFOp::create(at, location, v[0], offset));
  };
  Value keeps = map(rowType(), {maximum, newMaximum}, factor), takes = map(rowType(), {ownMaximum, newMaximum}, factor);
  auto blend = [&](OpBuilder &at, ValueRange v) -> Value {
    Value kept = arith::MulFOp::create(at, location, v[0], v[1]);
    return arith::AddFOp::create(at, location, arith::MulFOp::create(at, location, v[2], v[3]), kept);
  };
  Value newTotal = map(rowType(), {total, keeps, ownTotal, takes}, blend);
  Value newSums = map(sumsType, {sums, keeps, own, takes}, blend);
  yield(newSums, newMaximum, newTotal);
}

LogicalResult writeMergeKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp online, ir::FinalizeOp finalize,
                               const llvm::StringMap<Value> &outputs, ArrayRef<std::pair<Value, Value>> workspace,
                               const SplitPlan &split, const SplitArguments &arguments) {
  return MergeKernel(plan, kernel, online, finalize, outputs, workspace, split, arguments).write();
}

} // namespace attn
