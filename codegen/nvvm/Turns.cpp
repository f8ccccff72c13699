// The order of roles and warpgroups: barriers of a role, turns of its warpgroups, proxy fences, pins.
//
// A turn passes from warpgroup to warpgroup through one named barrier each: warpgroup i waits at its own, on which it and the
// one before it are counted, and arrives at the next one's when it has issued. dispatchRoles arms the first.
#include "codegen/nvvm/Patterns.h"

namespace attn::codegen {

using mlir::Value;

namespace {
class RoleBarrierPattern : public TilePattern<tile::BarrierOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::BarrierOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    e.syncNamedBarrier(e.i32(roleBarrier(kernel.range().role)), kernel.threads());
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

class TurnBeginPattern : public TilePattern<tile::TurnBeginOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::TurnBeginOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    unsigned groups = kernel.range().warpgroups();
    if (groups > 1)
      e.syncNamedBarrier(e.iadd(kernel.warpgroup(), e.i32(turnBarrier(op.getTurn(), groups))), 2 * kWarpgroupThreads);
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

class TurnEndPattern : public TilePattern<tile::TurnEndOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::TurnEndOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    unsigned groups = kernel.range().warpgroups();
    if (groups > 1) {
      Value group = kernel.warpgroup();
      Value next = kernel.atEntry("next warpgroup", [&](Emitter &entry) {
        Value following = entry.iadd(group, entry.i32(1));
        return entry.select(entry.ieq(following, entry.i32(groups)), entry.i32(0), following);
      });
      e.arriveAtNamedBarrier(e.iadd(next, e.i32(turnBarrier(op.getTurn(), groups))), 2 * kWarpgroupThreads);
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

/// Products bring their own fence of registers (Wgmma.cpp), so only the one between proxies is left.
class FencePattern : public TilePattern<tile::FenceOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::FenceOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    if (op.getKind() == tile::FenceKind::async_proxy)
      e.fenceAsyncShared();
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

/// The assembler moves arithmetic across waits for products as it likes, but no store: one that depends on the values and
/// never happens keeps them before it. Values are row sums, sums of powers of two and so never below 0.
class PinPattern : public TilePattern<tile::PinOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::PinOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Value sum;
    for (mlir::ValueRange registers : adaptor.getValues())
      for (Value value : registers) {
        if (!value.getType().isF32())
          return op.emitOpError("expects values of f32");
        sum = sum ? e.fadd(sum, value) : value;
      }
    if (sum)
      e.assembly("{ .reg .pred p; setp.lt.f32 p, $0, 0fBF800000; @p st.volatile.shared.f32 [$1], $0; }", "f,r,~{memory}",
                 {sum, kernel.sharedBase()});
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateTurnPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<RoleBarrierPattern, TurnBeginPattern, TurnEndPattern, FencePattern, PinPattern>(converter, kernel);
}

} // namespace attn::codegen
