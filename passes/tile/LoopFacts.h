// What passes on block programs ask about loops, scalars and products.
#pragma once

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include <optional>

namespace attn {

/// Whether an integer is surely at least `bound`: a constant, or a maximum with one.
bool isAtLeast(mlir::Value value, int64_t bound);

/// Whether the loop counts 0, 1, 2, …
bool countsFromZero(mlir::scf::ForOp loop);

/// Whether the kernel's target multiplies by warpgroups, and can so multiply all that the kernel does: products of f32
/// operands are mma.sync's everywhere, for wgmma takes tf32 values only as they do not lie in memory, keys along rows; so are
/// all where rows of several tables, or long ones, are multiplied by diagonals (passes/DiagonalLimits.h). For PipelineLoads' kernels.
bool multipliesByWarpgroups(mlir::func::FuncOp kernel);

/// Whether the rows that a block has of each page can be copied by tensor maps: whole patterns of a swizzle, of the
/// buffer's own type.
bool copiesPagesByMap(tile::FillOp fill);

/// Rows of the pieces in which it copies them: those of a page that lie in one block.
int64_t rowsOfPagePiece(tile::FillOp fill);

/// Whether rows in pages do come so: where it does not matter what lies behind the last of them.
bool isCopiedByMap(tile::FillOp fill);

/// Whether a scalar costs more than a few instructions: a read of memory, a division, a transcendental function.
bool isExpensive(mlir::Operation *op);

/// A running sum is brought down only when the maximum that it counts from has grown by more than this, in log2 units: weights
/// are as large as 2^8 then, of f16's 2^15.
inline constexpr float kRescaleAbove = 8;
/// The same of probs with an offset of 2^8, of which e4m3 leaves 448.
inline constexpr float kRescaleAboveOfFloat8 = 0.5;
/// Whether the running maximum of a softmax in `loop` serves its sums alone, which then may count from a smaller one.
bool maximumServesSumsAlone(tile::SoftmaxStepOp step, mlir::scf::ForOp loop);

/// Copies what `value` is computed from inside `loop`, with the loop's count mapped in `mapping` to another value.
mlir::Value cloneForIteration(mlir::OpBuilder &builder, mlir::scf::ForOp loop, mlir::Value value,
                              mlir::IRMapping &mapping);
/// Copies what operands and regions of `op` in `loop` need, for the iteration `number`: a copy of `op` with this mapping is
/// that iteration's.
mlir::IRMapping operandsForIteration(mlir::OpBuilder &builder, mlir::scf::ForOp loop, mlir::Operation *op, mlir::Value number);

/// Copies `value`, and what it needs of `region`, whose values not mapped yet may stand in another place as well.
mlir::Value copyOutOf(mlir::OpBuilder &builder, mlir::Region &region, mlir::Value value, mlir::IRMapping &mapping);

} // namespace attn
