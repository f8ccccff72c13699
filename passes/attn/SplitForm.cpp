// See SplitForm.h.
#include "passes/attn/SplitForm.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "passes/IndexUses.h"
#include "passes/Remarks.h"
#include "passes/attn/VisibleKeys.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include "llvm/Support/FormatVariadic.h"

#include <numeric>

using namespace mlir;

namespace attn {

static constexpr int64_t kFewRowsOfTile = 64;
static constexpr int64_t kWarpsOfTile = 4;
static constexpr int64_t kLongestDoubleRow = 64; ///< that one warp merges (passes/convert/MergeKernel.cpp)

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

/// Whether region `out` makes a number of a row.
static bool sumsRow(Region &out) {
  return !out.empty() && llvm::any_of(out.front().without_terminator(), [](Operation &inner) {
    auto isRow = [](Type type) { return isa<VectorType>(type); };
    return llvm::any_of(inner.getOperandTypes(), isRow) && llvm::none_of(inner.getResultTypes(), isRow);
  });
}

std::string whyNotSplit(ir::AttentionOp op) {
  if (ir::computeType(op).isF64() && op.getValueRowLength() > kLongestDoubleRow && sumsRow(op.getOut()))
    return llvm::formatv("of a row of more than {0} channels of f64 several warps merge the sums, which `out` adds up", kLongestDoubleRow).str();
  bool isNested = op.getScore().walk([](ir::SuffixSumOp sum) {
                                return llvm::any_of(operationsBehind(sum.getValue()), [](Operation *behind) { return isa<ir::SuffixSumOp>(behind); })
                                           ? WalkResult::interrupt()
                                           : WalkResult::advance();
                              }).wasInterrupted();
  if (isNested) // of what a share adds to the outer sum all later keys' inner sums are a part
    return "a sum over later keys is made of another one";
  if (usesName(op->getParentOfType<func::FuncOp>(), tile::kSplitsExtent))
    return llvm::formatv("the specification has a `{0}` of its own", StringRef(tile::kSplitsExtent)).str();
  return {};
}

int64_t packOfFewRows(int64_t group, int64_t blockM) { return std::gcd(group, blockM); }

void shrinkToFewRows(ir::AttentionOp op, ir::Schedule &schedule) {
  if (schedule.parts > 1 || schedule.blockM <= kFewRowsOfTile)
    return;
  schedule.blockM = kFewRowsOfTile;
  schedule.warps = kWarpsOfTile;
  constexpr int64_t kRowsOfAll = 16 * kWarpsOfTile;
  bool changesRows = !op.getKeyRegion().empty() || !op.getValueRegion().empty();
  if (changesRows && schedule.blockN > kRowsOfAll)
    schedule.blockN -= schedule.blockN % kRowsOfAll;
}

/// With what a launch needs to know of the mask, where that bounds what a tile sees.
static DictionaryAttr withVisibleKeys(DictionaryAttr attr, ir::AttentionOp op, const ir::Schedule &schedule) {
  std::optional<SizeExpr> visible = mostVisibleKeys(op, schedule.queries());
  if (!visible)
    return attr;
  NamedAttrList entries(attr);
  entries.set(tile::kVisibleKeys, StringAttr::get(attr.getContext(), visible->text()));
  return entries.getDictionary(attr.getContext());
}

DictionaryAttr withFewRows(ir::AttentionOp op, const ir::Schedule &whole, const ir::Schedule &few) {
  MLIRContext *context = op.getContext();
  NamedAttrList entries(withVisibleKeys(op.getScheduleAttr(), op, whole));
  entries.set(ir::kFewRows, withVisibleKeys(few.toAttr(context), op, few));
  return entries.getDictionary(context);
}

void remarkSplit(ir::AttentionOp op, const ir::Schedule &few) {
  std::string heads = few.pack > 1 ? llvm::formatv(" of {0} heads that share them", few.pack).str() : "";
  remark(op, RemarkCategory::Schedule,
         llvm::formatv("a second kernel for few rows: block_m {0}{1}, block_n {2}, stages {3}, warps {4}; its keys may be split among blocks, "
                       "whose sums a third kernel merges. A launch chooses by the lengths and the device",
                       few.blockM, heads, few.blockN, few.stages, few.warps).str());
}

void warnUnsplit(ir::AttentionOp op, StringRef reason) { op.emitWarning() << "keys are not split among blocks, as was asked for: " << reason; }

} // namespace attn
