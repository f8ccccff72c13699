// Rings filled by cp.async: a fill is 16-byte copies and one commit, an await a wait for all but the youngest groups and,
// where asked, a barrier. Acquire and release are nothing: barriers order the reuse of slots (InsertBarriers).
//
// Threads lie along a row's 16-byte chunks first, `lanesPerRow` of them (a power of two), then down the rows:
//
//     chunk    0 1 … lanesPerRow-1 | the same threads again        thread = row · lanesPerRow + chunk
//     row 0    t t … t
//     row 1    …                      rows a pass = threads / lanesPerRow
#include "codegen/nvvm/GlobalRows.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

Value slotOffset(Emitter &e, tile::RingType type, Value ring, Value entry) {
  if (type.getStages() == 1)
    return ring;
  Value slot = e.urem(entry, e.i32(type.getStages()));
  return e.iadd(ring, e.imul(slot, e.i32(tile::bufferBytes(type.getBufferType()))));
}

namespace {
/// Copies rows of a tensor to a 2-D buffer in chunks of 16 bytes, asynchronously.
class ChunkCopy {
public:
  ChunkCopy(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, const GlobalRows &source)
      : kernel(kernel), e(e), type(type), buffer(buffer), source(source), elementBytes(source.elementBytes()) {
    int chunks = static_cast<int>(type.getShape()[1] * elementBytes / 16);
    lanesPerRow = chunks & -chunks; // its largest power of two
    while (lanesPerRow > static_cast<int>(kernel.threads()) || lanesPerRow > 16)
      lanesPerRow /= 2;
    chunkPasses = chunks / lanesPerRow;
    rowsPerPass = static_cast<int>(kernel.threads()) / lanesPerRow;
    validChunks = static_cast<int>(source.columns() * elementBytes / 16);
  }

  void emit() {
    int shift = __builtin_ctz(static_cast<unsigned>(lanesPerRow));
    Value thread = kernel.thread();
    Value row = kernel.atEntry("copy row " + std::to_string(shift), [&](Emitter &entry) { return entry.lshr(thread, entry.i32(shift)); });
    Value chunk = kernel.atEntry("copy chunk " + std::to_string(shift),
                                 [&](Emitter &entry) { return entry.iand(thread, entry.i32(lanesPerRow - 1)); });
    int rows = static_cast<int>(type.getShape()[0]);
    Value global = source.pointer(e, row, e.imul(chunk, e.i32(16)));
    for (int first = 0; first < rows; first += rowsPerPass) {
      Value here = e.iadd(row, e.i32(first));
      if (first > 0)
        global = source.pointerBehind(e, global, rowsPerPass, here, e.imul(chunk, e.i32(16)));
      if (first + rowsPerPass <= rows) {
        copyRow(here, row, first, chunk, global);
        continue;
      }
      Value inside = e.icmp(Compare::Lt, here, e.i32(rows));
      auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(guard.thenBlock());
      copyRow(here, row, first, chunk, global);
    }
  }

private:
  void copyRow(Value here, Value row, int first, Value chunk, Value global) {
    Value bytes = e.select(source.isInside(e, here), e.i32(16), e.i32(0));
    for (int pass = 0; pass < chunkPasses; ++pass) {
      int column = pass * lanesPerRow;
      Value count = bytes;
      if (column >= validChunks)
        count = e.i32(0);
      else if (column + lanesPerRow > validChunks)
        count = e.select(e.icmp(Compare::Lt, chunk, e.i32(validChunks - column)), bytes, e.i32(0));
      Value from = e.offset(global, 16 * column);
      e.copyAsync(target(row, first, chunk, column), from, count);
    }
  }

  /// Where chunk (row + first, chunk + column) goes. If passes keep row % 8, only a constant separates them.
  Value target(Value row, int first, Value chunk, int column) {
    if (rowsPerPass % 8 != 0)
      return place(row, first, chunk, column, 0);
    int swizzle = static_cast<int>(type.getSmem().getSwizzle());
    int chunksPerPanel = swizzle / 16;
    std::int64_t rowBytes = first * pitchBytes();
    if (swizzle == 0)
      return place(row, 0, chunk, 0, rowBytes + 16 * column);
    if (column % chunksPerPanel != 0) // fewer lanes than a panel's chunks: the exchange depends on the column
      return place(row, 0, chunk, column, rowBytes);
    return place(row, 0, chunk, 0, rowBytes + static_cast<std::int64_t>(column / chunksPerPanel) * type.getShape()[0] * swizzle);
  }

  /// The part that only the thread decides is computed at entry.
  Value place(Value row, int first, Value chunk, int column, std::int64_t bytes) {
    std::string key = fmt::format("copy place {} {} {} {} {} {}", type.getSmem().getSwizzle(), pitchBytes(), type.getShape()[0],
                                  lanesPerRow, first, column);
    Value base = kernel.atEntry(key, [&](Emitter &entry) {
      Value element = entry.imul(entry.iadd(chunk, entry.i32(column)), entry.i32(16 / elementBytes));
      Value offset = kernel.elementOffset(entry, type, {entry.iadd(row, entry.i32(first)), element});
      return entry.offset(kernel.sharedBase(), offset);
    });
    if (auto constant = Emitter::constantOf(buffer))
      return e.offset(base, *constant + bytes);
    return e.offset(e.offset(base, buffer), bytes);
  }

  std::int64_t pitchBytes() const { return tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes; }

  KernelContext &kernel;
  Emitter &e;
  tile::BufferType type;
  Value buffer;
  const GlobalRows &source;
  int elementBytes, lanesPerRow, chunkPasses, rowsPerPass, validChunks;
};

} // namespace

void copyChunks(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, const GlobalRows &source) {
  ChunkCopy(kernel, e, type, buffer, source).emit();
}

mlir::LogicalResult copyByThreads(KernelContext &kernel, Emitter &e, tile::FillOp fill, llvm::ArrayRef<mlir::ValueRange> indices,
                                  mlir::ValueRange limit, mlir::ValueRange predicate, llvm::function_ref<Value()> buffer) {
  tile::BufferType type = fill.getRing().getType().getBufferType();
  GlobalRows source(TensorView::of(fill.getTensor()), indices, fill.getDim(), limit.empty() ? Value() : limit.front(),
                    static_cast<int>(fill.getPack().value_or(1)));
  bool byChunks = fill.getVia() != "plain";
  if (byChunks && !source.hasWholeChunks(type))
    return fill.emitOpError("copies 16 bytes at a time, which rows of ") << fill.getTensor().getType() << " do not consist of";
  mlir::scf::IfOp guard;
  if (!predicate.empty()) {
    guard = mlir::scf::IfOp::create(e.builder, fill.getLoc(), predicate.front(), /*withElseRegion=*/false);
    e.builder.setInsertionPointToStart(guard.thenBlock());
  }
  if (byChunks)
    copyChunks(kernel, e, type, buffer(), source);
  else
    copyElements(kernel, e, type, buffer(), source);
  if (guard)
    e.builder.setInsertionPointAfter(guard);
  return mlir::success();
}

namespace {
class FillPattern : public TilePattern<tile::FillOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::FillOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (op.getVia() == "tma")
      return op.emitOpError("this target has no tensor memory accelerator");
    Emitter e = emitter(rewriter, op);
    auto slot = [&] { return slotOffset(e, op.getRing().getType(), adaptor.getRing().front(), adaptor.getEntry().front()); };
    if (failed(copyByThreads(kernel, e, op, adaptor.getIndices(), adaptor.getLimit(), adaptor.getPredicate(), slot)))
      return mlir::failure();
    e.commitCopies(); // an empty group counts as well: the number of groups in flight is known when compiling
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

class AwaitPattern : public TilePattern<tile::AwaitOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::AwaitOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!op.getPending())
      return op.emitOpError("has no `pending`: InsertBarriers has not run");
    Emitter e = emitter(rewriter, op);
    e.waitCopies(static_cast<int>(*op.getPending()));
    if (op.getBarrier())
      e.barrier();
    rewriter.replaceOp(op, slotOffset(e, op.getRing().getType(), adaptor.getRing().front(), adaptor.getEntry().front()));
    return mlir::success();
  }
};

template <class OpType> class ErasePattern : public TilePattern<OpType> {
public:
  using TilePattern<OpType>::TilePattern;
  mlir::LogicalResult matchAndRewrite(OpType op, typename TilePattern<OpType>::Adaptor,
                                      typename TilePattern<OpType>::Rewriter &rewriter) const override {
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateCopyGroupPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<FillPattern, AwaitPattern, ErasePattern<tile::AcquireOp>, ErasePattern<tile::ReleaseOp>>(converter, kernel);
}

} // namespace attn::codegen
