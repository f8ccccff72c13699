// Takes row regions that stand as ops of their own before an attention into it, so that no rotated or scaled copy of an
// operand is written to memory:
//
//   %r = attn.transform %key over key row { A }            attn.attention … key(%key)
//   attn.attention … key(%r) key { B }               →         key { A; B }
//
// Query rows are transformed once a tile, key and value rows each time a tile is visited. A transform with another user
// stays, for its result is needed anyway. Guarantees: no attention reads a transform that it alone uses.
#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_FUSEPRODUCERS
#include "passes/Passes.h.inc"

/// Puts the row region of `transform` in front of `region`, which may be absent.
static void prepend(ir::AttentionOp op, Region &region, ir::TransformOp transform) {
  if (region.empty()) {
    region.takeBody(transform.getRow());
    return;
  }
  Block &block = region.front(), &first = transform.getRow().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  BlockArgument stored = block.insertArgument(0u, first.getArgument(0).getType(), op.getLoc());
  IRMapping mapping;
  mapping.map(first.getArgument(0), stored);
  for (Operation &inner : first.without_terminator())
    builder.clone(inner, mapping);
  block.getArgument(1).replaceAllUsesWith(mapping.lookupOrDefault(first.getTerminator()->getOperand(0)));
  block.eraseArgument(1);
}

/// Fuses the transform that makes `operand`, if there is one that only this attention reads.
static bool fuse(ir::AttentionOp op, OpOperand &operand, Region &region, ir::RowSide side, StringRef name) {
  auto transform = operand.get().getDefiningOp<ir::TransformOp>();
  if (!transform || transform.getOver() != side)
    return false;
  if (!transform->hasOneUse()) {
    remark(op, RemarkCategory::Fusion, "`" + name + "` is read from memory, for its transform has other users");
    return false;
  }
  prepend(op, region, transform);
  operand.set(transform.getTensor());
  transform->erase();
  remark(op, RemarkCategory::Fusion, "the transform of `" + name + "` moves into the kernel");
  return true;
}

namespace {
struct FuseProducers final : impl::FuseProducersBase<FuseProducers> {
  void runOnOperation() override {
    getOperation()->walk([](ir::AttentionOp op) {
      while (fuse(op, op.getQueryMutable(), op.getQueryRegion(), ir::RowSide::query, "query") ||
             fuse(op, op.getKeyMutable(), op.getKeyRegion(), ir::RowSide::key, "key") ||
             fuse(op, op.getValueMutable(), op.getValueRegion(), ir::RowSide::key, "value")) {
      }
    });
  }
};
} // namespace

} // namespace attn
