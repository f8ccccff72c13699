// Moves the fills of a loop ahead of their use, for targets whose threads copy (cp.async).
//
// A slot is free after its last reader and the barrier of the next await. So entry i's successor in that slot, i + S of
// S stages, is filled right behind the first await that follows the release of entry i: in the same iteration, or, if
// the release is behind all awaits, in the next one, where it is entry i + S - 1. With one stage:
//
//   await K(i)   fill V(i)      the copy of V flies under QK
//   QK
//   await V(i)   fill K(i+1)    the copy of K flies under softmax and PV
//   softmax, PV
//
// What entries the first iterations await is filled before the loop, in await order, in front of the first await, so
// that these copies fly together; a fill that may run past the last block is predicated.
// Rows of 8-bit floats are copied as they are, ahead as all others, and widened where they are used (WidenedFills.h).
// Requires: PipelineLoads. Guarantees: every entry is filled once, before its await, after its slot's release.
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"
#include "passes/tile/WidenedFills.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_PREFETCHLOADS
#include "passes/Passes.h.inc"

namespace {
/// A fill in a loop, and where its successor goes.
struct Prefetch {
  tile::FillOp fill;
  tile::AwaitOp behind;   ///< the await behind which it is placed; null: it stays
  int64_t distance = 0;   ///< how many entries ahead
};
} // namespace

template <typename OpTy> static OpTy findFor(Value ring, Block *block) {
  for (OpTy op : block->getOps<OpTy>())
    if (op.getRing() == ring)
      return op;
  return {};
}

static Prefetch plan(tile::FillOp fill, ArrayRef<tile::AwaitOp> awaits) {
  Block *block = fill->getBlock();
  auto release = findFor<tile::ReleaseOp>(fill.getRing(), block);
  auto own = findFor<tile::AwaitOp>(fill.getRing(), block);
  if (!release || !own)
    return {fill, {}, 0};
  int64_t stages = fill.getRing().getType().getStages();
  for (tile::AwaitOp await : awaits)
    if (release->isBeforeInBlock(await))
      return {fill, await, stages};
  tile::AwaitOp first = awaits.front();
  if (stages == 1 && !first->isBeforeInBlock(own)) // nothing to hide it behind
    return {fill, {}, 0};
  return {fill, first, stages - 1};
}

/// The fill of entry `number`, which is the iteration that uses it.
static void writeFill(OpBuilder &builder, scf::ForOp loop, tile::FillOp fill, Value number, bool surelyVisited) {
  IRMapping mapping = operandsForIteration(builder, loop, fill, number);
  Value predicate;
  if (!surelyVisited)
    predicate = arith::CmpIOp::create(builder, fill.getLoc(), arith::CmpIPredicate::slt, number, loop.getUpperBound());
  auto copy = cast<tile::FillOp>(builder.clone(*fill, mapping));
  if (predicate && copy.getPredicate()) {
    OpBuilder before(copy);
    predicate = arith::AndIOp::create(before, fill.getLoc(), predicate, copy.getPredicate());
  }
  if (predicate)
    copy.getPredicateMutable().assign(predicate);
}

/// Entries that the first iterations await, filled before the loop.
static void writePrologue(scf::ForOp loop, ArrayRef<Prefetch> prefetches) {
  // In front of an await of the same tile: what the fills need stands before all loads of the tile.
  Operation *place = loop;
  for (tile::AwaitOp await : loop->getBlock()->getOps<tile::AwaitOp>())
    if (await->isBeforeInBlock(place))
      place = await;
  auto isDefinedBefore = [&](Value value) {
    Operation *op = value.getDefiningOp();
    return !op || op->getBlock() != place->getBlock() || op->isBeforeInBlock(place);
  };
  for (const Prefetch &prefetch : prefetches) {
    WalkResult within = loop.walk([&](Operation *op) {
      bool scalar = llvm::all_of(op->getResultTypes(), [](Type type) { return type.isIntOrIndex(); });
      return !scalar || op->getNumRegions() || llvm::all_of(op->getOperands(), isDefinedBefore) ? WalkResult::advance()
                                                                                                : WalkResult::interrupt();
    });
    if (prefetch.behind && within.wasInterrupted())
      place = loop;
  }
  OpBuilder builder(place);
  int64_t most = 0;
  for (const Prefetch &prefetch : prefetches)
    most = std::max(most, prefetch.distance);
  for (int64_t number = 0; number < most; ++number)
    for (const Prefetch &prefetch : prefetches)
      if (number < prefetch.distance) {
        Value entry = arith::ConstantIntOp::create(builder, loop.getLoc(), number, 32);
        writeFill(builder, loop, tile::FillOp(prefetch.fill), entry, isAtLeast(loop.getUpperBound(), number + 1));
      }
}

static void prefetchIn(scf::ForOp loop) {
  Block *body = loop.getBody();
  SmallVector<tile::AwaitOp> awaits(body->getOps<tile::AwaitOp>());
  SmallVector<Prefetch> prefetches;
  for (tile::FillOp fill : body->getOps<tile::FillOp>())
    if (fill.getEntry() == loop.getInductionVar())
      prefetches.push_back(plan(fill, awaits));
  writePrologue(loop, prefetches);
  for (const Prefetch &prefetch : prefetches) {
    if (!prefetch.behind)
      continue;
    OpBuilder builder(prefetch.behind);
    builder.setInsertionPointAfter(prefetch.behind);
    Value number = loop.getInductionVar();
    if (prefetch.distance > 0) {
      Value ahead = arith::ConstantIntOp::create(builder, loop.getLoc(), prefetch.distance, 32);
      number = arith::AddIOp::create(builder, loop.getLoc(), number, ahead);
    }
    tile::FillOp fill = prefetch.fill;
    if (auto acquire = findFor<tile::AcquireOp>(fill.getRing(), body)) {
      acquire->moveBefore(body, builder.getInsertionPoint());
      acquire.getEntryMutable().assign(number);
    }
    writeFill(builder, loop, fill, number, prefetch.distance == 0);
    fill.erase();
  }
}

namespace {
struct PrefetchLoads final : impl::PrefetchLoadsBase<PrefetchLoads> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr) || !kernel.getOps<tile::RoleOp>().empty())
      return;
    splitWidenedFills(kernel);
    kernel.walk([&](tile::FillOp fill) {
      if (!fill.getVia())
        fill.setVia(isWidened(fill) ? "plain" : "cp_async");
    });
    SmallVector<scf::ForOp> loops;
    kernel.walk([&](scf::ForOp loop) {
      if (!loop.getBody()->getOps<tile::AwaitOp>().empty() && countsFromZero(loop))
        loops.push_back(loop);
    });
    llvm::for_each(loops, prefetchIn);
  }
};
} // namespace

} // namespace attn
