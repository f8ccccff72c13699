// See ChunkedForm.h.
#include "passes/attn/ChunkedForm.h"

#include "passes/LinearForm.h"
#include "passes/Remarks.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static constexpr int64_t kLongestRow = 128; ///< of a state, whose rows and columns lie in the registers of 8 warps
static constexpr int64_t kFewQueries = 64;

static std::optional<LinearForm> linearForm(ir::AttentionOp op) {
  if (op.getWeights() != ir::Weights::direct)
    return std::nullopt;
  return findLinearForm(op.getScore(), op.getQueryFeatureTypes().size(), op.getNormalize());
}

bool isLinearAttention(ir::AttentionOp op) { return linearForm(op).has_value(); }

static int64_t lengthOf(ir::AttentionOp op, const BilinearTerm &term) {
  return cast<VectorType>(op.getKeyFeatureTypes()[term.keyFeature]).getNumElements();
}

static bool usesHead(Region &region) {
  return region.walk([](ir::IndexOp index) {
                 return index.getKind() == ir::IndexKind::h ? WalkResult::interrupt() : WalkResult::advance();
               }).wasInterrupted();
}

std::string whyNotChunked(ir::AttentionOp op) {
  std::optional<LinearForm> form = linearForm(op);
  if (!form)
    return "the weight is no product of a vector of the query and one of the key";
  Type element = op.getQueryType().getElementType();
  if ((!element.isF16() && !element.isBF16()) || op.getKeyType().getElementType() != element ||
      op.getValueType().getElementType() != element || op.getProbsElementType() != element)
    return "states are kept for one 16-bit type alone";
  if (!op.getWeight().empty())
    return "`probs` or `value` have a factor or a summand of each pair";
  if (!op.getValueRegion().empty())
    return "rows of `value` are transformed in the kernel";
  if (usesHead(op.getKeyRegion()))
    return "keys depend on the query head";
  if (lengthOf(op, form->weight) > kLongestRow || (form->by && lengthOf(op, *form->by) > kLongestRow) || op.getStoredValueLength() > kLongestRow)
    return llvm::formatv("a state of more than {0} by {0} numbers is not kept", kLongestRow).str();
  bool isInSequence = !op.getRagged().empty() || !op.getPaged().empty();
  if (auto queries = op.getQueryType().getConstantSize(1); !isInSequence && queries && *queries <= kFewQueries)
    return "one tile has all queries, and meets each key once either way";
  if (!seesFirstKeysWhole(op.getRanges()))
    return "the mask does not show the first keys, whole, to the rows of a tile";
  return {};
}

int64_t stateBytes(ir::AttentionOp op, const ir::Schedule &schedule) {
  std::optional<LinearForm> form = linearForm(op);
  if (!schedule.chunked || !form)
    return 0;
  auto padded = [](int64_t length) { return static_cast<int64_t>(llvm::alignTo(length, 32)); };
  return padded(lengthOf(op, form->weight)) * padded(op.getStoredValueLength()) * op.getValueType().getElementType().getIntOrFloatBitWidth() / 8;
}

void remarkLinearForm(ir::AttentionOp op, const ir::Schedule &schedule) {
  if (!isLinearAttention(op))
    return;
  if (schedule.chunked)
    return remark(op, RemarkCategory::Schedule,
                  llvm::formatv("linear attention in chunks of {0} keys: a kernel before this one sums what keys and values give, so time grows with kv_len "
                                "and not with q_len times kv_len", schedule.blockN).str());
  std::string reason = whyNotChunked(op);
  remark(op, RemarkCategory::Schedule,
         "linear attention is computed in its quadratic form: " + (reason.empty() ? "as asked for" : reason));
}

} // namespace attn
