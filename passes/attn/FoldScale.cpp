// Brings the scores of softmax into log2 units, in which the exponentials of the hardware work:
//
//   %t = arith.mulf %s, %scale              %c = scale · log2(e), in double, rounded once
//   attn.yield %t                     →     %t = arith.mulf %s, %c
//                                           attn.yield %t            and attribute `log2`
//
// Factors at the root of the score that are constants merge into one; a factor given at launch meets log2(e) once,
// outside the region. A single factor at the root costs nothing, for AttnToTile makes it the `scale` of the softmax step.
// So a sum is not multiplied out, and the product's own constant comes out of it where the other summand has a factor that
// is the same for all points, which takes it in (ALiBi: a product an element less), or is read once a diagonal (T5):
//
//   s · c + slope · |d|      →     (s + (slope / c) · |d|) · c
//
// A `tanh` that is the score but for sums and constant factors (softcap) becomes a reciprocal and a shift (LogisticScores.h):
//
//   c · tanh x               →     -1/(1 + 2^(x · 2 log2 e)) · 2c + c
//
// unless the plan says `attn.approximate_tanh`: then it is the target's instruction. Whoever asks for that where there is no
// such `tanh` is told.
//
// An absent `score` is written out. Region `init` (a sink's logit) follows.
//
// Guarantees: every softmax `attn.attention` has a `score` region and `log2`. Idempotent: `log2` marks what is done.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/PlanOptions.h"
#include "passes/Distances.h"
#include "passes/IndexUses.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/attn/LogisticScores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_FOLDSCALE
#include "passes/Passes.h.inc"

namespace {
/// A value as constant · uniforms · rest, where uniforms are known before the region is entered.
struct Factored {
  double constant = 1.0;
  SmallVector<Value, 2> factors, divisors;
  Value rest;
};
} // namespace

static std::optional<double> constantOf(Value value) {
  APFloat number(0.0);
  if (!matchPattern(value, m_ConstantFloat(&number)))
    return std::nullopt;
  return number.convertToDouble();
}

/// Whether `value` is the same for all points of a tile: it reads no feature and neither q_idx nor kv_idx.
static bool isSameForPoints(Value value, Region &region) {
  return !findBehind(value, [&](Value behind) {
    Operation *op = behind.getDefiningOp();
    if (!region.isAncestor(behind.getParentRegion()))
      return WalkBehind::Skip;
    if (auto index = dyn_cast_or_null<ir::IndexOp>(op))
      return index.getKind() == ir::IndexKind::q_idx || index.getKind() == ir::IndexKind::kv_idx ? WalkBehind::Found : WalkBehind::Skip;
    bool isOfPoint = !op || isa<ir::DotOp, ir::SuffixSumOp, ir::RandomOp>(op) || op->getNumRegions() != 0;
    return isOfPoint ? WalkBehind::Found : WalkBehind::Descend;
  });
}

/// Whether a value depends on the distance of query and key alone and costs enough to be computed once a diagonal
/// (BuildStrips): a factor more is none of a point's.
static bool isOfDiagonals(Value value, Region &region) {
  Distances distances(region, [](Operation *op) -> std::optional<PointSteps> {
    auto index = dyn_cast<ir::IndexOp>(op);
    if (!index || (index.getKind() != ir::IndexKind::q_idx && index.getKind() != ir::IndexKind::kv_idx))
      return std::nullopt;
    return index.getKind() == ir::IndexKind::q_idx ? PointSteps{1, 0} : PointSteps{0, 1};
  });
  return distances.kindOf(value) == PointKind::Distance && isa_and_present<ir::LoadOp>(value.getDefiningOp());
}

/// A summand over a constant, where that costs no product a point: u / c · w for u · w with u the same for all points, or a
/// number of the diagonal. Null otherwise.
static Value divided(Value summand, double by, Region &region) {
  Operation *op = summand.getDefiningOp();
  if (!op)
    return {};
  OpBuilder builder(region.getContext());
  builder.setInsertionPointAfter(op);
  Location location = op->getLoc();
  auto multiplied = [&](Value value) -> Value {
    Value inverse = arith::ConstantOp::create(builder, location, builder.getFloatAttr(value.getType(), 1.0 / by));
    return arith::MulFOp::create(builder, location, value, inverse);
  };
  if (isOfDiagonals(summand, region))
    return multiplied(summand);
  if (!isa<arith::MulFOp>(op))
    return {};
  unsigned same = isSameForPoints(op->getOperand(0), region) ? 0 : 1;
  if (!isSameForPoints(op->getOperand(same), region) || isSameForPoints(op->getOperand(1 - same), region))
    return {};
  Value factor = multiplied(op->getOperand(same));
  return arith::MulFOp::create(builder, location, factor, op->getOperand(1 - same));
}

/// Rewrites s · c ± w, c > 0 a constant of moderate size, to s ± (w / c) where `divided` finds that cheap, and returns c.
static std::optional<double> takeOut(Value &sum, Region &region) {
  Operation *op = sum.getDefiningOp();
  if (!op || !isa<arith::AddFOp, arith::SubFOp>(op))
    return std::nullopt;
  for (unsigned first : {0u, 1u}) {
    auto product = op->getOperand(first).getDefiningOp<arith::MulFOp>();
    std::optional<double> constant = product ? constantOf(product.getRhs()) : std::nullopt;
    bool hasInverse = constant && *constant > 0x1p-64 && *constant < 0x1p64;
    if (!hasInverse || (first == 1 && isa<arith::SubFOp>(op)))
      continue;
    Value term = divided(op->getOperand(1 - first), *constant, region);
    if (!term)
      continue;
    OpBuilder builder(op);
    if (isa<arith::AddFOp>(op))
      sum = arith::AddFOp::create(builder, op->getLoc(), product.getLhs(), term);
    else
      sum = arith::SubFOp::create(builder, op->getLoc(), product.getLhs(), term);
    return constant;
  }
  return std::nullopt;
}

/// Peels constant and uniform factors off the root of `value`.
static Factored factor(Value value, Region &region) {
  Factored result;
  auto isUniform = [&](Value operand) { return !region.isAncestor(operand.getParentRegion()); };
  while (Operation *op = value.getDefiningOp()) {
    if (isUniform(value))
      break;
    if (isa<arith::NegFOp>(op)) {
      result.constant = -result.constant;
      value = op->getOperand(0);
      continue;
    }
    bool isProduct = isa<arith::MulFOp>(op);
    if (!isProduct && !isa<arith::DivFOp>(op))
      break;
    Value rest = op->getOperand(0), by = op->getOperand(1);
    if (isProduct && (constantOf(rest) || isUniform(rest)))
      std::swap(rest, by);
    if (std::optional<double> number = constantOf(by); number && *number != 0.0 && std::isfinite(*number))
      result.constant = isProduct ? result.constant * *number : result.constant / *number;
    else if (!number && isUniform(by))
      (isProduct ? result.factors : result.divisors).push_back(by);
    else
      break;
    value = rest;
  }
  if (std::optional<double> constant = takeOut(value, region))
    result.constant *= *constant;
  result.rest = value;
  return result;
}

/// All that was peeled off, times a number: outside the region.
static Value multiply(OpBuilder &outside, Location location, const Factored &parts, double by) {
  auto number = outside.getFloatAttr(parts.rest.getType(), parts.constant * by);
  Value scale = arith::ConstantOp::create(outside, location, number);
  for (Value uniform : parts.factors)
    scale = arith::MulFOp::create(outside, location, scale, uniform);
  for (Value uniform : parts.divisors)
    scale = arith::DivFOp::create(outside, location, scale, uniform);
  return scale;
}

static bool wantsInstruction(ir::AttentionOp op) { return op->getParentOp()->hasAttr(ir::kApproximateTanhAttr); }

static bool isInstruction(math::TanhOp op) { return bitEnumContainsAll(op.getFastmath(), arith::FastMathFlags::afn); }

/// Rewrites the tangents of a score, and says how.
static ShiftedScore shiftTangents(ir::AttentionOp op, Value root, PeelFactor peel) {
  OpBuilder inside(op.getScore().front().getTerminator());
  TangentForm form = wantsInstruction(op) ? TangentForm::Instruction : TangentForm::Logistic;
  ShiftedScore score = rewriteTangents(inside, root, peel, form);
  if (score.rest != root)
    remark(op, RemarkCategory::Schedule,
           form == TangentForm::Instruction
               ? "`tanh` in the score is the target's instruction, as was asked for: relative errors of 2^-11"
               : "`tanh` in the score is a reciprocal and an exponential: errors below 2^-20; --approximate-tanh takes the target's "
                 "instruction, with relative errors of 2^-11");
  return score;
}

/// Replaces operand 0 of the region's terminator by itself times log2(e).
static void scaleYield(ir::AttentionOp attention, Region &region, bool isScore) {
  Operation *yield = region.front().getTerminator();
  Factored parts = factor(yield->getOperand(0), region);
  Location loc = yield->getOperand(0).getLoc();
  OpBuilder outside(attention), inside(yield);
  ShiftedScore score{parts.rest};
  if (isScore && parts.rest.getType().isF32()) // f64 keeps the accuracy that `tanh` has near 0
    score = shiftTangents(attention, parts.rest, [&](Value value, double by) {
      Factored inner = factor(value, region);
      return std::pair(inner.rest, multiply(outside, loc, inner, by));
    });
  double weight = score.rest == parts.rest ? 1.0 : takeConstantFactor(score.rest);
  Value scale = multiply(outside, loc, parts, weight * std::numbers::log2e);
  Value result = arith::MulFOp::create(inside, loc, score.rest, scale);
  if (score.shift != 0)
    result = arith::AddFOp::create(inside, loc, result, multiply(outside, loc, parts, score.shift * std::numbers::log2e));
  yield->setOperand(0, result);
}

/// Writes out the default score: dot(query, key) / sqrt(head_dim).
static void writeScore(ir::AttentionOp op) {
  SmallVector<Type> types = op.getQueryFeatureTypes();
  types.append(op.getKeyFeatureTypes());
  Block *block = op.addBlock(op.getScore(), types);
  OpBuilder builder = OpBuilder::atBlockEnd(block);
  double scale = 1.0 / std::sqrt(static_cast<double>(op.getHeadDim()));
  Value dot = ir::DotOp::create(builder, op.getLoc(), block->getArgument(0), block->getArgument(1));
  Value constant = arith::ConstantOp::create(builder, op.getLoc(), builder.getFloatAttr(dot.getType(), scale));
  Value score = arith::MulFOp::create(builder, op.getLoc(), dot, constant);
  ir::YieldOp::create(builder, op.getLoc(), ValueRange{score});
}

namespace {
struct FoldScale final : impl::FoldScaleBase<FoldScale> {
  void runOnOperation() override {
    bool isAsked = false, isUsed = false;
    getOperation()->walk([&](ir::AttentionOp op) {
      isAsked |= wantsInstruction(op);
      if (op.getWeights() != ir::Weights::softmax || op.getLog2())
        return;
      if (op.getScore().empty())
        writeScore(op);
      scaleYield(op, op.getScore(), /*isScore=*/true);
      if (!op.getInit().empty())
        scaleYield(op, op.getInit(), /*isScore=*/false);
      op.setLog2(true);
    });
    getOperation()->walk([&](math::TanhOp op) { isUsed |= isInstruction(op); });
    if (isAsked && !isUsed)
      getOperation().emitWarning("--approximate-tanh changes nothing: no `tanh` reaches the score by sums and constant factors alone");
  }
};
} // namespace

} // namespace attn
