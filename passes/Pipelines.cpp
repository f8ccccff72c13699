// The whole order of the passes. Each stage ends in VerifyStage, which says what may no longer stand in the IR.
#include "passes/Pipelines.h"

#include "passes/Passes.h"
#include "passes/VerifyStage.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace attn {

void buildAttnPipeline(OpPassManager &manager, const PipelineOptions &options) {
  (void)options;
  OpPassManager &plan = manager.nest<func::FuncOp>();
  plan.addPass(createCanonicalizerPass());
  plan.addPass(createCSEPass());
  plan.addPass(createToOnlineAttention());
  manager.addPass(createVerifyStage(CompilationStage::OnlineAttention));
}

namespace {
struct StageOptions : PassPipelineOptions<StageOptions> {
  Option<std::string> target{*this, "target", llvm::cl::desc("GPU target"), llvm::cl::init("sm_80")};
  Option<std::string> schedule{*this, "schedule", llvm::cl::desc("block_m=128,block_n=64,…"), llvm::cl::init("")};
  PipelineOptions values() const { return {.target = target, .schedule = schedule}; }
};
} // namespace

void registerPipelines() {
  PassPipelineRegistration<StageOptions>(
      "attn-pipeline", "attn.attention to attn.online_attention with ranges and schedule",
      [](OpPassManager &manager, const StageOptions &options) { buildAttnPipeline(manager, options.values()); });
}

} // namespace attn
