// The one place that says what the back end can compile, and if not why: every refusal is located at the op it is about,
// before anything is lowered. What passes here must compile; a failure after it is a mistake of ours.
//
// Requires: FoldScale, FuseProducers, FuseEpilogue. Changes nothing.
#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_CHECKSUPPORT
#include "passes/Passes.h.inc"

namespace {

/// Checks one attention for one target. Each method refuses with a message of its own.
class SupportChecker {
public:
  SupportChecker(ir::AttentionOp op, const GpuTarget &target) : op(op), target(target) {}

  LogicalResult check() {
    for (auto part : {&SupportChecker::checkLayout, &SupportChecker::checkTypes, &SupportChecker::checkLengths,
                      &SupportChecker::checkWeights, &SupportChecker::checkRowRegions, &SupportChecker::checkScore,
                      &SupportChecker::checkOutputs, &SupportChecker::checkReads})
      if (failed((this->*part)()))
        return failure();
    return success();
  }

private:
  LogicalResult checkLayout();
  LogicalResult checkTypes();
  LogicalResult checkLengths();
  LogicalResult checkWeights();
  LogicalResult checkRowRegions();
  LogicalResult checkScore();
  LogicalResult checkOutputs();
  LogicalResult checkReads();
  LogicalResult checkRowRegion(Region &region, StringRef name);

  LogicalResult refuse(Operation *where, const Twine &what) {
    return where->emitError() << what << " not supported on " << StringRef(target.name) << " yet";
  }

  ir::AttentionOp op;
  const GpuTarget &target;
};

} // namespace

LogicalResult SupportChecker::checkLayout() {
  if (!op.getRagged().empty())
    return refuse(op, "layout `ragged` is");
  if (!op.getPaged().empty())
    return refuse(op, "layout `paged` is");
  return success();
}

/// As the language spells it.
static std::string spell(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return "e4m3";
  if (isa<Float8E5M2Type>(type))
    return "e5m2";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

LogicalResult SupportChecker::checkTypes() {
  Type element = op.getQueryType().getElementType();
  if (!element.isF16() && !element.isBF16())
    return refuse(op, "dtype `" + spell(element) + "` is");
  auto checkSame = [&](Type other, StringRef name) -> LogicalResult {
    if (other == element)
      return success();
    return refuse(op, "`" + name + "` of `" + spell(other) + "` beside query of `" + spell(element) + "` is");
  };
  if (failed(checkSame(op.getKeyType().getElementType(), "key")) ||
      failed(checkSame(op.getValueType().getElementType(), "value")) ||
      failed(checkSame(op.getProbsElementType(), "probs")))
    return failure();
  Value out = op.getOutput("out");
  return out ? checkSame(cast<ir::AttnTensorType>(out.getType()).getElementType(), "out") : success();
}

LogicalResult SupportChecker::checkLengths() {
  auto checkLength = [&](int64_t length, StringRef name) -> LogicalResult {
    if (length % 8 == 0 && length <= 256)
      return success();
    return op.emitError() << "`" << name << "` is " << length << ", but " << StringRef(target.name)
                          << " takes multiples of 8 up to 256";
  };
  if (failed(checkLength(op.getHeadDim(), "head_dim")))
    return failure();
  return checkLength(op.getValueRowLength(), "head_dim_v");
}

LogicalResult SupportChecker::checkWeights() {
  if (op.getWeights() == ir::Weights::direct)
    return refuse(op, "weights other than `softmax` are");
  if (!op.getWeight().empty()) {
    Operation *yield = op.getWeight().front().getTerminator();
    if (yield->getOperand(1) != op.getWeight().getArgument(1))
      return refuse(yield, "a table added to `value` is");
    return refuse(yield, "`probs` other than `softmax(…)` itself is");
  }
  return success();
}

LogicalResult SupportChecker::checkRowRegion(Region &region, StringRef name) {
  if (region.empty())
    return success();
  Operation *yield = region.front().getTerminator();
  if (yield->getNumOperands() != 1)
    return refuse(yield, "more than one vector made of `" + name + "` is");
  if (yield->getOperand(0).getType() != region.getArgument(0).getType())
    return refuse(yield, "a part of `" + name + "`, or a longer vector made of it, is");
  WalkResult result = region.walk([&](Operation *inner) {
    bool hasRow = llvm::any_of(inner->getOperandTypes(), [](Type type) { return isa<VectorType>(type); }) ||
                  llvm::any_of(inner->getResultTypes(), [](Type type) { return isa<VectorType>(type); });
    bool isElementwise = isa<arith::ArithDialect, math::MathDialect>(inner->getDialect()) ||
                         isa<ir::RotateOp, ir::ChannelOp, ir::LoadOp, ir::YieldOp, vector::BroadcastOp>(inner);
    if (!hasRow || isElementwise)
      return WalkResult::advance();
    (void)refuse(inner, "this operation on a row of `" + name + "` is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult SupportChecker::checkRowRegions() {
  if (!op.getValueRegion().empty())
    return refuse(op.getValueRegion().front().getTerminator(), "a `value` other than the input itself is");
  if (failed(checkRowRegion(op.getQueryRegion(), "query")))
    return failure();
  return checkRowRegion(op.getKeyRegion(), "key");
}

LogicalResult SupportChecker::checkScore() {
  Region &score = op.getScore();
  unsigned dots = 0;
  WalkResult result = score.walk([&](Operation *inner) {
    if (auto dot = dyn_cast<ir::DotOp>(inner)) {
      if (dot.getLhs().getDefiningOp() || dot.getRhs().getDefiningOp()) {
        (void)refuse(inner, "`dot` with a row of a table that depends on query and key is");
        return WalkResult::interrupt();
      }
      if (++dots > 1) {
        (void)refuse(inner, "more than one `dot` of query and key is");
        return WalkResult::interrupt();
      }
    }
    if (isa<ir::SuffixSumOp>(inner)) {
      (void)refuse(inner, "`suffix_sum` is");
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (dots == 0)
    return refuse(score.front().getTerminator(), "a score without `dot(query, key)` is");
  return success();
}

LogicalResult SupportChecker::checkOutputs() {
  if (op.getOutput("max_score"))
    return refuse(op, "output `max_score` is");
  if (!op.getOut().empty())
    return refuse(op.getOut().front().getTerminator(), "an `out` other than the weighted sum itself is");
  return success();
}

/// Tensors of 64-bit and 8-bit floats have no reads.
LogicalResult SupportChecker::checkReads() {
  WalkResult result = op.walk([&](Operation *inner) {
    if (isa<ir::RandomOp>(inner)) {
      (void)refuse(inner, "`dropout` is");
      return WalkResult::interrupt();
    }
    auto load = dyn_cast<ir::LoadOp>(inner);
    if (!load)
      return WalkResult::advance();
    Type element = cast<ir::AttnTensorType>(load.getTensor().getType()).getElementType();
    if (!element.isF64() && !(isa<FloatType>(element) && element.getIntOrFloatBitWidth() == 8))
      return WalkResult::advance();
    (void)refuse(inner, "a read of a tensor of `" + spell(element) + "` is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct CheckSupport final : impl::CheckSupportBase<CheckSupport> {
  using CheckSupportBase::CheckSupportBase;

  void runOnOperation() override {
    func::FuncOp plan = getOperation();
    const GpuTarget *gpu = findGpuTarget(target.getValue());
    if (!gpu || !gpu->isCompiled) {
      plan.emitError() << (gpu ? "no code generation yet for target `" : "unknown target `") << target.getValue() << "`";
      return signalPassFailure();
    }
    WalkResult result = plan.walk([&](Operation *op) {
      if (auto attention = dyn_cast<ir::AttentionOp>(op))
        return succeeded(SupportChecker(attention, *gpu).check()) ? WalkResult::advance() : WalkResult::interrupt();
      if (isa<ir::TransformOp>(op)) {
        op->emitError() << "a transform that is a kernel of its own is not supported on " << StringRef(gpu->name)
                        << " yet";
        return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
