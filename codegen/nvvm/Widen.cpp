// Rows of 8-bit floats in one buffer to 16-bit ones in another: a chunk of 16 bytes a thread at a time becomes two. Threads
// lie along a row's chunks first, `lanesPerRow` of them (a power of two), then down the rows, as in AsyncCopy.cpp.
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RingEntry.h"

#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

namespace {
constexpr int kNumbers = 16; ///< of a chunk of the source

/// One entry.
class Widening {
public:
  Widening(KernelContext &kernel, Emitter &e, tile::BufferType from, Value source, tile::BufferType to, Value target)
      : kernel(kernel), e(e), from(from), to(to), source(source), target(target) {
    int chunks = static_cast<int>(from.getShape()[1]) / kNumbers;
    lanesPerRow = chunks & -chunks; // its largest power of two
    while (lanesPerRow > static_cast<int>(kernel.threads()) || lanesPerRow > 16)
      lanesPerRow /= 2;
    passes = chunks / lanesPerRow;
    rowsPerPass = static_cast<int>(kernel.threads()) / lanesPerRow;
  }

  void emit() {
    int shift = __builtin_ctz(static_cast<unsigned>(lanesPerRow)), rows = static_cast<int>(from.getShape()[0]);
    Value thread = kernel.thread();
    row = kernel.atEntry(fmt::format("copy row {}", shift), [&](Emitter &entry) { return entry.lshr(thread, entry.i32(shift)); });
    chunk = kernel.atEntry(fmt::format("copy chunk {}", shift), [&](Emitter &entry) { return entry.iand(thread, entry.i32(lanesPerRow - 1)); });
    for (int first = 0; first < rows; first += rowsPerPass) {
      if (first + rowsPerPass <= rows) {
        widenRow(first);
        continue;
      }
      Value inside = e.icmp(Compare::Lt, e.iadd(row, e.i32(first)), e.i32(rows));
      auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(guard.thenBlock());
      widenRow(first);
    }
  }

private:
  void widenRow(int first) {
    for (int pass = 0; pass < passes; ++pass) {
      auto words = e.loadWords(place(from, source, first, pass * lanesPerRow * kNumbers, kNumbers), 4);
      for (int part : {0, 1}) {
        llvm::SmallVector<Value> wide;
        for (int word : {2 * part, 2 * part + 1})
          for (int half : {0, 1})
            wide.push_back(e.widenFloat8(from.getElementType(), to.getElementType(), words[word], half));
        e.storeWords(wide, place(to, target, first, pass * lanesPerRow * kNumbers + part * kNumbers / 2, kNumbers));
      }
    }
  }

  /// Address of column `column` + `step` · chunk of row `first` + row. If passes keep row % 8, only a constant separates them.
  Value place(tile::BufferType type, Value buffer, int first, int column, int step) {
    bool isConstant = rowsPerPass % 8 == 0;
    std::int64_t elementBytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes;
    std::string key = fmt::format("widen place {} {} {} {} {} {} {}", elementBytes, type.getSmem().getSwizzle(), pitch, type.getShape()[0],
                                  lanesPerRow, isConstant ? 0 : first, column);
    Value base = kernel.atEntry(key, [&](Emitter &entry) {
      Value element = entry.iadd(entry.imul(chunk, entry.i32(step)), entry.i32(column));
      Value offset = kernel.elementOffset(entry, type, {entry.iadd(row, entry.i32(isConstant ? 0 : first)), element});
      return entry.offset(kernel.sharedBase(), offset);
    });
    std::int64_t bytes = isConstant ? first * pitch : 0;
    if (auto constant = Emitter::constantOf(buffer))
      return e.offset(base, *constant + bytes);
    return e.offset(e.offset(base, buffer), bytes);
  }

  KernelContext &kernel;
  Emitter &e;
  tile::BufferType from, to;
  Value source, target, row, chunk;
  int lanesPerRow, passes, rowsPerPass;
};

class WidenPattern : public TilePattern<tile::WidenOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::WidenOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::RingType ring = op.getRing().getType();
    tile::BufferType source = op.getSource().getType();
    if (source.getShape()[1] % kNumbers != 0)
      return op.emitOpError("widens chunks of 16, of which rows of ") << source << " do not consist";
    std::optional<RingEntry> entry;
    if (kernel.hasRoles())
      entry.emplace(kernel, e, op.getRing(), adaptor.getRing().front(), adaptor.getEntry().front());
    Value target = entry ? entry->buffer(e) : slotOffset(e, ring, adaptor.getRing().front(), adaptor.getEntry().front());
    Widening(kernel, e, source, adaptor.getSource().front(), ring.getBufferType(), target).emit();
    if (entry) {
      e.fenceAsyncShared(); // tensor cores read it
      e.arriveAtBarrier(entry->fullBarrier(e));
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateWidenPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<WidenPattern>(converter, kernel);
}

} // namespace attn::codegen
