// See BoundedScores.h. A softmax does not change if its weights are all multiplied by one number. The row's maximum in the
// exponent keeps them in range; where scores are bounded, a constant in their middle does that as well, and no maximum need be
// found, shared by the lanes of a row, or followed by sums that are scaled when it grows:
//
//   lo ≤ s ≤ hi for all visible keys (c · tanh x and what is as bounded)      weights 2^(s - (lo + hi)/2)
//
// or near it: at hi, where many scores of a softcap lie, weights are a power of 2, which rounding does not change. All keys of a row
// that have one weight would else be rounded alike, and their errors would not average out.
//
// How far lo and hi may be apart is a matter of range alone, for rounding is relative: of the type that weights are rounded to,
// of sums over keys in f32, and of the products with values (docs/numerics.md).
#include "passes/attn/BoundedScores.h"

#include "ir/attn/ProductTypes.h"
#include "passes/attn/RealBounds.h"

#include "llvm/Support/Format.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace attn {

namespace {
/// Exponents that weights may have: -below to above.
struct ExponentRange {
  double below, above;
};
} // namespace

/// f16: its normal numbers. Else the range of sums: 2^75 leaves 2^52 for values and the number of keys; the parts in which f32
/// is multiplied are smaller by 2^24 than the numbers, and should be normal as well.
static std::optional<ExponentRange> exponentsOf(ir::AttentionOp op) {
  Type multiplied = ir::weightedType(op);
  if (ir::isFloat8(op.getProbsElementType()) || !multiplied)
    return std::nullopt;
  if (multiplied.isF16())
    return ExponentRange{14, 15};
  if (multiplied.isF32())
    return ExponentRange{50, 50};
  return multiplied.isF64() ? ExponentRange{400, 400} : ExponentRange{75, 75};
}

/// A number with one digit behind the point.
static std::string spelled(double number) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.1f", number);
  return text;
}

BoundedSoftmax findBoundedSoftmax(ir::AttentionOp op) {
  if (op.getWeights() != ir::Weights::softmax || !op.getLog2() || op.getScore().empty())
    return {};
  RealBounds bounds(op);
  RealRange scores = bounds.of(ir::yieldedBy(op.getScore())[0]);
  if (!scores.isBounded() || scores.isNoNumber())
    return {};
  std::string between = "scores lie between " + spelled(scores.lo) + " and " + spelled(scores.hi) + " (log2 units)";
  auto needsMaximum = [&](const Twine &why) { return BoundedSoftmax{{}, (between + ", but " + why + ": each row has its maximum").str()}; };
  RealRange all = scores;
  if (!op.getInit().empty()) {
    RealRange sink = bounds.of(ir::yieldedBy(op.getInit())[0]);
    if (!sink.isBounded())
      return needsMaximum("nothing bounds the sink");
    all = unite(all, sink);
  }
  if (op.getOutput("max_score"))
    return needsMaximum("`max_score` is asked for");
  auto exponents = exponentsOf(op);
  if (!exponents)
    return needsMaximum("probs are rounded to 8 bits");
  bool isMultiplied = !op.getWeight().empty() && ir::yieldedBy(op.getWeight())[0] != op.getWeight().getArgument(0);
  if (isMultiplied && ir::weightedType(op).isF16())
    return needsMaximum("probs are multiplied before they are rounded to f16");
  if (all.hi - all.lo > exponents->below + exponents->above)
    return needsMaximum("weights of " + ir::spell(ir::weightedType(op)) + " have room for " + spelled(exponents->below + exponents->above));
  double least = std::ceil(all.hi - all.lo - exponents->below), most = exponents->above;
  double above = static_cast<float>(all.hi - std::clamp(std::round((all.hi - all.lo) / 2), std::min(least, most), most));
  return {above, between + ", so weights are taken above 2^" + spelled(above) + " in all rows: no row has a running maximum"};
}

} // namespace attn
