// Takes a row region that stands behind an attention as an op of its own into it, so that `out` is written once:
//
//   %out = attn.attention … out { A }                      %r = attn.attention … out { A; B }
//   %r = attn.transform %out over query row { B }     →
//
// Only where nothing else reads the untransformed result. Guarantees: no transform reads an `out` that it alone uses.
#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Passes.h.inc"

/// Appends the row region of `transform` to `region`, which may be absent.
static void append(Region &region, ir::TransformOp transform) {
  if (region.empty()) {
    region.takeBody(transform.getRow());
    return;
  }
  Block &block = region.front(), &second = transform.getRow().front();
  Operation *yield = block.getTerminator();
  OpBuilder builder(yield);
  IRMapping mapping;
  mapping.map(second.getArgument(0), yield->getOperand(0));
  for (Operation &inner : second.without_terminator())
    builder.clone(inner, mapping);
  yield->setOperand(0, mapping.lookupOrDefault(second.getTerminator()->getOperand(0)));
}

static bool fuse(ir::AttentionOp op) {
  Value out = op.getOutput("out");
  if (!out || !out.hasOneUse())
    return false;
  auto transform = dyn_cast<ir::TransformOp>(*out.getUsers().begin());
  if (!transform || transform.getOver() != ir::RowSide::query || transform->getBlock() != op->getBlock())
    return false;
  // What the transform captures may stand behind the attention, so the attention moves down to it.
  if (!llvm::all_of(op->getUsers(), [&](Operation *user) { return user == transform || transform->isBeforeInBlock(user); }))
    return false;
  op->moveBefore(transform);
  append(op.getOut(), transform);
  Type type = transform.getResult().getType();
  transform.getResult().replaceAllUsesWith(out);
  transform->erase();
  out.setType(type);
  remark(op, RemarkCategory::Fusion, "the transform of `out` moves into the kernel");
  return true;
}

namespace {
struct FuseEpilogue final : impl::FuseEpilogueBase<FuseEpilogue> {
  void runOnOperation() override {
    SmallVector<ir::AttentionOp> attentions;
    getOperation()->walk([&](ir::AttentionOp op) { attentions.push_back(op); });
    for (ir::AttentionOp op : attentions)
      while (fuse(op)) {
      }
  }
};
} // namespace

} // namespace attn
