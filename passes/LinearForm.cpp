// See LinearForm.h.
#include "passes/LinearForm.h"

#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

/// Whether `value` is known before a tile is begun, and the same for all heads that may share it.
static bool isSharedByAll(Value value, Region &region) {
  return !findBehind(value, [&](Value behind) {
    Operation *op = behind.getDefiningOp();
    if (!region.isAncestor(behind.getParentRegion()))
      return WalkBehind::Skip;
    if (auto index = dyn_cast_or_null<ir::IndexOp>(op); index && index.getKind() == ir::IndexKind::b)
      return WalkBehind::Skip;
    bool isOwn = !op || isa<ir::IndexOp, ir::DotOp, ir::RandomOp, ir::SuffixSumOp>(op) || op->getNumRegions() != 0;
    return isOwn ? WalkBehind::Found : WalkBehind::Descend;
  });
}

static std::optional<BilinearTerm> findTerm(Value value, Region &region, unsigned queryFeatures) {
  BilinearTerm term;
  while (Operation *op = value.getDefiningOp()) {
    bool isProduct = isa<arith::MulFOp>(op);
    if (!isProduct && !isa<arith::DivFOp>(op))
      break;
    unsigned shared = isSharedByAll(op->getOperand(1), region) ? 1 : 0;
    if (shared == 0 && !(isProduct && isSharedByAll(op->getOperand(0), region)))
      return std::nullopt;
    term.factors.push_back({op->getOperand(shared), !isProduct});
    value = op->getOperand(1 - shared);
  }
  term.dot = value.getDefiningOp<ir::DotOp>();
  if (!term.dot)
    return std::nullopt;
  bool hasQuery = false, hasKey = false;
  for (Value operand : {term.dot.getLhs(), term.dot.getRhs()}) {
    auto feature = dyn_cast<BlockArgument>(operand);
    if (!feature)
      return std::nullopt;
    bool ofQuery = feature.getArgNumber() < queryFeatures;
    (ofQuery ? hasQuery : hasKey) = true;
    (ofQuery ? term.queryFeature : term.keyFeature) = feature.getArgNumber() - (ofQuery ? 0 : queryFeatures);
  }
  return hasQuery && hasKey ? std::optional(term) : std::nullopt;
}

std::optional<LinearForm> findLinearForm(Region &score, unsigned queryFeatures, bool normalize) {
  if (score.empty())
    return std::nullopt;
  ValueRange yielded = ir::yieldedBy(score);
  std::optional<BilinearTerm> weight = findTerm(yielded[0], score, queryFeatures);
  if (!weight)
    return std::nullopt;
  LinearForm form{*weight, std::nullopt};
  if (!normalize)
    return form;
  form.by = yielded.size() > 1 ? findTerm(yielded[1], score, queryFeatures) : weight;
  return form.by ? std::optional(form) : std::nullopt;
}

bool seesFirstKeysWhole(Region &ranges) {
  if (ranges.empty())
    return false;
  auto yield = dyn_cast<ir::YieldRangesOp>(ranges.front().getTerminator());
  return yield && yield.getVisit().size() == 2 && yield.getFull().size() == 2 && matchPattern(yield.getVisit()[0], m_Zero()) &&
         matchPattern(yield.getFull()[0], m_Zero());
}

bool seesAllKeysWhole(Region &ranges) {
  if (!seesFirstKeysWhole(ranges))
    return false;
  auto size = cast<ir::YieldRangesOp>(ranges.front().getTerminator()).getFull()[1].getDefiningOp<ir::SizeOp>();
  return size && size.getName() == "kv_len";
}

} // namespace attn
