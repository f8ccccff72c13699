// Checks after each stage what the stage promises: see VerifyStage.h. One function a stage.
#include "passes/VerifyStage.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace attn {

static WalkResult checkOnlineAttention(Operation *op) {
  if (isa<ir::AttentionOp>(op)) {
    op->emitOpError("must be gone after stage `attn`");
    return WalkResult::interrupt();
  }
  if (auto online = dyn_cast<ir::OnlineAttentionOp>(op))
    if (online.getRanges().empty() || !online.getScheduleAttr()) {
      op->emitOpError("expects region `ranges` and attribute `schedule` after stage `attn`");
      return WalkResult::interrupt();
    }
  return WalkResult::advance();
}

namespace {

struct VerifyStage final : PassWrapper<VerifyStage, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(VerifyStage)
  explicit VerifyStage(CompilationStage stage) : stage(stage) {}

  StringRef getName() const override { return "VerifyStage"; }

  void runOnOperation() override {
    auto check = [&](Operation *op) {
      switch (stage) {
      case CompilationStage::OnlineAttention:
        return checkOnlineAttention(op);
      }
      llvm_unreachable("all stages are handled");
    };
    if (getOperation()->walk(check).wasInterrupted())
      signalPassFailure();
  }

  CompilationStage stage;
};

} // namespace

std::unique_ptr<Pass> createVerifyStage(CompilationStage stage) { return std::make_unique<VerifyStage>(stage); }

} // namespace attn
