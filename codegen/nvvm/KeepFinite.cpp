// Looks through a buffer of floats of 16 to 64 bits for what is not finite, 16 bytes a thread at a time, and takes it out if there is any.
//
//     if (rows < all) { each thread: rows from there on of its part := 0;  fence, barrier }
//     each thread: t = 0 · Σ x over its part, or Σ 0 · x          NaN if and only if something is not finite
//     found = barrier that or-reduces "t is NaN"
//     if (found) { each thread: x := finite ? x : 0 in its part;  fence, barrier }
//
// Two words of bf16 are looked at by one product: t = 0 · Σ x · y. Where that overflows though both are finite, beyond 2^64, the
// buffer is cleaned of nothing, which is slow but right. Products of f16 would leave their range too often.
//
// A buffer of 8-bit floats has been turned (TurnValues.cpp): its rows are channels, and `rows` counts its columns.
//
// Where columns lie does not matter, but what a pitch leaves between rows is no element. Where threads have roles the
// reads are fenced as well: the next copy into the slot is made by another proxy (PTX ISA, "Async proxy").
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

namespace {
constexpr int kBytes = 16, kWords = kBytes / 4;

class KeepFinitePattern : public TilePattern<tile::KeepFiniteOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::KeepFiniteOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    auto type = mlir::dyn_cast<tile::BufferType>(op.getInput().getType());
    if (!type)
      return op.emitOpError("is lowered on buffers only");
    Emitter e = emitter(rewriter, op);
    Value buffer = adaptor.getInput().front();
    if (!adaptor.getRows().empty() && isFloat8(type.getElementType()))
      clearKeysFrom(e, type, buffer, adaptor.getRows().front());
    else if (!adaptor.getRows().empty())
      clearFrom(e, type, buffer, adaptor.getRows().front());
    auto looked = mlir::scf::IfOp::create(rewriter, op.getLoc(), mlir::TypeRange{e.i1Type()}, adaptor.getPredicate().front(),
                                          /*withElseRegion=*/true);
    {
      mlir::OpBuilder::InsertionGuard restore(rewriter);
      rewriter.setInsertionPointToStart(looked.thenBlock());
      Value found = look(e, type, buffer);
      auto dirty = mlir::scf::IfOp::create(rewriter, op.getLoc(), found, /*withElseRegion=*/false);
      {
        mlir::OpBuilder::InsertionGuard inner(rewriter);
        rewriter.setInsertionPointToStart(dirty.thenBlock());
        clean(e, type, buffer);
      }
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), found);
      rewriter.setInsertionPointToStart(looked.elseBlock());
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), e.boolean(false));
    }
    rewriter.replaceOp(op, looked.getResult(0));
    return mlir::success();
  }

private:
  static std::int64_t rowBytes(tile::BufferType type) { return type.getShape()[1] * type.getElementType().getIntOrFloatBitWidth() / 8; }
  static std::int64_t chunksOf(tile::BufferType type) { return type.getShape()[0] * rowBytes(type) / kBytes; }

  /// Where 16 bytes of elements stand, counted without what lies between rows.
  Value pointerTo(Emitter &e, tile::BufferType type, Value buffer, Value chunk) const {
    std::int64_t elementBytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes;
    std::int64_t inRow = rowBytes(type) / kBytes;
    Value bytes = e.imul(chunk, e.i32(kBytes));
    if (type.getSmem().getSwizzle() == 0 && inRow * kBytes != pitch) {
      Value row = e.udiv(chunk, e.i32(inRow));
      bytes = e.iadd(bytes, e.imul(row, e.i32(pitch - inRow * kBytes)));
    }
    return kernel.sharedPointer(e, e.iadd(buffer, bytes));
  }

  /// Whether any thread's part holds something that is not finite. A thread without a part looks at the last one again.
  Value look(Emitter &e, tile::BufferType type, Value buffer) const {
    std::int64_t chunks = chunksOf(type);
    Value sums[2]; // two chains
    for (std::int64_t begin = 0; begin < chunks; begin += kernel.threads()) {
      Value chunk = e.iadd(kernel.thread(), e.i32(begin));
      if (begin + kernel.threads() > chunks)
        chunk = e.umin(chunk, e.i32(chunks - 1));
      Value pointer = pointerTo(e, type, buffer, chunk);
      if (type.getElementType().isF64()) {
        for (auto [sum, number] : llvm::zip(sums, e.loadDoubles(pointer)))
          sum = e.fma(number, e.f64(0.0), sum ? sum : e.f64(0.0));
        continue;
      }
      llvm::SmallVector<Value> words(e.loadWords(pointer, kWords));
      if (type.getElementType().isBF16()) {
        for (int i = 0; i < 2; ++i)
          sums[i] = e.fmaPacked(type.getElementType(), words[2 * i], words[2 * i + 1], sums[i] ? sums[i] : e.i32(0));
        continue;
      }
      for (auto [i, word] : llvm::enumerate(words)) {
        Value &sum = sums[i % 2];
        if (isFloat8(type.getElementType())) { // bits of bytes that are not finite
          Value bits = e.notFiniteFloat8(type.getElementType(), word);
          sum = sum ? e.ior(sum, bits) : bits;
          continue;
        }
        if (type.getElementType().isF32())
          sum = e.fma(e.asFloat(word), e.f32(0.0), sum ? sum : e.f32(0.0));
        else
          sum = e.fmaPacked(type.getElementType(), word, e.i32(0), sum ? sum : e.i32(0));
      }
    }
    if (kernel.hasRoles())
      e.fenceAsyncShared();
    Value found = anyNan(e, type, joined(e, type.getElementType(), sums[0], sums[1]));
    Value number = e.i32(kernel.hasRoles() ? roleBarrier(kernel.range().role) : 0);
    return e.anyAtNamedBarrier(number, kernel.threads(), found);
  }

  /// One of two chains.
  static Value joined(Emitter &e, mlir::Type element, Value a, Value b) {
    if (isFloat8(element))
      return e.ior(a, b);
    if (element.isF32() || element.isF64())
      return e.fma(a, element.isF64() ? e.f64(0.0) : e.f32(0.0), b);
    if (element.isBF16()) // infinities are none yet
      b = e.fmaPacked(element, b, e.i32(0), e.i32(0));
    return e.fmaPacked(element, a, e.i32(0), b);
  }

  static Value anyNan(Emitter &e, tile::BufferType type, Value packed) {
    if (isFloat8(type.getElementType()))
      return e.icmp(Compare::Ne, packed, e.i32(0));
    if (type.getElementType().isF32() || type.getElementType().isF64())
      return e.unordered(packed, packed);
    Value low = e.unpack(type.getElementType(), packed, 0), high = e.unpack(type.getElementType(), packed, 1);
    return e.unordered(low, high);
  }

  /// The row of a chunk: panels of a swizzle follow each other whole.
  static Value rowOf(Emitter &e, tile::BufferType type, Value chunk) {
    std::int64_t swizzle = type.getSmem().getSwizzle();
    if (swizzle == 0)
      return e.udiv(chunk, e.i32(rowBytes(type) / kBytes));
    Value row = e.udiv(chunk, e.i32(swizzle / kBytes));
    return swizzle == rowBytes(type) ? row : e.urem(row, e.i32(type.getShape()[0]));
  }

  void clearFrom(Emitter &e, tile::BufferType type, Value buffer, Value rows) const {
    mlir::OpBuilder &builder = e.builder;
    Value some = e.icmp(Compare::Lt, rows, e.i32(type.getShape()[0]));
    auto guard = mlir::scf::IfOp::create(builder, e.location, some, /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard restore(builder);
    builder.setInsertionPointToStart(guard.thenBlock());
    forChunks(e, type, [&](Value chunk) {
      Value hidden = e.icmp(Compare::Ge, rowOf(e, type, chunk), rows);
      auto store = mlir::scf::IfOp::create(builder, e.location, hidden, /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(store.thenBlock());
      e.storeWords(llvm::SmallVector<Value>(kWords, e.i32(0)), pointerTo(e, type, buffer, chunk));
    });
    meet(e);
  }

  /// The same of turned rows: what stands for keys from `keys` on, in the order of TurnValues.cpp.
  void clearKeysFrom(Emitter &e, tile::BufferType type, Value buffer, Value keys) const {
    mlir::OpBuilder &builder = e.builder;
    Value some = e.icmp(Compare::Lt, keys, e.i32(type.getShape()[1]));
    auto guard = mlir::scf::IfOp::create(builder, e.location, some, /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard restore(builder);
    builder.setInsertionPointToStart(guard.thenBlock());
    std::int64_t inRow = type.getShape()[1] / kBytes;
    forChunks(e, type, [&](Value number) { // of 16 keys of a channel
      Value first = e.imul(e.urem(number, e.i32(inRow)), e.i32(kBytes)), channel = e.udiv(number, e.i32(inRow));
      Value pointer = kernel.sharedPointer(e, e.iadd(buffer, kernel.elementOffset(e, type, {channel, first})));
      llvm::SmallVector<Value> words = e.loadWords(pointer, kWords);
      for (auto [word, value] : llvm::enumerate(words)) {
        Value mask = e.i32(0);
        for (int place = 0; place < 4; ++place) {
          Value key = e.iadd(first, e.i32(8 * (place / 2) + 2 * static_cast<int>(word) + place % 2));
          mask = e.ior(mask, e.select(e.icmp(Compare::Lt, key, keys), e.i32(std::int64_t(0xff) << (8 * place)), e.i32(0)));
        }
        value = e.iand(value, mask);
      }
      e.storeWords(words, pointer);
    });
    meet(e);
  }

  /// Calls `emit` in a loop over the thread's chunks, each of which is one thread's alone. All threads go round it as often:
  /// ptxas keeps what is uniform in uniform registers only where it sees that warps do not part.
  void forChunks(Emitter &e, tile::BufferType type, llvm::function_ref<void(Value)> emit) const {
    std::int64_t chunks = chunksOf(type);
    auto loop = mlir::scf::ForOp::create(e.builder, e.location, e.i32(0), e.i32(chunks), e.i32(kernel.threads()));
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(loop.getBody());
    Value chunk = e.iadd(kernel.thread(), loop.getInductionVar());
    if (chunks % kernel.threads() == 0)
      return emit(chunk);
    auto own = mlir::scf::IfOp::create(e.builder, e.location, e.icmp(Compare::Lt, chunk, e.i32(chunks)), /*withElseRegion=*/false);
    e.builder.setInsertionPointToStart(own.thenBlock());
    emit(chunk);
  }

  /// What threads have written is there for all of them, and for tensor cores.
  void meet(Emitter &e) const {
    if (!kernel.hasRoles())
      return e.barrier();
    e.fenceAsyncShared();
    e.syncNamedBarrier(e.i32(roleBarrier(kernel.range().role)), kernel.threads());
  }

  void clean(Emitter &e, tile::BufferType type, Value buffer) const {
    forChunks(e, type, [&](Value chunk) {
      Value pointer = pointerTo(e, type, buffer, chunk);
      llvm::SmallVector<Value> words = e.loadWords(pointer, kWords);
      if (type.getElementType().isF64())
        keepFiniteDoubles(e, words);
      else if (isFloat8(type.getElementType()))
        for (Value &word : words) // 0x80 of a byte that is not finite, to all of its bits
          word = e.iand(word, e.ixor(e.imul(e.lshr(e.notFiniteFloat8(type.getElementType(), word), e.i32(7)), e.i32(0xff)), e.i32(-1)));
      else
        for (Value &word : words)
          word = finiteOnly(e, type.getElementType(), word);
      e.storeWords(words, pointer);
    });
    meet(e);
  }

  /// Low and high words of numbers, both 0 where all bits of the exponent are set.
  static void keepFiniteDoubles(Emitter &e, llvm::MutableArrayRef<Value> words) {
    Value mask = e.i32(0x7ff00000);
    for (std::size_t low = 0; low < words.size(); low += 2) {
      Value isFinite = e.icmp(Compare::Ne, e.iand(words[low + 1], mask), mask);
      for (Value &word : words.slice(low, 2))
        word = e.select(isFinite, word, e.i32(0));
    }
  }

  /// The number, or both halves, 0 where all bits of the exponent are set.
  static Value finiteOnly(Emitter &e, mlir::Type element, Value word) {
    if (element.isF32()) {
      Value mask = e.i32(0x7f800000);
      return e.select(e.icmp(Compare::Ne, e.iand(word, mask), mask), word, e.i32(0));
    }
    std::int64_t exponent = element.isF16() ? 0x7c00 : 0x7f80;
    for (int shift : {0, 16}) {
      Value mask = e.i32(exponent << shift);
      Value isFinite = e.icmp(Compare::Ne, e.iand(word, mask), mask);
      word = e.select(isFinite, word, e.iand(word, e.i32(std::int64_t(0xffff) << (16 - shift))));
    }
    return word;
  }
};
} // namespace

void populateKeepFinitePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<KeepFinitePattern>(converter, kernel);
}

} // namespace attn::codegen
