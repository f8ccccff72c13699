// See LinearStates.h. The program of the first kernel's work tile, one head of one request:
//
//   for n = 0 … kv_len / BN { store S, z;  load K, V of block n;  S += Kᵀ V;  z += Σ K }
//
// or, where one state serves all tiles, the same with the store behind the loop. A loop waits for what it has copied, so it
// runs at least once; what it adds for nothing (the last block above, the first one of less than BN keys here) is not used.
#include "passes/convert/LinearStates.h"

#include "ir/attn/ProductTypes.h"
#include "ir/attn/Schedule.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TransposeOps.h"
#include "passes/convert/RowPlaces.h"
#include "passes/convert/RowRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace attn {

/// Of the states' kernel: rows of a state are channels of a key, 16 a warp.
static constexpr int64_t kRowsOfWarp = 16, kMostWarps = 8;
/// With one state its staging lies on the rings, in which nothing may be in flight then.
static constexpr int32_t kStages = 2, kStagesOfOne = 1;

std::optional<LinearStates> LinearStates::of(ir::OnlineAttentionOp op) {
  auto schedule = ir::Schedule::fromAttr(op.getScheduleAttr(), [&] { return op.emitOpError(); });
  if (failed(schedule) || !schedule->chunked)
    return std::nullopt;
  auto form = findLinearForm(op.getScore(), op.getQueryFeatureTypes().size(), op.getNormalize());
  if (!form || !seesFirstKeysWhole(op.getRanges()))
    return std::nullopt;
  return LinearStates(op, *form, schedule->blockN, seesAllKeysWhole(op.getRanges()));
}

int64_t LinearStates::featureLength(const BilinearTerm &term) const {
  return cast<VectorType>(op.getKeyFeatureTypes()[term.keyFeature]).getNumElements();
}

SmallVector<tile::TileTensorType, 2> LinearStates::workspaceTypes() const {
  MLIRContext *context = op.getContext();
  ir::AttnTensorType key = op.getKeyType();
  auto number = [&](int64_t size) { return ir::sizeAttr(context, SizeExpr::number(size)); };
  auto each = SizeExpr::binary(SizeExpr::Kind::FloorDiv, SizeExpr::name("kv_len"), SizeExpr::number(blockN));
  Attribute states = isOne ? number(1) : ir::sizeAttr(context, SizeExpr::binary(SizeExpr::Kind::Add, each, SizeExpr::number(1)));
  bool isInSequence = !op.getRagged().empty() || !op.getPaged().empty();
  Attribute batch = isInSequence ? ir::sizeAttr(context, SizeExpr::name("batch")) : key.getSizes()[0];
  SmallVector<Attribute> sizes{batch, headsOf(key), states, number(featureLength(form.weight)), number(op.getStoredValueLength())};
  SmallVector<tile::TileTensorType, 2> types{tile::TileTensorType::get(context, sizes, ir::weightedType(op), false)};
  if (form.by) {
    sizes.pop_back();
    sizes.back() = number(featureLength(*form.by));
    types.push_back(tile::TileTensorType::get(context, sizes, Float32Type::get(context), false));
  }
  return types;
}

//===----------------------------------------------------------------------===//
// The kernel of states
//===----------------------------------------------------------------------===//

namespace {
class StatesKernel {
public:
  StatesKernel(KernelScope &scope, ir::OnlineAttentionOp op, const LinearForm &form, int64_t blockN, bool isOne, ValueRange workspace)
      : scope(scope), op(op), form(form), blockN(blockN), isOne(isOne), workspace(workspace), builder(op.getContext()),
        location(op.getLoc()), f32(builder.getF32Type()) {}

  LogicalResult write(func::FuncOp kernel);

private:
  LogicalResult writeHead(Block *body);
  LogicalResult absorb(Value block, Value &state, Value &sum);
  Value load(Value tensor, Value firstKey, tile::FragType type);
  Value feature(unsigned number, Value firstKey);
  Value transposedKeys(unsigned number, Value firstKey);
  void store(Value blocks, Value state, Value sum);
  Value convert(Value fragment, Type element) {
    auto type = cast<tile::FragType>(fragment.getType());
    return type.getElementType() == element ? fragment : tile::ConvertOp::create(builder, location, type.withElementType(element), fragment);
  }

  KernelScope &scope;
  ir::OnlineAttentionOp op;
  const LinearForm &form;
  int64_t blockN;
  bool isOne;
  ValueRange workspace;
  OpBuilder builder;
  Location location;
  Type f32;
  Value keys, values, batch, head;
  llvm::DenseMap<unsigned, Value> transposed;   ///< of the block at hand, by feature
};
} // namespace

Value StatesKernel::load(Value tensor, Value firstKey, tile::FragType type) {
  RowAddress at = scope.rows().keyRows(builder, tensor, firstKey, head, {});
  return tile::LoadOp::create(builder, location, type, tensor, at.indices, builder.getI32IntegerAttr(at.dim), at.limit, IntegerAttr(), at.pages);
}

/// The rows of a block of keys as the matrix operand that the score takes.
Value StatesKernel::feature(unsigned number, Value firstKey) {
  auto tensor = cast<tile::TileTensorType>(keys.getType());
  int64_t stored = scope.paddedColumns(*tensor.getStaticSize(tensor.getRank() - 1));
  Type element = ir::featureType(op);
  Frame frame{blockN, stored, ir::IndexKind::kv_idx, firstKey, {}};
  Region &region = op.getKeyRegion();
  if (region.empty())
    return load(keys, firstKey, frame.matrixType(element));
  Value vector = ir::yieldedBy(region)[number], loaded;
  if (scope.paddedColumns(cast<VectorType>(vector.getType()).getNumElements()) == stored)
    loaded = convert(load(keys, firstKey, frame.matrixType(element)), f32);
  frame.columns = scope.paddedColumns(cast<VectorType>(vector.getType()).getNumElements());
  StoredRow row{keys, head};
  Value rows = RowRegion(scope, frame, builder, region.getArgument(0), loaded, &row).row(vector);
  return rows ? convert(rows, element) : Value();
}

Value StatesKernel::transposedKeys(unsigned number, Value firstKey) {
  Value &known = transposed[number];
  if (known)
    return known;
  Value rows = feature(number, firstKey);
  if (!rows)
    return {};
  auto type = cast<tile::FragType>(rows.getType());
  auto turned = tile::FragType::get(builder.getContext(), {type.getColumns(), type.getRows()}, type.getElementType(), {});
  return known = tile::TransposeOp::create(builder, location, turned, rows);
}

LogicalResult StatesKernel::absorb(Value block, Value &state, Value &sum) {
  Value firstKey = arith::MulIOp::create(builder, location, block, scope.constant(static_cast<int32_t>(blockN)));
  transposed.clear();
  Value rows = transposedKeys(form.weight.keyFeature, firstKey);
  if (!rows)
    return failure();
  int64_t columns = scope.paddedColumns(op.getStoredValueLength());
  auto type = tile::FragType::get(builder.getContext(), {blockN, columns}, ir::weightedType(op), {});
  Value weighted = load(values, firstKey, type);
  state = tile::DotOp::create(builder, location, state.getType(), rows, weighted, state, /*trans=*/false);
  if (!sum)
    return success();
  Value summands = transposedKeys(form.by->keyFeature, firstKey);
  if (!summands)
    return failure();
  sum = tile::ReduceOp::create(builder, location, tile::ReduceKind::add, convert(summands, f32), sum);
  return success();
}

/// Stores what `blocks` blocks give.
void StatesKernel::store(Value blocks, Value state, Value sum) {
  SmallVector<Value> place{batch, head, isOne ? scope.constant(0) : blocks, scope.constant(0)};
  auto alongRows = builder.getI32IntegerAttr(3);
  Value some = arith::MaxSIOp::create(builder, location, blocks, scope.constant(1));
  Value number = arith::MulIOp::create(builder, location, some, scope.constant(static_cast<int32_t>(blockN)));
  Value divisor = arith::SIToFPOp::create(builder, location, f32, number);
  Value factor = arith::DivFOp::create(builder, location, scope.real(1.0f), divisor);
  auto type = cast<tile::FragType>(state.getType());
  auto mean = tile::MapOp::create(builder, location, type, ValueRange{state});
  Block *body = &mean.getBody().emplaceBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  Value product = arith::MulFOp::create(inner, location, body->addArgument(f32, location), factor);
  tile::YieldOp::create(inner, location, product);
  Value rounded = convert(mean, ir::weightedType(op));
  tile::StoreOp::create(builder, location, rounded, workspace[0], place, alongRows, Value(), IntegerAttr(), StringAttr());
  if (sum)
    tile::StoreOp::create(builder, location, sum, workspace[1], place, alongRows, Value(), IntegerAttr(), StringAttr());
}

LogicalResult StatesKernel::writeHead(Block *body) {
  MLIRContext *context = builder.getContext();
  auto rowsOf = [&](const BilinearTerm &term) {
    return scope.paddedColumns(cast<VectorType>(op.getKeyFeatureTypes()[term.keyFeature]).getNumElements());
  };
  auto zero = [&](ArrayRef<int64_t> shape) -> Value {
    return tile::SplatOp::create(scope.entry, location, tile::FragType::get(context, shape, f32, {}), llvm::APFloat(0.0f));
  };
  SmallVector<Value> start{zero({rowsOf(form.weight), scope.sumColumns(op.getStoredValueLength())})};
  if (form.by)
    start.push_back(zero({rowsOf(*form.by)}));
  Value keysInAll = scope.rows().length(ir::IndexKind::kv_idx, location);
  Value last = arith::DivUIOp::create(scope.work, location, keysInAll, scope.constant(static_cast<int32_t>(blockN)));
  Value count = last;
  if (!isOne)
    count = arith::AddIOp::create(scope.work, location, last, scope.constant(1));
  count = arith::MaxSIOp::create(scope.work, location, count, scope.constant(1));
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(scope.work, location, 0, 32);
  scope.work.setInsertionPoint(anchor);
  builder.setInsertionPointToEnd(body);
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), count, scope.constant(1), start);
  builder.setInsertionPointToEnd(loop.getBody());
  Value blocks = loop.getInductionVar(), state = loop.getRegionIterArg(0), sum = form.by ? loop.getRegionIterArg(1) : Value();
  if (!isOne)
    store(blocks, state, sum);
  if (failed(absorb(blocks, state, sum)))
    return failure();
  SmallVector<Value> next{state};
  if (sum)
    next.push_back(sum);
  scf::YieldOp::create(builder, location, next);
  builder.setInsertionPointAfter(loop);
  if (isOne)
    store(last, loop.getResult(0), sum ? loop.getResult(1) : Value());
  anchor.erase();
  return success();
}

LogicalResult StatesKernel::write(func::FuncOp kernel) {
  int64_t rows = scope.paddedColumns(cast<VectorType>(op.getKeyFeatureTypes()[form.weight.keyFeature]).getNumElements());
  auto warps = static_cast<int32_t>(std::clamp<int64_t>(rows / kRowsOfWarp, 4, kMostWarps) / 4 * 4);
  kernel->setAttr(tile::kWarpsAttr, builder.getI32IntegerAttr(warps));
  kernel->setAttr(tile::kStagesAttr, builder.getI32IntegerAttr(isOne ? kStagesOfOne : kStages));
  kernel->setAttr(tile::kMmaSyncAttr, builder.getUnitAttr());
  keys = scope.tensor(op.getKey());
  values = scope.tensor(op.getValue());
  Value batches = scope.rows().requests(location), heads = scope.sizeOf(keys, cast<tile::TileTensorType>(keys.getType()).getRank() - 2, location);
  if (!batches || !heads)
    return failure();
  auto work = tile::ForeachWorkOp::create(scope.entry, location, TypeRange(), ValueRange{batches, heads}, ValueRange(), /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = builder.getI32Type();
  body->addArguments({i32, i32}, {location, location});
  scope.entry.setInsertionPoint(work);
  batch = body->getArgument(0);
  head = body->getArgument(1);
  scope.setIndex(ir::IndexKind::b, batch);
  scope.setIndex(ir::IndexKind::kv_head, head);
  scope.work.setInsertionPointToEnd(body);
  scope.rows().enterRequest(location);
  if (failed(writeHead(body)))
    return failure();
  OpBuilder last = OpBuilder::atBlockEnd(body);
  tile::YieldOp::create(last, location, ValueRange());
  return success();
}

LogicalResult LinearStates::writeKernel(func::FuncOp plan, func::FuncOp kernel, ValueRange workspace,
                                        ArrayRef<std::pair<Value, Value>> bindings) const {
  KernelScope scope(plan, kernel);
  for (auto [made, argument] : bindings)
    scope.bind(made, argument);
  return StatesKernel(scope, op, form, blockN, isOne, workspace).write(kernel);
}

//===----------------------------------------------------------------------===//
// In the attention's kernel
//===----------------------------------------------------------------------===//

Value LinearStates::blocks(KernelScope &scope, Location location, Value full) const {
  Value some = arith::MaxSIOp::create(scope.work, location, full, scope.constant(0));
  return arith::DivUIOp::create(scope.work, location, some, scope.constant(static_cast<int32_t>(blockN)));
}

/// `first` times the term's factors; null after a message.
Value LinearStates::factor(KernelScope &scope, const BilinearTerm &term, Value first) const {
  Location location = op.getLoc();
  for (auto [factor, divides] : term.factors) {
    Value number = scope.uniform(factor);
    if (!number)
      return {};
    first = divides ? arith::DivFOp::create(scope.work, location, first, number).getResult()
                    : arith::MulFOp::create(scope.work, location, first, number).getResult();
  }
  return first;
}

/// Each element times `factor`, 0 where that is: there the element is no number of a state.
static Value times(OpBuilder &builder, Location location, Value fragment, Value factor, Value zero, Value isZero) {
  auto type = cast<tile::FragType>(fragment.getType());
  auto map = tile::MapOp::create(builder, location, type, ValueRange{fragment});
  Block *body = &map.getBody().emplaceBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  Value product = arith::MulFOp::create(inner, location, body->addArgument(type.getElementType(), location), factor);
  tile::YieldOp::create(inner, location, arith::SelectOp::create(inner, location, isZero, zero, product).getResult());
  return map;
}

/// Whether no block comes as a state.
static Value isNone(KernelScope &scope, Location location, Value blocks) {
  return arith::CmpIOp::create(scope.work, location, arith::CmpIPredicate::eq, blocks, scope.constant(0));
}

Value LinearStates::startOfAcc(KernelScope &scope, OpBuilder &builder, Value states, ValueRange queryOperands, Value blocks,
                               Value zero) const {
  Location location = op.getLoc();
  Value query = queryOperands[form.weight.queryFeature];
  SmallVector<Value> place{scope.index(ir::IndexKind::b), scope.index(ir::IndexKind::kv_head), entry(scope, blocks), scope.constant(0)};
  auto type = tile::FragType::get(builder.getContext(), {cast<tile::FragType>(query.getType()).getColumns(), scope.paddedColumns(op.getStoredValueLength())},
                                  ir::weightedType(op), {});
  Value state = tile::LoadOp::create(builder, location, type, states, place, builder.getI32IntegerAttr(3), Value(), IntegerAttr(), Value());
  Value mean = tile::DotOp::create(builder, location, zero.getType(), query, state, zero, /*trans=*/false);
  Value number = arith::MulIOp::create(scope.work, location, blocks, scope.constant(static_cast<int32_t>(blockN)));
  Value all = factor(scope, form.weight, arith::SIToFPOp::create(scope.work, location, builder.getF32Type(), number));
  return all ? times(builder, location, mean, all, scope.real(0.0f), isNone(scope, location, blocks)) : Value();
}

Value LinearStates::startOfRowSum(KernelScope &scope, OpBuilder &builder, Value sums, ValueRange queryOperands, Value blocks,
                                  Value zero) const {
  if (!form.by)
    return zero;
  Location location = op.getLoc();
  Type f32 = builder.getF32Type();
  Value query = queryOperands[form.by->queryFeature];
  auto type = cast<tile::FragType>(query.getType()).withElementType(f32);
  Value wide = tile::ConvertOp::create(builder, location, type, query);
  Value all = factor(scope, *form.by, scope.real(1.0f));
  if (!all)
    return {};
  Value none = isNone(scope, location, blocks);
  auto map = tile::MapOp::create(builder, location, type, ValueRange{wide});
  Block *body = &map.getBody().emplaceBlock();
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  Value element = body->addArgument(f32, location);
  Value column = tile::ColOp::create(inner, location, inner.getI32Type());
  int64_t length = featureLength(*form.by);
  Value inside;
  if (length < type.getColumns())
    inside = arith::CmpIOp::create(inner, location, arith::CmpIPredicate::slt, column, scope.constant(static_cast<int32_t>(length)));
  SmallVector<Value> place{scope.index(ir::IndexKind::b), scope.index(ir::IndexKind::kv_head), entry(scope, blocks), column};
  Value sum = tile::ParamOp::create(inner, location, f32, sums, place, inside);
  Value product = arith::MulFOp::create(inner, location, element, sum);
  Value summand = arith::MulFOp::create(inner, location, product, all);
  tile::YieldOp::create(inner, location, arith::SelectOp::create(inner, location, none, scope.real(0.0f), summand).getResult());
  return tile::ReduceOp::create(builder, location, tile::ReduceKind::add, map, zero);
}

} // namespace attn
