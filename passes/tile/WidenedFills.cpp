// See WidenedFills.h.
#include "passes/tile/WidenedFills.h"

#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kChunkBytes = 16;

bool isWidened(tile::FillOp fill) {
  return fill.getRing().getType().getElementType() != fill.getTensor().getType().getElementType();
}

/// Whether the rows can be copied as bytes, and an entry's bytes be widened a chunk at a time.
static bool comesInChunks(tile::FillOp fill) {
  auto tensor = fill.getTensor().getType();
  auto length = tensor.getStaticSize(tensor.getRank() - 1);
  return length && *length % kChunkBytes == 0 && fill.getRing().getType().getShape()[1] % kChunkBytes == 0;
}

//===----------------------------------------------------------------------===//
// Apart
//===----------------------------------------------------------------------===//

static tile::RingType rawTypeOf(tile::FillOp fill) {
  tile::RingType wide = fill.getRing().getType();
  Type element = fill.getTensor().getType().getElementType();
  auto layout = tile::operandLayout(fill.getContext(), wide.getShape()[1], element);
  return tile::RingType::get(fill.getContext(), /*stages=*/1, wide.getShape(), element, layout);
}

void splitFill(tile::FillOp fill, Value raw) {
  Location location = fill.getLoc();
  OpBuilder builder(fill);
  tile::AcquireOp::create(builder, location, raw, fill.getEntry());
  auto copy = cast<tile::FillOp>(builder.clone(*fill));
  copy.getRingMutable().assign(raw);
  auto type = cast<tile::RingType>(raw.getType()).getBufferType();
  Value bytes = tile::AwaitOp::create(builder, location, type, raw, fill.getEntry(), IntegerAttr(), UnitAttr());
  tile::WidenOp::create(builder, location, fill.getRing(), fill.getEntry(), bytes);
  tile::ReleaseOp::create(builder, location, raw, fill.getEntry());
  fill.erase();
}

/// Bytes of all rings and buffers but the staging of results, which may lie on the query.
static int64_t bytesOf(func::FuncOp kernel) {
  int64_t total = 0;
  for (auto ring : kernel.getOps<tile::RingOp>())
    total += tile::bufferBytes(ring.getType().getBufferType()) * ring.getType().getStages();
  for (auto buffer : kernel.getOps<tile::AllocOp>())
    if (llvm::none_of(buffer->getUsers(), [](Operation *user) { return isa<tile::StoreOp>(user); }))
      total += tile::bufferBytes(buffer.getType());
  return total;
}

void splitWidenedFills(func::FuncOp kernel, std::optional<int64_t> sharedBytes) {
  llvm::MapVector<Value, Value> raws;
  DenseSet<Value> lackRoom;
  int64_t total = bytesOf(kernel);
  SmallVector<tile::FillOp> fills;
  kernel.walk([&](tile::FillOp fill) {
    if (isWidened(fill) && comesInChunks(fill))
      fills.push_back(fill);
  });
  for (tile::FillOp fill : fills) {
    Value &raw = raws[fill.getRing()];
    if (!raw) {
      total += tile::bufferBytes(rawTypeOf(fill).getBufferType());
      if (lackRoom.contains(fill.getRing()) || total > sharedBytes.value_or(total)) {
        total -= tile::bufferBytes(rawTypeOf(fill).getBufferType());
        lackRoom.insert(fill.getRing());
        continue;
      }
      OpBuilder builder(fill.getContext());
      builder.setInsertionPointAfterValue(fill.getRing());
      raw = tile::RingOp::create(builder, fill.getLoc(), rawTypeOf(fill), IntegerAttr());
    }
    splitFill(fill, raw);
  }
}

//===----------------------------------------------------------------------===//
// Ahead
//===----------------------------------------------------------------------===//

template <typename OpTy> static OpTy findFor(Value ring, Block *block) {
  for (OpTy op : block->getOps<OpTy>())
    if (op.getRing() == ring)
      return op;
  return {};
}

/// The raw fill behind the loop, in the same block, of the same ring.
static tile::FillOp fillBehind(scf::ForOp loop, Value ring) {
  for (tile::FillOp fill : loop->getBlock()->getOps<tile::FillOp>())
    if (fill.getRing() == ring && loop->isBeforeInBlock(fill))
      return fill;
  return {};
}

/// Acquires and fills the raw entry of iteration `number`.
static void fetch(OpBuilder &builder, scf::ForOp loop, tile::FillOp fill, Value number) {
  IRMapping mapping = operandsForIteration(builder, loop, fill, number);
  tile::AcquireOp::create(builder, fill.getLoc(), fill.getRing(), mapping.lookupOrDefault(fill.getEntry()));
  builder.clone(*fill, mapping);
}

/// The same unless the loop ends before it and nothing behind the loop takes the entry.
static void fetchIfTaken(OpBuilder &builder, scf::ForOp loop, tile::FillOp fill, Value number, bool isTakenBehind) {
  if (isTakenBehind)
    return fetch(builder, loop, fill, number);
  Value runs = arith::CmpIOp::create(builder, fill.getLoc(), arith::CmpIPredicate::slt, number, loop.getUpperBound());
  auto guard = scf::IfOp::create(builder, fill.getLoc(), runs, /*withElseRegion=*/false);
  OpBuilder inside = OpBuilder::atBlockBegin(guard.thenBlock());
  fetch(inside, loop, fill, number);
}

/// With one stage the next entry is fetched when this one has been read, with more while it is waited for.
static void fetchAhead(scf::ForOp loop, tile::FillOp fill) {
  Block *body = loop.getBody();
  Value ring = fill.getRing();
  auto acquire = findFor<tile::AcquireOp>(ring, body);
  auto release = findFor<tile::ReleaseOp>(ring, body);
  if (!acquire || !release)
    return;
  tile::FillOp behind = fillBehind(loop, ring);
  OpBuilder before(loop), after(release);
  fetchIfTaken(before, loop, fill, loop.getLowerBound(), static_cast<bool>(behind));
  if (cast<tile::RingType>(ring.getType()).getStages() > 1)
    after.setInsertionPoint(acquire);
  else
    after.setInsertionPointAfter(release);
  Value next = arith::AddIOp::create(after, fill.getLoc(), loop.getInductionVar(), loop.getStep());
  fetchIfTaken(after, loop, fill, next, static_cast<bool>(behind));
  acquire.erase();
  fill.erase();
  if (!behind)
    return;
  for (auto taken : llvm::make_early_inc_range(behind->getBlock()->getOps<tile::AcquireOp>()))
    if (taken.getRing() == ring && loop->isBeforeInBlock(taken))
      taken.erase();
  behind.erase();
}

void fetchRawAhead(scf::ForOp loop) {
  SmallVector<tile::FillOp> fills;
  for (auto widen : loop.getBody()->getOps<tile::WidenOp>())
    if (auto await = widen.getSource().getDefiningOp<tile::AwaitOp>())
      if (auto fill = findFor<tile::FillOp>(await.getRing(), loop.getBody()))
        fills.push_back(fill);
  for (tile::FillOp fill : fills)
    fetchAhead(loop, fill);
}

} // namespace attn
