// Weights that are products of features, q·k times a number that all points share: linear attention (Katharopoulos et al.
// 2020). Then Σ_j (q·k_j) v_j = q·(Σ_j k_j v_jᵀ), so keys that all rows of a tile see need not be met one by one: their
// sum, a matrix of head_dim x head_dim_v, is multiplied with the tile's queries once.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// factors · (query feature · key feature)
struct BilinearTerm {
  ir::DotOp dot;
  unsigned queryFeature = 0, keyFeature = 0;
  llvm::SmallVector<std::pair<mlir::Value, bool>, 2> factors;   ///< with whether it divides; the same for all points and heads
};

struct LinearForm {
  BilinearTerm weight;
  std::optional<BilinearTerm> by;   ///< what the sum of which divides; nothing where none does
};

/// The form of a `score` region with direct weights, nothing if they are no such product.
std::optional<LinearForm> findLinearForm(mlir::Region &score, unsigned queryFeatures, bool normalize);

/// Whether region `ranges` says: keys from 0 on are visited, and those that need no mask are the first ones.
bool seesFirstKeysWhole(mlir::Region &ranges);

/// Whether all tiles of queries see the same keys whole: all there are.
bool seesAllKeysWhole(mlir::Region &ranges);

} // namespace attn
