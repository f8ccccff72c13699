// Skews the loop over blocks of keys by one, for targets whose matrix products run on their own: while the softmax of
// block i is computed, the product of block i - 1's probabilities with its values is in flight.
//
//   for i { K(i); S = Q·K; softmax; O·alpha; V(i); O += P·V }
//
//     →   K(0); S = Q·K; softmax                                           P
//         for i from 1 { K(i); issue S = Q·K;  V(i-1); issue O += P·V;     S and O in flight
//                        wait S; softmax; pin; wait O; O·alpha; P }        softmax(i) under P·V(i-1)
//         V(last); O += P·V
//
// P is packed only when the product that reads the previous one is done: until then its registers are in use. A loop of
// another form keeps its products, which then are waited for where they stand.
// Requires: PipelineLoads; every loop that fills rings runs at least once. Guarantees: fills stand in await order.
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/tile/HiddenRows.h"
#include "passes/tile/LoopFacts.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_OVERLAPDOTS
#include "passes/Passes.h.inc"

namespace {

class SkewedLoop {
public:
  explicit SkewedLoop(scf::ForOp loop) : loop(loop), builder(loop) {}

  /// Finds the parts; false if the loop is of another form.
  bool analyse();
  void rewrite();

private:
  /// The loop's count and carried values in one copy of its body.
  struct Copy {
    IRMapping mapping;
    SmallVector<std::pair<tile::DotOp, Value>> inFlight;   ///< products of scores, issued
  };
  void cloneEarly(Copy &copy, bool isFirst, llvm::function_ref<void()> issueLate);
  void hideValues(Value entry);
  void cloneOp(Copy &copy, Operation &op, bool isFirst);
  void land(Copy &copy);
  Value issueValues(Value entry, Value probs, Value sum);
  Value landValues(Value inFlight, Value entry);
  bool isLate(Operation *op) const { return late.contains(op); }

  scf::ForOp loop;
  OpBuilder builder;
  tile::DotOp values;                 ///< O += P·V
  tile::ScaleOp rescale;
  tile::ConvertOp pack;
  tile::SoftmaxStepOp step;
  tile::AwaitOp await;
  tile::AcquireOp acquire;
  tile::FillOp fill;
  tile::ReleaseOp release;
  unsigned sum = 0;                   ///< position of O among the carried values
  llvm::SetVector<Operation *> late;  ///< the operations named above
};

} // namespace

//===----------------------------------------------------------------------===//
// Form
//===----------------------------------------------------------------------===//

static tile::InflightType inFlightOf(tile::FragType type) {
  return tile::InflightType::get(type.getContext(), type.getShape(), type.getElementType(), type.getLayout());
}

template <typename OpTy> static OpTy findFor(Value ring, Block *block) {
  OpTy found;
  for (OpTy op : block->getOps<OpTy>())
    if (op.getRing() == ring) {
      if (found)
        return {};
      found = op;
    }
  return found;
}

bool SkewedLoop::analyse() {
  Block *body = loop.getBody();
  auto yield = cast<scf::YieldOp>(body->getTerminator());
  for (auto [position, yielded] : llvm::enumerate(yield.getOperands())) {
    auto dot = yielded.getDefiningOp<tile::DotOp>();
    auto scale = dot ? dot.getAcc().getDefiningOp<tile::ScaleOp>() : tile::ScaleOp();
    if (!scale || scale.getInput() != loop.getRegionIterArg(static_cast<unsigned>(position)))
      continue;
    values = dot;
    rescale = scale;
    sum = static_cast<unsigned>(position);
  }
  if (!values)
    return false;
  pack = values.getLhs().getDefiningOp<tile::ConvertOp>();
  step = pack ? pack.getInput().getDefiningOp<tile::SoftmaxStepOp>() : tile::SoftmaxStepOp();
  await = values.getRhs().getDefiningOp<tile::AwaitOp>();
  if (!step || !await || await->getBlock() != body || !pack->hasOneUse() || !rescale->hasOneUse() ||
      rescale.getFactor() != step.getAlpha() || !step.getAlpha().hasOneUse() || !await->hasOneUse())
    return false;
  Value ring = await.getRing();
  acquire = findFor<tile::AcquireOp>(ring, body);
  fill = findFor<tile::FillOp>(ring, body);
  release = findFor<tile::ReleaseOp>(ring, body);
  if (!acquire || !fill || !release)
    return false;
  for (Operation *op : {values.getOperation(), rescale.getOperation(), pack.getOperation(), await.getOperation(),
                        acquire.getOperation(), fill.getOperation(), release.getOperation()})
    late.insert(op);
  return isAtLeast(loop.getUpperBound(), 1);
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// Waits for the scores of a copy.
void SkewedLoop::land(Copy &copy) {
  for (auto [dot, inFlight] : copy.inFlight)
    copy.mapping.map(dot.getResult(), tile::WaitOp::create(builder, dot.getLoc(), dot.getType(), inFlight).getResult());
  copy.inFlight.clear();
}

void SkewedLoop::cloneOp(Copy &copy, Operation &op, bool isFirst) {
  if (auto dot = dyn_cast<tile::DotOp>(op)) {
    auto type = inFlightOf(dot.getType());
    auto at = [&](Value value) { return copy.mapping.lookupOrDefault(value); };
    Value inFlight = tile::DotAsyncOp::create(builder, op.getLoc(), type, at(dot.getLhs()), at(dot.getRhs()),
                                              at(dot.getAcc()), dot.getTrans());
    copy.inFlight.push_back({dot, inFlight});
    return;
  }
  // The first block counts as partial: one more copy of the scores would be code for nothing.
  auto branch = dyn_cast<scf::IfOp>(op);
  if (branch && isFirst && branch.elseBlock()) {
    for (Operation &inner : branch.elseBlock()->without_terminator())
      builder.clone(inner, copy.mapping);
    for (auto [result, yielded] : llvm::zip(branch.getResults(), branch.elseYield().getOperands()))
      copy.mapping.map(result, copy.mapping.lookupOrDefault(yielded));
    return;
  }
  builder.clone(op, copy.mapping);
}

/// All of an iteration but the product with the values. `issueLate` is called when the products of scores are issued.
void SkewedLoop::cloneEarly(Copy &copy, bool isFirst, llvm::function_ref<void()> issueLate) {
  auto usesScores = [&](Operation &op) {
    bool uses = false;
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        uses |= llvm::any_of(copy.inFlight, [&](auto &dot) { return operand == dot.first.getResult(); });
    });
    return uses;
  };
  bool isIssued = false;
  SmallVector<Operation *> releases; // of what products in flight still read
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (isLate(&op))
      continue;
    if (!copy.inFlight.empty() && isa<tile::ReleaseOp>(op)) {
      releases.push_back(&op);
      continue;
    }
    if (!copy.inFlight.empty() && usesScores(op)) {
      if (!isIssued)
        issueLate();
      isIssued = true;
      land(copy);
      for (Operation *release : releases)
        builder.clone(*release, copy.mapping);
      releases.clear();
    }
    cloneOp(copy, op, isFirst);
  }
  assert(copy.inFlight.empty() && releases.empty() && "the softmax uses all scores");
}

/// Sets the values of block `entry` that no query sees to 0: the copy that brings them has no limit.
void SkewedLoop::hideValues(Value entry) {
  if (!fill.getLimit())
    return;
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), entry);
  auto at = [&](Value value) {
    cloneForIteration(builder, loop, value, mapping);
    return mapping.lookupOrDefault(value);
  };
  unsigned dim = fill.getDim();
  Value firstRow = at(fill.getIndices()[dim]), limit = at(fill.getLimit());
  clearRowsBeyond(builder, values.getLoc(), await, at(await.getEntry()), fill.getTensor(), dim, firstRow, limit);
}

/// Awaits the values of block `entry` and starts their product.
Value SkewedLoop::issueValues(Value entry, Value probs, Value acc) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), entry);
  for (Operation *op : {acquire.getOperation(), fill.getOperation(), await.getOperation()}) {
    for (Value operand : op->getOperands())
      cloneForIteration(builder, loop, operand, mapping);
    Operation *copy = builder.clone(*op, mapping);
    if (auto copied = dyn_cast<tile::FillOp>(copy))
      copied.getLimitMutable().clear();
  }
  auto type = inFlightOf(values.getType());
  return tile::DotAsyncOp::create(builder, values.getLoc(), type, probs, mapping.lookup(await.getResult()), acc,
                                  values.getTrans());
}

Value SkewedLoop::landValues(Value inFlight, Value entry) {
  Value landed = tile::WaitOp::create(builder, values.getLoc(), values.getType(), inFlight);
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), entry);
  builder.clone(*release, mapping);
  return landed;
}

//===----------------------------------------------------------------------===//
// The new loop
//===----------------------------------------------------------------------===//

void SkewedLoop::rewrite() {
  Location location = loop.getLoc();
  Block *body = loop.getBody();
  auto yield = cast<scf::YieldOp>(body->getTerminator());
  Value zero = loop.getLowerBound(), one = loop.getStep();

  Copy first;
  first.mapping.map(loop.getInductionVar(), zero);
  for (auto [argument, init] : llvm::zip(loop.getRegionIterArgs(), loop.getInitArgs()))
    first.mapping.map(argument, init);
  cloneEarly(first, /*isFirst=*/true, [] {});
  builder.clone(*pack, first.mapping);
  SmallVector<Value> inits;
  for (auto [position, yielded] : llvm::enumerate(yield.getOperands()))
    inits.push_back(position == sum ? loop.getInitArgs()[sum] : first.mapping.lookupOrDefault(yielded));
  inits.push_back(first.mapping.lookup(pack.getResult()));

  auto skewed = scf::ForOp::create(builder, location, one, loop.getUpperBound(), one, inits);
  builder.setInsertionPointToEnd(skewed.getBody());
  Copy next;
  next.mapping.map(loop.getInductionVar(), skewed.getInductionVar());
  ValueRange carried = skewed.getRegionIterArgs();
  for (auto [argument, value] : llvm::zip(loop.getRegionIterArgs(), carried.drop_back()))
    next.mapping.map(argument, value);
  Value before = arith::SubIOp::create(builder, location, skewed.getInductionVar(), one), inFlight;
  hideValues(before); // here, for the roles' warpgroups meet in it: not in a turn of one of them
  cloneEarly(next, /*isFirst=*/false, [&] { inFlight = issueValues(before, carried.back(), carried[sum]); });
  tile::PinOp::create(builder, location, next.mapping.lookup(step.getNewRowSum()));
  Value acc = landValues(inFlight, before);
  builder.clone(*pack, next.mapping);
  acc = tile::ScaleOp::create(builder, rescale.getLoc(), acc.getType(), acc, next.mapping.lookup(step.getAlpha()));
  SmallVector<Value> yields;
  for (auto [position, yielded] : llvm::enumerate(yield.getOperands()))
    yields.push_back(position == sum ? acc : next.mapping.lookupOrDefault(yielded));
  yields.push_back(next.mapping.lookup(pack.getResult()));
  scf::YieldOp::create(builder, location, yields);

  builder.setInsertionPointAfter(skewed);
  Value last = arith::SubIOp::create(builder, location, loop.getUpperBound(), one);
  hideValues(last);
  Value end = issueValues(last, skewed.getResults().back(), skewed.getResult(sum));
  Value whole = landValues(end, last);
  for (auto [position, result] : llvm::enumerate(loop.getResults()))
    result.replaceAllUsesWith(position == sum ? whole : skewed.getResult(static_cast<unsigned>(position)));
  loop.erase();
}

namespace {
struct OverlapDots final : impl::OverlapDotsBase<OverlapDots> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
    const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
    if (!kernel->hasAttr(tile::kKernelAttr) || !gpu || gpu->mmaFamily != MmaFamily::Wgmma)
      return;
    SmallVector<scf::ForOp> loops;
    kernel.walk([&](scf::ForOp loop) {
      if (countsFromZero(loop))
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops)
      if (SkewedLoop skewed(loop); skewed.analyse())
        skewed.rewrite();
  }
};
} // namespace

} // namespace attn
