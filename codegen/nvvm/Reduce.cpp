// Reductions along columns, and the end of a softmax. A row's columns lie in the registers of four lanes: registers are
// combined first, in their order, then the lanes at xor distances 1 and 2, then the parts that columns are cut into.
#include "codegen/nvvm/RowReduction.h"

#include "codegen/nvvm/MathAlgorithms.h"
#include "codegen/nvvm/Patterns.h"
#include "ir/tile/PartOps.h"
#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

static Value combine(Emitter &e, tile::ReduceKind kind, Value a, Value b) {
  bool isFloat = mlir::isa<mlir::FloatType>(a.getType());
  switch (kind) {
  case tile::ReduceKind::add:
    return isFloat ? e.fadd(a, b) : e.iadd(a, b);
  case tile::ReduceKind::max:
    return isFloat ? e.fmax(a, b) : e.smax(a, b);
  case tile::ReduceKind::min:
    return isFloat ? e.fmin(a, b) : e.smin(a, b);
  }
  llvm_unreachable("three kinds");
}

llvm::SmallVector<Value> reduceRegisters(Emitter &e, tile::ReduceKind kind, const Fragment &input, mlir::ValueRange registers) {
  llvm::SmallVector<Value> rows(input.rowSlots());
  for (int index = 0; index < input.registers(); ++index) {
    int slab = index / (4 * input.columnTileCount()), half = index / 2 % 2;
    Value &row = rows[2 * slab + half];
    row = row ? combine(e, kind, row, registers[index]) : registers[index];
  }
  return rows;
}

Value reduceQuad(Emitter &e, tile::ReduceKind kind, Value value) {
  for (int distance : Fragment::rowReduction)
    value = combine(e, kind, value, e.shuffleXor(value, distance));
  return value;
}

namespace {
class ReducePattern : public TilePattern<tile::ReduceOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ReduceOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    auto input = op.getInput().getType();
    if (!mlir::isa<tile::AccAttr>(input.getLayout()) || isSmallFloat(input.getElementType()))
      return op.emitOpError("reduces elements of 32 and 64 bits in layout `acc`, but got ") << input;
    bool partial = mlir::isa<tile::RowPartialAttr>(op.getResult().getType().getLayout());
    if (!partial && tile::partsOf(input.getLayout()) > 1)
      return op.emitOpError("of columns in parts gives what each part holds, but got ") << op.getResult().getType();
    Emitter e = emitter(rewriter, op);
    llvm::SmallVector<Value> rows = reduceRegisters(e, op.getKind(), fragmentOf(input), adaptor.getInput());
    for (auto [row, init] : llvm::zip(rows, adaptor.getInit())) {
      if (!partial)
        row = reduceQuad(e, op.getKind(), row);
      row = combine(e, op.getKind(), init, row);
    }
    rewriter.replaceOpWithMultiple(op, {rows});
    return mlir::success();
  }
};

/// Over the quad by shuffles, over parts through the scratch, where part p's values of rows are row p.
class CombinePattern : public TilePattern<tile::CombineOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::CombineOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getInput().getType());
    if (fragment.partCount() != static_cast<int>(kernel.parts()) || !fragment.fillsAllWarps())
      return op.emitOpError("expects rows for all warps of the kernel's parts, but got ") << op.getInput().getType();
    llvm::SmallVector<Value> rows(adaptor.getInput());
    for (Value &row : rows)
      row = reduceQuad(e, op.getKind(), row);
    if (fragment.partCount() > 1)
      exchange(e, op, fragment, adaptor.getScratch().front(), rows);
    rewriter.replaceOpWithMultiple(op, {rows});
    return mlir::success();
  }

private:
  void exchange(Emitter &e, tile::CombineOp op, const Fragment &fragment, Value scratch, llvm::MutableArrayRef<Value> rows) const {
    tile::BufferType type = op.getScratch().getType();
    auto place = [&](Value part, int slot) {
      ThreadForm form = fragment.rowOf(slot);
      Value row = e.iadd(kernel.threadPart(form), e.i32(form.constant));
      return kernel.sharedPointer(e, e.iadd(kernel.elementOffset(e, type, {part, row}), scratch));
    };
    {
      Value speaks = e.ieq(kernel.quadLane(), e.i32(0));
      auto guard = mlir::scf::IfOp::create(e.builder, e.location, speaks, /*withElseRegion=*/false);
      mlir::OpBuilder::InsertionGuard restore(e.builder);
      e.builder.setInsertionPointToStart(guard.thenBlock());
      for (auto [slot, row] : llvm::enumerate(rows))
        e.store(row, place(kernel.part(), static_cast<int>(slot)), 4);
    }
    if (kernel.hasRoles())
      e.syncNamedBarrier(e.i32(roleBarrier(kernel.range().role)), kernel.threads());
    else
      e.barrier();
    for (auto [slot, row] : llvm::enumerate(rows))
      for (unsigned part = 0; part < kernel.parts(); ++part) {
        Value other = e.load(e.f32Type(), place(e.i32(part), static_cast<int>(slot)), 4);
        row = part == 0 ? other : combine(e, op.getKind(), row, other);
      }
  }
};

/// A thread's registers in two halves, of which its part finishes one:
///
///     store the half that the other finishes;  meet;  load the other's summands of mine, add, store the sums there;  meet;  load
///
/// Part p's row of the scratch has the half that part p does not finish: 16 bytes a thread, one after another. It is the thread
/// with these places in the other part that reads and writes them in between.
class AddPartsPattern : public TilePattern<tile::AddPartsOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::AddPartsOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    mlir::ValueRange input = adaptor.getInput();
    std::size_t half = input.size() / 2;
    if (kernel.parts() != 2 || !kernel.hasRoles() || half % kWords != 0 || !fragmentOf(op.getInput().getType()).fillsAllWarps())
      return op.emitOpError("expects a multiple of 64 rows and 16 columns of two parts in a role, but got ") << op.getInput().getType();
    Emitter e = emitter(rewriter, op);
    Value isFirst = isOfFirstPart(), offset = adaptor.getScratch().front();
    Value own = place(e, op, offset, kernel.part()), others = place(e, op, offset, e.isub(e.i32(1), kernel.part()));
    llvm::SmallVector<Value> given, sums;
    for (std::size_t i = 0; i < half; ++i)
      given.push_back(e.select(isFirst, input[i], input[half + i]));
    store(e, given, own);
    meet(e);
    for (auto [i, summand] : llvm::enumerate(load(e, half, others)))
      sums.push_back(e.fadd(e.select(isFirst, input[half + i], input[i]), summand));
    store(e, sums, others);
    meet(e);
    llvm::SmallVector<Value> finished = load(e, half, own), results(input.size());
    for (std::size_t i = 0; i < half; ++i) {
      results[i] = e.select(isFirst, finished[i], sums[i]);
      results[half + i] = e.select(isFirst, sums[i], finished[i]);
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return mlir::success();
  }

private:
  static constexpr int kWords = 4; ///< of an access

  Value isOfFirstPart() const {
    Value part = kernel.part();
    return kernel.atEntry("is of first part", [&](Emitter &entry) { return entry.ieq(part, entry.i32(0)); });
  }
  std::int64_t stride() const { return 4 * kWords * static_cast<std::int64_t>(kernel.threads()) / 2; } ///< bytes between a thread's accesses
  Value place(Emitter &e, tile::AddPartsOp op, Value offset, Value part) const {
    std::int64_t bytes = 4 * op.getScratch().getType().getShape()[1], threads = kernel.threads() / 2;
    Value thread = e.urem(kernel.thread(), e.i32(threads));
    return kernel.sharedPointer(e, e.iadd(e.iadd(e.imul(part, e.i32(bytes)), e.imul(thread, e.i32(4 * kWords))), offset));
  }
  void store(Emitter &e, llvm::ArrayRef<Value> numbers, Value pointer) const {
    for (std::size_t i = 0; i < numbers.size(); i += kWords) {
      llvm::SmallVector<Value> words;
      for (Value number : numbers.slice(i, kWords))
        words.push_back(e.asInt(number));
      e.storeWords(words, e.offset(pointer, static_cast<std::int64_t>(i / kWords) * stride()));
    }
  }
  llvm::SmallVector<Value> load(Emitter &e, std::size_t count, Value pointer) const {
    llvm::SmallVector<Value> numbers;
    for (std::size_t i = 0; i < count; i += kWords)
      for (Value word : e.loadWords(e.offset(pointer, static_cast<std::int64_t>(i / kWords) * stride()), kWords))
        numbers.push_back(e.asFloat(word));
    return numbers;
  }
  void meet(Emitter &e) const { e.syncNamedBarrier(e.i32(roleBarrier(kernel.range().role)), kernel.threads()); }
};

class FinishPattern : public TilePattern<tile::FinishOp> {
public:
  using TilePattern::TilePattern;

  /// inverse = l = 0 ? 0 : 1/l;  lse = l = 0 ? -inf : m·c·ln 2 + ln l
  mlir::LogicalResult matchAndRewrite(tile::FinishOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (mlir::isa<tile::RowPartialAttr>(op.getRowSum().getType().getLayout()))
      return op.emitOpError("expects whole row sums, but got ") << op.getRowSum().getType();
    Emitter e = emitter(rewriter, op);
    mlir::Type type = adaptor.getScale().front().getType();
    Value factor = e.fmul(adaptor.getScale().front(), e.real(type, math::kLn2)), zero = e.real(type, 0.0);
    llvm::SmallVector<Value> inverse, lse;
    for (auto [maximum, sum] : llvm::zip(adaptor.getRowMax(), adaptor.getRowSum())) {
      Value empty = e.feq(sum, zero);
      inverse.push_back(e.select(empty, zero, e.fdiv(e.real(type, 1.0), sum)));
      Value logarithm = type.isF64() ? math::logExact(e, sum) : math::log(e, sum);
      lse.push_back(e.select(empty, e.real(type, -math::kInfinity), e.fma(maximum, factor, logarithm)));
    }
    rewriter.replaceOpWithMultiple(op, llvm::ArrayRef<llvm::SmallVector<Value>>{inverse, lse});
    return mlir::success();
  }
};
} // namespace

void populateReducePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<ReducePattern, CombinePattern, AddPartsPattern, FinishPattern>(converter, kernel);
}

} // namespace attn::codegen
