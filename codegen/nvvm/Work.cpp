// Work tiles, sizes, and places in shared memory. Without roles a block does one work tile: its coordinates are the block's,
// the last extent along x (blocks of one head in sequence), then y; the leading extents share z.
#include "codegen/KernelAbi.h"
#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

using mlir::Value;

namespace {
class ForeachWorkPattern : public TilePattern<tile::ForeachWorkOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ForeachWorkOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!op.getInits().empty())
      return op.emitOpError("carries values from tile to tile, but a block of this target does one tile");
    Emitter e = emitter(rewriter, op);
    llvm::SmallVector<Value> coordinates = decode(e, op, adaptor);
    mlir::Block *body = &op.getBody().front();
    mlir::Operation *yield = body->getTerminator();
    rewriter.inlineBlockBefore(body, op, coordinates);
    rewriter.eraseOp(yield);
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  llvm::SmallVector<Value> decode(Emitter &e, tile::ForeachWorkOp op, Adaptor adaptor) const {
    unsigned count = adaptor.getExtents().size();
    llvm::SmallVector<Value> coordinates(count);
    Value packed; // what is left of z
    for (unsigned i = count; i-- > 0;) {
      Value extent = adaptor.getExtents()[i].front();
      unsigned dimension = gridDimension(i, count);
      if (dimension < 2 || i == 0) {
        coordinates[i] = dimension == 2 && packed ? packed : e.blockIndex(static_cast<int>(dimension));
      } else {
        Value rest = packed ? packed : e.blockIndex(2);
        coordinates[i] = e.urem(rest, extent);
        packed = e.udiv(rest, extent);
      }
    }
    if (op.getDescending())
      coordinates.back() = e.isub(e.isub(e.gridSize(0), e.i32(1)), coordinates.back());
    return coordinates;
  }
};

class SizePattern : public TilePattern<tile::SizeOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::SizeOp op, Adaptor, Rewriter &rewriter) const override {
    rewriter.replaceOp(op, TensorView::of(op.getTensor()).sizes[op.getDim()]);
    return mlir::success();
  }
};

/// A buffer or ring is where AllocateShared put it.
template <class OpType> class PlacePattern : public TilePattern<OpType> {
public:
  using TilePattern<OpType>::TilePattern;
  mlir::LogicalResult matchAndRewrite(OpType op, typename TilePattern<OpType>::Adaptor,
                                      typename TilePattern<OpType>::Rewriter &rewriter) const override {
    if (!op.getOffset())
      return op.emitOpError("has no `offset`: AllocateShared has not run");
    Emitter e = this->emitter(rewriter, op);
    rewriter.replaceOp(op, e.i32(*op.getOffset()));
    return mlir::success();
  }
};
} // namespace

void populateWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<SizePattern, PlacePattern<tile::AllocOp>, PlacePattern<tile::RingOp>>(converter, kernel);
}

void populateBlockWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<ForeachWorkPattern>(converter, kernel);
}

} // namespace attn::codegen
