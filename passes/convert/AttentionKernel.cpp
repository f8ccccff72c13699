// See AttentionKernel.h. The program of a work tile, in the order in which it is written:
//
//   ranges → blocks;  query rows → operands;  for each block { key rows → operands; dots; score and mask in one map;
//   softmax_step, bounded_softmax_step, or for direct weights a sum; region `weight`; value rows → operand; dot };  finish, region `out`, stores
//
// Masked code stands in the else branch of a uniform `scf.if` on "this block is full".
#include "passes/convert/AttentionKernel.h"

#include "ir/attn/PlanOptions.h"
#include "ir/attn/ProductTypes.h"
#include "ir/attn/Schedule.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/SoftmaxOps.h"
#include "ir/tile/WorkOps.h"
#include "passes/Float8Products.h"
#include "passes/WideRows.h"
#include "passes/convert/BlockLists.h"
#include "passes/convert/BlockPoints.h"
#include "passes/convert/BlockRanges.h"
#include "passes/convert/HiddenValues.h"
#include "passes/convert/LinearStates.h"
#include "passes/convert/RowOutputs.h"
#include "passes/convert/RowPlaces.h"
#include "passes/convert/RowRegion.h"
#include "passes/convert/ScorePlan.h"
#include "passes/convert/SinkRow.h"
#include "passes/convert/SplitKeys.h"
#include "passes/convert/SuffixSums.h"
#include "passes/convert/ValueSlice.h"
#include "passes/convert/TileRanges.h"
#include "passes/convert/ValueTables.h"
#include "passes/convert/WeightFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace attn {

namespace {

/// One of query, key, value: where its rows come from.
struct Side {
  Value tensor;
  Region *region;
  ir::IndexKind rowIndex;
  Value head;
  Type operand;   ///< what its rows are multiplied as
  int64_t leastColumns = 0; ///< of its buffer
};

class AttentionKernel {
public:
  AttentionKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp op, ir::FinalizeOp finalize,
                  const llvm::StringMap<Value> &outputs, ArrayRef<std::pair<Value, Value>> workspace, ValueRange stateTensors,
                  SplitKeys *split, const ValueSlice *slice)
      : plan(plan), kernel(kernel), op(op), finalize(finalize), outputs(outputs), scope(plan, kernel),
        builder(kernel.getContext()), location(op.getLoc()), real(ir::computeType(op)), stateTensors(stateTensors), split(split), slice(slice) {
    for (auto [made, argument] : workspace)
      scope.bind(made, argument);
  }

  LogicalResult write();

private:
  /// Behind a block of keys: its weights, and the state but for what the weighted values add to `acc`.
  struct Step {
    Value weights, rowMax, rowSum, acc;
  };
  /// What an iteration begins with.
  struct KeyBlock {
    Value firstKey;
    SmallVector<Value> keys;
    FragmentMap products;
    BlockPoints points;
  };

  LogicalResult checkForm();
  LogicalResult writeEntry();
  LogicalResult writeWork(Block *work);
  void skipTilesPastTheEnd();
  LogicalResult writeRanges(Value tile, Value first);
  LogicalResult writeLoop();
  LogicalResult writeCarries();
  FailureOr<KeyBlock> enterBlock(Value iteration);
  FailureOr<SmallVector<Value>> addToCarries(KeyBlock &at, ValueRange carries);
  LogicalResult writeBlock(scf::ForOp loop);
  LogicalResult writeOutputs(ValueRange state);
  HiddenValues visibility();
  std::optional<HiddenValues> hiddenValues();
  /// How many heads a tensor of rows has.
  Value heads(Value tensor) { return scope.sizeOf(tensor, cast<tile::TileTensorType>(tensor.getType()).getRank() - 2, location); }
  Value length(ir::IndexKind rows) { return scope.rows().length(rows, location); }
  std::pair<Value, Value> tilesOfHeads();
  void planWideRows();
  void planFloat8();
  FailureOr<SmallVector<Value>> valuesOf(Value firstKey, ArrayRef<Value> keys);
  SinkRow sink() { return {scope, builder, op, split, firstRow, schedule.blockM, above}; }
  bool isDirect() { return op.getWeights() == ir::Weights::direct; }
  BlockPoints pointsOf(Value block, Value firstKey);
  Step softmaxStep(BlockPoints &points, const FragmentMap &products, ValueRange state);
  Step boundedStep(Value x, ValueRange state, IntegerAttr emulate);
  Step directStep(BlockPoints &points, const FragmentMap &products, ValueRange state);
  Value multiplied(BlockPoints &points, Value weights);
  Value loadRows(const Side &side, const Frame &frame, Value limit, tile::FragType type);
  FailureOr<SmallVector<Value>> operands(const Side &side, Value firstRow, int64_t rows, Value limit);
  IntegerAttr packAttr() { return schedule.pack > 1 ? builder.getI32IntegerAttr(static_cast<int32_t>(schedule.pack)) : IntegerAttr(); }
  Value convert(Value fragment, Type element);
  Value shifted(Value rows);
  Value withoutOffset(Value sums);

  func::FuncOp plan, kernel;
  ir::OnlineAttentionOp op;
  ir::FinalizeOp finalize;
  const llvm::StringMap<Value> &outputs;
  KernelScope scope;
  OpBuilder builder;
  Location location;
  Type real; ///< what scores and sums are computed in
  ir::Schedule schedule;
  int64_t accColumns = 0;
  bool isValueInKey = false;                     ///< one buffer serves both, of rows in parts
  Side query, key, value;
  Type probsType;                                ///< what probs are rounded to
  std::optional<double> above;                   ///< what all weights are taken above, where no row needs its maximum
  float probsOffset = 0;                         ///< they are larger by this power of 2, and so are their sums
  ScorePlan score;
  SuffixSums suffixSums;
  ValueTables valueTables;
  Value scale, shift;                            ///< of the softmax step; what scores over scale have beyond x, or null
  Value offset;                                  ///< of a step of bounded scores
  Value ninf, zeroRow, zeroAcc, zeroScores;      ///< splats
  Value firstRow;                                ///< q_idx of the tile's row 0
  std::optional<BlockRanges> blocks;
  MaskSides sides;
  std::optional<LinearStates> linear;
  ValueRange stateTensors;                       ///< of linear attention in chunks
  SplitKeys *split;                              ///< the shares of keys, or null
  const ValueSlice *slice;                       ///< the channels of values that the kernel has, or null: all
  Region noRegion;
  Value stateBlocks;                             ///< blocks of keys that come as a state
  SmallVector<Value> queryOperands;
};

} // namespace

//===----------------------------------------------------------------------===//
// Checks and entry
//===----------------------------------------------------------------------===//

LogicalResult AttentionKernel::checkForm() {
  auto refuse = [&](StringRef what) { return op.emitOpError() << what << " is not supported on blocks of keys yet"; };
  if (failed(valueTables.analyse(op.getWeight())))
    return failure();
  if (op.getSplit())
    return refuse("a split over keys");
  if (finalize.getUndivided() != (isDirect() && !op.getNormalize()))
    return refuse("a sum that is divided by none, or not by its own");
  auto isMultiplied = [](Type type) { return type && (type.isF16() || type.isBF16() || type.isF32() || type.isF64()); };
  if (!isMultiplied(ir::featureType(op)) || !isMultiplied(ir::weightedType(op)))
    return refuse("a product of two types without a common one of f16, bf16, f32 and f64");
  return success();
}

LogicalResult AttentionKernel::write() {
  if (failed(checkForm()))
    return failure();
  auto parsed = ir::Schedule::fromAttr(op.getScheduleAttr(), [&] { return op.emitOpError(); });
  if (failed(parsed))
    return failure();
  schedule = split ? split->schedule() : *parsed;
  if (!split) // of few rows the states would be most of the work
    linear = LinearStates::of(op);
  scope.packHeads(schedule.pack);
  kernel->setAttr(tile::kWarpsAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.warps)));
  kernel->setAttr(tile::kStagesAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.stages)));
  if (schedule.parts > 1)
    kernel->setAttr(tile::kPartsAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.parts)));
  if (schedule.kept > 0)
    kernel->setAttr(tile::kKeptAttr, builder.getI32IntegerAttr(static_cast<int32_t>(schedule.kept)));
  accColumns = schedule.parts > 1 ? wideSumColumns(op.getValueRowLength(), schedule.parts) : scope.sumColumns(op.getValueRowLength());
  query = {scope.tensor(op.getQuery()), &op.getQueryRegion(), ir::IndexKind::q_idx, {}, ir::featureType(op)};
  key = {scope.tensor(op.getKey()), &op.getKeyRegion(), ir::IndexKind::kv_idx, {}, ir::featureType(op)};
  value = {scope.tensor(op.getValue()), &op.getValueRegion(), ir::IndexKind::kv_idx, {}, ir::weightedType(op)};
  probsType = value.operand;
  if (auto constant = op->getAttrOfType<FloatAttr>(ir::kWeightsAboveAttr))
    above = constant.getValueAsDouble();
  if (schedule.parts > 1)
    planWideRows();
  if (slice) {
    kernel->setAttr(tile::kMmaSyncAttr, builder.getUnitAttr());
    accColumns = scope.sumColumns(slice->channels);
    value.tensor = columnsOf(scope.entry, value.tensor, *slice);
    value.region = &noRegion;
    valueTables.restrictTo(slice);
  }
  planFloat8();
  return writeEntry();
}

/// Rows of 8-bit floats stay as they lie where the target multiplies them so.
void AttentionKernel::planFloat8() {
  auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
  const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
  if (!gpu || !multipliesScoresInFloat8(scoreProductsOf(op), *gpu))
    return;
  query.operand = op.getQueryType().getElementType();
  key.operand = op.getKeyType().getElementType();
  query.leastColumns = key.leastColumns = float8Columns(op.getHeadDim(), *gpu);
  kernel->setAttr(tile::kFloat8ScoresAttr, builder.getUnitAttr());
  if (!multipliesValuesInFloat8(weightedProductsOf(op), scoreProductsOf(op), schedule, gpu->mmaFamily))
    return;
  probsType = op.getProbsElementType();
  probsOffset = kFloat8ProbsOffset;
  value.operand = op.getValueType().getElementType();
  value.leastColumns = float8Columns(op.getValueRowLength(), *gpu);
  kernel->setAttr(tile::kFloat8ProbsAttr, builder.getUnitAttr());
}

/// Columns of the buffers where the columns of sums are in parts, and whether values lie in the keys' buffer.
void AttentionKernel::planWideRows() {
  isValueInKey = valueInKey(op.getKey(), op.getKeyRegion(), op.getValue(), op.getValueRegion()).has_value();
  int64_t columns = wideRowColumns(scope.paddedColumns(op.getHeadDim()), accColumns, isValueInKey, scope.hasOwnMatrixUnits());
  query.leastColumns = key.leastColumns = columns;
  value.leastColumns = accColumns;
  if (scope.hasOwnMatrixUnits() && isDepthCut(schedule.parts, schedule.blockN, accColumns))
    kernel->setAttr(kCutDepthAttr, builder.getUnitAttr());
}

/// Where heads share tiles: how many tiles the query heads of a row make, and how many of them have one key head (null: one).
std::pair<Value, Value> AttentionKernel::tilesOfHeads() {
  auto queryHeads = headCount(op.getQueryType()), keyHeads = headCount(op.getKeyType());
  if (!queryHeads || !keyHeads) // all of a group, as `pack` says
    return {heads(key.tensor), Value()};
  int64_t tiles = *queryHeads / schedule.pack, ofKeyHead = tiles / *keyHeads;
  auto constant = [&](int64_t number) { return scope.constant(static_cast<int32_t>(number)); };
  return {constant(tiles), ofKeyHead > 1 ? constant(ofKeyHead) : Value()};
}

LogicalResult AttentionKernel::writeEntry() {
  OpBuilder &entry = scope.entry;
  bool isPacked = schedule.pack > 1;
  Value batch = scope.rows().requests(location), rows = scope.rows().longest(ir::IndexKind::q_idx, location);
  Value heads = this->heads(query.tensor);
  if (!batch || !rows || !heads)
    return failure();
  Value queries = scope.constant(static_cast<int32_t>(schedule.queries()));
  Value tiles = arith::CeilDivSIOp::create(entry, location, rows, queries);
  Value groupSize;
  if (isPacked)
    std::tie(heads, groupSize) = tilesOfHeads();
  else if (headsOf(op.getQueryType()) != headsOf(op.getKeyType()))
    groupSize = entry.createOrFold<arith::DivUIOp>(location, heads, this->heads(key.tensor));
  auto splat = [&](tile::FragType type, float number) -> Value {
    return tile::SplatOp::create(entry, location, type, llvm::APFloat(number));
  };
  int64_t m = schedule.blockM, n = schedule.blockN;
  MLIRContext *context = builder.getContext();
  auto rowType = tile::FragType::get(context, {m}, real, {});
  ninf = splat(rowType, -std::numeric_limits<float>::infinity());
  zeroRow = splat(rowType, 0.0f);
  zeroAcc = splat(tile::FragType::get(context, {m, accColumns}, real, {}), 0.0f);
  zeroScores = splat(tile::FragType::get(context, {m, n}, real, {}), 0.0f);

  Value items = split ? split->workItems(entry, {batch, heads, tiles}) : tiles;
  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{batch, heads, items}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = builder.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  scope.work.setInsertionPointToEnd(body);
  scope.setIndex(ir::IndexKind::b, body->getArgument(0));
  scope.rows().enterRequest(location);
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
  Value tile = work->getArgument(2);
  if (split)
    tile = split->enter(scope, location, work->getArgument(0), work->getArgument(1), tile);
  firstRow = arith::MulIOp::create(uniform, location, tile, queries);
  if (failed(writeRanges(tile, firstRow)) || failed(score.analyse(op, scope, plan)))
    return failure();
  scale = score.scale(scope);
  if (!scale)
    return failure();
  Value summand = score.shift(scope);
  if (above && summand)
    offset = arith::SubFOp::create(scope.work, location, summand, scope.real(*above));
  else if (above)
    offset = scope.real(-*above);
  else if (summand)
    shift = arith::DivFOp::create(scope.work, location, summand, scale);
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(uniform, location, 0, 32);
  uniform.setInsertionPoint(anchor);
  builder.setInsertionPointToEnd(work);
  skipTilesPastTheEnd();
  auto features = operands(query, firstRow, schedule.blockM, {});
  if (failed(features))
    return failure();
  queryOperands = std::move(*features);
  if (failed(writeLoop()))
    return failure();
  anchor.erase();
  return success();
}

/// The grid has as many tiles for each request as the longest of them, and as many shares of keys for each tile as that which
/// sees most.
void AttentionKernel::skipTilesPastTheEnd() {
  Value isPast = split ? split->isEmpty() : Value();
  if (scope.rows().isInSequence()) {
    Value isBehind = arith::CmpIOp::create(scope.work, location, arith::CmpIPredicate::sge, firstRow, length(ir::IndexKind::q_idx));
    isPast = isPast ? arith::OrIOp::create(scope.work, location, isPast, isBehind).getResult() : isBehind;
  }
  if (isPast)
    tile::SkipWorkOp::create(builder, location, isPast);
}

LogicalResult AttentionKernel::writeRanges(Value tile, Value first) {
  Region &region = op.getRanges();
  if (region.empty())
    return op.emitOpError("expects region `ranges`: run `attn-classify-mask` first");
  OpBuilder &uniform = scope.work;
  auto ranges = writeTileRanges(scope, region, first, schedule.queries());
  if (failed(ranges))
    return failure();
  auto &[visit, full, facts] = *ranges;
  sides = MaskSides(scope, op, facts, schedule.blockN);
  if (linear) { // what all rows see whole comes as a state
    stateBlocks = linear->blocks(scope, location, full[1]);
    visit[0] = arith::MulIOp::create(uniform, location, stateBlocks, scope.constant(static_cast<int32_t>(schedule.blockN)));
    full.clear();
  }
  blocks.emplace(uniform, location, visit, full, schedule.blockN);
  if (auto lists = split ? std::nullopt : BlockLists::of(op))
    lists->visit(scope, kernel, tile, *blocks);
  if (split)
    split->deal(scope, location, *blocks);
  return success();
}

Value AttentionKernel::convert(Value fragment, Type element) {
  auto type = cast<tile::FragType>(fragment.getType());
  if (type.getElementType() == element)
    return fragment;
  return tile::ConvertOp::create(builder, location, type.withElementType(element), fragment);
}

/// `end`: of keys and values, the first row that is read as 0 though there is one.
Value AttentionKernel::loadRows(const Side &side, const Frame &frame, Value end, tile::FragType type) {
  bool ofQuery = side.rowIndex == ir::IndexKind::q_idx;
  RowAddress at = ofQuery ? scope.rows().queryRows(frame.rowBase, side.head, /*isStored=*/false)
                          : scope.rows().keyRows(builder, side.tensor, frame.rowBase, side.head, end);
  return tile::LoadOp::create(builder, location, type, side.tensor, at.indices, builder.getI32IntegerAttr(at.dim), at.limit,
                              ofQuery ? packAttr() : IntegerAttr(), at.pages);
}

/// The matrix operands that a side's rows give: the rows themselves, or what its region makes of them.
FailureOr<SmallVector<Value>> AttentionKernel::operands(const Side &side, Value firstOfTile, int64_t rows, Value limit) {
  auto tensor = cast<tile::TileTensorType>(side.tensor.getType());
  int64_t storedColumns = std::max(scope.paddedColumns(*tensor.getStaticSize(tensor.getRank() - 1)), side.leastColumns);
  Frame frame{rows, storedColumns, side.rowIndex, firstOfTile, {}};
  if (side.region->empty())
    return SmallVector<Value>{loadRows(side, frame, limit, frame.matrixType(side.operand))};
  Value argument = side.region->getArgument(0);
  StoredRow stored{side.tensor, side.head};
  SmallVector<Value> results;
  Value loaded;
  for (Value vector : ir::yieldedBy(*side.region)) {
    if (auto part = slice ? copiedSlice(vector, argument, tensor.getElementType()) : std::nullopt) {
      Side columns = side;
      columns.tensor = columnsOf(scope.entry, side.tensor, *part);
      frame.columns = scope.paddedColumns(part->channels);
      results.push_back(loadRows(columns, frame, limit, frame.matrixType(side.operand)));
      continue;
    }
    frame.columns = scope.paddedColumns(cast<VectorType>(vector.getType()).getNumElements());
    bool inPlace = frame.columns == storedColumns;
    if (inPlace && !loaded)
      loaded = convert(loadRows(side, frame, limit, frame.matrixType(side.operand)), real);
    RowRegion region(scope, frame, builder, argument, inPlace ? loaded : Value(), &stored);
    Value row = region.row(vector);
    if (!row)
      return failure();
    results.push_back(convert(row, side.operand));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// The loop over blocks of keys
//===----------------------------------------------------------------------===//

/// Set where a mask hides keys whose values lie in memory as they are multiplied; others are looked at by no one. f32 values
/// are looked at always: of an infinity the parts that are multiplied would make NaN (DotTf32.cpp).
std::optional<HiddenValues> AttentionKernel::hiddenValues() {
  if ((op.getMask().empty() && !value.operand.isF32()) || (!value.region->empty() && !isValueInKey))
    return std::nullopt;
  return visibility();
}

/// Which keys the rows of the tile see.
HiddenValues AttentionKernel::visibility() {
  Value mask = op.getMask().empty() ? Value() : ir::yieldedBy(op.getMask())[0];
  bool isPlain = op.getWeight().empty() || ir::yieldedBy(op.getWeight())[0] == op.getWeight().getArgument(0);
  bool isPositive = isPlain && (!isDirect() || isSurelyPositive(score.root()));
  return HiddenValues{scope, value.tensor, value.head, mask, length(ir::IndexKind::kv_idx), blocks->end(), firstRow, schedule.blockM, isPositive};
}

/// The kernel ahead of one whose keys are split: what the keys of a share add to sums over later keys.
LogicalResult AttentionKernel::writeCarries() {
  if (failed(score.writeQueryTerms(scope, builder, queryOperands, firstRow, schedule.blockM)))
    return failure();
  suffixSums.find(op.getScore());
  SmallVector<Value> start(suffixSums.size(), zeroRow);
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), blocks->count(), scope.constant(1), start);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  auto at = enterBlock(loop.getInductionVar());
  if (failed(at))
    return failure();
  auto carries = addToCarries(*at, loop.getRegionIterArgs());
  if (failed(carries))
    return failure();
  scf::YieldOp::create(builder, location, *carries);
  builder.setInsertionPointAfter(loop);
  Value left = arith::SubIOp::create(scope.work, location, length(ir::IndexKind::q_idx), firstRow);
  split->storeCarries(scope, builder, location, loop.getResults(), left);
  return success();
}

LogicalResult AttentionKernel::writeLoop() {
  if (split && split->isAhead())
    return writeCarries();
  Value rowMax = sink().startOfRowMax(scale, shift, ninf);
  if (!rowMax || failed(score.writeQueryTerms(scope, builder, queryOperands, firstRow, schedule.blockM)))
    return failure();
  Value rowSum = zeroRow;
  if (!op.getInit().empty())
    rowSum = sink().startOfRowSum(probsOffset);
  if (!rowSum)
    return failure();
  Value acc = zeroAcc;
  if (linear) {
    rowSum = linear->startOfRowSum(scope, builder, stateTensors.size() > 1 ? stateTensors[1] : Value(), queryOperands, stateBlocks, zeroRow);
    acc = linear->startOfAcc(scope, builder, stateTensors[0], queryOperands, stateBlocks, zeroAcc);
    if (!acc || !rowSum)
      return failure();
  }
  SmallVector<Value> state{rowMax, rowSum, acc};
  auto hidden = hiddenValues();
  if (hidden)
    state.push_back(hidden->none());
  size_t firstNote = state.size();
  state.append(valueTables.size(), visibility().none());
  suffixSums.find(op.getScore());
  if (split && !suffixSums.empty()) {
    Value left = arith::SubIOp::create(scope.work, location, length(ir::IndexKind::q_idx), firstRow);
    llvm::append_range(state, split->carries(scope, builder, location, zeroRow, left));
  } else {
    state.append(suffixSums.size(), zeroRow);
  }
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), blocks->count(), scope.constant(1), state);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  if (failed(writeBlock(loop)))
    return failure();
  builder.setInsertionPointAfter(loop);
  state.assign(loop.getResults().begin(), loop.getResults().end());
  if (hidden && !(state[2] = hidden->restore(builder, state[2], state[3])))
    return failure();
  ValueRange notes = ValueRange(state).slice(firstNote, valueTables.size());
  if (!(state[2] = valueTables.restore(builder, state[2], visibility(), value.operand, notes)))
    return failure();
  return writeOutputs(state);
}

FailureOr<AttentionKernel::KeyBlock> AttentionKernel::enterBlock(Value iteration) {
  Value block = blocks->block(builder, iteration);
  Value blockN = scope.constant(static_cast<int32_t>(schedule.blockN));
  Value firstKey = arith::MulIOp::create(builder, location, block, blockN);
  auto keys = operands(key, firstKey, schedule.blockN, isValueInKey && scope.rows().isInSequence() ? blocks->end() : Value());
  if (failed(keys))
    return failure();
  auto products = score.writeProducts(scope, builder, queryOperands, *keys, firstKey, zeroScores);
  if (failed(products))
    return failure();
  BlockPoints points = pointsOf(block, firstKey);
  auto checked = [&](Value numbers, ArrayRef<ir::LoadOp> reads) { return points.checked(numbers, reads); };
  if (failed(score.checkDiagonals(*products, checked)))
    return failure();
  return KeyBlock{firstKey, std::move(*keys), std::move(*products), std::move(points)};
}

FailureOr<SmallVector<Value>> AttentionKernel::addToCarries(KeyBlock &at, ValueRange carries) {
  return suffixSums.write(builder, carries, at.products, [&](Value root, const FragmentMap &known) {
    return at.points.visibleOnly(root, known, 0.0f);
  });
}

LogicalResult AttentionKernel::writeBlock(scf::ForOp loop) {
  auto at = enterBlock(loop.getInductionVar());
  if (failed(at))
    return failure();
  ValueRange state = loop.getRegionIterArgs();
  auto carries = addToCarries(*at, state.take_back(suffixSums.size()));
  if (failed(carries))
    return failure();
  auto &[firstKey, keys, products, points] = *at;
  Step step = isDirect() ? directStep(points, products, state) : softmaxStep(points, products, state);
  Value weights = step.weights ? multiplied(points, step.weights) : Value();
  weights = weights ? points.checked(weights, valueTables.reads()) : Value();
  if (!weights)
    return failure();
  Value probs = convert(weights, probsType);
  auto values = valuesOf(firstKey, keys);
  if (failed(values))
    return failure();
  SmallVector<Value> next{step.rowMax, step.rowSum, {}};
  Value rows = values->front();
  if (auto hidden = hiddenValues()) {
    Value from;
    Value isUntouched = value.operand.isF32() ? Value() : points.isFull;
    std::tie(rows, from) = hidden->keepFinite(builder, rows, firstKey, isUntouched, state[3], /*clearsUnseen=*/schedule.parts > 1);
    next.push_back(from);
  }
  next[2] = tile::DotOp::create(builder, location, step.acc.getType(), probs, rows, step.acc, /*trans=*/false);
  Frame point{schedule.blockM, schedule.blockN, ir::IndexKind::q_idx, firstRow, firstKey};
  SmallVector<Value> notes(state.slice(next.size(), valueTables.size()));
  next[2] = valueTables.add(scope, builder, point, probs, next[2], visibility(), notes);
  if (!next[2])
    return failure();
  llvm::append_range(next, notes);
  llvm::append_range(next, *carries);
  scf::YieldOp::create(builder, location, next);
  return success();
}

/// A block's values. Those that no row of the tile sees are read as 0, for 0 · NaN would spread: as they are copied, or in
/// the buffer where that may be the keys' (HiddenValues).
FailureOr<SmallVector<Value>> AttentionKernel::valuesOf(Value firstKey, ArrayRef<Value> keys) {
  if (isValueInKey)
    return SmallVector<Value>(keys);
  bool isLimited = scope.rows().isInSequence() || (!op.getMask().empty() && schedule.parts == 1);
  return operands(value, firstKey, schedule.blockN, isLimited ? blocks->end() : Value());
}

/// The places of a block whose first key is `firstKey`.
BlockPoints AttentionKernel::pointsOf(Value block, Value firstKey) {
  Value mask = op.getMask().empty() ? Value() : ir::yieldedBy(op.getMask())[0];
  return {scope, builder, location, mask, length(ir::IndexKind::kv_idx), firstRow, firstKey, schedule.blockM, schedule.blockN, blocks->isFull(builder, block), &score.lookups(), &sides, block};
}

/// Softmax: weights are powers of two above the largest score so far, to which sums are brought down.
AttentionKernel::Step AttentionKernel::softmaxStep(BlockPoints &points, const FragmentMap &products, ValueRange state) {
  Value x = points.visibleOnly(score.root(), products, -std::numeric_limits<float>::infinity());
  if (!x)
    return {};
  auto emulate = schedule.emulate > 0 ? builder.getI32IntegerAttr(static_cast<int32_t>(schedule.emulate)) : IntegerAttr();
  if (above)
    return boundedStep(x, state, emulate);
  auto step = tile::SoftmaxStepOp::create(builder, location, state[0].getType(), state[1].getType(), state[0].getType(),
                                          x.getType(), x, state[0], state[1], scale, Value(), FloatAttr(), emulate,
                                          probsOffset != 0 ? builder.getF32FloatAttr(probsOffset) : FloatAttr());
  Value acc = tile::ScaleOp::create(builder, location, state[2].getType(), state[2], step.getAlpha());
  return {step.getProbs(), step.getNewRowMax(), step.getNewRowSum(), acc};
}

/// Bounded scores: weights are powers of two above a constant, and sums stay as they are.
AttentionKernel::Step AttentionKernel::boundedStep(Value x, ValueRange state, IntegerAttr emulate) {
  auto step = tile::BoundedSoftmaxStepOp::create(builder, location, state[1].getType(), x.getType(), x, state[1], scale, offset, emulate);
  return {step.getProbs(), state[0], step.getNewRowSum(), state[2]};
}

/// Weights as they are: no maximum, a sum where they are divided by one.
AttentionKernel::Step AttentionKernel::directStep(BlockPoints &points, const FragmentMap &products, ValueRange state) {
  Value weights = points.visibleOnly(score.root(), products, 0.0f), rowSum = state[1];
  if (weights && op.getNormalize()) {
    Value by = score.by() ? points.visibleOnly(score.by(), products, 0.0f) : weights;
    if (!by)
      return {};
    rowSum = tile::ReduceOp::create(builder, location, tile::ReduceKind::add, by, rowSum);
  }
  return {weights, state[0], rowSum, state[2]};
}

/// What region `weight` makes of the weights. A hidden key's is 0 already, but not yet times a number that is none.
Value AttentionKernel::multiplied(BlockPoints &points, Value weights) {
  if (op.getWeight().empty())
    return weights;
  Value weight = op.getWeight().getArgument(0), product = ir::yieldedBy(op.getWeight())[0];
  if (product == weight)
    return weights;
  FragmentMap fragments{{weight, {weights, 0}}};
  if (keepsZero(product, weight))
    return points.everywhere(product, fragments);
  return points.visibleOnly(product, fragments, 0.0f);
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// A number of each row in units of x, as one of the score.
Value AttentionKernel::shifted(Value rows) {
  if (!shift)
    return rows;
  auto map = tile::MapOp::create(builder, location, cast<tile::FragType>(rows.getType()), ValueRange{rows});
  Block *body = &map.getBody().emplaceBlock();
  body->addArgument(real, location);
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  tile::YieldOp::create(inner, location, arith::AddFOp::create(inner, location, body->getArgument(0), shift).getResult());
  return map;
}

/// Sums of probs as if these had no offset.
Value AttentionKernel::withoutOffset(Value sums) {
  if (probsOffset == 0)
    return sums;
  auto map = tile::MapOp::create(builder, location, cast<tile::FragType>(sums.getType()), ValueRange{sums});
  Block &body = map.getBody().emplaceBlock();
  Value sum = body.addArgument(real, location);
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  Value factor = arith::ConstantOp::create(inside, location, builder.getF32FloatAttr(std::exp2(-probsOffset)));
  tile::YieldOp::create(inside, location, arith::MulFOp::create(inside, location, sum, factor).getResult());
  return map;
}

LogicalResult AttentionKernel::writeOutputs(ValueRange state) {
  Frame frame{schedule.blockM, accColumns, ir::IndexKind::q_idx, firstRow, {}};
  RowState rows;
  if (above) // in log2 units
    rows = {state[0], state[1], state[2], scope.real(1.0)};
  else
    rows = {shifted(state[0]), withoutOffset(state[1]), withoutOffset(state[2]), scale};
  if (split) {
    Value left = arith::SubIOp::create(scope.work, location, length(ir::IndexKind::q_idx), firstRow);
    split->store(scope, builder, location, rows, left);
  }
  auto endOfResults = [&](Value end) { return split->endOfResults(scope, location, end); };
  return RowOutputs(scope, finalize, outputs, frame, slice ? slice->first : 0).write(builder, rows, split ? RowOutputs::ChangeEnd(endOfResults) : nullptr);
}

LogicalResult writeAttentionKernel(func::FuncOp plan, func::FuncOp kernel, ir::OnlineAttentionOp online,
                                   ir::FinalizeOp finalize, const llvm::StringMap<Value> &outputs,
                                   ArrayRef<std::pair<Value, Value>> workspace, ValueRange states, SplitKeys *split, const ValueSlice *slice) {
  return AttentionKernel(plan, kernel, online, finalize, outputs, workspace, states, split, slice).write();
}

} // namespace attn
