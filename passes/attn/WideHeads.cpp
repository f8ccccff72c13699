// See WideHeads.h.
#include "passes/attn/WideHeads.h"

#include "ir/attn/ProductTypes.h"
#include "passes/Lookups.h"
#include "passes/RelativeRows.h"
#include "passes/Remarks.h"
#include "passes/WideRows.h"
#include "passes/attn/LookupBudget.h"
#include "passes/attn/RawEntries.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/Support/FormatVariadic.h"

#include <numeric>

using namespace mlir;

namespace attn {

static constexpr int64_t kMostChannels = 576, kMostSumsInParts = 512;

bool isWide(ir::AttentionOp op) { return areWide(op.getHeadDim(), op.getValueRowLength(), ir::computeType(op)); }

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
  for (Type feature : op.getQueryFeatureTypes())
    if (failed(check(cast<VectorType>(feature).getNumElements(), kMostChannels, "head_dim")))
      return failure();
  return check(op.getValueRowLength(), kMostChannels, "head_dim_v");
}

/// What columns in parts do not take; null where they take all.
static Operation *notInParts(ir::AttentionOp op) {
  if (ir::computeType(op).isF64() || op.getValueRowLength() > kMostSumsInParts || op.getQueryFeatureTypes().size() > 1 || op.getKeyFeatureTypes().size() > 1)
    return op;
  if (!op.getWeight().empty() && ir::yieldedBy(op.getWeight())[1] != op.getWeight().getArgument(1))
    return op.getWeight().front().getTerminator();
  Operation *found = nullptr;
  bool hasDot = false;
  op.getScore().walk([&](Operation *inner) {
    auto dot = dyn_cast<ir::DotOp>(inner);
    bool isProduct = dot && isa<BlockArgument>(dot.getLhs()) && isa<BlockArgument>(dot.getRhs());
    if (isa<ir::SuffixSumOp>(inner) || (dot && (hasDot || !isProduct)))
      found = inner;
    hasDot |= static_cast<bool>(dot);
  });
  op.getOut().walk([&](ir::RotateOp rotate) { found = rotate; });
  return found;
}

/// Whether region `out` makes each channel of the row of that channel alone.
static bool isByChannels(Region &region) {
  return region.empty() || llvm::all_of(region.front(), [](Operation &inner) {
    auto isRow = [](Type type) { return isa<VectorType>(type); };
    if (llvm::none_of(inner.getResultTypes(), isRow))
      return llvm::none_of(inner.getOperandTypes(), isRow) || isa<ir::YieldOp>(inner);
    return isa<vector::BroadcastOp, ir::LoadOp, ir::ChannelOp>(inner) || isa<arith::ArithDialect, math::MathDialect>(inner.getDialect());
  });
}

static int64_t slicesOf(ir::AttentionOp op) { return llvm::divideCeil(op.getValueRowLength(), channelsOfSlice(ir::computeType(op))); }

bool hasSlices(ir::AttentionOp op, const ir::Schedule &schedule) { return isWide(op) && schedule.parts == 1; }

int64_t sumChannels(ir::AttentionOp op, const ir::Schedule &schedule) {
  int64_t all = op.getValueRowLength();
  return hasSlices(op, schedule) ? std::min(all, channelsOfSlice(ir::computeType(op))) : all;
}

using Refuse = function_ref<LogicalResult(Operation *, const Twine &)>;

/// What slices do not take goes to `refuse`.
static LogicalResult checkSlices(ir::AttentionOp op, Refuse refuse) {
  auto queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  if (slicesOf(op) > 1 && !isByChannels(op.getOut()))
    return refuse(op.getOut().front().getTerminator(), "an `out` of whose channels one depends on others is");
  WalkResult result = op.getScore().walk([&](ir::DotOp dot) {
    auto sideOf = [&](Value operand) { return isa<BlockArgument>(operand) ? (cast<BlockArgument>(operand).getArgNumber() < queryFeatures ? 1 : 2) : 0; };
    bool isProduct = sideOf(dot.getLhs()) + sideOf(dot.getRhs()) == 3;
    if (isProduct || findLookup(dot, queryFeatures) || findRelativeProduct(dot, queryFeatures))
      return WalkResult::advance();
    (void)refuse(dot, "a `dot` of one side alone is");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

bool fitsSlices(ir::AttentionOp op) {
  return succeeded(checkSlices(op, [](Operation *, const Twine &) { return failure(); }));
}

bool needsSlices(ir::AttentionOp op) { return isWide(op) && notInParts(op); }

/// Rows are computed by kernels in front; slices of stored rows are copied as they lie.
static LogicalResult checkComputedRows(ir::AttentionOp op, Refuse refuse) {
  auto isLeft = [&](Region &region) { return !region.empty() && !(needsSlices(op) && givesSlices(region)); };
  bool valueIsComputed = !op.getValueRegion().empty() && !isValueInKey(op);
  for (auto [computes, name] : {std::pair<bool, StringRef>{isLeft(op.getQueryRegion()), "query"}, {isLeft(op.getKeyRegion()), "key"}, {valueIsComputed, "value"}})
    if (computes) // FuseProducers has left it in the kernel
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
  if (isValueInKey(op) && ir::featureType(op) != ir::weightedType(op))
    return refuse(op, "`value` of `key` beside probs and queries of two types is");
  if (needsSlices(op) && failed(checkSlices(op, refuse)))
    return failure();
  return checkComputedRows(op, refuse);
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
  bool isCut = areKept && isDepthCut(schedule.parts, schedule.blockN, sums);
  elements += schedule.blockM * (isCut ? 2 * schedule.blockN : schedule.blockN + pitchOfProbs); // scores that parts exchange, or probs
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

int64_t slicedSharedBytes(ir::AttentionOp op, const ir::Schedule &schedule) {
  int64_t bytes = ir::featureType(op).getIntOrFloatBitWidth() / 8;
  auto padded = [&](int64_t length) { return static_cast<int64_t>(bytes == 2 ? llvm::alignTo(length, 32) : llvm::alignTo(length, 16) + bytes); };
  auto all = [&](ArrayRef<Type> features) {
    int64_t columns = 0;
    for (Type feature : features)
      columns += padded(cast<VectorType>(feature).getNumElements());
    return columns;
  };
  int64_t ofBlock = all(op.getKeyFeatureTypes()) + padded(sumChannels(op, schedule));
  auto [query, keys, values] = rawEntryBytes(op, schedule);
  values = std::min(values, schedule.blockN * padded(sumChannels(op, schedule)));
  return bytes * (schedule.blockM * all(op.getQueryFeatureTypes()) + schedule.stages * schedule.blockN * ofBlock) + query + keys + values +
         lookupBytes(op, schedule) + schedule.stages * relativeRowBytes(op, schedule.blockM, schedule.blockN);
}

int64_t wideLoopRegisters(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  int64_t sums = wideSumColumns(op.getValueRowLength(), schedule.parts);
  bool isCut = family == MmaFamily::Wgmma && isDepthCut(schedule.parts, schedule.blockN, sums);
  return (schedule.blockN / 2 + schedule.blockN / 4) / (isCut ? 1 : schedule.parts) + sums / 2 / schedule.parts;
}

int64_t granuleOfWideKeys(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  constexpr int64_t kStep = 16, kPanel = 32, kTile = 8;
  if (family != MmaFamily::Wgmma)
    return schedule.parts * kTile;
  return isDepthCut(schedule.parts, schedule.blockN, wideSumColumns(op.getValueRowLength(), schedule.parts)) ? kStep : schedule.parts * kPanel;
}

void keepQueryChannels(ir::AttentionOp op, MmaFamily family, int64_t registers, ir::Schedule &schedule) {
  constexpr int64_t kPanel = 64, kRegistersOfPanel = 16; ///< channels of a panel of the swizzle; 64 x 64 of 16 bits over 128 threads
  constexpr int64_t kMostRegisters = 200;                ///< of 240: ptxas 13.0 was seen to spill none of tests/conformance/Cases.def
  if (family != MmaFamily::Wgmma || schedule.parts == 1 || schedule.kept > 0)
    return;
  constexpr int64_t kMostPanels = 3;                     ///< with which the matrix units no longer wait
  int64_t sums = wideSumColumns(op.getValueRowLength(), schedule.parts);
  int64_t channels = op.getHeadDim() / (isDepthCut(schedule.parts, schedule.blockN, sums) ? schedule.parts : 1); // that a part multiplies
  // Where rows of requests begin, what `out` reads, and where a widened query lies.
  bool holdsMore = !op.getRagged().empty() || !op.getOut().empty() || ir::isFloat8(op.getQueryType().getElementType());
  int64_t ofRows = holdsMore ? kRegistersOfPanel : 0;
  int64_t panels = std::min({(kMostRegisters - registers - ofRows) / kRegistersOfPanel, channels / kPanel, kMostPanels});
  schedule.kept = kPanel * std::max<int64_t>(panels, 0);
}

void remarkParts(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  if (schedule.parts == 1)
    return;
  bool isCut = family == MmaFamily::Wgmma && isDepthCut(schedule.parts, schedule.blockN, wideSumColumns(op.getValueRowLength(), schedule.parts));
  remark(op, RemarkCategory::Schedule,
         llvm::formatv("{0} cut by column into {1} parts, each of which {2} warps hold{3}", isCut ? "sums are" : "scores and sums are",
                       schedule.parts, schedule.warps / schedule.parts,
                       isCut ? "; each multiplies its half of the channels for the scores, and both add them up" : "").str());
  if (schedule.kept > 0)
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("{0} of {1} channels of the query are in registers through the loop: matrix units do not read them for each block",
                         schedule.kept * (isCut ? schedule.parts : 1), op.getHeadDim()).str());
}

int64_t packOfWide(int64_t groupSize, int64_t blockM) { return std::gcd(std::max<int64_t>(groupSize, 1), blockM); }

} // namespace attn
