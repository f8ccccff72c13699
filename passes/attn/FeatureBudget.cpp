// See FeatureBudget.h.
#include "passes/attn/FeatureBudget.h"

#include "ir/attn/ProductTypes.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

/// Columns of a row that is multiplied beyond those that `tileBytes` counts: rows of several vectors, or of one that is longer
/// than `head_dim` (`concat`), have a buffer for each; a query that is loaded by tensor maps has its own beside them.
static int64_t furtherColumns(Region &region, TypeRange features, int64_t storedLength, int64_t headDim, bool isKept) {
  auto padded = [](int64_t length) { return static_cast<int64_t>(llvm::alignTo(length, 32)); };
  if (region.empty())
    return padded(storedLength) - padded(headDim);
  int64_t columns = 0;
  for (Type feature : features)
    columns += padded(cast<VectorType>(feature).getNumElements());
  if (columns <= padded(headDim))
    return 0;
  return columns - (isKept ? 0 : padded(headDim));
}

int64_t furtherFeatureBytes(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family, int64_t elementBytes) {
  int64_t headDim = op.getHeadDim(), keyLength = *op.getKeyType().getConstantSize(op.getKeyType().getRank() - 1);
  int64_t query = furtherColumns(op.getQueryRegion(), op.getQueryFeatureTypes(), headDim, headDim, family == MmaFamily::Wgmma);
  int64_t key = furtherColumns(op.getKeyRegion(), op.getKeyFeatureTypes(), keyLength, headDim, false);
  return elementBytes * (schedule.blockM * query + schedule.stages * schedule.blockN * key);
}

} // namespace attn
