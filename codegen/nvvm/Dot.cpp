// Matrix products by mma.sync.m16n8k16, and of 8-bit floats by m16n8k32.
//
// For each k16 step the left operand of the warp's 16-row slabs is at hand (registers of an `lhs` fragment, or one
// ldmatrix.x4 a slab), then each ldmatrix.x4 of the right operand brings two 8-column tiles and serves every slab. Lanes of
// one ldmatrix.x4, matrices in brackets as (rows, columns) of the stored buffer:
//   left              [0-7, k 0-7] [8-15, k 0-7] [0-7, k 8-15] [8-15, k 8-15]       MatrixRowsOfWarp
//   right, N x K      [n 0-7, k 0-7] [n 0-7, k 8-15] [n 8-15, k 0-7] [n 8-15, k 8-15]  MatrixColumns
//   right, K x N      [k 0-7, n 0-7] [k 8-15, n 0-7] [k 0-7, n 8-15] [k 8-15, n 8-15]  MatrixRows, transposed on load
//
// 8-bit floats are multiplied where the depth lies along the rows of both operands (N x K): a pair of them then lies, and comes
// in registers, as one number of 16 bits does, so a step of 32 is in every place above one of 16.
#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

using mlir::Value;

namespace {
class DotPattern : public TilePattern<tile::DotOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    auto right = mlir::dyn_cast<tile::BufferType>(op.getRhs().getType());
    auto left = mlir::dyn_cast<tile::FragType>(op.getLhs().getType());
    if (!right || (left && !mlir::isa<tile::LhsAttr>(left.getLayout())))
      return op.emitOpError("expects its left operand in a buffer or in layout `lhs` and its right one in a buffer");
    mlir::Type element = right.getElementType();
    if (element.isF32() || element.isF64())
      return mlir::failure(); // DotTf32.cpp's and DotDouble.cpp's
    bool areFloat8 = isFloat8(element) && op.getTrans();
    if (!isSmallFloat(element) && !areFloat8)
      return op.emitOpError("multiplies ") << element << ", which mma.sync lowering does not cover";
    Emitter e = emitter(rewriter, op);
    Fragment result = fragmentOf(op.getResult().getType());
    int depth = static_cast<int>(op.getTrans() ? right.getShape()[1] : right.getShape()[0]);
    llvm::SmallVector<Value> sum(adaptor.getAcc());
    for (int step = 0; step < depth / (areFloat8 ? 32 : 16); ++step) {
      llvm::SmallVector<llvm::SmallVector<Value>> slabs;
      for (int slab = 0; slab < result.slabCount(); ++slab)
        slabs.push_back(leftRegisters(e, op, adaptor, slab, step));
      for (int tile = 0; tile < result.columnTileCount(); tile += 2)
        multiply(e, op, adaptor, result, element, slabs, step, tile, sum);
    }
    rewriter.replaceOpWithMultiple(op, {sum});
    return mlir::success();
  }

private:
  llvm::SmallVector<Value> leftRegisters(Emitter &e, tile::DotOp op, Adaptor adaptor, int slab, int step) const {
    if (auto type = mlir::dyn_cast<tile::FragType>(op.getLhs().getType())) {
      int first = fragmentOf(type).registerOf(slab, 2 * step, 0, 0);
      auto registers = adaptor.getLhs().slice(first, 4);
      return {registers.begin(), registers.end()};
    }
    auto type = mlir::cast<tile::BufferType>(op.getLhs().getType());
    int row = 16 * static_cast<int>(kernel.rowWarps()) * slab;
    Value pointer = kernel.sharedPointer(e, type, adaptor.getLhs().front(), LanePattern::MatrixRowsOfWarp, row, 2 * step);
    return e.ldmatrix(pointer, 4, /*transposed=*/false);
  }

  /// Registers of the right operand for column tiles `tile` and, if there is one, `tile` + 1: two a tile.
  llvm::SmallVector<Value> rightRegisters(Emitter &e, tile::DotOp op, Adaptor adaptor, int step, int tile, int count) const {
    auto type = mlir::cast<tile::BufferType>(op.getRhs().getType());
    int columns = fragmentOf(op.getResult().getType()).columnsOfPart();
    Value buffer = op.getTrans() ? kernel.atRowsOfPart(e, type, adaptor.getRhs().front(), columns)
                                 : kernel.atColumnsOfPart(e, type, adaptor.getRhs().front(), columns);
    Value pointer = op.getTrans() ? kernel.sharedPointer(e, type, buffer, LanePattern::MatrixColumns, 8 * tile, 2 * step)
                                  : kernel.sharedPointer(e, type, buffer, LanePattern::MatrixRows, 16 * step, tile);
    return e.ldmatrix(pointer, 2 * count, /*transposed=*/!op.getTrans());
  }

  void multiply(Emitter &e, tile::DotOp op, Adaptor adaptor, const Fragment &result, mlir::Type element,
                llvm::ArrayRef<llvm::SmallVector<Value>> slabs, int step, int tile, llvm::SmallVectorImpl<Value> &sum) const {
    int count = tile + 1 < result.columnTileCount() ? 2 : 1;
    llvm::SmallVector<Value> right = rightRegisters(e, op, adaptor, step, tile, count);
    for (int part = 0; part < count; ++part)
      for (int slab = 0; slab < result.slabCount(); ++slab) {
        int first = result.registerOf(slab, tile + part, 0, 0);
        llvm::ArrayRef<Value> accumulator = llvm::ArrayRef<Value>(sum).slice(first, 4);
        auto columns = llvm::ArrayRef<Value>(right).slice(2 * part, 2);
        auto product = isFloat8(element) ? e.mmaFloat8(mlir::cast<tile::BufferType>(op.getLhs().getType()).getElementType(), element, slabs[slab], columns, accumulator)
                                         : e.mma(element, slabs[slab], columns, accumulator);
        std::copy(product.begin(), product.end(), sum.begin() + first);
      }
  }
};
} // namespace

void populateMmaSyncPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DotPattern>(converter, kernel);
  populateTf32Patterns(kernel, converter, patterns);
  populateDoublePatterns(kernel, converter, patterns);
}

} // namespace attn::codegen
