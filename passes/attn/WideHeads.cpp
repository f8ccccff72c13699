// See WideHeads.h.
#include "passes/attn/WideHeads.h"

#include "ir/attn/ProductTypes.h"
#include "passes/WideRows.h"
#include "passes/attn/RawEntries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <numeric>

using namespace mlir;

namespace attn {

static constexpr int64_t kMostHeadDim = 576, kMostHeadDimV = 512;

bool isWide(ir::AttentionOp op) { return areWide(op.getHeadDim(), op.getValueRowLength()); }

bool isValueInKey(ir::AttentionOp op) {
  return valueInKey(op.getKey(), op.getKeyRegion(), op.getValue(), op.getValueRegion()).has_value();
}

//===----------------------------------------------------------------------===//
// Support
//===----------------------------------------------------------------------===//

static LogicalResult checkLengths(ir::AttentionOp op, const GpuTarget &target) {
  auto check = [&](int64_t length, int64_t most, StringRef name) -> LogicalResult {
    if (length % 8 == 0 && length <= most)
      return success();
    return op.emitError() << "`" << name << "` is " << length << ", but " << StringRef(target.name) << " takes multiples of 8 up to " << most;
  };
  if (failed(check(op.getHeadDim(), kMostHeadDim, "head_dim")))
    return failure();
  return check(op.getValueRowLength(), kMostHeadDimV, "head_dim_v");
}

/// Rows are computed by kernels in front.
static LogicalResult checkComputedRows(ir::AttentionOp op, function_ref<LogicalResult(Operation *, const Twine &)> refuse) {
  bool valueIsComputed = !op.getValueRegion().empty() && !isValueInKey(op);
  for (auto [isLeft, name] : {std::pair<bool, StringRef>{!op.getQueryRegion().empty(), "query"}, {!op.getKeyRegion().empty(), "key"}, {valueIsComputed, "value"}})
    if (isLeft) // FuseProducers has left it in the kernel
      return refuse(op, "computing rows of `" + name + "` in the kernel is");
  return success();
}

LogicalResult checkWideHeads(ir::AttentionOp op, const GpuTarget &target) {
  if (!isWide(op))
    return success();
  if (failed(checkLengths(op, target)))
    return failure();
  auto refuse = [&](Operation *where, const Twine &what) -> LogicalResult {
    return where->emitError() << what << " not supported beside `head_dim` " << op.getHeadDim() << " and `head_dim_v` "
                              << op.getValueRowLength() << " on " << StringRef(target.name) << " yet";
  };
  Type element = ir::featureType(op);
  if (!element || (!element.isF16() && !element.isBF16() && !element.isF32()))
    return refuse(op, "a product of other numbers than `f16`, `bf16` and `f32` is");
  if (isValueInKey(op) && ir::featureType(op) != ir::weightedType(op))
    return refuse(op, "`value` of `key` beside probs and queries of two types is");
  if (!op.getWeight().empty() && ir::yieldedBy(op.getWeight())[1] != op.getWeight().getArgument(1))
    return refuse(op.getWeight().front().getTerminator(), "a table added to `value` is");
  SmallVector<ir::DotOp> dots;
  Operation *sum = nullptr;
  op.getScore().walk([&](Operation *inner) {
    if (auto dot = dyn_cast<ir::DotOp>(inner))
      dots.push_back(dot);
    else if (isa<ir::SuffixSumOp>(inner))
      sum = inner;
  });
  if (sum)
    return refuse(sum, "`suffix_sum` is");
  if (dots.size() > 1)
    return refuse(dots[1], "a second `dot` in `score` is");
  for (ir::DotOp dot : dots)
    if (!isa<BlockArgument>(dot.getLhs()) || !isa<BlockArgument>(dot.getRhs()))
      return refuse(dot, "a `dot` with a row of a table is");
  WalkResult result = op.getOut().walk([&](ir::RotateOp rotate) {
    (void)refuse(rotate, "`rotate` in `out` is");
    return WalkResult::interrupt();
  });
  return result.wasInterrupted() ? failure() : checkComputedRows(op, refuse);
}

//===----------------------------------------------------------------------===//
// What tiles need
//===----------------------------------------------------------------------===//

int64_t wideSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target, MmaFamily family) {
  bool areKept = family == MmaFamily::Wgmma, inKey = isValueInKey(op), isLong = ir::featureType(op).isF32();
  int64_t elementBytes = isLong ? 4 : 2, pitch = isLong ? 4 : 0, pitchOfProbs = isLong ? 4 : 8; // f32: a chunk between rows
  int64_t sums = wideSumColumns(op.getValueRowLength(), schedule.parts);
  int64_t columns = wideRowColumns(static_cast<int64_t>(llvm::alignTo(op.getHeadDim(), isLong ? 16 : 32)), sums, inKey, areKept);
  int64_t elements = schedule.blockM * (columns + pitch) + schedule.stages * schedule.blockN * (columns + pitch + (inKey ? 0 : sums + pitch));
  elements += schedule.blockM * (schedule.blockN + pitchOfProbs);
  if (areKept && sums > columns) // the staging of the result, which does not fit on the query
    elements += schedule.blockM * sums;
  int64_t bytes = elementBytes * elements + 2 * 4 * schedule.parts * schedule.blockM; // maxima and sums of rows
  bool mayLackRoom = areKept && schedule.stages == 1;
  auto raws = rawEntryBytes(op, schedule);
  if (inKey) // values come with the keys
    raws.back() = 0;
  for (int64_t raw : raws)
    if (!mayLackRoom || bytes + raw <= target.sharedBytesPerBlock)
      bytes += raw;
  return bytes;
}

int64_t wideLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule) {
  int64_t sums = wideSumColumns(op.getValueRowLength(), schedule.parts);
  return (schedule.blockN / 2 + schedule.blockN / 4 + sums / 2) / schedule.parts;
}

void keepQueryChannels(ir::AttentionOp op, MmaFamily family, int64_t registers, ir::Schedule &schedule) {
  constexpr int64_t kPanel = 64, kRegistersOfPanel = 16; ///< channels of a panel of the swizzle; 64 x 64 of 16 bits over 128 threads
  constexpr int64_t kMostRegisters = 200;                ///< of 240: ptxas 13.0 was seen to spill none of tests/conformance/Cases.def
  if (family != MmaFamily::Wgmma || schedule.parts == 1 || schedule.kept > 0)
    return;
  constexpr int64_t kMostPanels = 3;                     ///< with which the matrix units no longer wait
  int64_t panels = std::min({(kMostRegisters - registers) / kRegistersOfPanel, op.getHeadDim() / kPanel, kMostPanels});
  schedule.kept = kPanel * std::max<int64_t>(panels, 0);
}

int64_t packOfWide(int64_t groupSize, int64_t blockM) { return std::gcd(std::max<int64_t>(groupSize, 1), blockM); }

} // namespace attn
