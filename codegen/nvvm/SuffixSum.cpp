// Running sums along the columns of a row, from the last to the first. A row's columns lie in the registers of four lanes
// t = 0 … 3, in tiles of eight; lane t holds columns 2t and 2t + 1 of each tile:
//
//   pair = c0 + c1;  next = the pair of lane t ^ 1;  half = pair + next;  other = the half of lanes t ^ 2
//   behind the lane in its tile:  (t even ? next : 0) + (t < 2 ? other : 0)      the tile: half + other
//
// Two shuffles a tile. What a lane does not need it leaves out by a select, so a NaN spreads to the columns before it only.
// half + other is the same to the bit in all four lanes: both summands are, but for their order.
#include "codegen/nvvm/Patterns.h"
#include "ir/tile/ScanOps.h"

namespace attn::codegen {

using mlir::Value;

namespace {
class SuffixSumPattern : public TilePattern<tile::SuffixSumOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::SuffixSumOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    tile::FragType type = op.getInput().getType();
    if (!mlir::isa<tile::AccAttr>(type.getLayout()) || !mlir::isa<tile::RowAttr>(op.getCarry().getType().getLayout()))
      return op.emitOpError("expects layouts `acc` and `row`, but got ") << type << " and " << op.getCarry().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(type);
    llvm::SmallVector<Value> sums(fragment.registers()), totals;
    for (int slot = 0; slot < fragment.rowSlots(); ++slot)
      totals.push_back(sumRow(e, fragment, slot, adaptor.getInput(), adaptor.getCarry()[slot], sums));
    rewriter.replaceOpWithMultiple(op, llvm::ArrayRef<llvm::SmallVector<Value>>{sums, totals});
    return mlir::success();
  }

private:
  /// Fills in the sums of a row slot and returns its total.
  Value sumRow(Emitter &e, const Fragment &fragment, int slot, mlir::ValueRange input, Value carry,
               llvm::MutableArrayRef<Value> sums) const {
    Value lane = kernel.quadLane(), zero = e.zero(carry.getType());
    Value isEven = e.ieq(e.iand(lane, e.i32(1)), e.i32(0)), isBefore = e.icmp(Compare::Lt, lane, e.i32(2));
    Value running = carry, ofBlock;
    for (int tile = fragment.columnTileCount() - 1; tile >= 0; --tile) {
      int first = fragment.registerOf(slot / 2, tile, slot % 2, 0), second = fragment.registerOf(slot / 2, tile, slot % 2, 1);
      Value pair = e.fadd(input[first], input[second]);
      Value next = e.shuffleXor(pair, 1);
      Value half = e.fadd(pair, next);
      Value other = e.shuffleXor(half, 2);
      Value behind = e.fadd(e.select(isEven, next, zero), e.select(isBefore, other, zero));
      Value start = e.fadd(running, behind);
      sums[first] = e.fadd(start, pair);
      sums[second] = e.fadd(start, input[second]);
      Value ofTile = e.fadd(half, other);
      running = e.fadd(running, ofTile);
      ofBlock = ofBlock ? e.fadd(ofBlock, ofTile) : ofTile;
    }
    return e.fadd(carry, ofBlock);
  }
};
} // namespace

void populateScanPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<SuffixSumPattern>(converter, kernel);
}

} // namespace attn::codegen
