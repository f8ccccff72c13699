// One step of online softmax on accumulator registers, or of softmax above a constant.
//
// With c the scale and z = m1·c, each probability is one fma and one ex2: 2^(x·c - z). A row that has seen no key has
// m1 = -inf; its z is 0, so that its scores, all -inf, give 2^-inf = 0 and not NaN, without a test an element.
#include "codegen/nvvm/MathDouble.h"
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RowReduction.h"
#include "ir/tile/SoftmaxOps.h"

namespace attn::codegen {

using mlir::Value;

static Value power(Emitter &e, Value exponent) {
  return exponent.getType().isF64() ? math::exp2OfWeight(e, exponent) : e.ex2(exponent);
}

/// 2^(x·scale + offset), of `emulated` in a hundred on the FMA units; an offset a row slot.
static llvm::SmallVector<Value> exponentials(Emitter &e, const Fragment &fragment, mlir::ValueRange scores, Value scale,
                                             llvm::ArrayRef<Value> offsets, int emulated) {
  int owed = 0;
  llvm::SmallVector<Value> probs;
  for (int index = 0; index < fragment.registers(); ++index) {
    int slab = index / (4 * fragment.columnTileCount()), half = index / 2 % 2;
    Value exponent = e.fma(scores[index], scale, offsets[2 * slab + half]);
    owed += emulated;
    probs.push_back(owed >= 100 && exponent.getType().isF32() ? math::exp2OnFma(e, exponent) : power(e, exponent));
    owed %= 100;
  }
  return probs;
}

namespace {
/// A row's state within the step.
struct RowStep {
  Value rowMax, alpha, negatedOffset; ///< m1, 2^(m0·c - z), -z (+ offset of the exponents)
};

class SoftmaxStepPattern : public TilePattern<tile::SoftmaxStepOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::SoftmaxStepOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!mlir::isa<tile::AccAttr>(op.getScores().getType().getLayout()))
      return op.emitOpError("expects scores in layout `acc`, but got ") << op.getScores().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getScores().getType());
    Value scale = adaptor.getScale().front();
    bool partialSums = mlir::isa<tile::RowPartialAttr>(op.getRowSum().getType().getLayout());

    llvm::SmallVector<Value> blockMax(adaptor.getBlockMax());
    if (blockMax.empty()) {
      blockMax = reduceRegisters(e, tile::ReduceKind::max, fragment, adaptor.getScores());
      for (Value &value : blockMax)
        value = reduceQuad(e, tile::ReduceKind::max, value);
    }
    llvm::SmallVector<RowStep> rows;
    for (int slot = 0; slot < fragment.rowSlots(); ++slot)
      rows.push_back(advance(e, op, blockMax[slot], adaptor.getRowMax()[slot], scale));

    llvm::SmallVector<Value> offsets;
    for (const RowStep &row : rows)
      offsets.push_back(row.negatedOffset);
    llvm::SmallVector<Value> probs = exponentials(e, fragment, adaptor.getScores(), scale, offsets, static_cast<int>(op.getEmulate().value_or(0)));
    llvm::SmallVector<Value> sums = reduceRegisters(e, tile::ReduceKind::add, fragment, probs);
    llvm::SmallVector<Value> newMax, alphas;
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      Value sum = partialSums ? sums[slot] : reduceQuad(e, tile::ReduceKind::add, sums[slot]);
      sums[slot] = e.fma(adaptor.getRowSum()[slot], rows[slot].alpha, sum);
      newMax.push_back(rows[slot].rowMax);
      alphas.push_back(rows[slot].alpha);
    }
    rewriter.replaceOpWithMultiple(op, llvm::ArrayRef<llvm::SmallVector<Value>>{newMax, sums, alphas, probs});
    return mlir::success();
  }

private:
  static RowStep advance(Emitter &e, tile::SoftmaxStepOp op, Value blockMax, Value oldMax, Value scale) {
    mlir::Type type = oldMax.getType();
    Value minusInfinity = e.real(type, -math::kInfinity);
    Value rowMax = e.fmax(oldMax, blockMax), keeps;
    if (auto lazy = op.getLazy()) {
      // keep the old maximum while exponents stay below 2^lazy; the first visible key always sets it
      Value growth = e.fmul(e.fsub(rowMax, oldMax), scale);
      keeps = e.fcmp(Compare::Le, growth, e.real(type, lazy->convertToDouble()));
      rowMax = e.select(keeps, oldMax, rowMax);
    }
    Value offset = e.select(e.feq(rowMax, minusInfinity), e.real(type, 0.0), e.fmul(rowMax, scale));
    // From products rounded alike, so that it is 1 to the bit where the maximum stays: the rounding of m·c, taken anew in each
    // block, would add up in the sum.
    Value alpha = power(e, e.fsub(e.fmul(oldMax, scale), offset));
    Value negated = e.fneg(offset);
    if (auto shift = op.getOffset())
      negated = e.fadd(negated, e.real(type, shift->convertToDouble()));
    return {rowMax, alpha, negated};
  }
};

class BoundedSoftmaxStepPattern : public TilePattern<tile::BoundedSoftmaxStepOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::BoundedSoftmaxStepOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!mlir::isa<tile::AccAttr>(op.getScores().getType().getLayout()))
      return op.emitOpError("expects scores in layout `acc`, but got ") << op.getScores().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getScores().getType());
    bool partialSums = mlir::isa<tile::RowPartialAttr>(op.getRowSum().getType().getLayout());
    llvm::SmallVector<Value> offsets(fragment.rowSlots(), adaptor.getOffset().front());
    llvm::SmallVector<Value> probs = exponentials(e, fragment, adaptor.getScores(), adaptor.getScale().front(), offsets,
                                                  static_cast<int>(op.getEmulate().value_or(0)));
    llvm::SmallVector<Value> sums = reduceRegisters(e, tile::ReduceKind::add, fragment, probs);
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      Value sum = partialSums ? sums[slot] : reduceQuad(e, tile::ReduceKind::add, sums[slot]);
      sums[slot] = e.fadd(adaptor.getRowSum()[slot], sum);
    }
    rewriter.replaceOpWithMultiple(op, llvm::ArrayRef<llvm::SmallVector<Value>>{sums, probs});
    return mlir::success();
  }
};
} // namespace

void populateSoftmaxPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<SoftmaxStepPattern, BoundedSoftmaxStepPattern>(converter, kernel);
}

} // namespace attn::codegen
