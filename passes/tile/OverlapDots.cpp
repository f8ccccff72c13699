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
// O is multiplied by alpha only where a row's maximum has grown by more than kRescaleAbove: until then powers of 2 are taken
// above the old maximum, where they still fit 16 bits (2^8 of f16's 2^15). After the first blocks of keys that is rare
// (FlashAttention-4 reports nine in ten saved), and between two products nothing of the warpgroup's own hides these
// multiplications. Not where the maximum itself is a result.
//
// Weights that are no softmax have no maximum and no alpha, nor have those of bounded scores. Where probs are multiplied (region `weight`) before they are
// rounded to f16, nothing is left of the room above 1 that a maximum of before needs, and O is multiplied each time.
//
// Where values are channels of the keys (their entries serve both products), there is no ring of values: entry i - 1, which has
// landed, is named once more by an await that does not wait, and released when its values are multiplied.
//
//   for i { K(i); S = Q·K; softmax; O·alpha; O += P·K; release K(i) }
//     →   … for i from 1 { K(i); issue S = Q·K;  issue O += P·K(i-1);  …  wait O; release K(i-1) … }
//
// P is packed only when the product that reads the previous one is done: until then its registers are in use. A loop of
// another form keeps its products, which then are waited for where they stand.
// Requires: PipelineLoads; every loop that fills rings runs at least once. Guarantees: fills stand in await order.
#include "ir/tile/CopyGroups.h"
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/SoftmaxOps.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
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
  bool collectNotes();
  Value visibleRows(Value entry, IRMapping &mapping);
  Value seenByAll();
  SmallVector<Value> keepFinite(Value entry, ValueRange carried, Value isSeen);
  SmallVector<Value> lookThrough(bool isCut, Value entry, ValueRange carried, IRMapping &mapping);
  void cloneOp(Copy &copy, Operation &op, bool isFirst);
  void land(Copy &copy);
  void nameLanded(IRMapping &mapping);
  Value issueValues(Value entry, Value probs, Value sum);
  Value landValues(Value inFlight, Value entry);
  bool maximumIsOwn();
  void rescaleRarely(IRMapping &mapping);
  bool isLate(Operation *op) const { return late.contains(op); }
  /// Whether the carried value, when a block begins, is still that of the block before the last.
  bool isOfBlockBefore(unsigned position) const { return position == sum || llvm::is_contained(notes, position); }

  scf::ForOp loop;
  OpBuilder builder;
  tile::DotOp values;                 ///< O += P·V
  tile::ScaleOp rescale;              ///< null where weights are no softmax, as `step`
  tile::ConvertOp pack;
  tile::SoftmaxStepOp step;
  Value sumOfRows;                    ///< of a softmax: ready when all of its weights are; may be null
  tile::AwaitOp await;
  tile::AcquireOp acquire;            ///< null where values lie in the entries of the keys, as `fill`
  tile::FillOp fill;
  tile::ReleaseOp release;
  tile::KeepFiniteOp keep;            ///< of the values; may be null
  bool areInKeys = false;             ///< values are channels of the keys
  unsigned sum = 0;                   ///< position of O among the carried values
  llvm::SetVector<Operation *> late;  ///< the operations named above, and what is computed from what `keep` found
  SmallVector<unsigned> notes;        ///< positions of the carried values that are computed from it
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
    Value carried = loop.getRegionIterArg(static_cast<unsigned>(position));
    if (!dot || (scale ? scale.getInput() : dot.getAcc()) != carried)
      continue;
    values = dot;
    rescale = scale;
    sum = static_cast<unsigned>(position);
  }
  if (!values)
    return false;
  pack = values.getLhs().getDefiningOp<tile::ConvertOp>();
  await = values.getRhs().getDefiningOp<tile::AwaitOp>();
  if (!pack || !await || await->getBlock() != body || !pack->hasOneUse() || !values.getAcc().hasOneUse())
    return false;
  if (rescale) {
    step = rescale.getFactor().getDefiningOp<tile::SoftmaxStepOp>();
    if (!step || rescale.getFactor() != step.getAlpha() || !step.getAlpha().hasOneUse())
      return false;
    sumOfRows = step.getNewRowSum();
  }
  for (auto bounded : body->getOps<tile::BoundedSoftmaxStepOp>())
    sumOfRows = bounded.getNewRowSum();
  for (Operation *user : await->getUsers())
    if (auto found = dyn_cast<tile::KeepFiniteOp>(user); found && !keep)
      keep = found;
    else if (auto scores = dyn_cast<tile::DotOp>(user); scores && scores.getTrans() && scores->getBlock() == body && user != values)
      areInKeys = true;
    else if (user != values)
      return false;
  TypedValue<tile::RingType> ring = await.getRing();
  acquire = findFor<tile::AcquireOp>(ring, body);
  fill = findFor<tile::FillOp>(ring, body);
  release = findFor<tile::ReleaseOp>(ring, body);
  if (!acquire || !fill || !release)
    return false;
  SmallVector<Operation *> ofValues{values, rescale, pack, release};
  constexpr unsigned kBlocksAtWork = 2;
  if (areInKeys && ring.getType().getStages() < kBlocksAtWork)
    return false;
  if (areInKeys) // which come early
    acquire = {}, fill = {};
  else
    ofValues.append({await, acquire, fill});
  for (Operation *op : ofValues)
    if (op)
      late.insert(op);
  return collectNotes() && isAtLeast(loop.getUpperBound(), 1);
}

/// What is computed from what `keep` found; it may go to the next iteration only.
bool SkewedLoop::collectNotes() {
  if (!keep)
    return true;
  Operation *yield = loop.getBody()->getTerminator();
  SetVector<Operation *> open;
  open.insert(keep);
  for (unsigned i = 0; i < open.size(); ++i) {
    late.insert(open[i]);
    for (OpOperand &use : open[i]->getUses()) {
      if (use.getOwner() == yield)
        notes.push_back(use.getOperandNumber());
      else if (use.getOwner()->getBlock() != loop.getBody() || !isPure(use.getOwner()))
        return false;
      else
        open.insert(use.getOwner());
    }
  }
  // Their own values of the iteration before are of the same time.
  for (unsigned position : notes)
    for (Operation *user : loop.getRegionIterArg(position).getUsers())
      for (Value result : user->getResults())
        if (!late.contains(user) && !llvm::all_of(result.getUsers(), [&](Operation *next) { return late.contains(next); }))
          return false;
  return true;
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
    bool uses = isa<tile::DiagonalDotOp>(op); // a warp's own products take registers that those in flight must not move for
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
  if (isIssued)
    return;
  issueLate(); // a score that needs no product, or does not use it
  land(copy);
  for (Operation *release : releases)
    builder.clone(*release, copy.mapping);
}

/// The first row of block `entry` of the values that no query sees, or their number: the copy that brings them has no
/// limit, and fills in zeros beyond the tensor only. Of a tensor without rows nothing is copied at all.
Value SkewedLoop::visibleRows(Value entry, IRMapping &mapping) {
  mapping.map(loop.getInductionVar(), entry);
  auto at = [&](Value value) { return cloneForIteration(builder, loop, value, mapping); };
  Location location = values.getLoc();
  unsigned dim = fill.getDim();
  Value first = at(fill.getIndices()[dim]), limit = at(fill.getLimit());
  Value rows = arith::ConstantIntOp::create(builder, location, fill.getRing().getType().getBufferType().getShape()[0], 32);
  Value end = arith::AddIOp::create(builder, location, first, rows);
  Value count = arith::SubIOp::create(builder, location, limit, first);
  if (fill.getPages()) { // a page is copied to its end
    Value isBehind = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, limit, end);
    return arith::SelectOp::create(builder, location, isBehind, count, rows);
  }
  Value size = tile::SizeOp::create(builder, location, builder.getI32Type(), fill.getTensor(), dim);
  Value zero = arith::ConstantIntOp::create(builder, location, 0, 32);
  Value isEmpty = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::eq, size, zero);
  Value inside = arith::MinSIOp::create(builder, location, end, size);
  Value last = arith::SelectOp::create(builder, location, isEmpty, end, inside);
  Value hides = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, limit, last);
  return arith::SelectOp::create(builder, location, hides, count, rows);
}

static bool isNegation(Value value, Value of) {
  if (auto inverse = value.getDefiningOp<arith::XOrIOp>())
    return inverse.getLhs() == of && matchPattern(inverse.getRhs(), m_One());
  auto a = value.getDefiningOp<arith::CmpIOp>(), b = of.getDefiningOp<arith::CmpIOp>();
  return a && b && a.getLhs() == b.getLhs() && a.getRhs() == b.getRhs() && a.getPredicate() == arith::invertPredicate(b.getPredicate());
}

/// That all queries of the tile see all keys of the block, where that is known: then its values are not looked through, and
/// none of its rows lies beyond what is seen.
Value SkewedLoop::seenByAll() {
  auto looks = keep ? keep.getPredicate().getDefiningOp<arith::AndIOp>() : arith::AndIOp();
  if (!looks || notes.empty())
    return {};
  for (auto branch : loop.getBody()->getOps<scf::IfOp>())
    if (branch.elseBlock() && isNegation(looks.getLhs(), branch.getCondition()))
      return branch.getCondition();
  return {};
}

/// Keeps what no query may see out of the values of block `entry`, unless `isSeen`, if given, says that there is nothing such.
/// Returns the carried values that note what was found: `carried` are all that come in.
SmallVector<Value> SkewedLoop::keepFinite(Value entry, ValueRange carried, Value isSeen) {
  SmallVector<Value> noted;
  IRMapping mapping;
  bool isCut = fill && fill.getLimit() && (!fill.getPages() || copiesPagesByMap(fill));
  if (!keep && !isCut)
    return noted;
  mapping.map(loop.getInductionVar(), entry);
  if (isSeen) {
    for (unsigned position : notes)
      noted.push_back(carried[position]);
    auto guard = scf::IfOp::create(builder, keep.getLoc(), ValueRange(noted).getTypes(), isSeen, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard restore(builder);
    builder.setInsertionPointToEnd(guard.thenBlock());
    scf::YieldOp::create(builder, keep.getLoc(), noted);
    builder.setInsertionPointToEnd(guard.elseBlock());
    Value isPartial = keep.getPredicate().getDefiningOp<arith::AndIOp>().getLhs(); // known here
    mapping.map(isPartial, arith::ConstantOp::create(builder, keep.getLoc(), builder.getBoolAttr(true)).getResult());
    scf::YieldOp::create(builder, keep.getLoc(), lookThrough(isCut, entry, carried, mapping));
    return SmallVector<Value>(guard.getResults());
  }
  return lookThrough(isCut, entry, carried, mapping);
}

/// The same without a guard.
SmallVector<Value> SkewedLoop::lookThrough(bool isCut, Value entry, ValueRange carried, IRMapping &mapping) {
  SmallVector<Value> noted;
  nameLanded(mapping);
  Value rows = isCut ? visibleRows(entry, mapping) : Value();
  for (unsigned position : notes)
    mapping.map(loop.getRegionIterArg(position), carried[position]);
  for (unsigned position : notes)
    noted.push_back(cloneForIteration(builder, loop, loop.getYieldedValues()[position], mapping));
  if (keep) {
    if (rows)
      mapping.lookup(keep.getFound()).getDefiningOp<tile::KeepFiniteOp>().getRowsMutable().assign(rows);
    return noted;
  }
  Value landed = cloneForIteration(builder, loop, await.getResult(), mapping);
  Value no = arith::ConstantOp::create(builder, values.getLoc(), builder.getBoolAttr(false));
  tile::KeepFiniteOp::create(builder, values.getLoc(), Type(), builder.getI1Type(), landed, no, rows);
  return noted;
}

/// The entry of keys that a block's values lie in: who waited for it with the keys does not wait again.
void SkewedLoop::nameLanded(IRMapping &mapping) {
  if (!areInKeys)
    return;
  for (Value operand : await->getOperands())
    cloneForIteration(builder, loop, operand, mapping);
  cast<tile::AwaitOp>(builder.clone(*await, mapping)).setPending(tile::kAnyPending);
}

/// Awaits the values of block `entry` and starts their product.
Value SkewedLoop::issueValues(Value entry, Value probs, Value acc) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), entry);
  nameLanded(mapping);
  SmallVector<Operation *> ofEntry;
  if (!areInKeys)
    ofEntry.append({acquire, fill, await});
  for (Operation *op : ofEntry) {
    for (Value operand : op->getOperands())
      cloneForIteration(builder, loop, operand, mapping);
    Operation *copy = builder.clone(*op, mapping);
    auto copied = dyn_cast<tile::FillOp>(copy);
    if (copied && !fill.getPages())
      copied.getLimitMutable().clear();
    else if (copied && copiesPagesByMap(copied))
      copied.setVia("tma");
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

/// Whether the sums may count from a smaller maximum, and weights be larger than 1.
bool SkewedLoop::maximumIsOwn() {
  bool isMultiplied = pack.getInput() != step.getProbs();
  return maximumServesSumsAlone(step, loop) && !(isMultiplied && pack.getType().getElementType().isF16());
}

void SkewedLoop::rescaleRarely(IRMapping &mapping) {
  auto copy = mapping.lookup(step.getNewRowSum()).getDefiningOp<tile::SoftmaxStepOp>();
  copy.setLazy(llvm::APFloat(copy.getOffset() ? kRescaleAboveOfFloat8 : kRescaleAbove));
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
    inits.push_back(isOfBlockBefore(static_cast<unsigned>(position)) ? loop.getInitArgs()[position] : first.mapping.lookupOrDefault(yielded));
  Value seen = seenByAll();
  auto own = static_cast<unsigned>(inits.size());
  if (seen) // carried to where the block's values are multiplied
    inits.push_back(first.mapping.lookupOrDefault(seen));
  inits.push_back(first.mapping.lookup(pack.getResult()));

  auto skewed = scf::ForOp::create(builder, location, one, loop.getUpperBound(), one, inits);
  builder.setInsertionPointToEnd(skewed.getBody());
  Copy next;
  next.mapping.map(loop.getInductionVar(), skewed.getInductionVar());
  ValueRange carried = skewed.getRegionIterArgs();
  for (auto [argument, value] : llvm::zip(loop.getRegionIterArgs(), carried.take_front(own)))
    next.mapping.map(argument, value);
  Value before = arith::SubIOp::create(builder, location, skewed.getInductionVar(), one), inFlight;
  // Here, for the roles' warpgroups meet in it: not in a turn of one of them.
  SmallVector<Value> noted = keepFinite(before, carried, seen ? carried[own] : Value());
  cloneEarly(next, /*isFirst=*/false, [&] { inFlight = issueValues(before, carried.back(), carried[sum]); });
  if (sumOfRows)
    tile::PinOp::create(builder, location, next.mapping.lookup(sumOfRows));
  Value acc = landValues(inFlight, before);
  builder.clone(*pack, next.mapping);
  if (step && maximumIsOwn()) {
    rescaleRarely(first.mapping);
    rescaleRarely(next.mapping);
  }
  if (rescale)
    acc = tile::ScaleOp::create(builder, rescale.getLoc(), acc.getType(), acc, next.mapping.lookup(step.getAlpha()));
  SmallVector<Value> yields;
  for (auto [position, yielded] : llvm::enumerate(yield.getOperands()))
    yields.push_back(position == sum ? acc : next.mapping.lookupOrDefault(yielded));
  for (auto [position, value] : llvm::zip(notes, noted))
    yields[position] = value;
  if (seen)
    yields.push_back(next.mapping.lookupOrDefault(seen));
  yields.push_back(next.mapping.lookup(pack.getResult()));
  scf::YieldOp::create(builder, location, yields);

  builder.setInsertionPointAfter(skewed);
  Value last = arith::SubIOp::create(builder, location, loop.getUpperBound(), one);
  noted = keepFinite(last, skewed.getResults(), seen ? skewed.getResult(own) : Value());
  Value end = issueValues(last, skewed.getResults().back(), skewed.getResult(sum));
  Value whole = landValues(end, last);
  SmallVector<Value> results(skewed.getResults().take_front(own));
  results[sum] = whole;
  for (auto [position, value] : llvm::zip(notes, noted))
    results[position] = value;
  loop.replaceAllUsesWith(results);
  loop.erase();
}

namespace {
struct OverlapDots final : impl::OverlapDotsBase<OverlapDots> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr) || !multipliesByWarpgroups(kernel))
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
