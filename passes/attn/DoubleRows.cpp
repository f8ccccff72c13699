// See DoubleRows.h. A number takes two registers: beside sums of 128 channels there is room for the scores of 16 keys.
#include "passes/attn/DoubleRows.h"

#include "ir/attn/ProductTypes.h"
#include "passes/RelativeRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kMostChannels = 128;
/// Operands of a product and an exponential on the way; of a second product ptxas 13.0 was seen to keep as many operands again,
/// beside its scores.
static constexpr int64_t kRegistersOnTheWay = 24, kOfFurtherProducts = 72;

bool hasDoubleRows(ir::AttentionOp op) {
  Type element = ir::featureType(op);
  return element && element.isF64();
}

static LogicalResult checkLengths(ir::AttentionOp op, const GpuTarget &target) {
  for (auto [length, name] : {std::pair<int64_t, StringRef>{op.getHeadDim(), "head_dim"}, {op.getValueRowLength(), "head_dim_v"}})
    if (length % 8 != 0 || length > kMostChannels)
      return op.emitError() << "`" << name << "` is " << length << ", but " << StringRef(target.name) << " takes multiples of 8 up to "
                            << kMostChannels << " of `f64`";
  return success();
}

LogicalResult checkDoubleRows(ir::AttentionOp op, const GpuTarget &target) {
  if (!hasDoubleRows(op))
    return success();
  auto refuse = [&](Operation *where, const Twine &what) -> LogicalResult {
    return where->emitError() << what << " not supported beside `f64` on " << StringRef(target.name) << " yet";
  };
  if (failed(checkLengths(op, target)))
    return failure();
  Value out = op.getOutput("out");
  Type stored = out ? cast<ir::AttnTensorType>(out.getType()).getElementType() : Type();
  if (stored && !stored.isF64() && !stored.isF32())
    return refuse(op, "`out` of `" + ir::spell(stored) + "` is");
  auto queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  WalkResult result = op.getScore().walk([&](ir::DotOp dot) {
    if (!findRelativeProduct(dot, queryFeatures))
      return WalkResult::advance();
    (void)refuse(dot, "a product with a row that the distance chooses is");
    return WalkResult::interrupt();
  });
  if (result.wasInterrupted())
    return failure();
  if (!op.getWeight().empty() && !rowsAddedToValue(op.getWeight()).empty())
    return refuse(op.getWeight().front().getTerminator(), "a table added to `value` is");
  return success();
}

int64_t doubleLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule) {
  int64_t products = 0;
  op.getScore().walk([&](ir::DotOp) { ++products; });
  return schedule.blockN + static_cast<int64_t>(llvm::alignTo(op.getValueRowLength(), 16)) + kRegistersOnTheWay +
         (products > 1 ? kOfFurtherProducts : 0);
}

} // namespace attn
