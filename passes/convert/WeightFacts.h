// What is surely so of weights, from how they are computed.
#pragma once

#include "mlir/IR/Value.h"

namespace attn {

/// Whether `value` is above 0 wherever it is a number: what an infinite value row is multiplied with.
bool isSurelyPositive(mlir::Value value);

/// Whether `product`, made of `weight`, is 0 where that is 0, whatever else stands there: no other factor that may be
/// infinite or NaN.
bool keepsZero(mlir::Value product, mlir::Value weight);

} // namespace attn
