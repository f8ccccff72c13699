// See SplitForm.h.
#include "passes/attn/SplitForm.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "passes/Remarks.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include "llvm/Support/FormatVariadic.h"

#include <numeric>

using namespace mlir;

namespace attn {

static constexpr int64_t kFewRowsOfTile = 64;
static constexpr int64_t kWarpsOfTile = 4;
static constexpr int64_t kLongestDoubleRow = 64;

/// Whether a tensor or a number of the plan, or a size of a tensor, is called as the extent that says how many shares there are.
static bool usesName(func::FuncOp plan, StringRef name) {
  for (BlockArgument argument : plan.getArguments()) {
    auto own = plan.getArgAttrOfType<StringAttr>(argument.getArgNumber(), ir::AttnDialect::kName);
    if (own && own.getValue() == name)
      return true;
    if (auto tensor = dyn_cast<ir::AttnTensorType>(argument.getType()))
      for (Attribute size : tensor.getSizes())
        if (llvm::is_contained(ir::sizeExprOf(size).names(), name))
          return true;
  }
  return false;
}

std::string whyNotSplit(ir::AttentionOp op, const ir::Schedule &schedule) {
  bool hasSuffixSum = op.getScore().walk([](ir::SuffixSumOp) { return WalkResult::interrupt(); }).wasInterrupted();
  if (hasSuffixSum)
    return "a sum over later keys is carried from each key to the one before it";
  if (schedule.chunked)
    return "linear attention in chunks meets few keys of each tile one by one";
  if (ir::computeType(op).isF64() && op.getValueRowLength() > kLongestDoubleRow)
    return llvm::formatv("sums of f64 of more than {0} channels do not fit the registers that merge them", kLongestDoubleRow).str();
  if (schedule.parts > 1)
    return "sums of rows of more than 256 channels are cut by column";
  if (usesName(op->getParentOfType<func::FuncOp>(), tile::kSplitsExtent))
    return llvm::formatv("the specification has a `{0}` of its own", StringRef(tile::kSplitsExtent)).str();
  return {};
}

int64_t packOfFewRows(int64_t group, int64_t blockM) { return std::gcd(group, blockM); }

void shrinkToFewRows(ir::Schedule &schedule) {
  if (schedule.parts > 1 || schedule.blockM <= kFewRowsOfTile)
    return;
  schedule.blockM = kFewRowsOfTile;
  schedule.warps = kWarpsOfTile;
}

DictionaryAttr withFewRows(DictionaryAttr schedule, const ir::Schedule &few) {
  MLIRContext *context = schedule.getContext();
  NamedAttrList entries(schedule);
  entries.set(ir::kFewRows, few.toAttr(context));
  return entries.getDictionary(context);
}

void remarkSplit(ir::AttentionOp op, const ir::Schedule &few) {
  std::string heads = few.pack > 1 ? llvm::formatv(" of {0} heads that share them", few.pack).str() : "";
  remark(op, RemarkCategory::Schedule,
         llvm::formatv("a second kernel for few rows: block_m {0}{1}, block_n {2}, stages {3}, warps {4}; its keys may be split among blocks, "
                       "whose sums a third kernel merges. A launch chooses by the lengths and the device",
                       few.blockM, heads, few.blockN, few.stages, few.warps).str());
}

void remarkUnsplit(ir::AttentionOp op, StringRef reason) {
  remark(op, RemarkCategory::Schedule, ("keys are not split among blocks: " + reason).str());
}

} // namespace attn
