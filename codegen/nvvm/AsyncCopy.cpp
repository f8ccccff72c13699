// Rings filled by cp.async: a fill is 16-byte copies and one commit, an await a wait for all but the youngest groups and,
// where asked, a barrier. Acquire and release are nothing: barriers order the reuse of slots (InsertBarriers).
//
// Threads lie along a row's 16-byte chunks first, `lanesPerRow` of them (a power of two), then down the rows:
//
//     chunk    0 1 … lanesPerRow-1 | the same threads again        thread = row · lanesPerRow + chunk
//     row 0    t t … t
//     row 1    …                      rows a pass = threads / lanesPerRow
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/GlobalRows.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/CopyGroups.h"
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
/// Copies rows of a tensor to a 2-D buffer in chunks of 16 bytes, asynchronously; or through registers, where 8 bytes of the
/// tensor become a chunk of 16-bit elements: a batch of loads is in flight before the first of its chunks is written.
class ChunkCopy {
public:
  ChunkCopy(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, const GlobalRows &source)
      : kernel(kernel), e(e), type(type), buffer(buffer), source(source),
        elementBytes(static_cast<int>(type.getElementType().getIntOrFloatBitWidth() / 8)),
        widens(type.getElementType() != source.tensor().type.getElementType()), sourceBytes(widens ? 8 : 16) {
    int chunks = static_cast<int>(type.getShape()[1] * elementBytes / 16);
    lanesPerRow = chunks & -chunks; // its largest power of two
    while (lanesPerRow > static_cast<int>(kernel.threads()) || lanesPerRow > 16)
      lanesPerRow /= 2;
    chunkPasses = chunks / lanesPerRow;
    rowsPerPass = static_cast<int>(kernel.threads()) / lanesPerRow;
    validChunks = static_cast<int>(source.columns() * source.elementBytes() / sourceBytes);
  }

  /// From here on rows of the buffer are those rows of the tensor whose index `chosen` gives for them.
  void choose(ChosenRows rows) { chosen = std::move(rows); }

  void emit() {
    int shift = __builtin_ctz(static_cast<unsigned>(lanesPerRow));
    Value thread = kernel.thread();
    Value row = kernel.atEntry("copy row " + std::to_string(shift), [&](Emitter &entry) { return entry.lshr(thread, entry.i32(shift)); });
    Value chunk = kernel.atEntry("copy chunk " + std::to_string(shift),
                                 [&](Emitter &entry) { return entry.iand(thread, entry.i32(lanesPerRow - 1)); });
    int rows = static_cast<int>(type.getShape()[0]), together = static_cast<int>(source.rowsTogether(rows));
    Value global = source.pointer(e, row, e.imul(chunk, e.i32(sourceBytes)));
    for (int first = 0; first < rows; first += rowsPerPass) {
      Value here = e.iadd(row, e.i32(first));
      if (chosen) {
        here = chosenIndex(first / rowsPerPass);
        global = source.pointer(e, here, e.imul(chunk, e.i32(sourceBytes)));
      } else if (first > 0 && (first % together == 0 || together % rowsPerPass != 0)) // other pages
        global = source.pointer(e, here, e.imul(chunk, e.i32(sourceBytes)));
      else if (first > 0)
        global = source.pointerBehind(e, global, rowsPerPass, here, e.imul(chunk, e.i32(sourceBytes)));
      if (first + rowsPerPass <= rows) {
        copyRow(here, row, first, chunk, global);
        continue;
      }
      flush();
      Value inside = e.icmp(Compare::Lt, row, e.i32(rows - first));
      auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(guard.thenBlock());
      copyRow(here, row, first, chunk, global);
      flush();
    }
    flush();
  }

private:
  /// The tensor's row for this thread's row of pass `pass`. A row's lanes would all compute the same: instead each lane of the
  /// warp computes one of the rows of `lanesPerRow` passes, 32 in all, and takes those it copies from the others.
  Value chosenIndex(int pass) {
    int rowsOfWarp = 32 / lanesPerRow, turn = pass % lanesPerRow;
    Value lane = kernel.lane(), warp = kernel.warp();
    if (turn == 0) {
      std::string key = fmt::format("chosen place {} {}", lanesPerRow, rowsPerPass);
      Value place = kernel.atEntry(key, [&](Emitter &entry) {
        Value ofPass = entry.imul(entry.udiv(lane, entry.i32(rowsOfWarp)), entry.i32(rowsPerPass));
        Value ofWarp = entry.iadd(entry.imul(warp, entry.i32(rowsOfWarp)), entry.urem(lane, entry.i32(rowsOfWarp)));
        return entry.iadd(ofPass, ofWarp);
      });
      computed = chosen(e.iadd(place, e.i32(pass * rowsPerPass)));
    }
    std::string key = fmt::format("chosen lane {} {}", lanesPerRow, turn);
    Value from = kernel.atEntry(key, [&](Emitter &entry) {
      return entry.iadd(entry.udiv(lane, entry.i32(lanesPerRow)), entry.i32(turn * rowsOfWarp));
    });
    return e.shuffleFrom(computed, from);
  }

  /// Whether the tensor has row `here`.
  Value isInside(Value here) {
    return chosen ? e.icmp(Compare::UnsignedLt, here, source.tensor().sizes[source.dimension()]) : source.isInside(e, here);
  }

  void copyRow(Value here, Value row, int first, Value chunk, Value global) {
    if (widens)
      return loadRow(here, row, first, chunk, global);
    Value bytes = e.select(isInside(here), e.i32(16), e.i32(0));
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

  void loadRow(Value here, Value row, int first, Value chunk, Value global) {
    Value inside = isInside(here);
    for (int pass = 0; pass < chunkPasses; ++pass) {
      int column = pass * lanesPerRow;
      Value holds = inside;
      if (column >= validChunks)
        holds = e.boolean(false);
      else if (column + lanesPerRow > validChunks)
        holds = e.land(inside, e.icmp(Compare::Lt, chunk, e.i32(validChunks - column)));
      Value loaded = e.loadIf(holds, e.i64Type(), e.offset(global, sourceBytes * column));
      loads.push_back({loaded, target(row, first, chunk, column)});
      if (loads.size() == kBatch)
        flush();
    }
  }

  /// Writes what has been loaded.
  void flush() {
    mlir::Type from = source.tensor().type.getElementType(), to = type.getElementType();
    for (auto [loaded, to16] : loads) {
      llvm::SmallVector<Value> words;
      for (Value word : {e.longToInt(loaded), e.longToInt(e.lshr(loaded, e.i64(32)))})
        for (int half : {0, 1})
          words.push_back(e.widenFloat8(from, to, word, half));
      e.storeWords(words, to16);
    }
    loads.clear();
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
  int elementBytes;          ///< of the buffer
  bool widens;
  int sourceBytes;           ///< of a chunk in the tensor
  int lanesPerRow, chunkPasses, rowsPerPass, validChunks;
  struct Load {
    Value words, target;
  };
  ChosenRows chosen;
  Value computed;            ///< the chosen rows of a number of passes, one a lane
  static constexpr std::size_t kBatch = 8;
  llvm::SmallVector<Load> loads;
};

} // namespace

void copyChunks(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, const GlobalRows &source, ChosenRows chosen) {
  ChunkCopy copy(kernel, e, type, buffer, source);
  copy.choose(std::move(chosen));
  copy.emit();
}

/// What region `rows` gives for row `place`; null after a message.
static Value chosenRow(KernelContext &kernel, Emitter &e, mlir::ConversionPatternRewriter &rewriter, tile::FillOp fill, Value place) {
  ElementExpander expander(kernel, e, rewriter, &fill.getRows());
  IntegerForm form = IntegerForm::of(place, /*isPosition=*/true);
  expander.bindIndex(fill.getRows().getArgument(0), ElementExpander::Uniform, [form](Slot) { return form; });
  return expander.evaluate(tile::yieldOf(fill.getRows()).getValues().front(), {});
}

mlir::LogicalResult copyByThreads(KernelContext &kernel, Emitter &e, mlir::ConversionPatternRewriter &rewriter, tile::FillOp fill, llvm::ArrayRef<mlir::ValueRange> indices,
                                  mlir::ValueRange limit, mlir::ValueRange predicate, llvm::function_ref<Value()> buffer) {
  tile::BufferType type = fill.getRing().getType().getBufferType();
  GlobalRows source(TensorView::of(fill.getTensor()), indices, fill.getDim(), limit.empty() ? Value() : limit.front(),
                    static_cast<int>(fill.getPack().value_or(1)));
  if (fill.getPages())
    source.setPages(TensorView::of(fill.getPages()));
  bool byChunks = fill.getVia() != "plain", widens = type.getElementType() != fill.getTensor().getType().getElementType();
  if ((byChunks || widens) && !source.hasWholeChunks(type))
    return fill.emitOpError("copies whole chunks, which rows of ") << fill.getTensor().getType() << " do not consist of";
  bool hasFailed = false;
  ChosenRows chosen;
  if (!fill.getRows().empty())
    chosen = [&](Value place) {
      Value row = chosenRow(kernel, e, rewriter, fill, place);
      hasFailed |= !row;
      return row ? row : e.i32(0);
    };
  mlir::scf::IfOp guard;
  if (!predicate.empty()) {
    guard = mlir::scf::IfOp::create(e.builder, fill.getLoc(), predicate.front(), /*withElseRegion=*/false);
    e.builder.setInsertionPointToStart(guard.thenBlock());
  }
  if (byChunks || widens)
    copyChunks(kernel, e, type, buffer(), source, chosen);
  else
    copyElements(kernel, e, type, buffer(), source);
  if (guard)
    e.builder.setInsertionPointAfter(guard);
  return mlir::failure(hasFailed);
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
    if (failed(copyByThreads(kernel, e, rewriter, op, adaptor.getIndices(), adaptor.getLimit(), adaptor.getPredicate(), slot)))
      return mlir::failure();
    if (op.getVia() != "plain")
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
    if (*op.getPending() != tile::kAnyPending)
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
