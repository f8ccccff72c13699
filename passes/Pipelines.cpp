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
  OpPassManager &plan = manager.nest<func::FuncOp>();
  // Constants merge and regions that do nothing vanish first, so that no pass meets two spellings of one thing.
  plan.addPass(createCanonicalizerPass());
  plan.addPass(createCSEPass());
  plan.addPass(createFoldScale());
  plan.addPass(createFuseProducers());
  plan.addPass(createFuseEpilogue());
  // After all that changes regions, before all that costs time.
  plan.addPass(createCheckSupport({.target = options.target}));
  plan.addPass(createClassifyMask());
  plan.addPass(createSelectSchedule({.target = options.target, .schedule = options.schedule}));
  plan.addPass(createToOnlineAttention());
  plan.addPass(createCanonicalizerPass());
  plan.addPass(createCSEPass());
  manager.addPass(createVerifyStage(CompilationStage::OnlineAttention));
}

void buildTilePipeline(OpPassManager &manager, const PipelineOptions &options) {
  manager.addPass(createAttnToTile({.target = options.target}));
  OpPassManager &kernel = manager.nest<func::FuncOp>();
  kernel.addPass(createCanonicalizerPass());
  kernel.addPass(createCSEPass());
  // Before layouts: what moves out of the loop decides which fragments live across it.
  kernel.addPass(createHoistInvariants());
  kernel.addPass(createLoopInvariantCodeMotionPass());
  kernel.addPass(createCSEPass());
  kernel.addPass(createAssignLayouts());
  // Rings first at distance 0, then ahead: each step is correct by itself.
  kernel.addPass(createPipelineLoads());
  kernel.addPass(createPrefetchLoads());
  kernel.addPass(createCheckBudget());
  kernel.addPass(createAllocateShared());
  // Last: it counts what all others have placed.
  kernel.addPass(createInsertBarriers());
}

void buildNvvmPipeline(OpPassManager &manager, const PipelineOptions &) {
  // Nothing after it: the lowering's order of instructions is the one that is meant.
  manager.addPass(createTileToNvvm());
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
  PassPipelineRegistration<StageOptions>(
      "tile-pipeline", "attn.online_attention to block programs ready to lower",
      [](OpPassManager &manager, const StageOptions &options) { buildTilePipeline(manager, options.values()); });
  PassPipelineRegistration<StageOptions>(
      "nvvm-pipeline", "block programs to llvm and nvvm",
      [](OpPassManager &manager, const StageOptions &options) { buildNvvmPipeline(manager, options.values()); });
}

} // namespace attn
