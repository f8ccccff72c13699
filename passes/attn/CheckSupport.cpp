// The one place that says what the back end can compile, and if not why: every refusal is located at the op it is about,
// before anything is lowered. What passes here must compile; a failure after it is a mistake of ours.
//
// Requires: FoldScale, FuseProducers, FuseEpilogue. Changes nothing.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/ProductTypes.h"
#include "passes/IndexUses.h"
#include "passes/Lookups.h"
#include "passes/Passes.h"
#include "passes/RelativeRows.h"
#include "passes/attn/DoubleRows.h"
#include "passes/attn/WideHeads.h"
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
    for (auto [operand, name] : {std::pair<Value, StringRef>{op.getQuery(), "query"}, {op.getKey(), "key"}, {op.getValue(), "value"}})
      if (auto transform = operand.getDefiningOp<ir::TransformOp>(); transform && failed(checkTransform(transform, name)))
        return failure();
    for (auto part : {&SupportChecker::checkLayout, &SupportChecker::checkTypes, &SupportChecker::checkLengths,
                      &SupportChecker::checkWeights, &SupportChecker::checkRowRegions, &SupportChecker::checkScore,
                      &SupportChecker::checkOutputs})
      if (failed((this->*part)()))
        return failure();
    return checkRandom();
  }

private:
  LogicalResult checkLayout();
  LogicalResult checkTypes();
  LogicalResult checkLengths();
  LogicalResult checkWeights();
  LogicalResult checkRowRegions();
  LogicalResult checkScore();
  LogicalResult checkDot(ir::DotOp dot);
  LogicalResult checkOutputs();
  LogicalResult checkRandom();
  LogicalResult checkTransform(ir::TransformOp transform, StringRef name);
  LogicalResult checkRowRegion(Region &region, StringRef name);

  LogicalResult refuse(Operation *where, const Twine &what) {
    return where->emitError() << what << " not supported on " << StringRef(target.name) << " yet";
  }

  ir::AttentionOp op;
  const GpuTarget &target;
};

} // namespace

LogicalResult SupportChecker::checkLayout() {
  auto pageSize = op.getPageSize();
  if (!op.getPaged().empty() && !llvm::isPowerOf2_64(*pageSize))
    return op.emitError() << "pages of " << *pageSize << " rows are not supported on " << StringRef(target.name)
                          << " yet: a power of two is";
  return success();
}

using ir::spell;

LogicalResult SupportChecker::checkTypes() {
  Type query = op.getQueryType().getElementType(), key = op.getKeyType().getElementType();
  Type value = op.getValueType().getElementType(), probs = op.getProbsElementType();
  // A product of tiles has one type for both operands, which must have all numbers of both.
  auto checkPair = [&](Type a, StringRef name, Type b, StringRef beside) -> LogicalResult {
    if (ir::productType(a, b))
      return success();
    return refuse(op, "`" + name + "` of `" + spell(a) + "` beside " + beside + " of `" + spell(b) + "` is");
  };
  if (failed(checkPair(key, "key", query, "query")) || failed(checkPair(value, "value", probs, "probs")))
    return failure();
  auto computesAlike = [](Type a, Type b) { return a.isF32() == b.isF32() && a.isF64() == b.isF64(); };
  if (!computesAlike(ir::featureType(op), ir::weightedType(op)))
    return refuse(op, "`value` of `" + spell(value) + "` beside query of `" + spell(query) + "` is");
  Value out = op.getOutput("out");
  if (out && cast<ir::AttnTensorType>(out.getType()).getElementType().isF64() && !hasDoubleRows(op))
    return refuse(op, "`out` of `f64` beside query of `" + spell(query) + "` is");
  return success();
}

LogicalResult SupportChecker::checkLengths() {
  if (isWide(op))
    return checkWideHeads(op, target);
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
  for (StringRef name : {"lse", "max_score"})
    if (op.getWeights() == ir::Weights::direct && op.getOutput(name))
      return op.emitError() << "`" << name << "` is of a softmax, but the weights are none";
  if (!op.getWeight().empty()) {
    for (Value row : rowsAddedToValue(op.getWeight()))
      if (!findRelativeRow(row))
        return refuse(row.getDefiningOp(), "a row added to `value` that the distance of key and query does not choose is");
  }
  return success();
}

/// Elementwise mathematics, rotations, sums over a row, parts of it and rows of tables.
static bool isRowOperation(Operation *op) {
  if (auto reduction = dyn_cast<vector::ReductionOp>(op))
    return reduction.getKind() == vector::CombiningKind::ADD && !reduction.getAcc();
  if (isa<ir::RotateOp, ir::ChannelOp, ir::LoadOp, ir::YieldOp, vector::BroadcastOp, vector::ExtractStridedSliceOp,
          vector::InsertStridedSliceOp>(op))
    return true;
  return isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
}

LogicalResult SupportChecker::checkRowRegion(Region &region, StringRef name) {
  if (region.empty())
    return success();
  WalkResult result = region.walk([&](Operation *inner) {
    auto isRow = [](Type type) { return isa<VectorType>(type); };
    bool hasRow = llvm::any_of(inner->getOperandTypes(), isRow) || llvm::any_of(inner->getResultTypes(), isRow);
    if (!hasRow || isRowOperation(inner))
      return WalkResult::advance();
    (void)refuse(inner, "this operation on a row of `" + name + "` is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult SupportChecker::checkRowRegions() {
  if (failed(checkRowRegion(op.getValueRegion(), "value")) || failed(checkRowRegion(op.getQueryRegion(), "query")))
    return failure();
  return checkRowRegion(op.getKeyRegion(), "key");
}

/// A dot is a product of tiles, a term of a query row, looked up in the products with a small table, or one with a row
/// a diagonal.
LogicalResult SupportChecker::checkDot(ir::DotOp dot) {
  unsigned queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  if (findLookup(dot, queryFeatures))
    return success();
  bool hasQuery = false, hasKey = false;
  Value rows;
  for (Value operand : {dot.getLhs(), dot.getRhs()}) {
    auto feature = dyn_cast<BlockArgument>(operand);
    if (!feature)
      rows = operand;
    else
      (feature.getArgNumber() < queryFeatures ? hasQuery : hasKey) = true;
  }
  if (hasQuery && hasKey)
    return success();
  if (!rows && hasKey)
    return refuse(dot, "a `dot` of two vectors of `key` that depend on the query head is");
  if (!rows)
    return success();
  if (dependsOnScores(rows) && hasKey)
    return refuse(dot, "`dot` of a key with a row of a table that scores choose is");
  if (dependsOnScores(rows))
    return refuse(dot, "`dot` with a row that scores choose from more than " + Twine(kMostLookupRows) + " rows, or from a number not known when compiling, is");
  bool onQuery = dependsOnIndex(rows, ir::IndexKind::q_idx), onKey = dependsOnIndex(rows, ir::IndexKind::kv_idx);
  if (onQuery && onKey && findRelativeProduct(dot, queryFeatures))
    return success();
  if (onQuery && onKey)
    return refuse(dot, "`dot` with a row of a table that depends on query and key other than by their distance is");
  if (hasKey && onKey)
    return refuse(dot, "`dot` of a key with a row of a table that depends on the key is");
  return success();
}

LogicalResult SupportChecker::checkScore() {
  WalkResult result = op.getScore().walk([&](Operation *inner) {
    if (auto dot = dyn_cast<ir::DotOp>(inner))
      return failed(checkDot(dot)) ? WalkResult::interrupt() : WalkResult::advance();
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  result = op.getWeight().walk([&](ir::SuffixSumOp sum) {
    (void)refuse(sum, "`suffix_sum` beside `softmax` is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult SupportChecker::checkOutputs() {
  if (op.getOut().empty())
    return success();
  Operation *yield = op.getOut().front().getTerminator();
  if (yield->getOperand(0).getType() != op.getOut().getArgument(0).getType())
    return refuse(yield, "an `out` of another length than `value` is");
  return checkRowRegion(op.getOut(), "out");
}

/// Whether a key is visible is asked for one key at a time as well; random numbers come in tiles.
LogicalResult SupportChecker::checkRandom() {
  WalkResult result = op.getMask().walk([&](ir::RandomOp random) {
    (void)refuse(random, "`dropout` in `mask` is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// Rows changed by a kernel of their own.
LogicalResult SupportChecker::checkTransform(ir::TransformOp transform, StringRef name) {
  if (!transform.getTensor().getDefiningOp()) // an argument of the plan
    return checkRowRegion(transform.getRow(), name);
  return refuse(transform, "a transform of a transform is");
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
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
