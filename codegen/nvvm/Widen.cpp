// Rows of 8-bit floats in one buffer to 16-bit ones in another: a chunk of 16 bytes a thread at a time becomes two. Threads
// lie along a row's chunks first, `lanesPerRow` of them (a power of two), then down the rows, as in AsyncCopy.cpp.
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RingEntry.h"
#include "codegen/nvvm/TurnValues.h"

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
      int column = pass * lanesPerRow * kNumbers;
      Value words[4];
      for (int part : {0, 1})
        for (auto [i, word] : llvm::enumerate(e.loadWords(place(from, source, first, column, part), 2)))
          words[2 * part + static_cast<int>(i)] = word;
      bool isWhole = kernel.convertsFloat8() && to.getElementType().isF16();
      for (int part : {0, 1})
        store(words, first, column, part, [&](Value word, int half) {
          return isWhole ? e.convertFloat8(from.getElementType(), word, half)
                         : e.widenFiniteFloat8(from.getElementType(), to.getElementType(), word, half);
        });
      if (!isWhole && !(mlir::isa<mlir::Float8E5M2Type>(from.getElementType()) && to.getElementType().isF16()))
        storeNotFinite(words, first, column);
    }
  }

  template <class Widen> void store(llvm::ArrayRef<Value> words, int first, int column, int part, Widen widen) {
    llvm::SmallVector<Value> wide;
    for (int word : {2 * part, 2 * part + 1})
      for (int half : {0, 1})
        wide.push_back(widen(words[word], half));
    e.storeWords(wide, place(to, target, first, column, part));
  }

  /// What is not finite is rare: a chunk with such a number is written again, as a whole.
  void storeNotFinite(llvm::ArrayRef<Value> words, int first, int column) {
    Value found;
    for (Value word : words) {
      Value of = e.notFiniteFloat8(from.getElementType(), word);
      found = found ? e.ior(found, of) : of;
    }
    auto branch = mlir::scf::IfOp::create(e.builder, e.location, e.icmp(Compare::Ne, found, e.i32(0)), /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(branch.thenBlock());
    for (int part : {0, 1})
      store(words, first, column, part, [&](Value word, int half) {
        return e.widenFloat8(from.getElementType(), to.getElementType(), word, half);
      });
  }

  /// The half of its chunk that a thread takes first. Where a row of results fills all banks twice, the threads of its second
  /// half and those of every other row begin with the upper one: then neither reads nor writes meet in a bank.
  Value firstHalf(Emitter &entry) {
    if (lanesPerRow % 8 != 0)
      return entry.i32(0);
    return entry.iand(entry.ixor(entry.lshr(chunk, entry.i32(2)), row), entry.i32(1));
  }

  /// Address of the 8 numbers that a thread takes as its part `part` of the chunk whose first column is `column` for chunk 0, in row
  /// `first` + row. If passes keep row % 8, only a constant separates them.
  Value place(tile::BufferType type, Value buffer, int first, int column, int part) {
    bool isConstant = rowsPerPass % 8 == 0;
    std::int64_t elementBytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes;
    std::string key = fmt::format("widen place {} {} {} {} {} {} {} {}", elementBytes, type.getSmem().getSwizzle(), pitch,
                                  type.getShape()[0], lanesPerRow, isConstant ? 0 : first, column, part);
    Value base = kernel.atEntry(key, [&](Emitter &entry) {
      Value half = entry.ixor(firstHalf(entry), entry.i32(part));
      Value element = entry.iadd(entry.iadd(entry.imul(chunk, entry.i32(kNumbers)), entry.i32(column)),
                                 entry.imul(half, entry.i32(kNumbers / 2)));
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
    if (isTurned(source, ring.getBufferType()))
      turnValues(kernel, e, source, adaptor.getSource().front(), ring.getBufferType(), target);
    else
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
