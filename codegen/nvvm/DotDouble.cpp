// Matrix products of f64 operands by mma.sync: m16n8k8, where a target has it, else four of m8n8k4, whose lanes hold the same
// elements. Products and sums round as f64 does.
//
// The instruction's operands, an f64 an element (g = lane / 4, t = lane % 4):
//
//   left    row g + 8(r % 2), k = t + 4(r / 2)       right    k = t + 4r, column g
//
// k is in another order here: k = t stands for column 2t of a k8 step, k = t + 4 for column 2t + 1. So an accumulator is a left
// operand as it is, and a row in a buffer, left or stored N x K, comes 16 bytes at a time. Rows of f64 are plain, and their
// pitch keeps the lanes of each access in banks of their own (`operandLayout`): where neighbours in a row are read, two rows
// lie 64 bytes apart modulo the banks; where rows 2t are read, as of values, 32.
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/PlainOperands.h"

#include "ir/tile/TileLayouts.h"

namespace attn::codegen {

using mlir::Value;

namespace {

constexpr int kDepth = 8, kBytes = 8, kChunksOfStep = kDepth * kBytes / 16;

/// The program of one product.
class DoubleDot {
public:
  DoubleDot(KernelContext &kernel, Emitter &e, tile::DotOp op, mlir::ValueRange left, Value right, mlir::ValueRange acc)
      : kernel(kernel), e(e), op(op), left(left), right(right), sum(acc), result(fragmentOf(op.getResult().getType())),
        rightType(mlir::cast<tile::BufferType>(op.getRhs().getType())) {}

  llvm::SmallVector<Value> emit() {
    int steps = static_cast<int>(op.getTrans() ? rightType.getShape()[1] : rightType.getShape()[0]) / kDepth;
    for (int step = 0; step < steps; ++step) {
      llvm::SmallVector<std::array<Value, 4>> slabs;
      for (int slab = 0; slab < result.slabCount(); ++slab)
        slabs.push_back(leftOf(slab, step));
      for (int tile = 0; tile < result.columnTileCount(); ++tile)
        multiply(slabs, op.getTrans() ? rowPair(step, tile) : columnPair(step, tile), tile);
    }
    return std::move(sum);
  }

private:
  void multiply(llvm::ArrayRef<std::array<Value, 4>> slabs, std::array<Value, 2> column, int tile) {
    for (int slab = 0; slab < result.slabCount(); ++slab) {
      int first = result.registerOf(slab, tile, 0, 0);
      auto product = e.mmaDouble(slabs[slab], column, llvm::ArrayRef<Value>(sum).slice(first, 4), kernel.hasTallDoubleProducts());
      std::copy(product.begin(), product.end(), sum.begin() + first);
    }
  }

  std::array<Value, 4> leftOf(int slab, int step) {
    if (auto type = mlir::dyn_cast<tile::FragType>(op.getLhs().getType())) {
      int first = fragmentOf(type).registerOf(slab, step, 0, 0); // (h, c) of the accumulator: 00 01 10 11
      return {left[first], left[first + 2], left[first + 1], left[first + 3]};
    }
    auto type = mlir::cast<tile::BufferType>(op.getLhs().getType());
    int row = 16 * static_cast<int>(kernel.warps()) * slab;
    auto pair = [&](int below) {
      return e.loadDoubles(kernel.sharedPointer(e, type, left.front(), LanePattern::LongPairs, row + below, kChunksOfStep * step));
    };
    auto upper = pair(0), lower = pair(8);
    return {upper[0], lower[0], upper[1], lower[1]};
  }

  /// Stored N x K: two neighbours.
  std::array<Value, 2> rowPair(int step, int tile) {
    return e.loadDoubles(kernel.sharedPointer(e, rightType, right, LanePattern::GroupRowLongPairs, 8 * tile, kChunksOfStep * step));
  }

  /// Stored K x N: an element from each of two rows.
  std::array<Value, 2> columnPair(int step, int tile) {
    auto element = [&](int row) {
      Value pointer = kernel.sharedPointer(e, rightType, right, LanePattern::EvenQuadRowsLong, row, kChunksOfStep * tile);
      return e.load(e.f64Type(), pointer, kBytes);
    };
    return {element(kDepth * step), element(kDepth * step + 1)};
  }

  KernelContext &kernel;
  Emitter &e;
  tile::DotOp op;
  mlir::ValueRange left;
  Value right;
  llvm::SmallVector<Value> sum;
  Fragment result;
  tile::BufferType rightType;
};

class DoubleDotPattern : public TilePattern<tile::DotOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!multipliesBuffersOf(op, [](mlir::Type type) { return type.isF64(); }))
      return mlir::failure(); // Dot.cpp's
    if (mlir::failed(verifyPlainOperands(op)))
      return mlir::failure();
    if (tile::partsOf(op.getResult().getType().getLayout()) != 1)
      return op.emitOpError("of f64 operands is lowered for whole rows only, but got ") << op.getResult().getType();
    Emitter e = emitter(rewriter, op);
    DoubleDot dot(kernel, e, op, adaptor.getLhs(), adaptor.getRhs().front(), adaptor.getAcc());
    rewriter.replaceOpWithMultiple(op, {dot.emit()});
    return mlir::success();
  }
};
} // namespace

void populateDoublePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DoubleDotPattern>(converter, kernel);
}

} // namespace attn::codegen
