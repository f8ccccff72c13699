// What passes on block programs ask about loops and scalars.
#pragma once

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include <optional>

namespace attn {

/// Whether an integer is surely at least `bound`: a constant, or a maximum with one.
bool isAtLeast(mlir::Value value, int64_t bound);

/// Whether the loop counts 0, 1, 2, …
bool countsFromZero(mlir::scf::ForOp loop);

/// Whether a scalar costs more than a few instructions: a read of memory, a division, a transcendental function.
bool isExpensive(mlir::Operation *op);

/// Copies what `value` is computed from inside `loop`, with the loop's count mapped in `mapping` to another value.
mlir::Value cloneForIteration(mlir::OpBuilder &builder, mlir::scf::ForOp loop, mlir::Value value,
                              mlir::IRMapping &mapping);

/// Copies `value`, and what it needs of `region`, whose values not mapped yet may stand in another place as well.
mlir::Value copyOutOf(mlir::OpBuilder &builder, mlir::Region &region, mlir::Value value, mlir::IRMapping &mapping);

} // namespace attn
