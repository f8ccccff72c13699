// Kernels from `func.func` over `tile` to `llvm.func`.
#pragma once

#include "llvm/Support/LogicalResult.h"

namespace mlir {
namespace func {
class FuncOp;
}
} // namespace mlir

namespace attn::codegen {

class ArchLowering;

/// Replaces a kernel of the `tile` dialect, after InsertBarriers, by an `llvm.func` of the same name with the parameters of
/// `kernelParams`. Fails after a diagnostic.
llvm::LogicalResult lowerKernel(mlir::func::FuncOp kernel, const ArchLowering &arch);

} // namespace attn::codegen
