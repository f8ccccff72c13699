// Barriers of the block, and pins.
#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

namespace {
class BarrierPattern : public TilePattern<tile::BarrierOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::BarrierOp op, Adaptor, Rewriter &rewriter) const override {
    emitter(rewriter, op).barrier();
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateBarrierPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<BarrierPattern>(converter, kernel);
}

} // namespace attn::codegen
