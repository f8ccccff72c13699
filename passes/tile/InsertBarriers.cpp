// Makes a block program correct among its threads: counts which copies may still be in flight at each await, and places
// barriers, as few as needed.
//
// Every thread copies a part of each tile and waits for its own copies only; others see them after a barrier. A slot
// may be written again when all threads have passed a barrier behind their last read of it. Rather than reason about
// loops, the program is run in the mind: for 0 (where possible), 1, 2, … iterations, deep enough for every ring to be
// reused, with the bytes, groups and barriers of each step. Where a step meets bytes that another thread wrote or read
// without a barrier since, one is added, on the last await between the two if there is one (its threads wait there
// anyway), else in front of the step, and the run starts again. `pending` is the least count seen at an await. In the end each
// wait is left out on trial: one for what threads have written, or for copies that a later wait covers before they are used, is none.
//
// In a kernel with roles mbarriers order producer and consumer, `acquire` and `release` stay, and what is awaited is seen
// by all. Only what the consumers write themselves needs barriers, of the role's threads; fences where the matrix
// units or a store by a tensor map read such bytes, or a copy will overwrite what threads have read (PTX ISA, "Async
// proxy"); and waits for such a store before its buffer is written again. A warp stores by a tensor map what it has written
// itself, so no barrier stands between the two.
//
// Shared bytes are compared, not buffers, so buffers that AllocateShared laid over each other are separated as well.
// Requires: AllocateShared. Guarantees, without roles: `pending` on every await; no `acquire` and `release` left, they
// cost nothing.
#include "ir/tile/CopyGroups.h"
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/PartOps.h"
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#include <map>

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_INSERTBARRIERS
#include "passes/Passes.h.inc"

namespace {

/// A moment of the run, and which elements each thread touched, if a fragment layout says so.
struct Access {
  int64_t time = 0;
  Attribute layout;
  Operation *op = nullptr;
};

/// A slot of a ring, or a buffer.
struct Place {
  enum Content { Nothing, Copy, Written } content = Nothing;
  int64_t begin = 0, end = 0;   ///< bytes
  int64_t group = 0;            ///< of the copy
  bool hasLanded = false;       ///< each thread has waited for its part of the copy
  Access write;                 ///< of `Written`, or when a copy landed
  SmallVector<Access> reads;

  bool meets(const Place &other) const { return begin < other.end && other.begin < end; }
};

enum class Outcome { Done, Changed, Failed };

/// One run of the program, every loop with the same number of iterations, and all that stands behind a guard alone done or
/// none of it: a barrier behind a guard separates nothing when it is not reached.
class Run {
public:
  Run(Block &program, bool inRole, bool guardsHold, int64_t iterations, llvm::MapVector<Operation *, int64_t> &pending)
      : program(program), inRole(inRole), guardsHold(guardsHold), iterations(iterations), pending(pending) {}

  /// On trial: the awaits in `without` do not wait, and nothing is changed or reported.
  void leaveOut(const llvm::SmallPtrSetImpl<Operation *> &without) { leftOut = &without; }

  Outcome run() { return runBlock(program); }

private:
  Outcome runBlock(Block &block);
  Outcome runOp(Operation &op);
  Outcome runLoop(scf::ForOp loop);
  Outcome runWork(tile::ForeachWorkOp work);
  Outcome fill(tile::FillOp op);
  Outcome build(tile::BuildOp op);
  Outcome widen(tile::WidenOp op);
  Outcome await(tile::AwaitOp op);
  Outcome readInRegions(Operation &op);
  Outcome touch(Operation *op, Place &place, bool isWrite, Attribute layout);
  Outcome separate(Operation *op, const Access &since);
  void barrier() { lastBarrier = ++time; }
  std::optional<int64_t> evaluate(Value value);
  Place *slot(Value ring, Value entry, Operation *op);
  Place &buffer(Value value);
  void forget(Place &place);

  Block &program;
  bool inRole, guardsHold;
  int64_t iterations;
  llvm::MapVector<Operation *, int64_t> &pending;
  const llvm::SmallPtrSetImpl<Operation *> *leftOut = nullptr;
  int64_t time = 0, lastBarrier = 0, groups = 0;
  tile::AwaitOp lastAwait;
  int64_t lastAwaitTime = 0;
  std::map<std::pair<Operation *, int64_t>, Place> places;
  DenseMap<Value, Place *> buffers;   ///< of awaits, as of their last execution
  DenseMap<Value, int64_t> numbers;   ///< counts and bounds of loops
};

} // namespace

//===----------------------------------------------------------------------===//
// Values and places
//===----------------------------------------------------------------------===//

std::optional<int64_t> Run::evaluate(Value value) {
  if (auto known = numbers.find(value); known != numbers.end())
    return known->second;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumOperands() != 2)
    return std::nullopt;
  auto a = evaluate(op->getOperand(0)), b = evaluate(op->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return *a + *b;
  if (isa<arith::SubIOp>(op))
    return *a - *b;
  if (isa<arith::MulIOp>(op))
    return *a * *b;
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    if (compare.getPredicate() == arith::CmpIPredicate::slt)
      return *a < *b;
  return std::nullopt;
}

Place *Run::slot(Value ring, Value entry, Operation *op) {
  auto number = evaluate(entry);
  auto definition = ring.getDefiningOp<tile::RingOp>();
  if (!number || !definition || !definition.getOffset()) {
    op->emitOpError("expects an entry counted by its loop, of a ring with an offset");
    return nullptr;
  }
  tile::RingType type = definition.getType();
  int64_t bytes = tile::bufferBytes(type.getBufferType()), index = *number % type.getStages();
  Place &place = places[{definition, index}];
  place.begin = *definition.getOffset() + index * bytes;
  place.end = place.begin + bytes;
  return &place;
}

Place &Run::buffer(Value value) {
  if (Place *known = buffers.lookup(value))
    return *known;
  auto definition = value.getDefiningOp<tile::AllocOp>();
  Place &place = places[{value.getDefiningOp(), 0}];
  if (definition && definition.getOffset()) {
    place.begin = *definition.getOffset();
    place.end = place.begin + tile::bufferBytes(definition.getType());
  }
  return place;
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

/// Adds a barrier between the access `since` and `op`.
Outcome Run::separate(Operation *op, const Access &since) {
  if (leftOut)
    return Outcome::Failed;
  if (!inRole && lastAwait && lastAwaitTime >= since.time && !lastAwait.getBarrier()) {
    lastAwait.setBarrier(true);
    return Outcome::Changed;
  }
  // Bytes written behind a uniform guard are waited for behind it too; and where they are read at computed places, which
  // loops repeat, where they were written.
  auto guard = since.op ? dyn_cast<scf::IfOp>(since.op->getParentOp()) : scf::IfOp();
  bool isLookedUp = isa_and_present<tile::WriteOp>(since.op) && isa<tile::AtOp>(op);
  if (isLookedUp || (inRole && guard && !guard->isAncestor(op))) {
    OpBuilder behind(op->getContext());
    behind.setInsertionPointAfter(since.op);
    tile::BarrierOp::create(behind, op->getLoc());
    return Outcome::Changed;
  }
  Operation *place = op;
  while (isa<scf::IfOp, tile::MapOp, tile::RotateOp, tile::BuildOp>(place->getParentOp()))
    place = place->getParentOp();
  OpBuilder builder(place);
  tile::BarrierOp::create(builder, op->getLoc());
  return Outcome::Changed;
}

/// What lay in these bytes is gone.
void Run::forget(Place &place) {
  for (auto &[key, other] : places)
    if (other.meets(place)) {
      other.content = Place::Nothing;
      other.reads.clear();
    }
}

/// `layout`: that of a fragment read or written whole; two accesses of one layout touch each element by one thread.
Outcome Run::touch(Operation *op, Place &place, bool isWrite, Attribute layout) {
  ++time;
  auto byOneThread = [&](const Access &other) { return layout && other.layout == layout; };
  for (auto &[key, other] : places) {
    if (!other.meets(place))
      continue;
    if (other.content == Place::Copy && !other.hasLanded) {
      if (!leftOut)
        op->emitOpError("touches shared memory to which a copy is in flight");
      return Outcome::Failed;
    }
    if (other.content != Place::Nothing && other.write.time > lastBarrier && !(&other == &place && byOneThread(other.write)))
      return separate(op, other.write);
    for (const Access &read : other.reads)
      if (isWrite && read.time > lastBarrier && !(&other == &place && byOneThread(read)))
        return separate(op, read);
  }
  if (!isWrite) {
    place.reads.push_back({time, layout, op});
    return Outcome::Done;
  }
  forget(place);
  place.content = Place::Written;
  place.write = {time, layout, op};
  return Outcome::Done;
}

Outcome Run::fill(tile::FillOp op) {
  bool asynchronous = op.getVia() != "plain";
  int64_t group = asynchronous ? groups++ : 0; // an empty group counts as well
  if (op.getPredicate() && evaluate(op.getPredicate()) == 0)
    return Outcome::Done;
  Place *place = slot(op.getRing(), op.getEntry(), op);
  if (!place)
    return Outcome::Failed;
  Outcome outcome = touch(op, *place, /*isWrite=*/true, {});
  if (outcome == Outcome::Done && asynchronous) {
    place->content = Place::Copy;
    place->group = group;
    place->hasLanded = false;
  }
  return outcome;
}

Outcome Run::build(tile::BuildOp op) {
  Outcome outcome = readInRegions(*op);
  Place *place = slot(op.getRing(), op.getEntry(), op);
  if (outcome != Outcome::Done || !place)
    return place ? outcome : Outcome::Failed;
  return touch(op, *place, /*isWrite=*/true, {});
}

Outcome Run::widen(tile::WidenOp op) {
  Outcome outcome = touch(op, buffer(op.getSource()), /*isWrite=*/false, {});
  Place *place = slot(op.getRing(), op.getEntry(), op);
  if (outcome != Outcome::Done || !place)
    return place ? outcome : Outcome::Failed;
  return touch(op, *place, /*isWrite=*/true, {});
}

Outcome Run::await(tile::AwaitOp op) {
  Place *place = slot(op.getRing(), op.getEntry(), op);
  if (!place)
    return Outcome::Failed;
  if (inRole) { // filled by the producer, after all reads of what lay there were released
    if (place->content == Place::Nothing)
      *place = {Place::Copy, place->begin, place->end, 0, /*hasLanded=*/true, {}, {}};
    place->hasLanded = true;
    buffers[op.getResult()] = place;
    return Outcome::Done;
  }
  if (place->content == Place::Nothing) {
    op.emitOpError("waits for an entry that nothing has filled");
    return Outcome::Failed;
  }
  ++time;
  bool waits = !leftOut || !leftOut->contains(op);
  if (waits && place->content == Place::Copy) {
    int64_t younger = groups - 1 - place->group;
    auto [known, isNew] = pending.insert({op, younger});
    known->second = std::min(known->second, younger);
    for (auto &[key, other] : places)
      if (other.content == Place::Copy && !other.hasLanded && other.group <= place->group) {
        other.hasLanded = true;
        other.write = {time, {}};
      }
  }
  if (waits && place->content == Place::Written) { // built, not copied: all groups may be in flight
    auto [known, isNew] = pending.insert({op, groups});
    known->second = std::min(known->second, groups);
  }
  buffers[op.getResult()] = place;
  lastAwait = op;
  lastAwaitTime = time;
  if (op.getBarrier())
    barrier();
  return Outcome::Done;
}

Outcome Run::readInRegions(Operation &op) {
  Outcome outcome = Outcome::Done;
  op.walk([&](tile::AtOp at) {
    outcome = touch(at, buffer(at.getBuffer()), /*isWrite=*/false, {});
    return outcome == Outcome::Done ? WalkResult::advance() : WalkResult::interrupt();
  });
  return outcome;
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

Outcome Run::runBlock(Block &block) {
  for (Operation &op : block)
    if (Outcome outcome = runOp(op); outcome != Outcome::Done)
      return outcome;
  return Outcome::Done;
}

Outcome Run::runLoop(scf::ForOp loop) {
  auto first = evaluate(loop.getLowerBound());
  bool shares = loop.walk([](Operation *op) {
                      return isa<tile::FillOp, tile::BuildOp, tile::WidenOp, tile::AwaitOp, tile::ReadOp, tile::WriteOp, tile::AtOp>(op)
                                 ? WalkResult::interrupt()
                                 : WalkResult::advance();
                    }).wasInterrupted();
  if (!shares)
    return Outcome::Done;
  if (!first) {
    loop.emitOpError("expects a constant first count");
    return Outcome::Failed;
  }
  int64_t count = std::max<int64_t>(iterations, isAtLeast(loop.getUpperBound(), *first + 1) ? 1 : 0);
  numbers[loop.getUpperBound()] = *first + count;
  for (int64_t i = *first; i < *first + count; ++i) {
    numbers[loop.getInductionVar()] = i;
    if (Outcome outcome = runBlock(*loop.getBody()); outcome != Outcome::Done)
      return outcome;
  }
  return Outcome::Done;
}

/// Two work tiles one after the other, where a block does more than one: entries count on.
Outcome Run::runWork(tile::ForeachWorkOp work) {
  Block &body = work.getBody().front();
  size_t carried = work.getInits().size();
  for (int64_t tile = 0; tile < (carried ? 2 : 1); ++tile) {
    for (auto [argument, yielded] : llvm::zip(body.getArguments().take_back(carried), body.getTerminator()->getOperands()))
      numbers[argument] = tile == 0 ? 0 : evaluate(yielded).value_or(0);
    if (Outcome outcome = runBlock(body); outcome != Outcome::Done)
      return outcome;
  }
  return Outcome::Done;
}

/// The layout in which a staged buffer is written.
static Attribute layoutOfWriter(Value buffer) {
  for (Operation *user : buffer.getUsers())
    if (auto write = dyn_cast<tile::WriteOp>(user))
      return write.getValue().getType().getLayout();
  return {};
}

Outcome Run::runOp(Operation &op) {
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return runLoop(loop);
  if (auto work = dyn_cast<tile::ForeachWorkOp>(op))
    return runWork(work);
  if (auto fillOp = dyn_cast<tile::FillOp>(op))
    return fill(fillOp);
  if (auto buildOp = dyn_cast<tile::BuildOp>(op))
    return build(buildOp);
  if (auto widenOp = dyn_cast<tile::WidenOp>(op))
    return widen(widenOp);
  if (auto awaitOp = dyn_cast<tile::AwaitOp>(op))
    return await(awaitOp);
  if (auto read = dyn_cast<tile::ReadOp>(op))
    return touch(&op, buffer(read.getBuffer()), /*isWrite=*/false, read.getTrans() ? Attribute() : read.getType().getLayout());
  if (auto write = dyn_cast<tile::WriteOp>(op))
    return touch(&op, buffer(write.getBuffer()), /*isWrite=*/true,
                 write.getTrans() ? Attribute() : write.getValue().getType().getLayout());
  if (auto guard = dyn_cast<scf::IfOp>(op); guard && !guard.elseBlock() && !guardsHold)
    return Outcome::Done;
  if (auto keep = dyn_cast<tile::KeepFiniteOp>(op)) { // writes, and meets in barriers of its own
    if (!guardsHold)
      return Outcome::Done;
    Outcome outcome = touch(&op, buffer(keep.getInput()), /*isWrite=*/true, {});
    barrier();
    return outcome;
  }
  if (auto combine = dyn_cast<tile::CombineOp>(op)) { // writes, meets in a barrier of its own, reads
    Outcome outcome = touch(&op, buffer(combine.getScratch()), /*isWrite=*/true, {});
    barrier();
    return outcome == Outcome::Done ? touch(&op, buffer(combine.getScratch()), /*isWrite=*/false, {}) : outcome;
  }
  if (auto sum = dyn_cast<tile::AddPartsOp>(op)) { // writes, meets twice in between, reads: a thread where it alone does both
    Place &scratch = buffer(sum.getScratch());
    Attribute own = sum.getInput().getType().getLayout();
    Outcome outcome = touch(&op, scratch, /*isWrite=*/true, own);
    barrier();
    return outcome == Outcome::Done ? touch(&op, scratch, /*isWrite=*/false, own) : outcome;
  }
  if (auto acquire = dyn_cast<tile::AcquireOp>(op); acquire && inRole) {
    Place *place = slot(acquire.getRing(), acquire.getEntry(), &op);
    if (!place)
      return Outcome::Failed;
    forget(*place); // all warps that read it have released it
    return Outcome::Done;
  }
  if (auto release = dyn_cast<tile::ReleaseOp>(op); release && inRole) {
    Place *place = slot(release.getRing(), release.getEntry(), &op);
    if (!place)
      return Outcome::Failed;
    forget(*place); // whoever awaits the next entry comes behind all warps' releases
    return Outcome::Done;
  }
  if (isa<tile::BarrierOp>(op)) {
    ++time;
    barrier();
    return Outcome::Done;
  }
  if (isa<tile::MapOp, tile::RotateOp>(op))
    return readInRegions(op);
  if (auto store = dyn_cast<tile::StoreOp>(op); store && store.getVia()) // of what the warp has written itself
    return touch(&op, buffer(store.getValue()), /*isWrite=*/false, layoutOfWriter(store.getValue()));
  Operation *reader = &op;
  if (auto wait = dyn_cast<tile::WaitOp>(op)) // until then the product reads its operands
    reader = wait.getInput().getDefiningOp();
  if (isa_and_present<tile::DotOp, tile::DotAsyncOp, tile::DiagonalDotOp, tile::DiagonalSumOp, tile::StoreOp>(reader))
    for (Value operand : reader->getOperands())
      if (isa<tile::BufferType>(operand.getType()))
        if (Outcome outcome = touch(&op, buffer(operand), /*isWrite=*/false, {}); outcome != Outcome::Done)
          return outcome;
  for (Region &region : op.getRegions())
    for (Block &block : region)
      if (Outcome outcome = runBlock(block); outcome != Outcome::Done)
        return outcome;
  return Outcome::Done;
}

/// Enough iterations for every ring's slots to be used three times.
static int64_t mostIterations(func::FuncOp kernel) {
  int64_t deepest = 1;
  kernel.walk([&](tile::RingOp ring) { deepest = std::max<int64_t>(deepest, ring.getType().getStages()); });
  return 2 * deepest + 2;
}

/// The awaits that need not wait for copies.
static llvm::SmallPtrSet<Operation *, 4> findSpareWaits(func::FuncOp kernel, Block &program) {
  llvm::SmallPtrSet<Operation *, 4> spare;
  int64_t most = mostIterations(kernel);
  kernel.walk([&](tile::AwaitOp await) {
    spare.insert(await);
    for (int64_t iterations = 0; iterations <= most; ++iterations)
      for (bool guardsHold : {false, true}) {
        llvm::MapVector<Operation *, int64_t> pending;
        Run run(program, /*inRole=*/false, guardsHold, iterations, pending);
        run.leaveOut(spare);
        if (run.run() == Outcome::Done)
          continue;
        spare.erase(await);
        return;
      }
  });
  return spare;
}

/// Runs the program until no run asks for another barrier.
static LogicalResult simulate(func::FuncOp kernel, Block &program, bool inRole) {
  int64_t most = mostIterations(kernel);
  llvm::MapVector<Operation *, int64_t> pending;
  for (int64_t iterations = 0; iterations <= most;) {
    bool isDone = true;
    for (bool guardsHold : {false, true}) {
      Outcome outcome = Run(program, inRole, guardsHold, iterations, pending).run();
      if (outcome == Outcome::Failed)
        return failure();
      isDone &= outcome == Outcome::Done;
    }
    if (isDone)
      ++iterations;
  }
  Builder builder(kernel.getContext());
  for (auto [await, count] : pending)
    cast<tile::AwaitOp>(await).setPendingAttr(builder.getI32IntegerAttr(static_cast<int32_t>(count)));
  if (!inRole)
    for (Operation *await : findSpareWaits(kernel, program))
      cast<tile::AwaitOp>(await).setPendingAttr(builder.getI32IntegerAttr(tile::kAnyPending));
  return success();
}

/// Whether two rings or buffers have bytes in common.
static bool meet(Operation *a, Operation *b) {
  auto span = [](Operation *op) -> std::pair<int64_t, int64_t> {
    auto ring = dyn_cast<tile::RingOp>(op);
    int64_t begin = cast<IntegerAttr>(op->getAttr("offset")).getInt();
    int64_t bytes = ring ? ring.getType().getStages() * tile::bufferBytes(ring.getType().getBufferType())
                         : tile::bufferBytes(cast<tile::AllocOp>(op).getType());
    return {begin, begin + bytes};
  };
  auto [aBegin, aEnd] = span(a);
  auto [bBegin, bEnd] = span(b);
  return aBegin < bEnd && bBegin < aEnd;
}

/// Fences between what threads do with shared memory themselves and what matrix units and copies do with it.
static void placeFences(tile::RoleOp role) {
  auto isRead = [](Operation *op) { return isa<tile::ReadOp, tile::WriteOp, tile::AtOp, tile::WidenOp, tile::DiagonalDotOp>(op); };
  auto multiplies = [](Operation *op) { // or is copied out
    return isa<tile::DotOp, tile::DotAsyncOp>(op) || (isa<tile::StoreOp>(op) && cast<tile::StoreOp>(op).getVia());
  };
  llvm::SmallPtrSet<Operation *, 4> touched, multiplied; // rings and buffers
  auto storageOf = [](Value buffer) {
    auto await = buffer.getDefiningOp<tile::AwaitOp>();
    return await ? await.getRing().getDefiningOp() : buffer.getDefiningOp();
  };
  // What a thread reads and then writes for the matrix units is fenced behind the write already.
  auto isWrittenBehind = [&](Operation *op, Value buffer) {
    return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
      return isa<tile::WriteOp>(user) && user->getBlock() == op->getBlock() && !user->isBeforeInBlock(op);
    });
  };
  role.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (isa<tile::BufferType>(operand.getType()) && multiplies(op))
        multiplied.insert(storageOf(operand));
  });
  role.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (isa<tile::BufferType>(operand.getType()) && isRead(op) &&
          !(multiplied.contains(storageOf(operand)) && isWrittenBehind(op, operand)))
        touched.insert(storageOf(operand));
  });
  role.walk([&](Operation *op) {
    OpBuilder builder(op);
    if (auto write = dyn_cast<tile::WriteOp>(op); write && multiplied.contains(storageOf(write.getBuffer()))) {
      builder.setInsertionPointAfter(op);
      tile::FenceOp::create(builder, op->getLoc(), tile::FenceKind::async_proxy);
    }
    auto isCopied = [](Value ring) { // by threads, whose copies tensor cores do not see by themselves
      return llvm::any_of(ring.getUsers(), [](Operation *user) {
        auto fill = dyn_cast<tile::FillOp>(user);
        return fill && fill.getVia() == "cp_async";
      });
    };
    if (auto await = dyn_cast<tile::AwaitOp>(op); await && isCopied(await.getRing()) && multiplied.contains(storageOf(await.getResult()))) {
      builder.setInsertionPointAfter(op);
      tile::FenceOp::create(builder, op->getLoc(), tile::FenceKind::async_proxy);
    }
    auto isTouched = [&](Operation *ring) { return llvm::any_of(touched, [&](Operation *storage) { return meet(ring, storage); }); };
    auto isBuilt = [](Value ring) { // by threads, who need no fence
      return llvm::any_of(ring.getUsers(), [](Operation *user) { return isa<tile::BuildOp>(user); });
    };
    if (auto release = dyn_cast<tile::ReleaseOp>(op);
        release && !isBuilt(release.getRing()) && isTouched(release.getRing().getDefiningOp()))
      tile::FenceOp::create(builder, op->getLoc(), tile::FenceKind::async_proxy);
  });
}

/// Waits for the stores by tensor maps that still read a buffer: before it is written for the next tile, before an entry
/// that shares its bytes is released, and before the block ends.
static void placeStoreWaits(tile::RoleOp role) {
  llvm::SmallSetVector<Value, 1> stored;
  role.walk([&](tile::StoreOp store) {
    if (store.getVia())
      stored.insert(store.getValue());
  });
  for (Value buffer : stored) {
    role.walk([&](Operation *op) {
      auto write = dyn_cast<tile::WriteOp>(op);
      auto release = dyn_cast<tile::ReleaseOp>(op);
      if ((!write || write.getBuffer() != buffer) && (!release || !meet(release.getRing().getDefiningOp(), buffer.getDefiningOp())))
        return;
      OpBuilder builder(op);
      tile::AwaitStoresOp::create(builder, op->getLoc(), buffer);
    });
    OpBuilder end(role.getBody().front().getTerminator());
    tile::AwaitStoresOp::create(end, role.getLoc(), buffer);
  }
}

static LogicalResult orderRoles(func::FuncOp kernel, ArrayRef<tile::RoleOp> roles) {
  for (tile::RoleOp role : roles) {
    bool computes = role.walk([](Operation *op) { return isa<tile::AwaitOp>(op) ? WalkResult::interrupt() : WalkResult::advance(); })
                        .wasInterrupted();
    if (!computes)
      continue;
    if (failed(simulate(kernel, role.getBody().front(), /*inRole=*/true)))
      return failure();
    placeFences(role);
    placeStoreWaits(role);
  }
  return success();
}

namespace {
struct InsertBarriers final : impl::InsertBarriersBase<InsertBarriers> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr))
      return;
    SmallVector<tile::RoleOp> roles(kernel.getOps<tile::RoleOp>());
    if (!roles.empty()) {
      if (failed(orderRoles(kernel, roles)))
        signalPassFailure();
      return;
    }
    if (failed(simulate(kernel, kernel.front(), /*inRole=*/false)))
      return signalPassFailure();
    SmallVector<Operation *> free;
    kernel.walk([&](Operation *op) {
      if (isa<tile::AcquireOp, tile::ReleaseOp>(op))
        free.push_back(op);
    });
    for (Operation *op : free)
      op->erase();
  }
};
} // namespace

} // namespace attn
