// Rings between roles, by barriers in shared memory:
//
//   acquire   wait for `empty`: as many arrivals as warps release        fill     start the copy; it arrives at `full`
//   release   one lane of each warp arrives at `empty`                   await    wait for `full`
//
// A fresh barrier passes a wait for the phase before its first, so the first round of acquires does not wait.
#include "codegen/nvvm/GlobalRows.h"
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RingEntry.h"

#include "ir/tile/CopyGroups.h"
#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

RingEntry::RingEntry(KernelContext &kernel, Emitter &e, Value ring, Value offset, Value entry)
    : kernel(kernel), type(mlir::cast<tile::RingType>(ring.getType())), place(kernel.roles().barriers.rings.lookup(ring)),
      offset(offset), entry(entry) {
  slot = type.getStages() == 1 ? e.i32(0) : e.urem(entry, e.i32(type.getStages()));
}

Value RingEntry::buffer(Emitter &e) const {
  if (type.getStages() == 1)
    return offset;
  return e.iadd(e.imul(slot, e.i32(tile::bufferBytes(type.getBufferType()))), offset);
}

Value RingEntry::barrier(Emitter &e, std::int64_t first) const {
  if (type.getStages() == 1)
    return e.offset(kernel.sharedBase(), first);
  return e.offset(e.offset(kernel.sharedBase(), e.imul(slot, e.i32(kBarrierBytes))), first);
}

Value RingEntry::parity(Emitter &e) const {
  Value use = type.getStages() == 1 ? entry : e.udiv(entry, e.i32(type.getStages()));
  return e.iand(use, e.i32(1));
}

namespace {
template <class OpType> RingEntry entryOf(KernelContext &kernel, Emitter &e, OpType op, mlir::ValueRange ring, mlir::ValueRange entry) {
  return RingEntry(kernel, e, op.getRing(), ring.front(), entry.front());
}

class AcquirePattern : public TilePattern<tile::AcquireOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::AcquireOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    // Where one thread fills, its warp alone waits: another that falls behind could miss the phase, for two releases later the
    // barrier looks as it did before the first.
    mlir::scf::IfOp alone;
    if (!kernel.range().isOneLane && kernel.warps() > 1 && kernel.roles().rings.lookup(op.getRing()).full == 1) {
      alone = mlir::scf::IfOp::create(rewriter, op.getLoc(), e.ieq(kernel.uniformWarp(), e.i32(0)), /*withElseRegion=*/false);
      rewriter.setInsertionPointToStart(alone.thenBlock());
    }
    RingEntry entry = entryOf(kernel, e, op, adaptor.getRing(), adaptor.getEntry());
    e.waitForBarrier(entry.emptyBarrier(e), e.ixor(entry.parity(e), e.i32(1)));
    if (alone)
      rewriter.setInsertionPointAfter(alone);
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

class AwaitPattern : public TilePattern<tile::AwaitOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::AwaitOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    RingEntry entry = entryOf(kernel, e, op, adaptor.getRing(), adaptor.getEntry());
    if (op.getPending().value_or(0) != tile::kAnyPending) // else by threads that have waited for this entry before
      e.waitForBarrier(entry.fullBarrier(e), entry.parity(e));
    rewriter.replaceOp(op, entry.buffer(e));
    return mlir::success();
  }
};

class ReleasePattern : public TilePattern<tile::ReleaseOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::ReleaseOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    RingEntry entry = entryOf(kernel, e, op, adaptor.getRing(), adaptor.getEntry());
    if (kernel.roles().rings.lookup(op.getRing()).isReadByThreads)
      e.syncWarp(); // the one lane that arrives speaks for what the others have read
    Value lane = kernel.lane();
    Value isFirst = kernel.atEntry("first lane", [&](Emitter &entry) { return entry.ieq(lane, entry.i32(0)); });
    e.arriveAtBarrierIf(isFirst, entry.emptyBarrier(e));
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

class FillPattern : public TilePattern<tile::FillOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::FillOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!isTensorMapFill(op))
      return fillByThreads(op, adaptor, rewriter);
    Emitter e = emitter(rewriter, op);
    mlir::scf::IfOp alone;
    if (!kernel.range().isOneLane) {
      alone = mlir::scf::IfOp::create(rewriter, op.getLoc(), e.ieq(kernel.thread(), e.i32(0)), /*withElseRegion=*/false);
      rewriter.setInsertionPointToStart(alone.thenBlock());
    }
    RingEntry entry = entryOf(kernel, e, op, adaptor.getRing(), adaptor.getEntry());
    if (adaptor.getPredicate().empty()) {
      copyPanels(e, op, adaptor, entry);
    } else { // an entry that is not filled counts as well
      auto branch = mlir::scf::IfOp::create(rewriter, op.getLoc(), adaptor.getPredicate().front(), /*withElseRegion=*/true);
      rewriter.setInsertionPointToStart(branch.thenBlock());
      copyPanels(e, op, adaptor, entry);
      rewriter.setInsertionPointToStart(branch.elseBlock());
      e.arriveAtBarrier(entry.fullBarrier(e));
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  /// All bytes of the entry are expected: what lies beyond the tensor is filled with zeros and counts.
  void copyPanels(Emitter &e, tile::FillOp op, Adaptor adaptor, const RingEntry &entry) const {
    tile::BufferType type = op.getRing().getType().getBufferType();
    TensorMapLayout map = tensorMapOf(op);
    Value barrier = entry.fullBarrier(e), buffer = entry.buffer(e), tensorMap = kernel.roles().maps.lookup(op);
    e.arriveExpecting(barrier, tile::bufferBytes(type));
    if (op.getPages())
      return copyPages(e, op, adaptor, buffer, barrier);
    llvm::SmallVector<Value> coordinates{Value()};
    for (std::uint32_t dim : llvm::ArrayRef(map.dims).drop_front())
      coordinates.push_back(adaptor.getIndices()[dim].front());
    std::int64_t panelBytes = type.getShape()[0] * map.swizzle;
    for (std::int64_t column = 0, panel = 0; column < type.getShape()[1]; column += map.box[0], ++panel) {
      coordinates[0] = e.i32(column);
      e.copyTensor(kernel.sharedPointer(e, buffer, panel * panelBytes), tensorMap, coordinates, barrier);
    }
  }

  /// Rows of one page at a time; a loop, for the producer has few registers. Where the request has no more rows a page of -1
  /// lies beyond the tensor: zeros.
  void copyPages(Emitter &e, tile::FillOp op, Adaptor adaptor, Value buffer, Value barrier) const {
    constexpr std::int64_t kTogether = 4; // pages that are looked up before the first of them is copied
    GlobalRows source(TensorView::of(op.getTensor()), adaptor.getIndices(), op.getDim(), adaptor.getLimit().front());
    source.setPages(TensorView::of(op.getPages()));
    std::int64_t step = pageRowsOfCopy(op), rows = op.getRing().getType().getShape()[0], group = kTogether * step;
    auto copyGroup = [&](Value first, std::int64_t count) {
      llvm::SmallVector<Value> pages;
      for (std::int64_t i = 0; i < count; ++i) {
        Value row = e.iadd(first, e.i32(i * step));
        pages.push_back(source.page(e, e.iadd(adaptor.getIndices()[1].front(), row), source.isInside(e, row), /*otherwise=*/-1));
      }
      for (auto [i, page] : llvm::enumerate(pages))
        copyPage(e, op, adaptor, source, e.iadd(first, e.i32(static_cast<std::int64_t>(i) * step)), page, buffer, barrier);
    };
    if (rows / group > 1) {
      auto loop = mlir::scf::ForOp::create(e.builder, e.location, e.i32(0), e.i32(rows / group * group), e.i32(group));
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(loop.getBody());
      copyGroup(loop.getInductionVar(), kTogether);
    } else if (rows / group == 1) {
      copyGroup(e.i32(0), kTogether);
    }
    if (rows % group != 0)
      copyGroup(e.i32(rows / group * group), rows % group / step);
  }

  /// The rows of a block from `row` on that lie in `page`.
  void copyPage(Emitter &e, tile::FillOp op, Adaptor adaptor, const GlobalRows &source, Value row, Value page, Value buffer,
                Value barrier) const {
    tile::BufferType type = op.getRing().getType().getBufferType();
    TensorMapLayout map = tensorMapOf(op);
    Value inPage = source.rowInPage(e, e.iadd(adaptor.getIndices()[1].front(), row));
    Value place = e.iadd(buffer, e.imul(row, e.i32(map.swizzle)));
    std::int64_t panelBytes = type.getShape()[0] * map.swizzle;
    for (std::int64_t column = 0, panel = 0; column < type.getShape()[1]; column += map.box[0], ++panel)
      e.copyTensor(kernel.sharedPointer(e, place, panel * panelBytes), kernel.roles().maps.lookup(op),
                   {e.i32(column), inPage, adaptor.getIndices()[2].front(), page}, barrier);
  }

  /// Every thread of the role copies its part and arrives when that has landed.
  mlir::LogicalResult fillByThreads(tile::FillOp op, Adaptor adaptor, Rewriter &rewriter) const {
    Emitter e = emitter(rewriter, op);
    RingEntry entry = entryOf(kernel, e, op, adaptor.getRing(), adaptor.getEntry());
    auto slot = [&] { return entry.buffer(e); };
    if (failed(copyByThreads(kernel, e, rewriter, op, adaptor.getIndices(), adaptor.getLimit(), adaptor.getPredicate(), slot)))
      return mlir::failure();
    if (op.getVia() == "plain") {
      if (op.getRing().getType().getShape().size() == 2) // tensor cores may read it
        e.fenceAsyncShared();
      e.arriveAtBarrier(entry.fullBarrier(e));
    } else {
      e.arriveWhenCopied(entry.fullBarrier(e));
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateRingBarrierPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<AcquirePattern, FillPattern, AwaitPattern, ReleasePattern>(converter, kernel);
}

} // namespace attn::codegen
