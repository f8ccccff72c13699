// See DoubleRows.h. A number takes two registers: beside sums of 128 channels there is room for the scores of 16 keys.
#include "passes/attn/DoubleRows.h"

#include "ir/attn/ProductTypes.h"
#include "passes/RelativeRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

/// Operands of a product and an exponential on the way; of a second product ptxas 13.0 was seen to keep as many operands again,
/// beside its scores.
static constexpr int64_t kRegistersOnTheWay = 24, kOfFurtherProducts = 72;

bool hasDoubleRows(ir::AttentionOp op) {
  Type element = ir::featureType(op);
  return element && element.isF64();
}

/// Products with a row a diagonal have 16 columns more than scores, and so have weights that go by diagonals.
static int64_t diagonalRegisters(ir::AttentionOp op, const ir::Schedule &schedule, bool hasProducts) {
  int64_t sums = schedule.blockN + 16;
  return (hasProducts ? sums : 0) + (rowsAddedToValue(op.getWeight()).empty() ? 0 : sums);
}

int64_t doubleLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule, int64_t valueLength) {
  auto queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  int64_t products = 0, relative = 0;
  op.getScore().walk([&](ir::DotOp dot) { ++(findRelativeProduct(dot, queryFeatures) ? relative : products); });
  return schedule.blockN + static_cast<int64_t>(llvm::alignTo(valueLength, 16)) + kRegistersOnTheWay +
         (products > 1 ? kOfFurtherProducts : 0) + diagonalRegisters(op, schedule, relative > 0);
}

} // namespace attn
