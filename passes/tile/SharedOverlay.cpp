// See SharedOverlay.h. The result's staging lies on the query:
//
//   await q;  for … { dot q, … }  release q;  write out → staging;  store staging
//     →  await q;  for … { dot q, … }  write out → staging;  store staging;  release q
//
// The price is that the next tile's query is not copied before this tile's result is written.
#include "passes/tile/SharedOverlay.h"

#include "ir/tile/TileLayouts.h"

using namespace mlir;

namespace attn {

namespace {
/// Where in one block a buffer is used, loops and branches in it included.
struct Uses {
  Block *block = nullptr;
  Operation *first = nullptr, *last = nullptr;
};
} // namespace

/// The uses of `buffer` in `block`; none if one stands elsewhere.
static std::optional<Uses> usesIn(Value buffer, Block *block) {
  Uses uses{block};
  for (Operation *user : buffer.getUsers()) {
    Operation *ancestor = block->findAncestorOpInBlock(*user);
    if (!ancestor)
      return std::nullopt;
    if (!uses.first || ancestor->isBeforeInBlock(uses.first))
      uses.first = ancestor;
    if (!uses.last || uses.last->isBeforeInBlock(ancestor))
      uses.last = ancestor;
  }
  return uses.first ? std::optional(uses) : std::nullopt;
}

/// The release that has to move for `buffer` to lie on `ring`; null if it cannot.
static tile::ReleaseOp releaseBehind(tile::AllocOp buffer, tile::RingOp ring) {
  bool fits = ring.getType().getStages() == 1 && tile::bufferBytes(buffer.getType()) <= tile::bufferBytes(ring.getType().getBufferType());
  tile::AwaitOp await;
  tile::ReleaseOp release;
  for (Operation *user : ring.getResult().getUsers()) {
    if (auto each = dyn_cast<tile::AwaitOp>(user)) {
      fits &= !await;
      await = each;
    } else if (auto other = dyn_cast<tile::ReleaseOp>(user)) {
      fits &= !release;
      release = other;
    }
  }
  if (!fits || !await || !release || await->getBlock() != release->getBlock())
    return {};
  auto own = usesIn(buffer.getResult(), release->getBlock()), entry = usesIn(await.getResult(), release->getBlock());
  bool follows = own && entry && entry->last->isBeforeInBlock(own->first);
  return follows ? release : tile::ReleaseOp();
}

llvm::MapVector<tile::AllocOp, tile::RingOp> overlayBuffers(func::FuncOp kernel) {
  llvm::MapVector<tile::AllocOp, tile::RingOp> overlays;
  SmallVector<tile::AllocOp> buffers(kernel.getOps<tile::AllocOp>()); // the largest first: a ring takes one
  llvm::stable_sort(buffers, [](tile::AllocOp a, tile::AllocOp b) { return tile::bufferBytes(a.getType()) > tile::bufferBytes(b.getType()); });
  for (tile::AllocOp buffer : buffers)
    for (auto ring : kernel.getOps<tile::RingOp>()) {
      bool isTaken = llvm::any_of(overlays, [&](auto &pair) { return pair.second == ring; });
      tile::ReleaseOp release = isTaken ? tile::ReleaseOp() : releaseBehind(buffer, ring);
      if (!release)
        continue;
      release->moveAfter(usesIn(buffer.getResult(), release->getBlock())->last);
      overlays.insert({buffer, ring});
      break;
    }
  return overlays;
}

} // namespace attn
