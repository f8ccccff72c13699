// See SharedBudget.h.
#include "passes/attn/SharedBudget.h"

#include "ir/attn/ProductTypes.h"
#include "passes/Float8Products.h"
#include "passes/RelativeRows.h"
#include "passes/attn/ChunkedForm.h"
#include "passes/attn/FeatureBudget.h"
#include "passes/attn/LookupBudget.h"
#include "passes/attn/RawEntries.h"
#include "passes/attn/WideHeads.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

/// Bytes of shared memory that query, keys and values take, rows padded to the panels of the swizzle.
static int64_t tileBytes(const ir::Schedule &schedule, int64_t headDim, int64_t valueLength, int64_t elementBytes) {
  auto padded = [&](int64_t length) { // f32: whole k16 steps and a chunk between rows
    return static_cast<int64_t>(elementBytes == 4   ? llvm::alignTo(length, 16) + 4
                                : elementBytes == 8 ? llvm::alignTo(length, 16) + 8
                                                    : llvm::alignTo(length, 32));
  };
  return elementBytes * (schedule.blockM * padded(headDim) +
                         schedule.stages * schedule.blockN * (padded(headDim) + padded(valueLength)));
}

/// Bytes that the result is staged in, where all buffers live throughout and it does not fit on the query.
static int64_t stagingBytes(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  Value out = op.getOutput("out");
  bool isStaged = out && cast<ir::AttnTensorType>(out.getType()).getElementType().getIntOrFloatBitWidth() == 16;
  if (!isStaged || family != MmaFamily::Wgmma)
    return 0;
  auto bytes = [&](int64_t length) { return 2 * schedule.blockM * static_cast<int64_t>(llvm::alignTo(length, 32)); };
  return op.getValueRowLength() > static_cast<int64_t>(llvm::alignTo(op.getHeadDim(), 32)) ? bytes(op.getValueRowLength()) : 0;
}

int64_t predictedSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target, MmaFamily family) {
  if (hasSlices(op, schedule))
    return slicedSharedBytes(op, schedule);
  if (isWide(op))
    return wideSharedBytes(op, schedule, target, family);
  int64_t elementBytes = ir::featureType(op).getIntOrFloatBitWidth() / 8;
  auto [query, keys, values] = rawEntryBytes(op, schedule);
  return tileBytes(schedule, op.getHeadDim(), op.getStoredValueLength(), elementBytes) + furtherFeatureBytes(op, schedule, family, elementBytes) +
         lookupBytes(op, schedule) + stagingBytes(op, schedule, family) +
         schedule.stages * relativeRowBytes(op, schedule.blockM, schedule.blockN) + stateBytes(op, schedule) + query + keys + values -
         bytesSavedByFloat8Scores(scoreProductsOf(op), schedule, target) -
         (multipliesValuesInFloat8(weightedProductsOf(op), scoreProductsOf(op), schedule, family) ? bytesSavedByFloat8Values(weightedProductsOf(op), schedule) : 0);
}

} // namespace attn
