// Work tiles of kernels with roles: block x does tiles x, x + blocks, x + 2·blocks, …; every role runs the same loop, so
// that entries of rings meet. A launch with a block a tile makes each block do one.
//
// The order of the tiles is the order in which blocks take them. Counted upwards, tiles of one head follow each other and
// share its keys in cache. Counted downwards the heavy ones come first: heads are dealt out in groups, all last tiles of a
// group, then all tiles before them, and so on; a group's keys stay in cache, and the end of the launch is light.
#include "codegen/nvvm/Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

static constexpr int kHeadsTogether = 8;

namespace {
class PersistentWorkPattern : public TilePattern<tile::ForeachWorkOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ForeachWorkOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    llvm::SmallVector<Value> extents, carried;
    for (mlir::ValueRange extent : adaptor.getExtents())
      extents.push_back(extent.front());
    for (auto [init, converted] : llvm::zip(op.getInits(), adaptor.getInits())) {
      if (converted.size() != 1)
        return op.emitOpError("carries ") << init.getType() << " from tile to tile; only scalars are lowered";
      carried.push_back(converted.front());
    }
    if (extents.empty())
      return op.emitOpError("expects at least one extent");
    Emitter e = emitter(rewriter, op);
    Value tiles = extents[0];
    for (Value extent : llvm::ArrayRef(extents).drop_front())
      tiles = e.imul(tiles, extent);
    auto loop = mlir::scf::ForOp::create(rewriter, op.getLoc(), e.blockIndex(0), tiles, e.gridSize(0), carried,
                                         [](mlir::OpBuilder &, mlir::Location, Value, mlir::ValueRange) {});
    mlir::Block *target = loop.getBody(), *body = &op.getBody().front();
    rewriter.setInsertionPointToEnd(target);
    llvm::SmallVector<Value> arguments = decode(e, loop.getInductionVar(), extents, op.getDescending());
    llvm::append_range(arguments, loop.getRegionIterArgs());
    auto yield = mlir::cast<tile::YieldOp>(body->getTerminator());
    llvm::SmallVector<Value> yielded(yield.getValues());
    rewriter.eraseOp(yield);
    for (auto [value, argument] : llvm::zip(op.getBody().getArguments(), arguments))
      llvm::replace(yielded, Value(value), argument);
    rewriter.inlineBlockBefore(body, target, target->end(), arguments);
    rewriter.setInsertionPointToEnd(target);
    mlir::scf::YieldOp::create(rewriter, op.getLoc(), yielded);
    rewriter.replaceOp(op, loop.getResults());
    return mlir::success();
  }

private:
  static llvm::SmallVector<Value> decode(Emitter &e, Value index, llvm::ArrayRef<Value> extents, bool descending) {
    llvm::SmallVector<Value> coordinates(extents.size());
    Value tiles = extents.back(), rest;
    if (!descending || extents.size() == 1) {
      coordinates.back() = e.urem(index, tiles);
      rest = e.udiv(index, tiles);
      if (descending)
        coordinates.back() = e.isub(e.isub(tiles, e.i32(1)), coordinates.back());
    } else {
      Value heads = extents[0];
      for (Value extent : extents.drop_front().drop_back())
        heads = e.imul(heads, extent);
      Value perGroup = e.imul(tiles, e.i32(kHeadsTogether));
      Value first = e.imul(e.udiv(index, perGroup), e.i32(kHeadsTogether)), inGroup = e.urem(index, perGroup);
      Value size = e.umin(e.i32(kHeadsTogether), e.isub(heads, first));
      coordinates.back() = e.isub(e.isub(tiles, e.i32(1)), e.udiv(inGroup, size));
      rest = e.iadd(first, e.urem(inGroup, size));
    }
    for (std::size_t i = extents.size() - 1; i-- > 0;) {
      coordinates[i] = i == 0 ? rest : e.urem(rest, extents[i]);
      if (i > 0)
        rest = e.udiv(rest, extents[i]);
    }
    return coordinates;
  }
};
} // namespace

void populatePersistentWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<PersistentWorkPattern>(converter, kernel);
}

} // namespace attn::codegen
