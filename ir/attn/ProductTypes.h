// What products of tiles take where their operands are stored in different types. An 8-bit float is multiplied as the
// 16-bit one beside it, or as f16 where there is none: all of its numbers are numbers of f16 and of bf16, so nothing is
// rounded (e5m2: 2^-16 to 57344, infinities; e4m3: 2^-9 to 448).
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn::ir {

/// e4m3 or e5m2.
bool isFloat8(mlir::Type type);

/// The type as the language spells it.
std::string spell(mlir::Type type);

/// A type with every number of both, which the products of tiles take; null if there is none.
mlir::Type productType(mlir::Type a, mlir::Type b);

/// What features of query and key are rounded to and multiplied as.
template <typename AttentionLike> mlir::Type featureType(AttentionLike op) {
  return productType(op.getQueryType().getElementType(), op.getKeyType().getElementType());
}

/// What rows of probs and value are rounded to and multiplied as. Probs of a softmax are at most 2^8 and mean little below
/// 2^-24, so beside 8-bit values f16 is more precise than bf16, and nearer to them. Rows that are key and value serve both
/// products as one type.
template <typename AttentionLike> mlir::Type weightedType(AttentionLike op) {
  mlir::Type probs = op.getProbsElementType(), value = op.getValueType().getElementType();
  if (isFloat8(value) && probs.isBF16() && op.getWeights() == Weights::softmax && op.getWeight().empty() && op.getKey() != op.getValue())
    return productType(value, value);
  return productType(probs, value);
}

/// What scores, sums and the mathematics of regions are computed in: f64 where query and key are f64, else f32.
template <typename AttentionLike> mlir::Type computeType(AttentionLike op) {
  bool isDouble = op.getQueryType().getElementType().isF64() && op.getKeyType().getElementType().isF64();
  mlir::MLIRContext *context = op.getContext();
  return isDouble ? mlir::Type(mlir::Float64Type::get(context)) : mlir::Type(mlir::Float32Type::get(context));
}

} // namespace attn::ir
