// See PointBudget.h.
#include "passes/attn/PointBudget.h"

#include "ir/attn/AttnDialect.h"
#include "passes/Distances.h"
#include "passes/IndexUses.h"
#include "passes/Lookups.h"
#include "passes/RelativeRows.h"
#include "passes/attn/LookupBudget.h"
#include "passes/attn/WeightBudget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include <algorithm>

using namespace mlir;

namespace attn {

static bool isFunction(Operation *op) { return isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::AbsIOp>(op); }

/// What the lowering of a function holds on the way, of as many elements at once as 64 keys are: an angle's turns are counted
/// in f64. Without roles more, for addresses of copies stand beside it.
static int64_t widthOf(Operation *function, bool isBesideProducts) {
  if (isa<math::SinOp, math::CosOp>(function))
    return isBesideProducts ? 20 : 25;
  return isa<math::ErfOp>(function) ? (isBesideProducts ? 8 : 9) : 0;
}

/// Of the functions of products of tiles in a score, and of those of scores in weights.
static int64_t functionRegisters(ir::AttentionOp op, bool isBesideProducts, int64_t keys) {
  int64_t width = 0;
  op.getScore().walk([&](Operation *inner) {
    if (inner->getNumResults() == 1 && llvm::any_of(operationsBehind(inner->getResult(0)), [](Operation *each) { return isa<ir::DotOp>(each); }))
      width += widthOf(inner, isBesideProducts);
  });
  constexpr int64_t kOfWeight = 6;
  op.getWeight().walk([&](Operation *inner) { width += isBesideProducts && isFunction(inner) ? kOfWeight : 0; });
  return width * keys / 64;
}

int64_t scoreRegisters(ir::AttentionOp op) {
  int64_t steps = 0;
  bool hasFunction = false;
  for (Operation *inner : op.getScore().empty() ? SmallVector<Operation *>() : operationsBehind(ir::yieldedBy(op.getScore())[0])) {
    bool onProduct = !isa<ir::DotOp>(inner) &&
                     llvm::any_of(operationsBehind(inner->getResult(0)), [](Operation *each) { return isa<ir::DotOp>(each); });
    steps += onProduct;
    hasFunction |= onProduct && (isFunction(inner) || isa<arith::DivFOp>(inner));
  }
  return hasFunction ? 32 : steps > 1 ? 8 : 0;
}

/// Whether all that is added to a product of tiles is a function of the distance, with which the product then begins (BuildStrips).
static bool beginsWithDistance(ir::AttentionOp op, Distances &distances) {
  if (op.getScore().empty())
    return false;
  auto scaled = ir::yieldedBy(op.getScore())[0].getDefiningOp<arith::MulFOp>();
  auto sum = scaled ? scaled.getLhs().getDefiningOp<arith::AddFOp>() : arith::AddFOp();
  return sum && sum.getLhs().getDefiningOp<ir::DotOp>() && distances.kindOf(sum.getRhs()) == PointKind::Distance;
}

/// Whether a score has tangents (LogisticScores) and more: what is added to them waits in registers for their reciprocals.
static bool addsToReciprocals(ir::AttentionOp op) {
  if (op.getScore().empty())
    return false;
  Value root = ir::yieldedBy(op.getScore())[0];
  bool has = llvm::any_of(operationsBehind(root), [](Operation *each) {
    auto division = dyn_cast<arith::DivFOp>(each);
    return division && bitEnumContainsAll(division.getFastmath(), arith::FastMathFlags::arcp);
  });
  auto shifted = root.getDefiningOp<arith::AddFOp>();
  auto scaled = shifted ? shifted.getLhs().getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  return has && !(scaled && scaled.getLhs().getDefiningOp<arith::DivFOp>());
}

/// Whether the mask is evaluated for every tile that is visited.
static bool isMaskOfAllTiles(ir::AttentionOp op) {
  return !op.getRanges().empty() && cast<ir::YieldRangesOp>(op.getRanges().front().getTerminator()).getFull().empty();
}

int64_t pointRegisters(ir::AttentionOp op, MmaFamily family, const ir::Schedule &schedule) {
  int64_t registers = 0;
  bool isBesideProducts = family == MmaFamily::Wgmma, hasStrip = false;
  constexpr int64_t kFewShared = 48;
  int64_t shared = 0;
  bool factorOfLaunch = false; // a number of the tile, computed from what is known at launch, kept through the loop
  Distances distances(op.getScore(), [](Operation *inner) -> std::optional<PointSteps> {
    auto index = dyn_cast<ir::IndexOp>(inner);
    if (!index || (index.getKind() != ir::IndexKind::q_idx && index.getKind() != ir::IndexKind::kv_idx))
      return std::nullopt;
    return index.getKind() == ir::IndexKind::q_idx ? PointSteps{1, 0} : PointSteps{0, 1};
  });
  auto add = [&](Operation *inner) {
    if (inner->getNumResults() != 1 || isOfLookup(op, inner) || (isa<ir::LoadOp>(inner) && findRelativeRow(inner->getResult(0))))
      return;
    bool onKey = dependsOnIndex(inner->getResult(0), ir::IndexKind::kv_idx);
    bool onQuery = dependsOnIndex(inner->getResult(0), ir::IndexKind::q_idx);
    // What depends on the distance alone will be read from a strip (BuildStrips), where rows are consecutive queries.
    bool onDistance = schedule.pack == 1 && inner->getParentRegion() == &op.getScore() &&
                      distances.kindOf(inner->getResult(0)) == PointKind::Distance;
    bool isDivision = isa<arith::DivSIOp, arith::FloorDivSIOp, arith::RemSIOp, arith::DivUIOp, arith::RemUIOp>(inner);
    factorOfLaunch |= isFunction(inner) && inner->getParentRegion() == &op.getScore() &&
                      distances.kindOf(inner->getResult(0)) == PointKind::Shared &&
                      llvm::any_of(operationsBehind(inner->getResult(0)), [](Operation *each) { return isa<ir::SizeOp, ir::LoadOp>(each); });
    if (onDistance)
      hasStrip |= isBesideProducts ? inner->getResult(0).getType().isF32() : isDivision || isa<ir::LoadOp>(inner) || isFunction(inner);
    else if (onKey && isa<ir::LoadOp>(inner)) // without a branch around the mask the words of the next keys are on their way
      registers += onQuery ? 40 : !isBesideProducts && inner->getParentRegion() == &op.getMask() && isMaskOfAllTiles(op) ? 34 : 12;
    else if (onKey && (isDivision || isa<arith::CmpFOp>(inner) || (isBesideProducts && isFunction(inner))))
      registers += isDivision && !matchPattern(inner->getOperand(1), m_Constant()) ? 16 : 12; // a divisor of launch keeps its reciprocal
    else if (onQuery && (isDivision || isa<ir::LoadOp>(inner) || (isBesideProducts && isFunction(inner))))
      registers += 2; // held through the loop
    else if (!onDistance && isBesideProducts && isa<ir::LoadOp>(inner))
      ++shared;
  };
  for (Region *region : {&op.getScore(), &op.getMask(), &op.getWeight()})
    region->walk(add);
  registers += weightRegisters(op);
  if (shared > kFewShared) // words that all points share, as the layers of a small network: as many as there is room for
    registers += 40;
  if (isBesideProducts && registers > 0) // what is kept from key to key, once there is any
    registers += 20;
  bool begins = beginsWithDistance(op, distances);
  if (hasStrip && isBesideProducts && schedule.warps == 8) // the producer builds it with registers of the consumers
    registers += 12;
  else if (hasStrip && (isBesideProducts || !begins))
    registers += 8;
  if (!isBesideProducts && factorOfLaunch && !begins)
    registers += 4;
  if (!isBesideProducts && addsToReciprocals(op))
    registers += 8;
  return registers + functionRegisters(op, isBesideProducts, schedule.blockN);
}

} // namespace attn
