// `tile.list_marked` by one warp: a lane looks at one of 32 places, a vote says which are marked.
//
//   p = end - 1 - lane;  mark = 0 ≤ p ? marks[p] : 0;  votes = ballot(mark ≠ 0)
//   if mark ≠ 0: list[at + popc(votes below the lane)] = 2p + (mark = 2);  next = at + popc(votes)
#include "codegen/nvvm/Patterns.h"
#include "ir/tile/ListOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

namespace {
class ListMarkedPattern : public TilePattern<tile::ListMarkedOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ListMarkedOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Value lane = kernel.lane();
    Value at = adaptor.getAt().front();
    Value place = e.isub(e.isub(adaptor.getEnd().front(), e.i32(1)), lane);
    Value exists = e.icmp(Compare::Ge, place, e.i32(0));
    Value mark = e.loadIf(exists, e.f32Type(), element(e, op.getMarks(), adaptor.getPlace(), place));
    Value isMarked = e.fcmp(Compare::Gt, mark, e.f32(0.0));
    Value votes = e.ballot(isMarked);
    Value before = e.isub(e.shl(e.i32(1), lane), e.i32(1));
    Value entry = e.iadd(at, e.countOnes(e.iand(votes, before)));
    Value word = e.iadd(e.shl(place, e.i32(1)), e.zeroExtend(e.fcmp(Compare::Gt, mark, e.f32(1.0)), e.i32Type()));
    auto guard = mlir::scf::IfOp::create(rewriter, op.getLoc(), isMarked, /*withElseRegion=*/false);
    {
      mlir::OpBuilder::InsertionGuard restore(rewriter);
      rewriter.setInsertionPointToStart(guard.thenBlock());
      e.store(word, element(e, op.getList(), adaptor.getPlace(), entry), 4);
    }
    rewriter.setInsertionPoint(op);
    rewriter.replaceOp(op, e.iadd(at, e.countOnes(votes)));
    return mlir::success();
  }

private:
  /// Address of an element of the row at `place`; elements have 4 bytes.
  static Value element(Emitter &e, Value tensor, llvm::ArrayRef<mlir::ValueRange> place, Value last) {
    TensorView view = TensorView::of(tensor);
    Value elements = e.signExtend(last, e.i64Type());
    for (auto [dimension, index] : llvm::enumerate(place))
      if (Emitter::constantOf(index.front()) != 0)
        elements = e.iadd(elements, e.imul(e.signExtend(index.front(), e.i64Type()), view.strides[dimension]));
    return e.offset(view.pointer, e.imul(elements, e.i64(4)));
  }
};
} // namespace

void populateListPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<ListMarkedPattern>(converter, kernel);
}

} // namespace attn::codegen
