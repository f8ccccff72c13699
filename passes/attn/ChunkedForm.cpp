// See ChunkedForm.h.
#include "passes/attn/ChunkedForm.h"

#include "ir/attn/ProductTypes.h"
#include "passes/LinearForm.h"
#include "passes/Remarks.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

/// Of a state, whose rows lie 128 at a time in the registers of 8 warps, and once more as it is stored; f32 products have a second sum there.
static constexpr int64_t kLongestRow = 256, kRowsAtOnce = 128, kMostColumns = 192, kMostOfFloats = 128;
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
  if ((!element.isF16() && !element.isBF16() && !element.isF32()) || ir::featureType(op) != element || ir::weightedType(op) != element)
    return "states are kept where products of scores and of values are of one type, which is the query's: f16, bf16 or f32";
  if (!op.getWeight().empty())
    return "`probs` or `value` have a factor or a summand of each pair";
  if (!op.getValueRegion().empty())
    return "rows of `value` are transformed in the kernel";
  if (usesHead(op.getKeyRegion()))
    return "keys depend on the query head";
  int64_t rows = lengthOf(op, form->weight), columns = op.getStoredValueLength();
  int64_t most = (element.isF32() ? kMostOfFloats : kMostColumns) / llvm::divideCeil(rows, kRowsAtOnce);
  if (std::max(rows, form->by ? lengthOf(op, *form->by) : 0) > kLongestRow || columns > most)
    return llvm::formatv("a state of {0} by {1} numbers has no room in registers", rows, columns).str();
  if (element.isF32() && rows > op.getHeadDim())
    return "features of f32 that are longer than rows of the query have no room in registers beside a state";
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
  int64_t between = ir::weightedType(op).isF32() ? 4 : 0; // plain rows, a chunk apart
  return padded(lengthOf(op, form->weight)) * (padded(op.getStoredValueLength()) + between) * ir::weightedType(op).getIntOrFloatBitWidth() / 8;
}

void remarkLinearForm(ir::AttentionOp op, const ir::Schedule &schedule, bool isAskedFor) {
  if (!isLinearAttention(op))
    return;
  if (schedule.chunked)
    return remark(op, RemarkCategory::Schedule,
                  llvm::formatv("linear attention in chunks of {0} keys: a kernel before this one sums what keys and values give, so time grows with kv_len "
                                "and not with q_len times kv_len", schedule.blockN).str());
  std::string reason = whyNotChunked(op);
  remark(op, RemarkCategory::Schedule,
         "linear attention is computed in its quadratic form: " + (!reason.empty() ? reason : isAskedFor ? "as asked for" : "beside the tiles there is no room for a state in shared memory"));
}

} // namespace attn
