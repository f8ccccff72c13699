// Computes once a block what depends on the distance of key and query alone, instead of once a point (a Toeplitz matrix has
// one number a diagonal): relative biases, whose buckets, logarithms or table reads cost more than all else of a score.
//
//   for i { … %y = tile.map %s { ^(%x): %d = subi %j, %q0 + row - col …  %b = bucket, load …  addf %x, %b } }
//     →   for i { acquire %strip[i]   build %strip[i] { ^at(%c): … of distance %c - (BM - 1) }   %w = await %strip[i]
//                 … %y = tile.map %s { ^(%x): %b = at %w[col - row + BM - 1]   addf %x, %b }     release %strip[i] }
//
// BM + BN - 1 words a block. Cheap values (ALiBi) stay where they are. With roles the producer's
// threads build ahead; its other warps have nothing else to do.
// Requires: AssignLayouts. Guarantees: results are unchanged.
#include "ir/tile/TileDialect.h"
#include "passes/Distances.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_BUILDSTRIPS
#include "passes/Passes.h.inc"

namespace {

class StripFinder {
public:
  explicit StripFinder(Region &region);

  /// The largest values that depend on the distance alone and cost more than a read of shared memory.
  SmallVector<Value> find();

private:
  bool isCostly(Value value);

  Region &region;
  Distances distances;
  DenseMap<Value, bool> costly;
};

} // namespace

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

static std::optional<PointSteps> positionOf(Operation *op) {
  if (isa<tile::RowOp>(op))
    return PointSteps{1, 0};
  if (isa<tile::ColOp>(op))
    return PointSteps{0, 1};
  return std::nullopt;
}

StripFinder::StripFinder(Region &region) : region(region), distances(region, positionOf) {
  distances.isOpaque = [](Operation *op) { return isa<tile::AtOp>(op); }; // the consumers' own memory
}

bool StripFinder::isCostly(Value value) {
  if (auto known = costly.find(value); known != costly.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  bool result = op && value.getParentRegion() == &region && distances.kindOf(value) == PointKind::Distance &&
                (isExpensive(op) || llvm::any_of(op->getOperands(), [&](Value operand) { return isCostly(operand); }));
  return costly[value] = result;
}

SmallVector<Value> StripFinder::find() {
  SmallVector<Value> found;
  for (Operation &op : region.front()) {
    if (op.getNumResults() != 1 || !op.getResult(0).getType().isF32())
      continue;
    Value value = op.getResult(0);
    bool isLargest = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return user->getNumResults() != 1 || distances.kindOf(user->getResult(0)) != PointKind::Distance || !user->getResult(0).getType().isF32();
    });
    if (isLargest && isCostly(value))
      found.push_back(value);
  }
  return found;
}

//===----------------------------------------------------------------------===//
// Strips
//===----------------------------------------------------------------------===//

/// Reads `value` of the map's region from a strip that is built in front of the map.
static void buildStrip(func::FuncOp kernel, scf::ForOp loop, tile::MapOp map, Value value, unsigned stages) {
  Location location = value.getLoc();
  MLIRContext *context = kernel.getContext();
  int64_t rows = map.getType().getRows(), words = rows + map.getType().getColumns() - 1;
  auto layout = tile::SmemAttr::get(context, /*swizzle=*/0, /*pitch=*/0);
  Type f32 = Float32Type::get(context);
  OpBuilder entry = OpBuilder::atBlockBegin(&kernel.front());
  Value ring = tile::RingOp::create(entry, location, tile::RingType::get(context, stages, {words}, f32, layout), IntegerAttr());
  Value number = loop.getInductionVar();
  OpBuilder builder(map);
  tile::AcquireOp::create(builder, location, ring, number);
  auto build = tile::BuildOp::create(builder, location, ring, number);
  {
    Block *block = &build.getBody().emplaceBlock();
    Value place = block->addArgument(builder.getI32Type(), location);
    OpBuilder body = OpBuilder::atBlockEnd(block);
    Value zero = arith::ConstantIntOp::create(body, location, 0, 32);
    Value last = arith::ConstantIntOp::create(body, location, rows - 1, 32);
    Value distance = arith::SubIOp::create(body, location, place, last);
    IRMapping mapping;
    for (Operation &op : map.getBody().front())
      if (isa<tile::RowOp>(op))
        mapping.map(op.getResult(0), zero);
      else if (isa<tile::ColOp>(op))
        mapping.map(op.getResult(0), distance);
    Value copy = copyOutOf(body, map.getBody(), value, mapping);
    tile::YieldOp::create(body, location, copy);
  }
  auto buffer = tile::BufferType::get(context, {words}, f32, layout);
  Value landed = tile::AwaitOp::create(builder, location, buffer, ring, number, IntegerAttr(), UnitAttr());
  builder.setInsertionPointAfter(map);
  tile::ReleaseOp::create(builder, location, ring, number);
  builder.setInsertionPointAfterValue(value);
  Value row = tile::RowOp::create(builder, location, builder.getI32Type());
  Value column = tile::ColOp::create(builder, location, builder.getI32Type());
  Value last = arith::ConstantIntOp::create(builder, location, rows - 1, 32);
  Value difference = arith::SubIOp::create(builder, location, column, row);
  Value place = arith::AddIOp::create(builder, location, difference, last);
  value.replaceAllUsesWith(tile::AtOp::create(builder, location, f32, landed, place));
}

namespace {
struct BuildStrips final : impl::BuildStripsBase<BuildStrips> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    auto stages = kernel->getAttrOfType<IntegerAttr>(tile::kStagesAttr);
    if (!kernel->hasAttr(tile::kKernelAttr) || !stages)
      return;
    SmallVector<std::pair<tile::MapOp, scf::ForOp>> maps;
    kernel.walk([&](tile::MapOp map) {
      auto loop = dyn_cast<scf::ForOp>(map->getParentOp());
      if (loop && countsFromZero(loop) && map.getType().getRank() == 2 && map.getType().getElementType().isF32())
        maps.push_back({map, loop});
    });
    for (auto [map, loop] : maps)
      for (Value value : StripFinder(map.getBody()).find())
        buildStrip(kernel, loop, map, value, static_cast<unsigned>(stages.getInt()));
  }
};
} // namespace

} // namespace attn
