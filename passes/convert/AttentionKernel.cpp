// See AttentionKernel.h. The program of a work tile, in the order in which it is written:
//
//   ranges → blocks;  query rows → operands;  for each block { key rows → operands; dots; score and mask in one map;
//   softmax_step; value rows → operand; dot };  finish, region `out`, stores
//
// Masked code stands in the else branch of a uniform `scf.if` on "this block is full".
#include "passes/convert/AttentionKernel.h"

#include "ir/attn/Schedule.h"
#include "passes/convert/BlockRanges.h"
#include "passes/convert/HiddenValues.h"
#include "passes/convert/KeyTail.h"
#include "passes/convert/RowRegion.h"
#include "passes/convert/ScorePlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <limits>
#include <numbers>

using namespace mlir;

namespace attn {

namespace {

/// One of query, key, value: where its rows come from.
struct Side {
  Value tensor;
  Region *region;
  ir::IndexKind rowIndex;
  Value head;
};

class AttentionKernel {
public:
  AttentionKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp op, ir::FinalizeOp finalize,
                  const llvm::StringMap<Value> &outputs, ArrayRef<std::pair<Value, Value>> workspace)
      : plan(plan), kernel(kernel), op(op), finalize(finalize), outputs(outputs), scope(plan, kernel),
        builder(kernel.getContext()), location(op.getLoc()), f32(builder.getF32Type()) {
    for (auto [made, argument] : workspace)
      scope.bind(made, argument);
  }

  LogicalResult write();

private:
  LogicalResult checkForm();
  LogicalResult writeEntry();
  LogicalResult writeWork(Block *work);
  LogicalResult writeRanges(Value tileIndex);
  LogicalResult writeLoop();
  LogicalResult writeBlock(scf::ForOp loop);
  LogicalResult writeOutputs(ValueRange state);
  std::optional<HiddenValues> hiddenValues();
  Value sizeOf(Value tensor, unsigned dim);
  Value startOfRowMax();
  Value scaledScores(Value block, Value firstKey, ArrayRef<Value> keys);
  Value visibility(ElementScope &element, tile::MapOp map, Value firstKey);
  Value scoresOf(Value firstKey, const FragmentMap &products, bool masked);
  Value loadRows(const Side &side, const Frame &frame, Value limit, tile::FragType type);
  FailureOr<SmallVector<Value>> operands(const Side &side, Value firstRow, int64_t rows, Value limit);
  IntegerAttr packAttr() { return schedule.pack > 1 ? builder.getI32IntegerAttr(static_cast<int32_t>(schedule.pack)) : IntegerAttr(); }
  Value asOperand(Value fragment) { return convert(fragment, operandType); }
  Value convert(Value fragment, Type element);
  Value outRow(Value fragment);

  func::FuncOp plan, kernel;
  ir::OnlineAttentionOp op;
  ir::FinalizeOp finalize;
  const llvm::StringMap<Value> &outputs;
  KernelScope scope;
  OpBuilder builder;
  Location location;
  Type f32, operandType, probsType;
  ir::Schedule schedule;
  int64_t accColumns = 0;
  Side query, key, value;
  ScorePlan score;
  Value scale;                                   ///< of the softmax step
  Value ninf, zeroRow, zeroAcc, zeroScores;      ///< splats
  Value firstRow;                                ///< q_idx of the tile's row 0
  std::optional<BlockRanges> blocks;
  SmallVector<Value> queryOperands;
};

} // namespace

//===----------------------------------------------------------------------===//
// Checks and entry
//===----------------------------------------------------------------------===//

LogicalResult AttentionKernel::checkForm() {
  auto refuse = [&](StringRef what) { return op.emitOpError() << what << " is not supported on blocks of keys yet"; };
  if (op.getWeights() != ir::Weights::softmax)
    return refuse("a weight without softmax");
  if (!op.getRagged().empty() || !op.getPaged().empty())
    return refuse("a ragged or paged layout");
  if (!op.getWeight().empty())
    return refuse("region `weight`");
  if (op.getSplit())
    return refuse("a split over keys");
  if (finalize.getUndivided())
    return refuse("an undivided sum");
  Type element = op.getQueryType().getElementType();
  bool halves = element.isF16() || element.isBF16();
  if (!halves || op.getKeyType().getElementType() != element || op.getValueType().getElementType() != element ||
      op.getProbsElementType() != element)
    return refuse("anything but one 16-bit dtype for query, key, value and probs");
  return success();
}

LogicalResult AttentionKernel::write() {
  if (failed(checkForm()))
    return failure();
  auto parsed = ir::Schedule::fromAttr(op.getScheduleAttr(), [&] { return op.emitOpError(); });
  if (failed(parsed))
    return failure();
  schedule = *parsed;
  scope.packHeads(schedule.pack);
  kernel->setAttr(tile::kWarpsAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.warps)));
  kernel->setAttr(tile::kStagesAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.stages)));
  operandType = op.getQueryType().getElementType();
  probsType = op.getProbsElementType();
  accColumns = scope.sumColumns(op.getValueRowLength());
  query = {scope.tensor(op.getQuery()), &op.getQueryRegion(), ir::IndexKind::q_idx, {}};
  key = {scope.tensor(op.getKey()), &op.getKeyRegion(), ir::IndexKind::kv_idx, {}};
  value = {scope.tensor(op.getValue()), &op.getValueRegion(), ir::IndexKind::kv_idx, {}};
  return writeEntry();
}

Value AttentionKernel::sizeOf(Value tensor, unsigned dim) {
  auto type = cast<tile::TileTensorType>(tensor.getType());
  if (auto number = type.getStaticSize(dim))
    return scope.constant(static_cast<int32_t>(*number));
  return scope.size(type.getSizeText(dim), location);
}

LogicalResult AttentionKernel::writeEntry() {
  OpBuilder &entry = scope.entry;
  bool isPacked = schedule.pack > 1;
  Value batch = sizeOf(query.tensor, 0), rows = sizeOf(query.tensor, 1), heads = sizeOf(isPacked ? key.tensor : query.tensor, 2);
  Value queries = scope.constant(static_cast<int32_t>(schedule.queries()));
  Value tiles = arith::CeilDivSIOp::create(entry, location, rows, queries);
  Value groupSize;
  if (!isPacked && op.getQueryType().getSizes()[2] != op.getKeyType().getSizes()[2])
    groupSize = entry.createOrFold<arith::DivUIOp>(location, heads, sizeOf(key.tensor, 2));
  auto splat = [&](tile::FragType type, float number) -> Value {
    return tile::SplatOp::create(entry, location, type, llvm::APFloat(number));
  };
  int64_t m = schedule.blockM, n = schedule.blockN;
  MLIRContext *context = builder.getContext();
  auto rowType = tile::FragType::get(context, {m}, f32, {});
  ninf = splat(rowType, -std::numeric_limits<float>::infinity());
  zeroRow = splat(rowType, 0.0f);
  zeroAcc = splat(tile::FragType::get(context, {m, accColumns}, f32, {}), 0.0f);
  zeroScores = splat(tile::FragType::get(context, {m, n}, f32, {}), 0.0f);

  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{batch, heads, tiles}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = builder.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  scope.work.setInsertionPointToEnd(body);
  scope.setIndex(ir::IndexKind::b, body->getArgument(0));
  Value kvHead = body->getArgument(1), head = kvHead;
  if (isPacked)
    head = arith::MulIOp::create(scope.work, location, kvHead, scope.constant(static_cast<int32_t>(schedule.pack)));
  scope.setIndex(ir::IndexKind::h, head);
  if (groupSize)
    kvHead = arith::DivUIOp::create(scope.work, location, kvHead, groupSize);
  scope.setIndex(ir::IndexKind::kv_head, kvHead);
  query.head = head;
  key.head = value.head = kvHead;
  if (failed(writeWork(body)))
    return failure();
  // Later tiles see more keys where the last visited key follows the tile's rows: hand them out first.
  Value end = op.getRanges().front().getTerminator()->getOperand(1);
  work.setDescending((scope.dependence(end) & kOnWork) != 0);
  OpBuilder last = OpBuilder::atBlockEnd(body);
  tile::YieldOp::create(last, location, ValueRange());
  return success();
}

//===----------------------------------------------------------------------===//
// A work tile
//===----------------------------------------------------------------------===//

LogicalResult AttentionKernel::writeWork(Block *work) {
  OpBuilder &uniform = scope.work;
  Value queries = scope.constant(static_cast<int32_t>(schedule.queries()));
  firstRow = arith::MulIOp::create(uniform, location, work->getArgument(2), queries);
  if (failed(writeRanges(firstRow)) || failed(score.analyse(op, scope, plan)))
    return failure();
  scale = score.scale(scope);
  if (!scale)
    return failure();
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(uniform, location, 0, 32);
  uniform.setInsertionPoint(anchor);
  builder.setInsertionPointToEnd(work);
  auto features = operands(query, firstRow, schedule.blockM, {});
  if (failed(features))
    return failure();
  queryOperands = std::move(*features);
  if (failed(writeLoop()))
    return failure();
  anchor.erase();
  return success();
}

LogicalResult AttentionKernel::writeRanges(Value first) {
  Region &region = op.getRanges();
  if (region.empty())
    return op.emitOpError("expects region `ranges`: run `attn-classify-mask` first");
  OpBuilder &uniform = scope.work;
  Value last = arith::AddIOp::create(uniform, location, first, scope.constant(static_cast<int32_t>(schedule.queries() - 1)));
  bool reads = llvm::any_of(region.front(), [](Operation &inner) { return isa<ir::LoadOp, ir::LowerBoundOp>(inner); });
  if (reads) { // a table is read at a row that exists
    Value rows = sizeOf(query.tensor, 1);
    Value one = scope.constant(1);
    Value lastRow = arith::SubIOp::create(scope.entry, location, rows, one);
    last = arith::MinSIOp::create(uniform, location, last, lastRow);
  }
  scope.bind(region.getArgument(0), first);
  scope.bind(region.getArgument(1), last);
  auto yield = cast<ir::YieldRangesOp>(region.front().getTerminator());
  SmallVector<Value> visit, full;
  for (Value end : yield.getVisit())
    if (!visit.emplace_back(scope.uniform(end)))
      return failure();
  for (Value end : yield.getFull())
    if (!full.emplace_back(scope.uniform(end)))
      return failure();
  blocks.emplace(uniform, location, visit, full, schedule.blockN);
  return success();
}

Value AttentionKernel::convert(Value fragment, Type element) {
  auto type = cast<tile::FragType>(fragment.getType());
  if (type.getElementType() == element)
    return fragment;
  return tile::ConvertOp::create(builder, location, type.withElementType(element), fragment);
}

Value AttentionKernel::loadRows(const Side &side, const Frame &frame, Value limit, tile::FragType type) {
  SmallVector<Value> place{scope.index(ir::IndexKind::b), frame.rowBase, side.head};
  return tile::LoadOp::create(builder, location, type, side.tensor, place, builder.getI32IntegerAttr(1), limit,
                              side.rowIndex == ir::IndexKind::q_idx ? packAttr() : IntegerAttr());
}

/// The matrix operands that a side's rows give: the rows themselves, or what its region makes of them.
FailureOr<SmallVector<Value>> AttentionKernel::operands(const Side &side, Value firstOfTile, int64_t rows, Value limit) {
  auto tensor = cast<tile::TileTensorType>(side.tensor.getType());
  int64_t storedColumns = scope.paddedColumns(*tensor.getStaticSize(3));
  Frame frame{rows, storedColumns, side.rowIndex, firstOfTile, {}};
  if (side.region->empty())
    return SmallVector<Value>{loadRows(side, frame, limit, frame.matrixType(operandType))};
  Value argument = side.region->getArgument(0);
  StoredRow stored{side.tensor, {scope.index(ir::IndexKind::b)}, {side.head}};
  SmallVector<Value> results;
  Value loaded;
  for (Value vector : ir::yieldedBy(*side.region)) {
    frame.columns = scope.paddedColumns(cast<VectorType>(vector.getType()).getNumElements());
    bool inPlace = frame.columns == storedColumns;
    if (inPlace && !loaded)
      loaded = convert(loadRows(side, frame, limit, frame.matrixType(operandType)), f32);
    RowRegion region(scope, frame, builder, argument, inPlace ? loaded : Value(), &stored);
    Value row = region.row(vector);
    if (!row)
      return failure();
    results.push_back(asOperand(row));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// The loop over blocks of keys
//===----------------------------------------------------------------------===//

/// A sink is a key that all rows of the head have seen before the first block: (sink, 1, 0).
Value AttentionKernel::startOfRowMax() {
  if (op.getInit().empty())
    return ninf;
  Frame frame{schedule.blockM, 0, ir::IndexKind::q_idx, firstRow, {}};
  FragmentMap none;
  tile::MapOp map = openMap(builder, location, frame.rowType(f32));
  ElementScope element(scope, frame, none, map);
  Value sink = element.scalar(ir::yieldedBy(op.getInit())[0]);
  if (!sink)
    return {};
  closeRegion(element, location, arith::DivFOp::create(element.body(), location, sink, scale)); // in units of x
  return map;
}

/// Set where a mask hides keys whose values lie in memory as they are multiplied; others are looked at by no one.
std::optional<HiddenValues> AttentionKernel::hiddenValues() {
  if (op.getMask().empty() || !value.region->empty())
    return std::nullopt;
  return HiddenValues{scope, value.tensor, value.head, ir::yieldedBy(op.getMask())[0], sizeOf(key.tensor, 1), blocks->end(), firstRow, schedule.blockM};
}

LogicalResult AttentionKernel::writeLoop() {
  Value rowMax = startOfRowMax();
  if (!rowMax || failed(score.writeQueryTerms(scope, builder, queryOperands, firstRow, schedule.blockM)))
    return failure();
  Value rowSum = zeroRow;
  if (!op.getInit().empty())
    rowSum = tile::SplatOp::create(builder, location, cast<tile::FragType>(zeroRow.getType()), llvm::APFloat(1.0f));
  SmallVector<Value> state{rowMax, rowSum, zeroAcc};
  auto hidden = hiddenValues();
  if (hidden)
    state.push_back(hidden->none());
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), blocks->count(), scope.constant(1), state);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  if (failed(writeBlock(loop)))
    return failure();
  builder.setInsertionPointAfter(loop);
  state.assign(loop.getResults().begin(), loop.getResults().end());
  if (hidden && !(state[2] = hidden->restore(builder, state[2], state[3])))
    return failure();
  return writeOutputs(state);
}

LogicalResult AttentionKernel::writeBlock(scf::ForOp loop) {
  Value block = blocks->block(builder, loop.getInductionVar());
  Value blockN = scope.constant(static_cast<int32_t>(schedule.blockN));
  Value firstKey = arith::MulIOp::create(builder, location, block, blockN);
  auto keys = operands(key, firstKey, schedule.blockN, {});
  if (failed(keys))
    return failure();
  Value x = scaledScores(block, firstKey, *keys);
  if (!x)
    return failure();
  ValueRange state = loop.getRegionIterArgs();
  auto step = tile::SoftmaxStepOp::create(builder, location, state[0].getType(), state[1].getType(), state[0].getType(),
                                          x.getType(), x, state[0], state[1], scale, FloatAttr(), IntegerAttr(),
                                          FloatAttr());
  Value acc = tile::ScaleOp::create(builder, location, state[2].getType(), state[2], step.getAlpha());
  Value probs = convert(step.getProbs(), probsType);
  // Values that no row of the tile sees are read as 0: 0 · NaN would spread.
  auto values = operands(value, firstKey, schedule.blockN, op.getMask().empty() ? Value() : blocks->end());
  if (failed(values))
    return failure();
  SmallVector<Value> next{step.getNewRowMax(), step.getNewRowSum(), {}};
  Value rows = values->front();
  if (auto hidden = hiddenValues()) {
    Value from;
    std::tie(rows, from) = hidden->keepFinite(builder, rows, firstKey, blocks->isFull(builder, block), state[3]);
    next.push_back(from);
  }
  next[2] = tile::DotOp::create(builder, location, acc.getType(), probs, rows, acc, /*trans=*/false);
  scf::YieldOp::create(builder, location, next);
  return success();
}

/// The scores of a block, hidden ones -inf, in units of the softmax step's scale.
Value AttentionKernel::scaledScores(Value block, Value firstKey, ArrayRef<Value> keys) {
  auto products = score.writeProducts(scope, builder, queryOperands, keys, firstKey, zeroScores);
  if (failed(products))
    return {};
  Value isFull = blocks->isFull(builder, block);
  if (!isFull)
    return scoresOf(firstKey, *products, /*masked=*/true);
  // The score's own mathematics stands once, in front of the branch; where reads are checked it follows the mask.
  if (!scope.isChecked()) {
    Value scores = scoresOf(firstKey, *products, /*masked=*/false);
    if (!scores)
      return {};
    (*products)[score.root()] = {scores, 0};
  }
  auto branch = scf::IfOp::create(builder, location, zeroScores.getType(), isFull, /*withElse=*/true);
  for (bool masked : {false, true}) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(masked ? branch.elseBlock() : branch.thenBlock());
    Value scores = scoresOf(firstKey, *products, masked);
    if (!scores)
      return {};
    scf::YieldOp::create(builder, location, scores);
  }
  return branch.getResult(0);
}

/// Whether the element's key counts: the mask, and that there is such a key.
Value AttentionKernel::visibility(ElementScope &element, tile::MapOp map, Value firstKey) {
  Value mask = op.getMask().empty() ? Value() : ir::yieldedBy(op.getMask())[0];
  Value visible = mask ? element.scalar(mask) : Value();
  if (mask && (!visible || impliesKeyExists(mask)))
    return visible;
  Value keys = sizeOf(key.tensor, 1);
  OpBuilder before(map);
  Value left = arith::SubIOp::create(before, location, keys, firstKey);
  Value exists = arith::CmpIOp::create(element.body(), location, arith::CmpIPredicate::slt, element.column(), left);
  return visible ? arith::AndIOp::create(element.body(), location, visible, exists).getResult() : exists;
}

Value AttentionKernel::scoresOf(Value firstKey, const FragmentMap &products, bool masked) {
  Value root = score.root();
  if (auto product = products.find(root); !masked && product != products.end())
    return product->second.value;
  Frame frame{schedule.blockM, schedule.blockN, ir::IndexKind::q_idx, firstRow, firstKey};
  tile::MapOp map = openMap(builder, location, frame.matrixType(f32));
  ElementScope element(scope, frame, products, map);
  Value visible = masked ? visibility(element, map, firstKey) : Value();
  if (masked && !visible)
    return {};
  element.setCounting(visible);
  Value x = element.scalar(root);
  if (!x)
    return {};
  if (visible) {
    Value hidden = scope.real(-std::numeric_limits<float>::infinity());
    x = arith::SelectOp::create(element.body(), location, visible, x, hidden);
  }
  closeRegion(element, location, x);
  return map;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Region `out` on the weighted sums.
Value AttentionKernel::outRow(Value fragment) {
  Region &region = finalize.getOut();
  if (region.empty())
    return fragment;
  Frame frame{schedule.blockM, accColumns, ir::IndexKind::q_idx, firstRow, {}};
  Value vector = ir::yieldedBy(region)[0];
  if (scope.sumColumns(cast<VectorType>(vector.getType()).getNumElements()) != accColumns) {
    finalize.emitOpError("changes the length of rows in region `out`, which is not supported yet");
    return {};
  }
  return RowRegion(scope, frame, builder, region.getArgument(0), fragment, nullptr).row(vector);
}

LogicalResult AttentionKernel::writeOutputs(ValueRange state) {
  Type rows = state[0].getType();
  auto finish = tile::FinishOp::create(builder, location, rows, rows, state[0], state[1], scale);
  Value b = scope.index(ir::IndexKind::b), h = scope.index(ir::IndexKind::h);
  auto store = [&](Value fragment, Value tensor, ArrayRef<Value> place, int32_t dim) {
    fragment = convert(fragment, cast<tile::TileTensorType>(tensor.getType()).getElementType());
    tile::StoreOp::create(builder, location, fragment, tensor, place, builder.getI32IntegerAttr(dim), Value(), packAttr(),
                          StringAttr());
  };
  if (Value out = outputs.lookup("out")) {
    Value sums = tile::ScaleOp::create(builder, location, state[2].getType(), state[2], finish.getInverse());
    Value result = outRow(sums);
    if (!result)
      return failure();
    store(result, out, {b, firstRow, h}, 1);
  }
  if (Value lse = outputs.lookup("lse"))
    store(finish.getLse(), lse, {b, h, firstRow}, 2);
  if (Value maxScore = outputs.lookup("max_score")) {
    auto map = tile::MapOp::create(builder, location, cast<tile::FragType>(rows), ValueRange{state[0]});
    Block *body = &map.getBody().emplaceBlock();
    body->addArgument(f32, location);
    OpBuilder inner = OpBuilder::atBlockEnd(body);
    Value log2 = arith::MulFOp::create(inner, location, body->getArgument(0), scale);
    Value ln2 = arith::ConstantFloatOp::create(inner, location, inner.getF32Type(), llvm::APFloat(std::numbers::ln2_v<float>));
    tile::YieldOp::create(inner, location, arith::MulFOp::create(inner, location, log2, ln2).getResult());
    store(map, maxScore, {b, h, firstRow}, 2);
  }
  return success();
}

LogicalResult writeAttentionKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp online,
                                   ir::FinalizeOp finalize, const llvm::StringMap<Value> &outputs,
                                   ArrayRef<std::pair<Value, Value>> workspace) {
  return AttentionKernel(plan, kernel, online, finalize, outputs, workspace).write();
}

} // namespace attn
