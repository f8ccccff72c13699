// Folds and canonical forms: a region that does nothing becomes an absent one, a rotation by nothing its operand.
#include "ir/attn/AttnDialect.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace attn::ir {

OpFoldResult RotateOp::fold(FoldAdaptor adaptor) {
  auto angles = dyn_cast_if_present<DenseFPElementsAttr>(adaptor.getAngle());
  if (angles && angles.isSplat() && angles.getSplatValue<APFloat>().isZero())
    return getRow();
  return {};
}

/// Whether `region` yields its arguments and nothing else.
static bool isIdentity(Region &region) {
  return !region.empty() && llvm::equal(yieldedBy(region), region.getArguments());
}

static bool isAlwaysTrue(Region &mask) {
  return !mask.empty() && matchPattern(yieldedBy(mask).front(), m_One());
}

/// Makes regions absent that say what absence says.
template <typename AttentionLike>
static LogicalResult dropIdleRegions(AttentionLike op, ArrayRef<Region *> identities, PatternRewriter &rewriter) {
  SmallVector<Region *> idle = llvm::filter_to_vector(identities, [](Region *region) { return isIdentity(*region); });
  if (isAlwaysTrue(op.getMask()))
    idle.push_back(&op.getMask());
  if (idle.empty())
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    for (Region *region : idle) {
      region->dropAllReferences();
      region->getBlocks().clear();
    }
  });
  return success();
}

LogicalResult AttentionOp::canonicalize(AttentionOp op, PatternRewriter &rewriter) {
  return dropIdleRegions(
      op, {&op.getQueryRegion(), &op.getKeyRegion(), &op.getValueRegion(), &op.getWeight(), &op.getOut()}, rewriter);
}

LogicalResult OnlineAttentionOp::canonicalize(OnlineAttentionOp op, PatternRewriter &rewriter) {
  return dropIdleRegions(op, {&op.getQueryRegion(), &op.getKeyRegion(), &op.getValueRegion(), &op.getWeight()},
                         rewriter);
}

} // namespace attn::ir
