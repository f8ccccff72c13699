// Brings the scores of softmax into log2 units, in which the exponentials of the hardware work:
//
//   %t = arith.mulf %s, %scale              %c = scale · log2(e), in double, rounded once
//   attn.yield %t                     →     %t = arith.mulf %s, %c
//                                           attn.yield %t            and attribute `log2`
//
// Factors at the root of the score that are constants merge into one; a factor given at launch meets log2(e) once,
// outside the region. A sum is not multiplied out: a single factor at the root costs nothing, for AttnToTile makes it
// the `scale` of the softmax step. An absent `score` is written out. Region `init` (a sink's logit) follows.
//
// Guarantees: every softmax `attn.attention` has a `score` region and `log2`. Idempotent: `log2` marks what is done.
#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
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
  result.rest = value;
  return result;
}

/// Replaces operand 0 of the region's terminator by itself times log2(e).
static void scaleYield(Operation *attention, Region &region) {
  Operation *yield = region.front().getTerminator();
  Factored parts = factor(yield->getOperand(0), region);
  Location loc = yield->getOperand(0).getLoc();
  OpBuilder outside(attention), inside(yield);
  double constant = parts.constant * std::numbers::log2e;
  Value scale = arith::ConstantOp::create(outside, loc, outside.getF32FloatAttr(static_cast<float>(constant)));
  for (Value uniform : parts.factors)
    scale = arith::MulFOp::create(outside, loc, scale, uniform);
  for (Value uniform : parts.divisors)
    scale = arith::DivFOp::create(outside, loc, scale, uniform);
  yield->setOperand(0, arith::MulFOp::create(inside, loc, parts.rest, scale));
}

/// Writes out the default score: dot(query, key) / sqrt(head_dim).
static void writeScore(ir::AttentionOp op) {
  SmallVector<Type> types = op.getQueryFeatureTypes();
  types.append(op.getKeyFeatureTypes());
  Block *block = op.addBlock(op.getScore(), types);
  OpBuilder builder = OpBuilder::atBlockEnd(block);
  auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(op.getHeadDim())));
  Value dot = ir::DotOp::create(builder, op.getLoc(), builder.getF32Type(), block->getArgument(0), block->getArgument(1));
  Value constant = arith::ConstantOp::create(builder, op.getLoc(), builder.getF32FloatAttr(scale));
  Value score = arith::MulFOp::create(builder, op.getLoc(), dot, constant);
  ir::YieldOp::create(builder, op.getLoc(), ValueRange{score});
}

namespace {
struct FoldScale final : impl::FoldScaleBase<FoldScale> {
  void runOnOperation() override {
    getOperation()->walk([](ir::AttentionOp op) {
      if (op.getWeights() != ir::Weights::softmax || op.getLog2())
        return;
      if (op.getScore().empty())
        writeScore(op);
      scaleYield(op, op.getScore());
      if (!op.getInit().empty())
        scaleYield(op, op.getInit());
      op.setLog2(true);
    });
  }
};
} // namespace

} // namespace attn
