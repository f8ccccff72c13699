// Splits a kernel into two roles that run at the same time: a producer, one warpgroup of which a lane starts the copies
// into rings, and consumers, which do all else.
//
//   foreach_work { acquire, fill, await, …, release }
//     →  role producer { foreach_work { acquire, fill } }   role consumer { foreach_work { await, …, release } }
//
// Entries that are computed (`build`), or widened from 8-bit floats, are the producer's too, all of whose threads take part in
// them. The bytes that it widens come by copies of their own, one ahead (WidenedFills.h).
//
// The producer's fills keep the order of the program, in which each stands before its await: what a consumer waits for is
// never behind something that waits for the consumer. Only the first entries of the loop's rings go before those of a work
// tile. The producer runs ahead into the next tile as far as slots are free; what the consumers have staged leaves by
// copies of its own. Entries count on from work tile to work tile: those of rings filled
// in the loop over blocks from the number of blocks so far, the others from the number of tiles.
// Requires: OverlapDots. Changes nothing in kernels without matrix products.
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"
#include "ir/tile/WorkOps.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"
#include "passes/tile/RoleRegisters.h"
#include "passes/tile/TurnedValues.h"
#include "passes/tile/WidenedFills.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_SPECIALIZEWARPS
#include "passes/Passes.h.inc"

static constexpr int32_t kWarpsOfGroup = 4;
static constexpr int64_t kRowsOfWarp = 16; ///< of a tile, in layout `acc`
static constexpr int64_t kMostMapDims = 5;

namespace {

class Specialization {
public:
  Specialization(func::FuncOp kernel, tile::ForeachWorkOp work, int32_t consumerWarps)
      : kernel(kernel), work(work), consumerWarps(consumerWarps), builder(work) {}

  LogicalResult run(const GpuTarget &gpu);

private:
  LogicalResult findLoop();
  bool isLoopRing(Value ring) const { return loopRings.contains(ring); }
  tile::ForeachWorkOp openWork(tile::RoleOp role, IRMapping &mapping);
  void closeWork(tile::ForeachWorkOp copy, IRMapping &mapping);
  RoleRegisters writeProducer(RoleRegisters registers);
  void writeConsumer(RoleRegisters registers);
  void produce(Block &block, IRMapping &mapping);
  void startLoopFirst(Block &block);
  void deepenTileRings(const GpuTarget &gpu);
  static void choose(tile::FillOp fill);
  static void choose(tile::StoreOp store);
  void need(Value value, IRMapping &mapping);
  void needFromOutside(Value value, IRMapping &mapping);
  void countOn(Operation *op, Value tiles, Value blocks);

  func::FuncOp kernel;
  tile::ForeachWorkOp work;
  int32_t consumerWarps;
  OpBuilder builder;
  scf::ForOp loop;                       ///< over blocks of keys
  llvm::SetVector<Value> loopRings;
  DenseMap<std::pair<Value, Value>, Value> countedEntries;
};

} // namespace

/// The ring's entry of an operation on rings; null for others.
static OpOperand *entryOf(Operation *op) {
  if (auto acquire = dyn_cast<tile::AcquireOp>(op))
    return &acquire.getEntryMutable();
  if (auto fill = dyn_cast<tile::FillOp>(op))
    return &fill.getEntryMutable();
  if (auto build = dyn_cast<tile::BuildOp>(op))
    return &build.getEntryMutable();
  if (auto widen = dyn_cast<tile::WidenOp>(op))
    return &widen.getEntryMutable();
  if (auto await = dyn_cast<tile::AwaitOp>(op))
    return &await.getEntryMutable();
  if (auto release = dyn_cast<tile::ReleaseOp>(op))
    return &release.getEntryMutable();
  return nullptr;
}

/// What the producer does. It also awaits and releases what it widens itself.
static bool isProduced(Operation *op) {
  if (isa<tile::AcquireOp, tile::FillOp, tile::BuildOp, tile::WidenOp>(op))
    return true;
  return isa<tile::AwaitOp, tile::ReleaseOp>(op) && llvm::any_of(op->getOperand(0).getUsers(), [](Operation *user) {
    return isa<tile::AwaitOp>(user) && llvm::any_of(user->getUsers(), [](Operation *reader) { return isa<tile::WidenOp>(reader); });
  });
}

/// What an operation of the loop reads from around it, in its regions too.
static SmallVector<Value> usedBy(Operation *op) {
  SmallVector<Value> used(op->getOperands());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  llvm::append_range(used, captured);
  return used;
}

static bool fills(Operation *op) {
  return op->walk([](Operation *inner) { return isa<tile::FillOp>(inner) ? WalkResult::interrupt() : WalkResult::advance(); })
      .wasInterrupted();
}

LogicalResult Specialization::findLoop() {
  WalkResult result = work.walk([&](scf::ForOp each) {
    if (!fills(each))
      return WalkResult::advance();
    if (loop || each->getParentOp() != work) {
      each.emitOpError("is a second loop that fills rings, which has no roles yet");
      return WalkResult::interrupt();
    }
    loop = each;
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!loop)
    return emitError(work.getLoc(), "no key is ever visited: the mask hides every key from every row");
  loop.walk([&](Operation *op) {
    if (isa<tile::FillOp, tile::BuildOp, tile::WidenOp>(op))
      loopRings.insert(op->getOperand(0));
  });
  return success();
}

//===----------------------------------------------------------------------===//
// Both roles
//===----------------------------------------------------------------------===//

/// A copy of the work loop's head: two counts are carried, tiles and blocks so far.
tile::ForeachWorkOp Specialization::openWork(tile::RoleOp role, IRMapping &mapping) {
  Location location = work.getLoc();
  if (role.getBody().empty())
    role.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&role.getBody().front());
  Value zero = arith::ConstantIntOp::create(builder, location, 0, 32);
  Type i32 = builder.getI32Type();
  auto copy = tile::ForeachWorkOp::create(builder, location, TypeRange{i32, i32}, work.getExtents(),
                                          ValueRange{zero, zero}, work.getDescending());
  tile::YieldOp::create(builder, location, ValueRange());
  Block *body = &copy.getBody().emplaceBlock();
  for (BlockArgument argument : work.getBody().getArguments())
    mapping.map(argument, body->addArgument(argument.getType(), argument.getLoc()));
  body->addArguments({i32, i32}, {location, location});
  builder.setInsertionPointToEnd(body);
  return copy;
}

void Specialization::closeWork(tile::ForeachWorkOp copy, IRMapping &mapping) {
  Location location = work.getLoc();
  Block *body = &copy.getBody().front();
  unsigned count = body->getNumArguments();
  Value tiles = body->getArgument(count - 2), blocks = body->getArgument(count - 1);
  copy.walk([&](Operation *op) { countOn(op, tiles, blocks); });
  need(loop.getUpperBound(), mapping);
  Value one = arith::ConstantIntOp::create(builder, location, 1, 32);
  Value moreTiles = arith::AddIOp::create(builder, location, tiles, one);
  Value moreBlocks = arith::AddIOp::create(builder, location, blocks, mapping.lookupOrDefault(loop.getUpperBound()));
  tile::YieldOp::create(builder, location, ValueRange{moreTiles, moreBlocks});
}

void Specialization::countOn(Operation *op, Value tiles, Value blocks) {
  OpOperand *entry = entryOf(op);
  if (!entry)
    return;
  Value base = isLoopRing(op->getOperand(0)) ? blocks : tiles;
  Value &counted = countedEntries[{base, entry->get()}]; // one for an await and its release
  if (!counted) {
    Block *block = entry->get().getParentBlock(), *body = base.getParentBlock();
    OpBuilder behind(op);
    if (body->getParentOp()->isAncestor(block->getParentOp()))
      behind.setInsertionPointAfterValue(entry->get());
    else
      behind.setInsertionPointToStart(body);
    counted = arith::AddIOp::create(behind, op->getLoc(), base, entry->get());
  }
  entry->set(counted);
}

/// Copies what `value` is computed from, if it is computed in the work tile.
void Specialization::need(Value value, IRMapping &mapping) {
  if (mapping.contains(value))
    return;
  Operation *op = value.getDefiningOp();
  if (!op || !work->isProperAncestor(op))
    return;
  for (Value operand : op->getOperands())
    need(operand, mapping);
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (Value outer : captured)
    need(outer, mapping);
  builder.clone(*op, mapping);
}

/// Of what a value in the loop is computed from, what is computed outside it.
void Specialization::needFromOutside(Value value, IRMapping &mapping) {
  Operation *op = value.getDefiningOp();
  bool isInside = loop->isProperAncestor(value.getParentBlock()->getParentOp()) || value.getParentBlock() == loop.getBody();
  if (!isInside)
    return need(value, mapping);
  if (!op)
    return;
  for (Value operand : op->getOperands())
    needFromOutside(operand, mapping);
}

//===----------------------------------------------------------------------===//
// Producer
//===----------------------------------------------------------------------===//

/// By the tensor memory accelerator, unless there is a limit, which a tensor map does not know. From a tensor without rows
/// nothing is copied: its map is no map of it.
void Specialization::choose(tile::FillOp fill) {
  if (isWidened(fill))
    return fill.setVia("plain");
  if (fill.getPages())
    return fill.setVia(isCopiedByMap(fill) ? "tma" : "cp_async");
  bool areChosen = !fill.getRows().empty();
  if (areChosen || fill.getLimit() || fill.getRing().getType().getBufferType().getSmem().getSwizzle() == 0)
    return fill.setVia("cp_async");
  fill.setVia("tma");
  OpBuilder before(fill);
  Location location = fill.getLoc();
  Value rows = tile::SizeOp::create(before, location, before.getI32Type(), fill.getTensor(), fill.getDim());
  Value zero = arith::ConstantIntOp::create(before, location, 0, 32);
  Value some = arith::CmpIOp::create(before, location, arith::CmpIPredicate::sgt, rows, zero);
  Value given = fill.getPredicate();
  fill.getPredicateMutable().assign(given ? arith::AndIOp::create(before, location, given, some).getResult() : some);
}

/// The fills of a block, in order, and what they need.
void Specialization::produce(Block &block, IRMapping &mapping) {
  for (Operation &op : block) {
    if (isProduced(&op)) {
      for (Value value : usedBy(&op))
        need(value, mapping);
      Operation *copy = builder.clone(op, mapping);
      if (auto fill = dyn_cast<tile::FillOp>(copy))
        choose(fill);
      continue;
    }
    if (auto skip = dyn_cast<tile::SkipWorkOp>(op)) {
      need(skip.getCondition(), mapping);
      builder.clone(op, mapping);
    }
    if (&op != loop)
      continue;
    for (Value bound : {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()})
      need(bound, mapping);
    loop.walk([&](Operation *later) { // what later entries share stands before the loop
      if (isa<tile::FillOp, tile::BuildOp, tile::WidenOp>(later))
        for (Value value : usedBy(later))
          needFromOutside(value, mapping);
    });
    auto at = [&](Value value) { return mapping.lookupOrDefault(value); };
    auto copy = scf::ForOp::create(builder, loop.getLoc(), at(loop.getLowerBound()), at(loop.getUpperBound()), at(loop.getStep()));
    mapping.map(loop.getInductionVar(), copy.getInductionVar());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(copy.getBody()->getTerminator());
    produce(*loop.getBody(), mapping);
  }
}

/// The first entries of the loop's rings need nothing but slots that the tile before gives back in its loop, while an entry
/// of the tile's own rings may wait until that tile is done: so they go first.
void Specialization::startLoopFirst(Block &block) {
  SmallVector<Operation *> ofTile;
  if (llvm::any_of(block, [&](Operation &op) { return isa<tile::WidenOp>(op) && !isLoopRing(op.getOperand(0)); }))
    return; // the tile's own entries are waited for before the loop's
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isa<scf::ForOp>(op))
      return;
    if (!isa<tile::AcquireOp, tile::FillOp>(op))
      continue;
    if (!isLoopRing(op.getOperand(0))) {
      ofTile.push_back(&op);
      continue;
    }
    if (!isa<tile::FillOp>(op))
      continue;
    Operation *behind = &op;
    for (Operation *moved : ofTile) {
      moved->moveAfter(behind);
      behind = moved;
    }
  }
}

/// Gives the rings of a tile (the query's) a second stage where shared memory is left: the next tile's entry then is copied
/// during this tile's loop, not during its end.
void Specialization::deepenTileRings(const GpuTarget &gpu) {
  constexpr int64_t kAlignment = 1024, kForBarriers = 2048; // and for what small buffers leave between large ones
  int64_t total = kForBarriers;
  kernel.walk([&](Operation *op) {
    if (auto ring = dyn_cast<tile::RingOp>(op))
      total += llvm::alignTo(tile::bufferBytes(ring.getType().getBufferType()) * ring.getType().getStages(), kAlignment);
    else if (auto buffer = dyn_cast<tile::AllocOp>(op))
      total += llvm::alignTo(tile::bufferBytes(buffer.getType()), kAlignment);
  });
  for (auto ring : kernel.getOps<tile::RingOp>()) {
    tile::RingType type = ring.getType();
    int64_t slot = llvm::alignTo(tile::bufferBytes(type.getBufferType()), kAlignment);
    if (isLoopRing(ring) || type.getStages() != 1 || total + slot > gpu.sharedBytesPerBlock)
      continue;
    ring.getResult().setType(tile::RingType::get(type.getContext(), 2, type.getShape(), type.getElementType(), type.getLayout()));
    total += slot;
  }
}

/// Gives back what is left for the consumers.
RoleRegisters Specialization::writeProducer(RoleRegisters registers) {
  OpBuilder::InsertionGuard guard(builder);
  auto role = tile::RoleOp::create(builder, work.getLoc(), "producer", consumerWarps, consumerWarps + kWarpsOfGroup,
                                   builder.getI32IntegerAttr(registers.producer));
  IRMapping mapping;
  tile::ForeachWorkOp copy = openWork(role, mapping);
  produce(work.getBody().front(), mapping);
  startLoopFirst(copy.getBody().front());
  copy.walk([](scf::ForOp inner) { fetchRawAhead(inner); });
  closeWork(copy, mapping);
  registers = registersForHeldNumbers(registers, role, consumerWarps);
  role.setRegisters(registers.producer);
  return registers;
}

//===----------------------------------------------------------------------===//
// Consumer
//===----------------------------------------------------------------------===//

/// Rows that the threads have staged are stored by the tensor memory accelerator, while the next tile is begun.
void Specialization::choose(tile::StoreOp store) {
  auto buffer = dyn_cast<tile::BufferType>(store.getValue().getType());
  auto rank = store.getTensor().getType().getRank();
  if (!buffer || buffer.getRank() != 2 || buffer.getSmem().getSwizzle() == 0 || buffer.getShape()[0] % kRowsOfWarp != 0 ||
      store.getLimit() || kRowsOfWarp % store.getPack().value_or(1) != 0 || rank < 2 || rank > kMostMapDims)
    return;
  bool isOwn = llvm::all_of(store.getValue().getUsers(), [&](Operation *user) { // each warp stores what it has written
    auto write = dyn_cast<tile::WriteOp>(user);
    return user == store || (write && !write.getTrans() && isa_and_present<tile::AccAttr>(write.getValue().getType().getLayout()));
  });
  if (isOwn)
    store.setVia("tma");
}

/// Scalars that only the producer needed.
static void eraseUnused(Operation *root) {
  SmallVector<Operation *> inside;
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op != root)
      inside.push_back(op);
  });
  for (Operation *op : llvm::reverse(inside)) // users before what they use
    if (isOpTriviallyDead(op))
      op->erase();
}

void Specialization::writeConsumer(RoleRegisters registers) {
  OpBuilder::InsertionGuard guard(builder);
  auto role = tile::RoleOp::create(builder, work.getLoc(), "consumer", 0, consumerWarps,
                                   builder.getI32IntegerAttr(registers.consumer));
  IRMapping mapping;
  tile::ForeachWorkOp copy = openWork(role, mapping);
  for (Operation &op : work.getBody().front().without_terminator())
    builder.clone(op, mapping);
  SmallVector<Operation *> produced;
  copy.walk([&](Operation *op) {
    if (isProduced(op))
      produced.push_back(op);
  });
  for (Operation *op : llvm::reverse(produced)) // users before what they use
    op->erase();
  closeWork(copy, mapping);
  eraseUnused(role);
}

LogicalResult Specialization::run(const GpuTarget &gpu) {
  bool isInParts = kernel->hasAttr(tile::kPartsAttr); // such tiles may be as small as tiles get
  turnFloat8Values(kernel);
  splitWidenedFills(kernel, isInParts ? std::optional<int64_t>(gpu.sharedBytesPerBlock) : std::nullopt);
  if (failed(findLoop()))
    return failure();
  RoleRegisters registers = roleRegisters(kernel, consumerWarps);
  registers = writeProducer(registers);
  writeConsumer(registers);
  work.erase();
  deepenTileRings(gpu);
  kernel.walk([](tile::StoreOp store) { choose(store); });
  kernel->setAttr(tile::kWarpsAttr, builder.getI32IntegerAttr(consumerWarps + kWarpsOfGroup));
  return success();
}

namespace {
struct SpecializeWarps final : impl::SpecializeWarpsBase<SpecializeWarps> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
    const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
    auto warps = kernel->getAttrOfType<IntegerAttr>(tile::kWarpsAttr);
    if (!kernel->hasAttr(tile::kKernelAttr) || !warps || !gpu || !multipliesByWarpgroups(kernel))
      return;
    bool multiplies = kernel.walk([](Operation *op) {
                              return isa<tile::DotOp, tile::DotAsyncOp>(op) ? WalkResult::interrupt() : WalkResult::advance();
                            }).wasInterrupted();
    if (!multiplies)
      return;
    int64_t consumers = warps.getInt();
    auto works = kernel.getOps<tile::ForeachWorkOp>();
    if (consumers % kWarpsOfGroup != 0 || consumers > 3 * kWarpsOfGroup || works.empty() || !llvm::hasSingleElement(works)) {
      kernel.emitError() << "expects 4, 8 or 12 warps and one loop over work for roles, but got " << consumers << " warps";
      return signalPassFailure();
    }
    if (failed(Specialization(kernel, *works.begin(), static_cast<int32_t>(consumers)).run(*gpu)))
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
