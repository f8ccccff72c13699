// See TurnedValues.h.
#include "passes/tile/TurnedValues.h"

#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"
#include "passes/tile/WidenedFills.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace attn {

/// Turning an entry takes less time than copying one, so the next is copied meanwhile.
static constexpr unsigned kRawStages = 2;

/// Whether the operation is a product with rows of 8-bit floats that lie as they are stored.
template <typename DotLike> static bool takesStoredFloat8(DotLike dot) {
  auto rows = dyn_cast<tile::BufferType>(dot.getRhs().getType());
  return rows && !dot.getTrans() && isa<Float8E4M3FNType, Float8E5M2Type>(rows.getElementType());
}

static Value addElements(OpBuilder &builder, Location location, Value a, Value b) {
  Type element = cast<tile::FragType>(a.getType()).getElementType();
  auto map = tile::MapOp::create(builder, location, a.getType(), ValueRange{a, b});
  Block &body = map.getBody().emplaceBlock();
  body.addArguments({element, element}, {location, location});
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  Value sum = arith::AddFOp::create(inside, location, body.getArgument(0), body.getArgument(1));
  tile::YieldOp::create(inside, location, sum);
  return map;
}

static Value zeroLike(OpBuilder &builder, Value sums) {
  auto type = cast<tile::FragType>(sums.getType());
  return tile::SplatOp::create(builder, sums.getLoc(), type, APFloat(0.0f));
}

/// The product from 0, added to what it was to be added to.
static void addBehind(tile::DotOp dot) {
  OpBuilder builder(dot);
  Value before = dot.getAcc();
  dot.getAccMutable().assign(zeroLike(builder, before));
  builder.setInsertionPointAfter(dot);
  Value sum = addElements(builder, dot.getLoc(), before, dot.getResult());
  dot.getResult().replaceAllUsesExcept(sum, sum.getDefiningOp());
}

static void addBehind(tile::DotAsyncOp dot) {
  OpBuilder builder(dot);
  Value before = dot.getAcc();
  dot.getAccMutable().assign(zeroLike(builder, before));
  auto wait = cast<tile::WaitOp>(*dot.getResult().user_begin());
  builder.setInsertionPointAfter(wait);
  Value sum = addElements(builder, wait.getLoc(), before, wait.getResult());
  wait.getResult().replaceAllUsesExcept(sum, sum.getDefiningOp());
}

/// Entries of the ring become turned ones of `channels` rows, made from raw ones.
static void turnRing(tile::RingOp ring, int64_t channels) {
  tile::RingType stored = ring.getType();
  int64_t keys = stored.getShape()[0];
  auto layout = tile::operandLayout(ring.getContext(), keys, stored.getElementType());
  auto turned = tile::RingType::get(ring.getContext(), stored.getStages(), {channels, keys}, stored.getElementType(), layout);
  SmallVector<tile::FillOp> fills;
  for (Operation *user : ring.getResult().getUsers()) {
    if (auto fill = dyn_cast<tile::FillOp>(user))
      fills.push_back(fill);
    else if (auto await = dyn_cast<tile::AwaitOp>(user))
      await.getResult().setType(turned.getBufferType());
  }
  ring.getResult().setType(turned);
  OpBuilder builder(ring.getContext());
  builder.setInsertionPointAfter(ring);
  auto rawType = tile::RingType::get(ring.getContext(), kRawStages, stored.getShape(), stored.getElementType(), stored.getLayout());
  Value raw = tile::RingOp::create(builder, ring.getLoc(), rawType, IntegerAttr());
  for (tile::FillOp fill : fills)
    splitFill(fill, raw);
}

void turnFloat8Values(func::FuncOp kernel) {
  llvm::SetVector<Operation *> rings;
  llvm::DenseMap<Operation *, int64_t> channels;
  SmallVector<Operation *> dots;
  kernel.walk([&](Operation *op) {
    auto note = [&](auto dot) {
      if (!takesStoredFloat8(dot))
        return;
      dots.push_back(op);
      Operation *ring = dot.getRhs().template getDefiningOp<tile::AwaitOp>().getRing().getDefiningOp();
      rings.insert(ring);
      channels[ring] = cast<tile::FragType>(dot.getAcc().getType()).getColumns();
    };
    if (auto dot = dyn_cast<tile::DotOp>(op))
      note(dot);
    else if (auto async = dyn_cast<tile::DotAsyncOp>(op))
      note(async);
  });
  for (Operation *op : dots) {
    if (auto dot = dyn_cast<tile::DotOp>(op)) {
      dot.setTrans(true);
      addBehind(dot);
    } else {
      auto async = cast<tile::DotAsyncOp>(op);
      async.setTrans(true);
      addBehind(async);
    }
  }
  for (Operation *ring : rings)
    turnRing(cast<tile::RingOp>(ring), channels[ring]);
}

} // namespace attn
