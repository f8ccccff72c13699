// Checks after each stage what the stage promises, one function a stage. A failure here is a mistake of a pass before it,
// not of the user.
#include "ir/attn/AttnDialect.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_VERIFYSTAGE
#include "passes/Passes.h.inc"

//===----------------------------------------------------------------------===//
// attn
//===----------------------------------------------------------------------===//

static LogicalResult checkOnlineAttention(Operation *op) {
  if (isa<ir::AttentionOp>(op))
    return op->emitOpError("must be gone after stage `attn`");
  auto online = dyn_cast<ir::OnlineAttentionOp>(op);
  if (online && (online.getRanges().empty() || !online.getScheduleAttr()))
    return op->emitOpError("expects region `ranges` and attribute `schedule` after stage `attn`");
  return success();
}

//===----------------------------------------------------------------------===//
// tile
//===----------------------------------------------------------------------===//

static bool lacksLayout(Type type) {
  if (auto fragment = dyn_cast<tile::FragType>(type))
    return !fragment.getLayout();
  auto inflight = dyn_cast<tile::InflightType>(type);
  return inflight && !inflight.getLayout();
}

static LogicalResult checkLayouts(Operation *op) {
  auto check = [&](Type type) -> LogicalResult {
    return lacksLayout(type) ? op->emitOpError("has a fragment without a layout after AssignLayouts: ") << type : success();
  };
  for (Type type : op->getResultTypes())
    if (failed(check(type)))
      return failure();
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Type type : block.getArgumentTypes())
        if (failed(check(type)))
          return failure();
  Value rhs;
  if (auto dot = dyn_cast<tile::DotOp>(op))
    rhs = dot.getRhs();
  else if (auto async = dyn_cast<tile::DotAsyncOp>(op))
    rhs = async.getRhs();
  if (rhs && !isa<tile::BufferType>(rhs.getType()))
    return op->emitOpError("expects operand b in a buffer after AssignLayouts, but it is ") << rhs.getType();
  return success();
}

/// Whether `value` is loaded, but for conversions on the way.
static bool isLoaded(Value value) {
  while (auto convert = value.getDefiningOp<tile::ConvertOp>())
    value = convert.getInput();
  return isa_and_present<tile::LoadOp>(value.getDefiningOp());
}

static unsigned countReleases(tile::AwaitOp await) {
  unsigned releases = 0;
  for (Operation *user : await.getRing().getUsers()) {
    auto release = dyn_cast<tile::ReleaseOp>(user);
    Operation *before = release ? release->getBlock()->findAncestorOpInBlock(*await) : nullptr;
    bool isOwn = before && release.getEntry() == await.getEntry() && before->isBeforeInBlock(release);
    releases += isOwn;
  }
  return releases;
}

/// Whether an entry of the ring is awaited behind `await` that is released: where the entries of keys serve both products, the
/// second one awaits that of the block before once more (OverlapDots).
static bool isAwaitedAgain(tile::AwaitOp await) {
  return llvm::any_of(await.getRing().getUsers(), [&](Operation *user) {
    auto other = dyn_cast<tile::AwaitOp>(user);
    Operation *behind = other && other != await ? await->getBlock()->findAncestorOpInBlock(*other) : nullptr;
    return behind && await->isBeforeInBlock(behind) && countReleases(other) == 1;
  });
}

/// Every awaited entry is released once: behind its await, in its block or one around it; or where it is awaited again.
static LogicalResult checkReleases(tile::AwaitOp await) {
  unsigned releases = countReleases(await);
  if (releases == 1 || (releases == 0 && isAwaitedAgain(await)))
    return success();
  return await.emitOpError("expects the entry to be released once, but it is released ") << releases << " times";
}

static LogicalResult checkRings(Operation *op) {
  if (auto load = dyn_cast<tile::LoadOp>(op); load && isa<tile::BufferType>(load.getType()))
    return op->emitOpError("must not give a buffer after PipelineLoads");
  if (isa<tile::DotOp, tile::DotAsyncOp>(op) && (isLoaded(op->getOperand(0)) || isLoaded(op->getOperand(1))))
    return op->emitOpError("must not read what was loaded without a ring after PipelineLoads");
  if (auto await = dyn_cast<tile::AwaitOp>(op))
    return checkReleases(await);
  return success();
}

static LogicalResult checkKernels(Operation *op) {
  if (isa_and_present<ir::AttnDialect>(op->getDialect()))
    return op->emitOpError("must be gone after stage `tile`");
  if (auto ring = dyn_cast<tile::RingOp>(op); ring && !ring.getOffset())
    return op->emitOpError("expects `offset` after AllocateShared");
  if (auto buffer = dyn_cast<tile::AllocOp>(op); buffer && !buffer.getOffset())
    return op->emitOpError("expects `offset` after AllocateShared");
  auto await = dyn_cast<tile::AwaitOp>(op);
  if (await && !await->getParentOfType<tile::RoleOp>() && !await.getPending())
    return op->emitOpError("expects `pending` after InsertBarriers");
  return checkLayouts(op);
}

//===----------------------------------------------------------------------===//
// nvvm
//===----------------------------------------------------------------------===//

static LogicalResult checkInstructions(Operation *op) {
  if (isa_and_present<ir::AttnDialect, tile::TileDialect, scf::SCFDialect>(op->getDialect()))
    return op->emitOpError("must be gone after stage `nvvm`");
  return success();
}

namespace {

struct VerifyStage final : impl::VerifyStageBase<VerifyStage> {
  using VerifyStageBase::VerifyStageBase;

  LogicalResult check(Operation *op) {
    switch (stage) {
    case CompilationStage::OnlineAttention:
      return checkOnlineAttention(op);
    case CompilationStage::Layouts:
      return checkLayouts(op);
    case CompilationStage::Rings:
      return checkRings(op);
    case CompilationStage::Kernels:
      return checkKernels(op);
    case CompilationStage::Instructions:
      return checkInstructions(op);
    }
    llvm_unreachable("all stages are handled");
  }

  void runOnOperation() override {
    WalkResult result = getOperation()->walk<WalkOrder::PreOrder>(
        [&](Operation *op) { return failed(check(op)) ? WalkResult::interrupt() : WalkResult::advance(); });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace

} // namespace attn
