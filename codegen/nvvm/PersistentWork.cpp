// Work tiles of kernels with roles: a launch has as many blocks as multiprocessors, at most one a tile, and a block does
// tiles one after the other. Every role runs the same loop, so that entries of rings meet. With P blocks, those of a round
// are P tiles that follow each other.
//
// Counted upwards, block x does tiles x, x + P, x + 2P, …; tiles of one head follow each other and share its keys in cache.
//
// Counted downwards the heavy ones come first. Heads are dealt out in groups of about kRoundsTogether rounds, whose keys
// and values stay in cache: all last tiles of a group, then all tiles before them, and so on. So that no block has the
// heavier tile of each round, every other round runs backwards, and so does every other group:
//
//     round 0   block 0 1 2 3 → tiles of weight 8 8 7 7      of the group before   round 0   block 3 2 1 0
//     round 1   block 3 2 1 0 →                 6 6 5 5                            round 1   block 0 1 2 3
//
// How evenly that spreads the work: benchmarks/model/tile_order.py and docs/rationale/sm_90a.md.
#include "codegen/nvvm/Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

/// With 132 blocks, tiles of 128 rows and head_dim 128 these are 34 MB of keys and values, less where heads share them.
static constexpr int kRoundsTogether = 4;

namespace {
using Values = llvm::SmallVector<Value>;

/// Writes the loop around a tile: its coordinates and what is carried go in, what is carried comes out.
class TileLoop {
public:
  using Body = llvm::function_ref<Values(Emitter &, llvm::ArrayRef<Value> coordinates, mlir::ValueRange carried)>;

  TileLoop(Emitter &e, llvm::ArrayRef<Value> extents)
      : e(e), extents(extents), blocks(e.gridSize(0)), block(e.blockIndex(0)), last(extents.back()) {
    heads = extents.size() > 1 ? extents.front() : e.i32(1);
    for (Value extent : extents.drop_front().drop_back(extents.size() > 1 ? 1 : 0))
      heads = e.imul(heads, extent);
    tiles = e.imul(heads, last);
  }

  Values ascending(mlir::ValueRange inits, Body body) {
    Values state = whileBelow(tiles, start({block}, inits), [&](mlir::ValueRange at) {
      Value index = at[0];
      Values carried = body(e, coordinatesOf(e.udiv(index, last), e.urem(index, last)), at.drop_front());
      return start({e.iadd(index, blocks)}, carried);
    });
    return rest(state, 1);
  }

  /// What lives across a tile is as little as can be: consumers need their registers for tiles.
  Values descending(mlir::ValueRange inits, Body body) {
    Value together = e.imul(blocks, e.i32(kRoundsTogether));
    Value groups = e.udiv(e.iadd(tiles, e.udiv(together, e.i32(2))), together);
    groups = e.umin(e.umax(groups, e.i32(1)), heads);
    Values state = whileBelow(heads, start({e.i32(0), groups}, inits), [&](mlir::ValueRange group) {
      Value first = group[0], left = group[1], one = e.i32(1);
      Value size = e.udiv(e.iadd(e.isub(heads, first), e.isub(left, one)), left); // heads, as even as can be
      Value opposite = e.isub(e.isub(blocks, one), block), isOdd = e.ieq(e.iand(left, one), one);
      Value place = e.select(isOdd, block, opposite), inNext = e.select(isOdd, opposite, block);
      Value step = e.iadd(e.shl(inNext, one), one);
      Values done = whileBelow(e.imul(size, last), start({place, step}, group.drop_front(2)), [&](mlir::ValueRange at) {
        Value index = at[0], before = e.udiv(index, size), head = e.iadd(first, e.isub(index, e.imul(before, size)));
        Values carried = body(e, coordinatesOf(head, e.isub(e.isub(last, one), before)), at.drop_front(2));
        return start({e.iadd(index, at[1]), e.isub(e.shl(blocks, one), at[1])}, carried);
      });
      return start({e.iadd(first, size), e.isub(left, one)}, rest(done, 2));
    });
    return rest(state, 2);
  }

private:
  static Values start(std::initializer_list<Value> own, mlir::ValueRange carried) {
    Values all(own);
    llvm::append_range(all, carried);
    return all;
  }
  static Values rest(const Values &state, std::size_t own) { return Values(llvm::drop_begin(state, own)); }

  Values coordinatesOf(Value head, Value tile) {
    Values coordinates(extents.size());
    coordinates.back() = tile;
    for (std::size_t i = extents.size() - 1; i-- > 0;) {
      coordinates[i] = i == 0 ? head : e.urem(head, extents[i]);
      if (i > 0)
        head = e.udiv(head, extents[i]);
    }
    return coordinates;
  }

  /// A loop as long as the first value of its state is below `limit`.
  Values whileBelow(Value limit, const Values &inits, llvm::function_ref<Values(mlir::ValueRange)> body) {
    mlir::ValueRange initial(inits);
    auto loop = mlir::scf::WhileOp::create(e.builder, e.location, initial.getTypes(), initial);
    llvm::SmallVector<mlir::Location> locations(inits.size(), e.location);
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    mlir::Block *before = e.builder.createBlock(&loop.getBefore(), {}, initial.getTypes(), locations);
    Value goesOn = e.icmp(Compare::UnsignedLt, before->getArgument(0), limit);
    mlir::scf::ConditionOp::create(e.builder, e.location, goesOn, before->getArguments());
    mlir::Block *after = e.builder.createBlock(&loop.getAfter(), {}, initial.getTypes(), locations);
    Values yielded = body(after->getArguments());
    e.builder.setInsertionPointToEnd(after);
    mlir::scf::YieldOp::create(e.builder, e.location, yielded);
    return Values(loop.getResults());
  }

  Emitter &e;
  llvm::ArrayRef<Value> extents;
  Value blocks, block, last, heads, tiles;
};

class PersistentWorkPattern : public TilePattern<tile::ForeachWorkOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ForeachWorkOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Values extents, inits;
    for (mlir::ValueRange extent : adaptor.getExtents())
      extents.push_back(extent.front());
    for (auto [init, converted] : llvm::zip(op.getInits(), adaptor.getInits())) {
      if (converted.size() != 1)
        return op.emitOpError("carries ") << init.getType() << " from tile to tile; only scalars are lowered";
      inits.push_back(converted.front());
    }
    if (extents.empty())
      return op.emitOpError("expects at least one extent");
    Emitter e = emitter(rewriter, op);
    auto inlineBody = [&](Emitter &, llvm::ArrayRef<Value> coordinates, mlir::ValueRange carried) {
      mlir::Block *target = rewriter.getInsertionBlock(), *body = &op.getBody().front();
      Values arguments(coordinates);
      llvm::append_range(arguments, carried);
      auto yield = mlir::cast<tile::YieldOp>(body->getTerminator());
      Values yielded(yield.getValues());
      rewriter.eraseOp(yield);
      for (auto [value, argument] : llvm::zip(op.getBody().getArguments(), arguments))
        llvm::replace(yielded, Value(value), argument);
      rewriter.inlineBlockBefore(body, target, target->end(), arguments);
      return yielded;
    };
    TileLoop loop(e, extents);
    Values results = op.getDescending() ? loop.descending(inits, inlineBody) : loop.ascending(inits, inlineBody);
    rewriter.replaceOp(op, results);
    return mlir::success();
  }
};
} // namespace

void populatePersistentWorkPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<PersistentWorkPattern>(converter, kernel);
}

} // namespace attn::codegen
