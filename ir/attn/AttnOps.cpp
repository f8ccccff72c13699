// Builders and accessors of the ops.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/ProductTypes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn::ir {

OperandRange yieldedBy(Region &region) { return region.front().getTerminator()->getOperands(); }

/// One row of `length` numbers, as regions see it.
static Type rowType(Type real, int64_t length) { return VectorType::get({length}, real); }

static Block *addBlockTo(Region &region, TypeRange arguments, Location location) {
  assert(region.empty() && "the region has its block");
  Block *block = new Block();
  region.push_back(block);
  for (Type type : arguments)
    block->addArgument(type, location);
  return block;
}

static int64_t rowLength(AttnTensorType type) { return *type.getConstantSize(type.getRank() - 1); }

/// Types that `region` yields, or a stored row where it is absent.
static SmallVector<Type> featureTypes(Region &region, Type real, int64_t stored) {
  if (region.empty())
    return {rowType(real, stored)};
  return llvm::to_vector(yieldedBy(region).getTypes());
}

template <typename AttentionLike>
static Type probsElementType(AttentionLike op) {
  return op.getProbsType() ? *op.getProbsType() : op.getValueType().getElementType();
}

template <typename AttentionLike>
static int64_t valueRowLength(AttentionLike op) {
  if (op.getValueRegion().empty())
    return op.getStoredValueLength();
  return cast<VectorType>(yieldedBy(op.getValueRegion()).getTypes().front()).getNumElements();
}

static Value outputNamed(StringRef name, std::optional<ArrayAttr> outputs, ResultRange results) {
  static constexpr StringRef kDefault[] = {"out", "lse", "max_score"};
  for (auto [index, result] : llvm::enumerate(results)) {
    StringRef own = outputs ? cast<StringAttr>((*outputs)[index]).getValue() : kDefault[index];
    if (own == name)
      return result;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

void AttentionOp::build(OpBuilder &builder, OperationState &state, TypeRange results, Value query, Value key,
                        Value value, ValueRange ragged, ValueRange paged) {
  build(builder, state, results, query, key, value, ragged, paged, Weights::softmax, /*normalize=*/false,
        /*log2=*/false, /*probs_type=*/TypeAttr(), /*page_size=*/IntegerAttr(), /*schedule=*/DictionaryAttr(),
        /*outputs=*/ArrayAttr());
}

int64_t AttentionOp::getValueRowLength() { return valueRowLength(*this); }
Type AttentionOp::getProbsElementType() { return probsElementType(*this); }
SmallVector<Type> AttentionOp::getQueryFeatureTypes() {
  return featureTypes(getQueryRegion(), computeType(*this), getHeadDim());
}
SmallVector<Type> AttentionOp::getKeyFeatureTypes() {
  return featureTypes(getKeyRegion(), computeType(*this), rowLength(getKeyType()));
}
Block *AttentionOp::addBlock(Region &region, TypeRange arguments) { return addBlockTo(region, arguments, getLoc()); }
Value AttentionOp::getOutput(StringRef name) { return outputNamed(name, getOutputs(), getResults()); }

//===----------------------------------------------------------------------===//
// online_attention
//===----------------------------------------------------------------------===//

void OnlineAttentionOp::build(OpBuilder &builder, OperationState &state, Type result, Value before, Value query,
                              Value key, Value value, ValueRange ragged, ValueRange paged) {
  build(builder, state, result, before, query, key, value, ragged, paged, Weights::softmax, /*normalize=*/false,
        /*log2=*/false, /*probs_type=*/TypeAttr(), /*page_size=*/IntegerAttr(), /*schedule=*/DictionaryAttr(),
        /*split=*/IntegerAttr());
}

int64_t OnlineAttentionOp::getValueRowLength() { return valueRowLength(*this); }
Type OnlineAttentionOp::getProbsElementType() { return probsElementType(*this); }
SmallVector<Type> OnlineAttentionOp::getQueryFeatureTypes() {
  return featureTypes(getQueryRegion(), computeType(*this), getHeadDim());
}
SmallVector<Type> OnlineAttentionOp::getKeyFeatureTypes() {
  return featureTypes(getKeyRegion(), computeType(*this), rowLength(getKeyType()));
}
Block *OnlineAttentionOp::addBlock(Region &region, TypeRange arguments) {
  return addBlockTo(region, arguments, getLoc());
}

//===----------------------------------------------------------------------===//
// finalize
//===----------------------------------------------------------------------===//

void FinalizeOp::build(OpBuilder &builder, OperationState &state, TypeRange results, Value from) {
  build(builder, state, results, from, /*undivided=*/false, /*outputs=*/ArrayAttr());
}

Value FinalizeOp::getOutput(StringRef name) { return outputNamed(name, getOutputs(), getResults()); }

} // namespace attn::ir
