// See Float8Products.h.
#include "passes/Float8Products.h"

#include "ir/attn/ProductTypes.h"
#include "passes/RelativeRows.h"
#include "passes/Remarks.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kChunk = 16;      ///< bytes of a copy
static constexpr int64_t kStep = 32;       ///< the depth of a product
static constexpr int64_t kPanel = 64;      ///< bytes of the narrower swizzle that warpgroups' products read
static constexpr int64_t kMostChannels = 256;
static constexpr int64_t kMostSums = 128;  ///< a row, of a block of keys beside those of all
static constexpr int64_t kMostOfThree = 120, kMostOfTwo = 180; ///< registers of such products with three warpgroups, and with fewer

bool areFloat8(const ScoreProducts &products) {
  return ir::isFloat8(products.query.getElementType()) && ir::isFloat8(products.key.getElementType());
}

/// Whether a region multiplies features with other rows than each other.
static bool hasOtherProducts(const ScoreProducts &products) {
  auto isOfOthers = [&](ir::DotOp dot) {
    bool hasQuery = false, hasKey = false;
    for (Value operand : {dot.getLhs(), dot.getRhs()})
      if (auto feature = dyn_cast<BlockArgument>(operand))
        (feature.getArgNumber() < products.queryFeatures ? hasQuery : hasKey) = true;
    return !(hasQuery && hasKey);
  };
  for (Region *region : {&products.score, &products.weight})
    if (region->walk([&](ir::DotOp dot) { return isOfOthers(dot) ? WalkResult::interrupt() : WalkResult::advance(); }).wasInterrupted())
      return true;
  return false;
}

std::string whyWidenedScores(const ScoreProducts &products) {
  if (!products.queryRegion.empty() || !products.keyRegion.empty())
    return std::string("rows of `") + (products.queryRegion.empty() ? "key" : "query") + "` are computed, and rounded to 16 bits";
  if (hasOtherProducts(products) || !rowsAddedToValue(products.weight).empty())
    return "they are multiplied with rows of tables too";
  if (products.isDirect)
    return "weights that are no softmax are as large as scores, whose sums would have 14 bits";
  if (products.headDim > kMostChannels)
    return "rows of more than 256 channels are multiplied in parts";
  if (products.headDim % kChunk != 0)
    return "rows are no multiple of 16 bytes, which a copy brings";
  return {};
}

bool multipliesScoresInFloat8(const ScoreProducts &products, const GpuTarget &target) {
  return target.hasFp8 && areFloat8(products) && whyWidenedScores(products).empty();
}

int64_t float8Columns(int64_t channels, const GpuTarget &target) {
  return static_cast<int64_t>(llvm::alignTo(channels, target.mmaFamily == MmaFamily::Wgmma ? kPanel : kStep));
}

int64_t bytesSavedByFloat8Scores(const ScoreProducts &products, const ir::Schedule &schedule, const GpuTarget &target) {
  if (!multipliesScoresInFloat8(products, target))
    return 0;
  int64_t wide = 2 * static_cast<int64_t>(llvm::alignTo(products.headDim, kStep)), narrow = float8Columns(products.headDim, target);
  int64_t raw = static_cast<int64_t>(llvm::alignTo(products.headDim, kStep)); // of one entry each
  // The staging of a result of 16 bits, which lies on the query, takes what the query does not.
  return schedule.stages * schedule.blockN * (wide - narrow) + (schedule.blockM + schedule.blockN) * raw;
}

bool areFloat8(const WeightedProducts &products) {
  return ir::isFloat8(products.value.getElementType()) && ir::isFloat8(products.probs);
}

std::string whyWidenedValues(const WeightedProducts &products, const ScoreProducts &scores) {
  if (!areFloat8(scores) || !whyWidenedScores(scores).empty())
    return "query and key are not multiplied so";
  if (!products.valueRegion.empty() || !products.weight.empty() || products.isKey)
    return "values or weights are computed";
  if (products.length % kChunk != 0)
    return "rows are no multiple of 16 bytes, which a copy brings";
  if (products.length > kMostSums)
    return "a block's sums of more than 128 channels would not fit beside those of all keys";
  return {};
}

static int64_t registersOfProducts(const WeightedProducts &products, const ir::Schedule &schedule) {
  return schedule.slabs() * (schedule.blockN / 2 + schedule.blockN / 8 + static_cast<int64_t>(llvm::alignTo(products.length, kChunk)));
}

bool fitsFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule) {
  return schedule.parts == 1 && schedule.blockN % kPanel == 0 && registersOfProducts(products, schedule) <= (schedule.warps > 8 ? kMostOfThree : kMostOfTwo);
}

bool multipliesValuesInFloat8(const WeightedProducts &products, const ScoreProducts &scores, const ir::Schedule &schedule, MmaFamily family) {
  return family == MmaFamily::Wgmma && areFloat8(products) && whyWidenedValues(products, scores).empty() && fitsFloat8Values(products, schedule);
}

int64_t registersOfFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule) {
  return static_cast<int64_t>(llvm::alignTo(products.length, kChunk)) / 2 - schedule.blockN / 8;
}

int64_t bytesSavedByFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule) {
  // One raw entry more than where values are widened (passes/tile/TurnedValues.cpp).
  return -schedule.blockN * products.length + schedule.stages * schedule.blockN * (2 * static_cast<int64_t>(llvm::alignTo(products.length, kStep)) - products.length);
}

void remarkFloat8Values(Operation *op, const WeightedProducts &products, const ScoreProducts &scores, const ir::Schedule &schedule, const GpuTarget &target) {
  if (!areFloat8(products))
    return;
  std::string types = ir::spell(products.probs) + " and " + ir::spell(products.value.getElementType());
  bool hasProducts = target.mmaFamily == MmaFamily::Wgmma;
  std::string why = hasProducts ? whyWidenedValues(products, scores) : std::string(target.name) + " has no products of warpgroups";
  if (why.empty() && !fitsFloat8Values(products, schedule))
    why = "blocks of " + std::to_string(schedule.blockN) + " keys are no multiple of 64, or leave no registers to their sums";
  remark(op, RemarkCategory::Schedule,
         why.empty() ? "probs and rows of `value` are multiplied as " + types + " by tensor cores for 8-bit floats, and each block of keys is summed from 0"
                     : "probs and rows of `value`, " + types + ", are multiplied in 16 bits: " + why);
}

void remarkFloat8Scores(Operation *op, const ScoreProducts &products, const GpuTarget &target) {
  if (!areFloat8(products))
    return;
  std::string types = ir::spell(products.query.getElementType()) + " and " + ir::spell(products.key.getElementType());
  std::string why = target.hasFp8 ? whyWidenedScores(products) : std::string(target.name) + " has no products of 8-bit floats";
  remark(op, RemarkCategory::Schedule,
         why.empty() ? "rows of `query` and `key` are multiplied as they lie, " + types + ", by tensor cores for 8-bit floats; sums keep 14 bits"
                     : "rows of `query` and `key`, " + types + ", are widened to f16 and multiplied so: " + why);
}

} // namespace attn
