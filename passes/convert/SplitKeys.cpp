// See SplitKeys.h.
#include "passes/convert/SplitKeys.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "passes/WideRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;

namespace attn {

//===----------------------------------------------------------------------===//
// Workspace
//===----------------------------------------------------------------------===//

std::optional<SplitPlan> SplitPlan::of(ir::OnlineAttentionOp op) {
  DictionaryAttr schedule = op.getScheduleAttr();
  auto attr = schedule ? schedule.getAs<DictionaryAttr>(ir::kFewRows) : DictionaryAttr();
  if (!attr)
    return std::nullopt;
  FailureOr<ir::Schedule> few = ir::Schedule::fromAttr(attr, [&] { return op.emitOpError(); });
  if (failed(few))
    return std::nullopt;
  SplitPlan plan(op, *few);
  plan.isSoftmax = op.getWeights() == ir::Weights::softmax;
  plan.isNormalized = op.getNormalize();
  op.getScore().walk([&](ir::SuffixSumOp) { ++plan.suffixSums; });
  return plan;
}

static SizeExpr product(SizeExpr a, const SizeExpr &b) { return SizeExpr::binary(SizeExpr::Kind::Mul, std::move(a), b); }

/// Sizes over extents. Nothing is kept where nothing is merged: as many shares as count, which are none or all.
SmallVector<tile::TileTensorType, 4> SplitPlan::workspaceTypes() const {
  using K = SizeExpr::Kind;
  ir::AttnTensorType query = op.getQueryType();
  bool isInSequence = !op.getRagged().empty() || !op.getPaged().empty();
  SizeExpr batch = isInSequence ? SizeExpr::name("batch") : ir::sizeExprOf(query.getSizes()[0]);
  SizeExpr rows = isInSequence ? SizeExpr::name("q_len") : ir::sizeExprOf(query.getSizes()[1]);
  SizeExpr heads = ir::sizeExprOf(query.getSizes()[query.getRank() - 2]);
  SizeExpr groups = few.pack > 1 ? SizeExpr::binary(K::FloorDiv, heads, SizeExpr::number(few.pack)) : heads;
  SizeExpr splits = SizeExpr::name(tile::kSplitsExtent.str()), one = SizeExpr::number(1);
  SizeExpr isMerged = SizeExpr::binary(K::Min, SizeExpr::binary(K::Sub, splits, one), one);
  SizeExpr tiles = product(product(batch, groups), SizeExpr::binary(K::CeilDiv, rows, SizeExpr::number(few.queries())));
  SizeExpr counted = product(isMerged, tiles);
  SizeExpr kept = product(product(counted, splits), SizeExpr::number(few.blockM));

  MLIRContext *context = op.getContext();
  Type real = ir::computeType(op);
  auto tensor = [&](ArrayRef<SizeExpr> sizes) {
    SmallVector<Attribute> attributes;
    for (const SizeExpr &size : sizes)
      attributes.push_back(ir::sizeAttr(context, size));
    return tile::TileTensorType::get(context, attributes, real, false);
  };
  SmallVector<tile::TileTensorType, 4> types{tensor({kept, SizeExpr::number(op.getValueRowLength())})};
  types.append(hasMaxima() + hasTotals(), tensor({kept}));
  types.push_back(tensor({counted}));
  types.append(suffixSums, tensor({kept}));
  return types;
}

std::string SplitPlan::workspaceName(unsigned number) const {
  SmallVector<std::string> names{"sums"};
  if (hasMaxima())
    names.push_back("maxima");
  if (hasTotals())
    names.push_back("totals");
  names.push_back("counts");
  for (unsigned sum = 0; sum < suffixSums; ++sum)
    names.push_back("carries." + std::to_string(sum));
  return names[number] + ".split";
}

int64_t SplitPlan::blockBytes() const {
  auto bytesOf = [](ir::AttnTensorType type, int64_t length) { return length * type.getElementType().getIntOrFloatBitWidth() / 8; };
  bool isValueInKey = valueInKey(op.getKey(), op.getKeyRegion(), op.getValue(), op.getValueRegion()).has_value();
  return few.blockN * (bytesOf(op.getKeyType(), op.getHeadDim()) + (isValueInKey ? 0 : bytesOf(op.getValueType(), op.getValueRowLength())));
}

int64_t SplitPlan::sumBytes() const { return few.blockM * op.getValueRowLength() * ir::computeType(op).getIntOrFloatBitWidth() / 8; }

std::string SplitPlan::keys() const {
  using K = SizeExpr::Kind;
  if (!op.getPaged().empty()) {
    auto table = cast<ir::AttnTensorType>(op.getPaged()[1].getType());
    return product(ir::sizeExprOf(table.getSizes()[1]), SizeExpr::number(static_cast<int64_t>(*op.getPageSize()))).text();
  }
  SizeExpr rows = ir::sizeExprOf(op.getKeyType().getSizes()[op.getRagged().empty() ? 1 : 0]);
  if (op.getRagged().empty())
    return rows.text();
  SizeExpr requests = SizeExpr::binary(K::Max, SizeExpr::name("batch"), SizeExpr::number(1));
  return SizeExpr::binary(K::CeilDiv, rows, requests).text(); // of a request of average length
}

SplitArguments SplitArguments::of(const SplitPlan &plan, func::FuncOp kernel, ValueRange workspace) {
  SplitArguments arguments;
  unsigned next = 0;
  arguments.sums = workspace[next++];
  if (plan.hasMaxima())
    arguments.maxima = workspace[next++];
  if (plan.hasTotals())
    arguments.totals = workspace[next++];
  arguments.counts = workspace[next++];
  arguments.carries = workspace.slice(next, plan.carryCount());
  for (BlockArgument argument : kernel.getArguments())
    if (auto name = kernel.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName);
        name && name.getValue() == tile::kSplitsExtent && kernel.getArgAttr(argument.getArgNumber(), tile::kExtentAttr))
      arguments.splits = argument;
  return arguments;
}

//===----------------------------------------------------------------------===//
// Work items
//===----------------------------------------------------------------------===//

Value placeOfTile(OpBuilder &builder, Location location, const SplitExtents &extents, Value b, Value group, Value tile) {
  Value head = arith::AddIOp::create(builder, location, arith::MulIOp::create(builder, location, b, extents.groups), group);
  return arith::AddIOp::create(builder, location, arith::MulIOp::create(builder, location, head, extents.tiles), tile);
}

Value SplitKeys::workItems(OpBuilder &entry, const SplitExtents &extents) {
  this->extents = extents;
  return arith::MulIOp::create(entry, extents.tiles.getLoc(), extents.tiles, arguments.splits);
}

Value SplitKeys::enter(KernelScope &scope, Location location, Value b, Value group, Value index) {
  OpBuilder &work = scope.work;
  share = arith::RemUIOp::create(work, location, index, arguments.splits);
  tile = arith::DivUIOp::create(work, location, index, arguments.splits);
  place = placeOfTile(work, location, extents, b, group, tile);
  isMerged = arith::CmpIOp::create(work, location, arith::CmpIPredicate::sgt, arguments.splits, scope.constant(1));
  return tile;
}

/// Of numbers above 0.
static Value ceilDiv(KernelScope &scope, Location location, Value a, Value b) {
  OpBuilder &work = scope.work;
  Value before = arith::SubIOp::create(work, location, b, scope.constant(1));
  return arith::DivUIOp::create(work, location, arith::AddIOp::create(work, location, a, before), b);
}

void SplitKeys::deal(KernelScope &scope, Location location, BlockRanges &blocks) {
  OpBuilder &work = scope.work;
  Value each = ceilDiv(scope, location, blocks.count(), arguments.splits);
  Value first = arith::MulIOp::create(work, location, share, each);
  empty = arith::CmpIOp::create(work, location, arith::CmpIPredicate::sge, first, blocks.count());
  filled = ceilDiv(scope, location, blocks.count(), each);
  Value left = arith::SubIOp::create(work, location, blocks.count(), first);
  blocks.visitOnly(first, arith::MinSIOp::create(work, location, left, each));
}

Value SplitKeys::inFirst(OpBuilder &builder, Value value, Value otherwise) const {
  Location location = value.getLoc();
  Value zero = arith::ConstantIntOp::create(builder, location, 0, 32);
  Value isFirst = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::eq, share, zero);
  return arith::SelectOp::create(builder, location, isFirst, value, otherwise);
}

Value SplitKeys::endOfResults(KernelScope &scope, Location location, Value end) const {
  return arith::SelectOp::create(scope.work, location, isMerged, scope.constant(0), end);
}

/// In log2 units, whatever the unit of scores is.
static Value inLog2(OpBuilder &builder, Location location, const RowState &state) {
  auto type = cast<tile::FragType>(state.rowMax.getType());
  Type real = type.getElementType();
  auto map = tile::MapOp::create(builder, location, type, ValueRange{state.rowMax});
  Block *body = &map.getBody().emplaceBlock();
  Value own = body->addArgument(real, location);
  OpBuilder inner = OpBuilder::atBlockEnd(body);
  Value none = arith::ConstantOp::create(inner, location, inner.getFloatAttr(real, -std::numeric_limits<double>::infinity()));
  Value isNone = arith::CmpFOp::create(inner, location, arith::CmpFPredicate::OEQ, own, none);
  Value scaled = arith::MulFOp::create(inner, location, own, state.scale);
  tile::YieldOp::create(inner, location, arith::SelectOp::create(inner, location, isNone, none, scaled).getResult());
  return map;
}

SplitKeys::RowsOfShare SplitKeys::rowsOf(OpBuilder &at, KernelScope &scope, Location location, Value share, Value rows) const {
  Value all = arith::MulIOp::create(at, location, arith::MulIOp::create(at, location, extents.batch, extents.groups), extents.tiles);
  Value before = arith::MulIOp::create(at, location, share, all);
  const ir::Schedule &schedule = plan.schedule();
  Value first = arith::MulIOp::create(at, location, arith::AddIOp::create(at, location, before, place),
                                      scope.constant(static_cast<int32_t>(schedule.blockM)));
  Value last = arith::AddIOp::create(at, location, first,
                                     arith::MulIOp::create(at, location, rows, scope.constant(static_cast<int32_t>(schedule.pack))));
  return {first, last};
}

void SplitKeys::storeCarries(KernelScope &scope, OpBuilder &builder, Location location, ValueRange carries, Value rows) const {
  auto [first, end] = rowsOf(scope.work, scope, location, share, rows);
  for (auto [carry, tensor] : llvm::zip_equal(carries, arguments.carries))
    tile::StoreOp::create(builder, location, carry, tensor, ValueRange{first}, builder.getI32IntegerAttr(0), end, IntegerAttr(), StringAttr());
}

/// Of the shares before, from the first, in this order always: one share has none.
SmallVector<Value> SplitKeys::carries(KernelScope &scope, OpBuilder &builder, Location location, Value zero, Value rows) const {
  SmallVector<Value> start(arguments.carries.size(), zero);
  auto loop = scf::ForOp::create(builder, location, scope.constant(0), share, scope.constant(1), start);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  auto [first, end] = rowsOf(builder, scope, location, loop.getInductionVar(), rows);
  SmallVector<Value> sums;
  for (auto [carry, tensor] : llvm::zip_equal(loop.getRegionIterArgs(), arguments.carries)) {
    Value own = tile::LoadOp::create(builder, location, zero.getType(), tensor, ValueRange{first}, builder.getI32IntegerAttr(0), end, IntegerAttr());
    auto map = tile::MapOp::create(builder, location, cast<tile::FragType>(zero.getType()), ValueRange{carry, own});
    Block *body = &map.getBody().emplaceBlock();
    Type real = cast<tile::FragType>(zero.getType()).getElementType();
    Value a = body->addArgument(real, location), b = body->addArgument(real, location);
    OpBuilder inner = OpBuilder::atBlockEnd(body);
    tile::YieldOp::create(inner, location, arith::AddFOp::create(inner, location, a, b).getResult());
    sums.push_back(map);
  }
  scf::YieldOp::create(builder, location, sums);
  return SmallVector<Value>(loop.getResults());
}

void SplitKeys::store(KernelScope &scope, OpBuilder &builder, Location location, const RowState &state, Value rows) const {
  OpBuilder &work = scope.work;
  auto [first, last] = rowsOf(work, scope, location, share, rows);
  Value none = scope.constant(0), end = arith::SelectOp::create(work, location, isMerged, last, none);
  auto store = [&](Value fragment, Value tensor, Value row, Value limit) {
    tile::StoreOp::create(builder, location, fragment, tensor, ValueRange{row}, builder.getI32IntegerAttr(0), limit, IntegerAttr(), StringAttr());
  };
  store(state.sums, arguments.sums, first, end);
  if (arguments.maxima)
    store(inLog2(builder, location, state), arguments.maxima, first, end);
  if (arguments.totals)
    store(state.rowSum, arguments.totals, first, end);
  // one number of the tile, by its first row in the first share
  Value behind = arith::AddIOp::create(work, location, place, scope.constant(1));
  Value counted = inFirst(work, arith::SelectOp::create(work, location, isMerged, behind, none), none);
  auto rowType = cast<tile::FragType>(state.rowSum.getType());
  auto map = tile::MapOp::create(builder, location, rowType, ValueRange());
  OpBuilder inner = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
  Value number = arith::SIToFPOp::create(inner, location, rowType.getElementType(), filled);
  tile::YieldOp::create(inner, location, number);
  store(map, arguments.counts, place, counted);
}

} // namespace attn
