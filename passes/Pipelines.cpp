// The whole order of the passes. Each stage ends in VerifyStage, which says what may no longer stand in the IR.
#include "passes/Pipelines.h"

#include "passes/Passes.h"

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
  manager.addPass(createVerifyStage({.stage = CompilationStage::OnlineAttention}));
}

/// Each of these ends in a check of what it promises the next.
static void addLayouts(OpPassManager &manager) {
  OpPassManager &kernel = manager.nest<func::FuncOp>();
  kernel.addPass(createCanonicalizerPass());
  kernel.addPass(createCSEPass());
  // Before layouts: what moves out of the loop decides which fragments live across it.
  kernel.addPass(createHoistInvariants());
  kernel.addPass(createLoopInvariantCodeMotionPass());
  kernel.addPass(createCSEPass());
  kernel.addPass(createAssignLayouts());
  manager.addPass(createVerifyStage({.stage = CompilationStage::Layouts}));
}

static void addRings(OpPassManager &manager) {
  // Rings first at distance 0, then ahead: each step is correct by itself.
  manager.nest<func::FuncOp>().addPass(createPipelineLoads());
  manager.nest<func::FuncOp>().addPass(createBuildStrips());
  manager.addPass(createVerifyStage({.stage = CompilationStage::Rings}));
  // With asynchronous products and roles the producer runs ahead by itself; kernels without roles fetch ahead. The skew
  // precedes the roles, so that the producer fills in the order in which the consumer awaits.
  OpPassManager &ahead = manager.nest<func::FuncOp>();
  ahead.addPass(createOverlapDots());
  ahead.addPass(createSpecializeWarps());
  ahead.addPass(createPlaceTurns());
  ahead.addPass(createPrefetchLoads());
  manager.addPass(createVerifyStage({.stage = CompilationStage::Rings}));
}

void buildTilePipeline(OpPassManager &manager, const PipelineOptions &options) {
  manager.addPass(createAttnToTile({.target = options.target, .checked = options.checked, .tf32 = options.tf32}));
  addLayouts(manager);
  addRings(manager);
  OpPassManager &kernel = manager.nest<func::FuncOp>();
  kernel.addPass(createCheckBudget());
  kernel.addPass(createAllocateShared());
  // Last: it counts what all others have placed.
  kernel.addPass(createInsertBarriers());
  manager.addPass(createVerifyStage({.stage = CompilationStage::Kernels}));
}

void buildNvvmPipeline(OpPassManager &manager, const PipelineOptions &) {
  // Nothing that changes the IR after it: the lowering's order of instructions is the one that is meant.
  manager.addPass(createTileToNvvm());
  manager.addPass(createVerifyStage({.stage = CompilationStage::Instructions}));
}

namespace {
struct StageOptions : PassPipelineOptions<StageOptions> {
  Option<std::string> target{*this, "target", llvm::cl::desc("GPU target"), llvm::cl::init("sm_80")};
  Option<std::string> schedule{*this, "schedule", llvm::cl::desc("block_m=128,block_n=64,…"), llvm::cl::init("")};
  Option<bool> checked{*this, "checked", llvm::cl::desc("trap on indices out of range"), llvm::cl::init(false)};
  Option<bool> tf32{*this, "tf32", llvm::cl::desc("round f32 operands of matrix products to tf32"), llvm::cl::init(false)};
  PipelineOptions values() const { return {.target = target, .schedule = schedule, .checked = checked, .tf32 = tf32}; }
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
