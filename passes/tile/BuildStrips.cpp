// Computes once a block what depends on the distance of key and query alone, instead of once a point (a Toeplitz matrix has
// one number a diagonal): relative biases, whose buckets, logarithms or table reads cost more than all else of a score.
//
//   for i { … %y = tile.map %s { ^(%x): %d = subi %j, %q0 + row - col …  %b = bucket, load …  addf %x, %b } }
//     →   for i { acquire %strip[i]   build %strip[i] { ^at(%c): … of distance %c - (BM - 1) }   %w = await %strip[i]
//                 … %y = tile.map %s { ^(%x): %b = at %w[col - row + BM - 1]   addf %x, %b }     release %strip[i] }
//
// BM + BN - 1 numbers a block. Where the number is all that is added to a product of tiles, the product begins with it instead
// of 0: tensor cores add for nothing, and what a thread needs of the strip is one word for 2 x 2 elements (`quads`).
//
//   %s = dot %q, trans %k, 0;  %y = map %s { ^(%x): addf %x, %b }
//     →   %b = map { at %w[col - row + BM - 1] }   release %strip[i]   %y = dot %q, trans %k, %b
//
// An i32 that says what a row looks up for itself (`at %products[%row, %index]`) is such a number too, if it is costly.
// Cheap numbers (ALiBi) stay where they are, unless they can be added so beside roles, whose producer builds ahead: its
// threads have little else to do.
//
// Buckets by logarithms, which have few values whatever the distance, are looked up in tables of constants, here and where
// points compute them for themselves (IntegerTables.h).
// Requires: AssignLayouts. Guarantees: results are unchanged.
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileDialect.h"
#include "passes/Distances.h"
#include "passes/Passes.h"
#include "passes/tile/IntegerTables.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_BUILDSTRIPS
#include "passes/Passes.h.inc"

namespace {

class StripFinder {
public:
  /// `takesCheap`: also values that cost less than a read of shared memory.
  StripFinder(Region &region, bool takesCheap);

  /// The largest values that depend on the distance alone.
  SmallVector<Value> find();

private:
  bool isCostly(Value value);

  Region &region;
  Distances distances;
  bool takesCheap;
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

StripFinder::StripFinder(Region &region, bool takesCheap)
    : region(region), distances(region, positionOf), takesCheap(takesCheap) {
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
    bool isIndex = op.getNumResults() == 1 && op.getResult(0).getType().isInteger(32) &&
                   llvm::any_of(op.getUsers(), [](Operation *user) { return isa<tile::AtOp>(user); });
    if (isIndex && isCostly(op.getResult(0))) // of what each row looks up for itself
      found.push_back(op.getResult(0));
    if (op.getNumResults() != 1 || !op.getResult(0).getType().isF32())
      continue;
    Value value = op.getResult(0);
    bool isLargest = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return user->getNumResults() != 1 || distances.kindOf(user->getResult(0)) != PointKind::Distance || !user->getResult(0).getType().isF32();
    });
    if (isLargest && (takesCheap ? distances.kindOf(value) == PointKind::Distance : isCostly(value)))
      found.push_back(value);
  }
  return found;
}

//===----------------------------------------------------------------------===//
// Strips
//===----------------------------------------------------------------------===//

/// The product of tiles that begins with 0 and to which the map adds `value` and nothing else; null if there is none.
static tile::DotOp productBeside(tile::MapOp map, Value value) {
  tile::DotOp dot = map.getInputs().size() == 1 ? map.getInputs()[0].getDefiningOp<tile::DotOp>() : tile::DotOp();
  auto sum = tile::yieldOf(map.getBody()).getValues().front().getDefiningOp<arith::AddFOp>();
  if (!dot || !sum || !dot->hasOneUse() || dot->getBlock() != map->getBlock() || !value.hasOneUse())
    return {};
  auto splat = dot.getAcc().getDefiningOp<tile::SplatOp>();
  Value element = map.getBody().getArgument(0);
  bool adds = (sum.getLhs() == element && sum.getRhs() == value) || (sum.getRhs() == element && sum.getLhs() == value);
  if (!splat || !splat.getValue().isPosZero() || !adds || !isa<tile::AccAttr>(dot.getType().getLayout()))
    return {};
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(map.getBody(), captured);
  bool areThere = llvm::none_of(captured, [&](Value each) {
    Operation *op = each.getDefiningOp();
    return op && op->getBlock() == dot->getBlock() && dot->isBeforeInBlock(op);
  });
  return areThere ? dot : tile::DotOp();
}

/// The map's elements of a strip that is there.
static Value readStrip(OpBuilder &body, Location location, Value strip, int64_t rows) {
  Value row = tile::RowOp::create(body, location, body.getI32Type());
  Value column = tile::ColOp::create(body, location, body.getI32Type());
  Value last = arith::ConstantIntOp::create(body, location, rows - 1, 32);
  Value difference = arith::SubIOp::create(body, location, column, row);
  Value place = arith::AddIOp::create(body, location, difference, last);
  return tile::AtOp::create(body, location, cast<tile::BufferType>(strip.getType()).getElementType(), strip, place);
}

/// Reads `value` of the map's region from a strip that is built in front of the map, or has `dot` begin with it.
static void buildStrip(func::FuncOp kernel, scf::ForOp loop, tile::MapOp map, tile::DotOp dot, Value value, unsigned stages) {
  Location location = value.getLoc();
  MLIRContext *context = kernel.getContext();
  int64_t rows = map.getType().getRows(), words = rows + map.getType().getColumns() - 1;
  auto layout = tile::SmemAttr::get(context, /*swizzle=*/0, /*pitch=*/0, /*quads=*/static_cast<bool>(dot));
  Type element = value.getType();
  OpBuilder entry = OpBuilder::atBlockBegin(&kernel.front());
  Value ring = tile::RingOp::create(entry, location, tile::RingType::get(context, stages, {words}, element, layout), IntegerAttr());
  Value number = loop.getInductionVar();
  OpBuilder builder(dot ? dot.getOperation() : map.getOperation());
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
    tabulateIntegers(*block);
  }
  auto buffer = tile::BufferType::get(context, {words}, element, layout);
  Value landed = tile::AwaitOp::create(builder, location, buffer, ring, number, IntegerAttr(), UnitAttr());
  if (!dot) {
    builder.setInsertionPointAfterValue(value);
    value.replaceAllUsesWith(readStrip(builder, location, landed, rows));
    builder.setInsertionPointAfter(map);
    tile::ReleaseOp::create(builder, location, ring, number);
    return;
  }
  auto first = tile::MapOp::create(builder, location, map.getType(), ValueRange());
  OpBuilder body = OpBuilder::atBlockEnd(&first.getBody().emplaceBlock());
  Value read = readStrip(body, location, landed, rows);
  tile::YieldOp::create(body, location, read);
  tile::ReleaseOp::create(builder, location, ring, number);
  dot.getAccMutable().assign(first);
  map.replaceAllUsesWith(dot.getResult());
  map.erase();
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
    auto count = static_cast<unsigned>(stages.getInt());
    // Sums of 8-bit products are cut off some places below their largest term: a bias among them would cost the products theirs.
    bool mayBegin = !kernel->hasAttr(tile::kFloat8ScoresAttr);
    for (auto [map, loop] : maps) {
      SmallVector<Value> values = StripFinder(map.getBody(), /*takesCheap=*/true).find();
      tile::DotOp dot = mayBegin && values.size() == 1 ? productBeside(map, values.front()) : tile::DotOp();
      if (!dot)
        values = StripFinder(map.getBody(), /*takesCheap=*/false).find();
      for (Value value : values)
        buildStrip(kernel, loop, map, dot, value, count);
    }
    kernel.walk([](tile::MapOp map) { tabulateIntegers(map.getBody().front()); });
  }
};
} // namespace

} // namespace attn
