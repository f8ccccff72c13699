// Kernels from `func.func` over `tile` to `llvm.func`.
#pragma once

#include "llvm/Support/LogicalResult.h"

namespace mlir {
class Block;
namespace func {
class FuncOp;
}
} // namespace mlir

namespace attn::codegen {

class ArchLowering;

/// Replaces a kernel of the `tile` dialect, after InsertBarriers, by an `llvm.func` of the same name with the parameters of
/// `kernelParams`. Fails after a diagnostic.
llvm::LogicalResult lowerKernel(mlir::func::FuncOp kernel, const ArchLowering &arch);

/// Puts what stands behind each `tile.skip_work` in a branch, and erases it.
void guardSkippedWork(mlir::func::FuncOp kernel);

/// Moves pure operations of a kernel's entry block that are used behind its last loop of sums only to their first use.
void sinkBehindLoops(mlir::Block &block);

} // namespace attn::codegen
