// Softmax without a running maximum: where scores are proved to lie between two numbers, weights may be taken above one constant
// for all rows, 2^(s - above).
#pragma once

#include "ir/attn/AttnDialect.h"

#include <optional>
#include <string>

namespace attn {

struct BoundedSoftmax {
  std::optional<double> above;   ///< log2; nothing where each row needs its maximum
  std::string why;               ///< which it is and why, for a remark; empty where scores are not bounded
};

/// Of a softmax in log2 units; nothing else has bounds.
BoundedSoftmax findBoundedSoftmax(ir::AttentionOp op);

} // namespace attn
