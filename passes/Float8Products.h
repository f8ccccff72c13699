// Products that tensor cores make of rows of 8-bit floats as they lie in memory, at twice the rate of 16 bits. Where they do
// not, such rows are widened on chip (ir/attn/ProductTypes.h).
//
//   query · key     both sides 8-bit floats, neither computed: their depth lies along the rows, as these products take it
//   probs · value   where `probs_dtype` is of 8 bits too and warpgroups multiply: keys are brought along the rows on chip
//                   (passes/tile/TurnedValues.h), and each block of keys is summed from 0, for which there must be registers
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "support/GpuTarget.h"

#include <string>

namespace attn {

/// What is asked about an attention before and behind ToOnlineAttention.
struct ScoreProducts {
  ir::AttnTensorType query, key;
  mlir::Region &queryRegion, &keyRegion, &score, &weight;
  unsigned queryFeatures;
  int64_t headDim;
  bool isDirect;
};

template <typename AttentionLike> ScoreProducts scoreProductsOf(AttentionLike op) {
  return {op.getQueryType(), op.getKeyType(), op.getQueryRegion(), op.getKeyRegion(), op.getScore(), op.getWeight(),
          static_cast<unsigned>(op.getQueryFeatureTypes().size()), op.getHeadDim(), op.getWeights() == ir::Weights::direct};
}

/// Whether query and key are both 8-bit floats.
bool areFloat8(const ScoreProducts &products);

/// Why rows of query and key, both 8-bit floats, would be widened on targets with products of such; empty if they would not.
std::string whyWidenedScores(const ScoreProducts &products);

/// Whether rows of query and key are multiplied in 8 bits.
bool multipliesScoresInFloat8(const ScoreProducts &products, const GpuTarget &target);

/// Channels of the buffers of such rows: whole panels of a swizzle, or steps of a product.
int64_t float8Columns(int64_t channels, const GpuTarget &target);

/// Bytes of shared memory that tiles of query and key, `stages` of these, need less than as rows of 16 bits that stand beside
/// their bytes; 0 where they are widened.
int64_t bytesSavedByFloat8Scores(const ScoreProducts &products, const ir::Schedule &schedule, const GpuTarget &target);

/// What is asked about the second product.
struct WeightedProducts {
  ir::AttnTensorType value;
  mlir::Type probs;
  mlir::Region &valueRegion, &weight;
  bool isKey;        ///< value is the key's tensor
  int64_t length;    ///< of a row of sums
};

template <typename AttentionLike> WeightedProducts weightedProductsOf(AttentionLike op) {
  return {op.getValueType(), op.getProbsElementType(), op.getValueRegion(), op.getWeight(), op.getKey() == op.getValue(), op.getValueRowLength()};
}

/// Powers of 2 by which probs of 8 bits are larger, for e4m3 has no smaller ones than 2^-9: they are at most 2^8, and a lagging
/// maximum may double them almost (passes/tile/LoopFacts.h) below the largest, 448.
inline constexpr float kFloat8ProbsOffset = 8;

/// Whether probs and value are both 8-bit floats by the specification.
bool areFloat8(const WeightedProducts &products);
/// Why values would be widened by warpgroups too, whatever the schedule; empty if they need not be.
std::string whyWidenedValues(const WeightedProducts &products, const ScoreProducts &scores);
/// Whether a schedule leaves registers to sums of a block, and has blocks whose rows of keys can be turned.
bool fitsFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule);
bool multipliesValuesInFloat8(const WeightedProducts &products, const ScoreProducts &scores, const ir::Schedule &schedule, MmaFamily family);

/// Registers for 16 rows of queries, and bytes, that products of probs and value take beside those of 16 bits: fewer where negative.
int64_t registersOfFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule);
int64_t bytesSavedByFloat8Values(const WeightedProducts &products, const ir::Schedule &schedule);

/// Says how probs and values are multiplied where both are 8-bit floats.
void remarkFloat8Values(mlir::Operation *op, const WeightedProducts &products, const ScoreProducts &scores, const ir::Schedule &schedule, const GpuTarget &target);

/// Says how rows of query and key are multiplied where both are 8-bit floats.
void remarkFloat8Scores(mlir::Operation *op, const ScoreProducts &products, const GpuTarget &target);

} // namespace attn
