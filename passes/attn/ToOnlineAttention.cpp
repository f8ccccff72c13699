// Writes each attention as the fold of an associative step, the form that can be tiled, reordered and split:
//
//   %out, %lse = attn.attention …            %s0 = attn.identity
//                                     →      %s1 = attn.online_attention %s0 …
//                                            %out, %lse = attn.finalize %s1
//
// Requires: scores in log2 units (FoldScale), region `ranges` (ClassifyMask), attribute `schedule` (SelectSchedule).
// Where scores are proved to be bounded, the step is marked with what its weights are taken above (BoundedScores.h).
// Guarantees: no `attn.attention` is left; regions are moved, not changed; region `out` stands on `finalize`.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/PlanOptions.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/attn/BoundedScores.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_TOONLINEATTENTION
#include "passes/Passes.h.inc"

/// The state of `op`: one entry a query row, an accumulator as long as a value row.
static ir::AttnStateType stateTypeOf(ir::AttentionOp op) {
  ir::AttnTensorType query = op.getQueryType();
  SmallVector<Attribute> sizes(query.getSizes().drop_back());
  if (sizes.size() == 3) // [batch, rows, heads]; in sequence [rows, heads]
    std::swap(sizes[1], sizes[2]);
  return ir::AttnStateType::get(op.getContext(), sizes, op.getValueRowLength(), {});
}

static LogicalResult rewrite(ir::AttentionOp op) {
  if (op.getRanges().empty())
    return op.emitOpError("expects region `ranges`: run `attn-classify-mask` first");
  if (!op.getScheduleAttr())
    return op.emitOpError("expects attribute `schedule`: run `attn-select-schedule` first");
  if (op.getWeights() == ir::Weights::softmax && !op.getLog2())
    return op.emitOpError("expects scores in log2 units: run `attn-fold-scale` first");

  OpBuilder builder(op);
  ir::AttnStateType stateType = stateTypeOf(op);
  Value identity = ir::IdentityOp::create(builder, op.getLoc(), stateType);
  auto online = ir::OnlineAttentionOp::create(builder, op.getLoc(), stateType, identity, op.getQuery(), op.getKey(),
                                              op.getValue(), op.getRagged(), op.getPaged());
  online.setWeights(op.getWeights());
  online.setProbsTypeAttr(op.getProbsTypeAttr());
  online.setPageSizeAttr(op.getPageSizeAttr());
  online.setScheduleAttr(op.getScheduleAttr());
  BoundedSoftmax bounded = findBoundedSoftmax(op);
  if (bounded.above)
    online->setAttr(ir::kWeightsAboveAttr, builder.getF64FloatAttr(*bounded.above));
  if (!bounded.why.empty())
    remark(op, RemarkCategory::Schedule, bounded.why);
  for (auto [from, to] : llvm::zip_equal(op.getStepRegions(), online.getStepRegions()))
    to->takeBody(*from);

  auto finalize = ir::FinalizeOp::create(builder, op.getLoc(), op.getResultTypes(), online.getResult());
  finalize.setOutputsAttr(op.getOutputsAttr());
  finalize.setUndivided(op.getWeights() == ir::Weights::direct && !op.getNormalize());
  online.setNormalize(op.getNormalize());
  finalize.getOut().takeBody(op.getOut());
  op->replaceAllUsesWith(finalize);
  op->erase();
  return success();
}

namespace {
struct ToOnlineAttention final : impl::ToOnlineAttentionBase<ToOnlineAttention> {
  void runOnOperation() override {
    SmallVector<ir::AttentionOp> attentions;
    getOperation()->walk([&](ir::AttentionOp op) { attentions.push_back(op); });
    for (ir::AttentionOp op : attentions)
      if (failed(rewrite(op)))
        return signalPassFailure();
  }
};
} // namespace

} // namespace attn
