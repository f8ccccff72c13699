// Gives every ring and buffer its offset in the kernel's shared memory. Two that are never live together may share
// bytes: the staging of the result lies on the query tile, which nothing reads any more.
//
// The life of an allocation spans, in program order, from the first to the last operation that touches it or a buffer
// awaited from it; in a loop it spans the loop, and where entries are filled ahead all that follows. In a kernel with roles, whose parts run at the same time, all live
// throughout; where that takes more bytes than there are, the staging lies on the query's slot there too, which then is
// released later (SharedOverlay). Swizzled buffers start at multiples of 1024 bytes. InsertBarriers sees shared bytes and
// separates uses.
// Requires: PipelineLoads. Guarantees: `offset` on every `tile.ring` and `tile.alloc`, `tile.shared_bytes` on the kernel.
#include "codegen/AsyncAbi.h"
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "passes/Passes.h"
#include "passes/tile/SharedOverlay.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_ALLOCATESHARED
#include "passes/Passes.h.inc"

namespace {
struct Allocation {
  Operation *op;
  int64_t bytes = 0, alignment = 1, offset = 0;
  int64_t first = 0, last = -1;   ///< life, as positions in program order

  bool meets(const Allocation &other) const { return first <= other.last && other.first <= last; }
};

/// Positions of operations in program order, the end of their regions included.
struct ProgramOrder {
  DenseMap<Operation *, int64_t> begin, end;
  int64_t next = 0;

  void number(Operation *op) {
    begin[op] = next++;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : block)
          number(&inner);
    end[op] = next++;
  }
};
} // namespace

/// Until when a copy is in flight, if only one of nothing, that a loop starts for a later iteration: the next wait behind the
/// loop, for copies land in order. Before all else for other operations.
static int64_t endOfFlight(Operation *user, const ProgramOrder &order) {
  auto fill = dyn_cast<tile::FillOp>(user);
  auto loop = fill ? dyn_cast<scf::ForOp>(fill->getParentOp()) : scf::ForOp();
  if (!loop || fill.getEntry() == loop.getInductionVar())
    return -1;
  for (Operation *later = loop->getNextNode(); later; later = later->getNextNode())
    if (later->walk([](tile::AwaitOp) { return WalkResult::interrupt(); }).wasInterrupted())
      return order.begin.lookup(later);
  return order.end.lookup(loop->getParentOp());
}

static void extend(Allocation &allocation, Value value, const ProgramOrder &order) {
  for (Operation *user : value.getUsers()) {
    Operation *span = user;
    // A use in a loop repeats: the allocation, made outside, lives as long as the loop.
    for (Operation *parent = user->getParentOp(); parent && !isa<func::FuncOp>(parent); parent = parent->getParentOp())
      if (isa<scf::ForOp>(parent))
        span = parent;
    allocation.first = allocation.last < 0 ? order.begin.lookup(span) : std::min(allocation.first, order.begin.lookup(span));
    allocation.last = std::max(allocation.last, order.end.lookup(span));
    allocation.last = std::max(allocation.last, endOfFlight(user, order));
    if (auto await = dyn_cast<tile::AwaitOp>(user))
      extend(allocation, await.getResult(), order);
  }
}

static SmallVector<Allocation> collect(func::FuncOp kernel) {
  ProgramOrder order;
  order.number(kernel);
  bool hasRoles = false;
  SmallVector<Allocation> allocations;
  kernel.walk([&](Operation *op) {
    hasRoles |= isa<tile::RoleOp>(op);
    Allocation allocation{op};
    tile::SmemAttr layout;
    if (auto ring = dyn_cast<tile::RingOp>(op)) {
      tile::RingType type = ring.getType();
      layout = cast<tile::SmemAttr>(type.getLayout());
      int64_t slot = tile::bufferBytes(type.getBufferType());
      allocation.bytes = slot * type.getStages();
    } else if (auto buffer = dyn_cast<tile::AllocOp>(op)) {
      layout = buffer.getType().getSmem();
      allocation.bytes = tile::bufferBytes(buffer.getType());
    } else {
      return;
    }
    allocation.alignment = tile::bufferAlignment(layout);
    extend(allocation, op->getResult(0), order);
    allocations.push_back(allocation);
  });
  if (hasRoles)
    for (Allocation &allocation : allocations)
      allocation.first = 0, allocation.last = order.next;
  return allocations;
}

/// Each at the lowest offset that is free throughout its life, in order of first use.
static int64_t place(MutableArrayRef<Allocation> allocations) {
  llvm::stable_sort(allocations, [](const Allocation &a, const Allocation &b) { return a.first < b.first; });
  int64_t total = 0;
  for (size_t i = 0; i < allocations.size(); ++i) {
    Allocation &own = allocations[i];
    own.offset = 0;
    SmallVector<const Allocation *> neighbours;
    for (size_t j = 0; j < i; ++j)
      if (own.meets(allocations[j]))
        neighbours.push_back(&allocations[j]);
    llvm::sort(neighbours, [](const Allocation *a, const Allocation *b) { return a->offset < b->offset; });
    for (const Allocation *other : neighbours)
      if (own.offset < other->offset + other->bytes && other->offset < own.offset + own.bytes)
        own.offset = llvm::alignTo(other->offset + other->bytes, own.alignment);
    total = std::max(total, own.offset + own.bytes);
  }
  return total;
}

/// With the barriers of rings, two for a slot, which lie behind all else (codegen/AsyncAbi.h).
static int64_t withBarriers(func::FuncOp kernel, int64_t total) {
  if (kernel.getOps<tile::RoleOp>().empty())
    return total;
  total = llvm::alignTo(total, 16);
  kernel.walk([&](tile::RingOp ring) { total += 2 * codegen::kBarrierBytes * ring.getResult().getType().getStages(); });
  return total;
}

namespace {
struct AllocateShared final : impl::AllocateSharedBase<AllocateShared> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr))
      return;
    SmallVector<Allocation> allocations = collect(kernel);
    int64_t total = place(allocations);
    auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
    const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
    llvm::MapVector<tile::AllocOp, tile::RingOp> overlays;
    if (gpu && withBarriers(kernel, total) > gpu->sharedBytesPerBlock && !kernel.getOps<tile::RoleOp>().empty()) {
      overlays = overlayBuffers(kernel);
      llvm::erase_if(allocations, [&](const Allocation &allocation) {
        auto buffer = dyn_cast<tile::AllocOp>(allocation.op);
        return buffer && overlays.contains(buffer);
      });
      total = place(allocations);
    }
    Builder builder(&getContext());
    for (const Allocation &allocation : allocations)
      allocation.op->setAttr("offset", builder.getI32IntegerAttr(static_cast<int32_t>(allocation.offset)));
    for (auto [buffer, ring] : overlays)
      buffer->setAttr("offset", ring.getOffsetAttr());
    kernel->setAttr(tile::kSharedBytesAttr, builder.getI32IntegerAttr(static_cast<int32_t>(total)));
    if (int64_t needed = withBarriers(kernel, total); gpu && needed > gpu->sharedBytesPerBlock) {
      kernel.emitError() << "`" << kernel.getName() << "` needs " << needed << " bytes of shared memory, but "
                         << target.getName() << " has " << gpu->sharedBytesPerBlock
                         << "; a smaller `block_m`, `block_n` or `stages` needs less";
      signalPassFailure();
    }
  }
};
} // namespace

} // namespace attn
