// Reductions along columns, and the end of a softmax. A row's columns lie in the registers of four lanes: registers are
// combined first, in their order, then the lanes at xor distances 1 and 2, then the parts that columns are cut into.
#include "codegen/nvvm/RowReduction.h"

#include "codegen/nvvm/MathAlgorithms.h"
#include "codegen/nvvm/Patterns.h"
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
  patterns.add<ReducePattern, CombinePattern, FinishPattern>(converter, kernel);
}

} // namespace attn::codegen
