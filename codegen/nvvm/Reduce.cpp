// Reductions along columns, and the end of a softmax. A row's columns lie in the registers of four lanes: registers are
// combined first, in their order, then the lanes at xor distances 1 and 2.
#include "codegen/nvvm/RowReduction.h"

#include "codegen/nvvm/MathAlgorithms.h"
#include "codegen/nvvm/Patterns.h"

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
      return op.emitOpError("reduces 32-bit elements in layout `acc`, but got ") << input;
    bool partial = mlir::isa<tile::RowPartialAttr>(op.getResult().getType().getLayout());
    if (partial && op.getKind() != tile::ReduceKind::add)
      return op.emitOpError("only sums have a layout of four summands");
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

class FinishPattern : public TilePattern<tile::FinishOp> {
public:
  using TilePattern::TilePattern;

  /// inverse = l = 0 ? 0 : 1/l;  lse = l = 0 ? -inf : m·c·ln 2 + ln l
  mlir::LogicalResult matchAndRewrite(tile::FinishOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (mlir::isa<tile::RowPartialAttr>(op.getRowSum().getType().getLayout()))
      return op.emitOpError("expects whole row sums, but got ") << op.getRowSum().getType();
    Emitter e = emitter(rewriter, op);
    Value factor = e.fmul(adaptor.getScale().front(), e.f32(math::kLn2));
    llvm::SmallVector<Value> inverse, lse;
    for (auto [maximum, sum] : llvm::zip(adaptor.getRowMax(), adaptor.getRowSum())) {
      Value empty = e.feq(sum, e.f32(0.0));
      inverse.push_back(e.select(empty, e.f32(0.0), e.fdiv(e.f32(1.0), sum)));
      lse.push_back(e.select(empty, e.f32(-math::kInfinity), e.fma(maximum, factor, math::log(e, sum))));
    }
    rewriter.replaceOpWithMultiple(op, llvm::ArrayRef<llvm::SmallVector<Value>>{inverse, lse});
    return mlir::success();
  }
};
} // namespace

void populateReducePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<ReducePattern, FinishPattern>(converter, kernel);
}

} // namespace attn::codegen
