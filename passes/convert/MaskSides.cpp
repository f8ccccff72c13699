// See MaskSides.h.
#include "passes/convert/MaskSides.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

static bool isKeyLength(Value value) {
  auto size = value.getDefiningOp<ir::SizeOp>();
  return size && size.getName() == "kv_len";
}

MaskSides::MaskSides(KernelScope &scope, ir::OnlineAttentionOp op, ValueRange facts, int64_t blockN) {
  ValueRange ends = cast<ir::YieldRangesOp>(op.getRanges().front().getTerminator()).getFacts();
  if (ends.size() != 4 || !isKeyLength(ends[1]) || !matchPattern(ends[2], m_Zero()))
    return;
  op.getMask().walk([&](arith::CmpIOp comparison) {
    if (auto fact = comparison->getAttrOfType<IntegerAttr>(ir::AttnDialect::kFact); fact && fact.getInt() < 2)
      sides[fact.getInt()].push_back(comparison.getResult());
  });
  Value size = scope.constant(static_cast<int32_t>(blockN));
  firstBlock = scope.work.createOrFold<arith::CeilDivSIOp>(op.getLoc(), facts[0], size);
  endBlock = scope.work.createOrFold<arith::FloorDivSIOp>(op.getLoc(), facts[3], size);
}

Value MaskSides::hold(OpBuilder &builder, Side side, Value block) const {
  auto predicate = side == Below ? arith::CmpIPredicate::sge : arith::CmpIPredicate::slt;
  return arith::CmpIOp::create(builder, block.getLoc(), predicate, block, side == Below ? firstBlock : endBlock);
}

} // namespace attn
