// See DistanceTable.h. The program of a work tile, 64 distances of a head, a row of a fragment each:
//
//   i = first + row;  d = i - (q_len - 1);  the value at q_idx = max(-d, 0), kv_idx = max(d, 0)  →  store
#include "passes/convert/DistanceTable.h"

#include "ir/attn/ProductTypes.h"
#include "passes/Distances.h"
#include "passes/IndexUses.h"
#include "passes/Remarks.h"
#include "passes/convert/ElementScope.h"
#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kRows = 64;
static constexpr int32_t kWarps = 4;
static constexpr int64_t kLeastCost = 110;   ///< in operations: a read that misses, and a launch, for each block's strip
static constexpr int64_t kFunction = 12, kDivision = 10, kRead = 4;

//===----------------------------------------------------------------------===//
// Which number
//===----------------------------------------------------------------------===//

static std::optional<PointSteps> positionOf(Operation *op) {
  auto index = dyn_cast<ir::IndexOp>(op);
  if (!index || (index.getKind() != ir::IndexKind::q_idx && index.getKind() != ir::IndexKind::kv_idx))
    return std::nullopt;
  return index.getKind() == ir::IndexKind::q_idx ? PointSteps{1, 0} : PointSteps{0, 1};
}

static bool isOpaque(Operation *op) {
  return !isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) && !isa<ir::IndexOp, ir::SizeOp, ir::LoadOp>(op);
}

static int64_t costOf(Operation *op) {
  if (isa<ir::LoadOp>(op))
    return kRead;
  if (isa<arith::DivFOp, arith::DivSIOp, arith::FloorDivSIOp, arith::RemSIOp>(op))
    return kDivision;
  bool isFunction = isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::FloorOp, math::CeilOp>(op);
  return isFunction ? kFunction : 1;
}

std::optional<DistanceTable> DistanceTable::of(ir::OnlineAttentionOp op) {
  Region &score = op.getScore();
  if (score.empty())
    return std::nullopt;
  Distances distances(score, positionOf);
  distances.isOpaque = isOpaque;
  DistanceTable best(op);
  for (Operation &inner : score.front()) {
    if (inner.getNumResults() != 1 || !isa<FloatType>(inner.getResult(0).getType()))
      continue;
    Value value = inner.getResult(0);
    if (distances.kindOf(value) != PointKind::Distance)
      continue;
    int64_t cost = 0;
    for (Operation *behind : operationsBehind(value))
      if (behind->getNumResults() == 1 && distances.kindOf(behind->getResult(0)) == PointKind::Distance)
        cost += costOf(behind);
    if (cost < kLeastCost || cost <= best.cost)
      continue;
    best.value = value;
    best.cost = cost;
  }
  if (!best.value)
    return std::nullopt;
  best.ofRequests = !op.getRagged().empty() || !op.getPaged().empty() || dependsOnIndex(best.value, ir::IndexKind::b);
  best.ofHeads = dependsOnIndex(best.value, ir::IndexKind::h) || dependsOnIndex(best.value, ir::IndexKind::kv_head);
  return best;
}

void DistanceTable::remark() const {
  attn::remark(op, RemarkCategory::Schedule,
               llvm::formatv("a number of the distance that costs about {0} operations is computed by a kernel in front, once for each distance{1}; blocks "
                             "read it", cost, ofHeads ? " and head" : "").str());
}

ir::AttnTensorType DistanceTable::type() const {
  MLIRContext *context = op.getContext();
  bool isInSequence = !op.getRagged().empty() || !op.getPaged().empty();
  auto sizeOf = [&](ir::AttnTensorType type, unsigned dim, StringRef extent) {
    return isInSequence ? SizeExpr::name(extent.str()) : ir::sizeExprOf(type.getSizes()[dim]);
  };
  Attribute one = ir::sizeAttr(context, SizeExpr::number(1));
  SizeExpr all = SizeExpr::binary(SizeExpr::Kind::Add, sizeOf(op.getQueryType(), 1, "q_len"), sizeOf(op.getKeyType(), 1, "kv_len"));
  Attribute sizes[] = {ofRequests ? ir::sizeAttr(context, sizeOf(op.getQueryType(), 0, "batch")) : one,
                       ofHeads ? headsOf(op.getQueryType()) : one, ir::sizeAttr(context, all)};
  return ir::AttnTensorType::get(context, sizes, ir::computeType(op), false);
}

//===----------------------------------------------------------------------===//
// The kernel in front
//===----------------------------------------------------------------------===//

/// The number at distances `first` - (q_len - 1) + row.
static Value distancesFrom(KernelScope &scope, OpBuilder &builder, Location location, Value value, Value first) {
  auto rowType = tile::FragType::get(builder.getContext(), {kRows}, scope.realType(), {});
  tile::MapOp map = openMap(builder, location, rowType);
  Block *block = &map.getBody().front();
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  Value zero = scope.constant(0);
  Value rows = scope.rows().length(ir::IndexKind::q_idx, location);
  Value before = arith::SubIOp::create(scope.work, location, arith::AddIOp::create(scope.work, location, first, scope.constant(1)), rows);
  Value distance = arith::AddIOp::create(inner, location, before, tile::RowOp::create(inner, location, inner.getI32Type()));
  Value key = arith::MaxSIOp::create(inner, location, distance, zero);
  Value query = arith::SubIOp::create(inner, location, key, distance);
  Frame frame{kRows, 0, ir::IndexKind::q_idx, zero, zero};
  FragmentMap none;
  ElementScope element(scope, frame, none, block, /*row=*/query, /*column=*/key, /*channel=*/Value());
  Value number = element.scalar(value);
  if (!number)
    return {};
  tile::YieldOp::create(element.body(), location, number);
  return map;
}

LogicalResult DistanceTable::writeKernel(func::FuncOp plan, func::FuncOp kernel, Value table) const {
  Location location = op.getLoc();
  KernelScope scope(plan, kernel);
  OpBuilder &entry = scope.entry;
  kernel->setAttr(tile::kWarpsAttr, entry.getI32IntegerAttr(kWarps));
  kernel->setAttr(tile::kStagesAttr, entry.getI32IntegerAttr(1));
  auto headsOf = [&](Value tensor) { return scope.sizeOf(tensor, cast<tile::TileTensorType>(tensor.getType()).getRank() - 2, location); };
  Value one = scope.constant(1), queryHeads = headsOf(scope.tensor(storedRows(op.getQuery())));
  Value requests = ofRequests ? scope.rows().requests(location) : one;
  Value queries = scope.rows().longest(ir::IndexKind::q_idx, location), keys = scope.rows().longest(ir::IndexKind::kv_idx, location);
  if (!queryHeads || !requests || !queries || !keys)
    return failure();
  Value all = arith::AddIOp::create(entry, location, queries, keys);
  Value tiles = arith::CeilDivSIOp::create(entry, location, all, scope.constant(kRows));
  Value group = entry.createOrFold<arith::DivUIOp>(location, queryHeads, headsOf(scope.tensor(storedRows(op.getKey()))));
  auto work = tile::ForeachWorkOp::create(entry, location, TypeRange(), ValueRange{requests, ofHeads ? queryHeads : one, tiles}, ValueRange(),
                                          /*descending=*/false);
  Block *body = &work.getBody().emplaceBlock();
  Type i32 = entry.getI32Type();
  body->addArguments({i32, i32, i32}, {location, location, location});
  entry.setInsertionPoint(work);
  Value b = body->getArgument(0), head = body->getArgument(1);
  scope.work.setInsertionPointToEnd(body);
  scope.setIndex(ir::IndexKind::b, b);
  scope.setIndex(ir::IndexKind::h, head);
  scope.setIndex(ir::IndexKind::kv_head, arith::DivUIOp::create(scope.work, location, head, group));
  scope.rows().enterRequest(location);
  Value first = arith::MulIOp::create(scope.work, location, body->getArgument(2), scope.constant(kRows));
  // Fragments are written behind this place, scalars that they share in front of it.
  auto anchor = arith::ConstantIntOp::create(scope.work, location, 0, 32);
  scope.work.setInsertionPoint(anchor);
  OpBuilder builder = OpBuilder::atBlockEnd(body);
  Value numbers = distancesFrom(scope, builder, location, value, first);
  if (!numbers)
    return failure();
  tile::StoreOp::create(builder, location, numbers, table, ValueRange{b, head, first}, builder.getI32IntegerAttr(2), Value(), IntegerAttr(), StringAttr());
  tile::YieldOp::create(builder, location, ValueRange());
  anchor.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// In the score
//===----------------------------------------------------------------------===//

void DistanceTable::readIn(Value table) const {
  Location location = value.getLoc();
  OpBuilder builder(value.getDefiningOp());
  auto index = [&](ir::IndexKind kind) -> Value { return ir::IndexOp::create(builder, location, kind); };
  auto number = [&](int64_t constant) -> Value { return arith::ConstantIntOp::create(builder, location, constant, 32); };
  Value distance = arith::SubIOp::create(builder, location, index(ir::IndexKind::kv_idx), index(ir::IndexKind::q_idx));
  Value before = arith::SubIOp::create(builder, location, ir::SizeOp::create(builder, location, "q_len"), number(1));
  Value place = arith::AddIOp::create(builder, location, distance, before);
  Value request = ofRequests ? index(ir::IndexKind::b) : number(0), head = ofHeads ? index(ir::IndexKind::h) : number(0);
  Value read = ir::LoadOp::create(builder, location, value.getType(), table, ValueRange{request, head, place});
  Value(value).replaceAllUsesWith(read);
}

} // namespace attn
