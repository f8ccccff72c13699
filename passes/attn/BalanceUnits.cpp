// See BalanceUnits.h. A point of a softcap takes three special functions: 2^x and a reciprocal for the tangent, and the
// exponential of the softmax. Counted is in lanes of special functions: what a multiprocessor does while such a unit gives
// one result. By support/GpuMachines.def that is 128 multiply-adds of tensor cores, 8 lanes of f32 and 8 of instructions with
// wgmma (H100, H200), 64, 4 and 8 with mma.sync (A100).
#include "passes/attn/BalanceUnits.h"

#include "passes/attn/BoundedScores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace attn {

namespace {
/// What is done beside one special function.
struct Beside {
  double products, floats, instructions;
};
/// Instructions of a point, beside special functions.
struct PointCost {
  double floats, instructions;
};
} // namespace

static constexpr Beside kBesideWgmma{128, 8, 8}, kBesideMmaSync{64, 4, 8};
static constexpr PointCost kPlain{3, 5}, kReciprocal{5, 5}, kEmulated{9, 10}, kTangent{1, 1}, kMaximum{0, 1};
static constexpr double kSharedReciprocal = 0.25; ///< special functions, where four points share one
static constexpr int64_t kLeastPercent = 5;

void balanceUnits(ir::AttentionOp op, MmaFamily family, ir::Schedule &schedule) {
  if (op.getWeights() != ir::Weights::softmax || op.getScore().empty())
    return;
  SmallVector<arith::DivFOp> reciprocals;
  op.getScore().walk([&](arith::DivFOp division) {
    if (bitEnumContainsAll(division.getFastmath(), arith::FastMathFlags::arcp))
      reciprocals.push_back(division);
  });
  auto tangents = 0.0; // by the instruction
  op.getScore().walk([&](math::TanhOp tanh) { tangents += bitEnumContainsAll(tanh.getFastmath(), arith::FastMathFlags::afn); });
  if (reciprocals.empty() && tangents == 0)
    return;
  const Beside &beside = family == MmaFamily::Wgmma ? kBesideWgmma : kBesideMmaSync;
  double count = static_cast<double>(reciprocals.size()), width = op.getQueryType().getElementType().getIntOrFloatBitWidth() / 16.0;
  double tensor = width * static_cast<double>(op.getHeadDim() + op.getValueRowLength()) / beside.products;
  // the exponential, those that rescale a row if it has a maximum, which its four lanes compute each, and those of the tangents
  bool hasMaximum = !findBoundedSoftmax(op).above;
  double rescaling = hasMaximum ? 4.0 / static_cast<double>(schedule.blockN) : 0;
  double special = 1 + rescaling + 2 * count + tangents;
  if (special <= tensor)
    return;
  special -= count * (1 - kSharedReciprocal);
  for (arith::DivFOp division : reciprocals)
    division.setFastmath(division.getFastmath() | arith::FastMathFlags::reassoc);
  // no further than where the units that take over would be the busier ones
  double floats = kPlain.floats + count * kReciprocal.floats + tangents * kTangent.floats;
  double instructions = kPlain.instructions - (hasMaximum ? 0 : kMaximum.instructions) + count * kReciprocal.instructions + tangents * kTangent.instructions;
  double share = std::min({special - tensor, (special * beside.floats - floats) / (beside.floats + kEmulated.floats),
                           (special * beside.instructions - special - instructions) / (beside.instructions + kEmulated.instructions)});
  auto percent = static_cast<int64_t>(std::ceil(100 * share));
  if (percent >= kLeastPercent)
    schedule.emulate = percent;
}

} // namespace attn
