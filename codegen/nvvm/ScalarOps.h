// One scalar operation of `arith` or `math`, written in instructions. The only home of their meaning in kernels: element
// regions and scalars outside them come here.
#pragma once

#include "codegen/nvvm/Emitter.h"

namespace attn::codegen {

/// Whether `emitScalar` covers the operation.
bool isScalarOp(mlir::Operation *op);

/// The result of a scalar `arith` or `math` operation on these operands; null if the operation is not covered.
/// f32 functions may use approximate instructions within the bounds of docs/numerics.md; f64 ones use none.
mlir::Value emitScalar(Emitter &e, mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);

} // namespace attn::codegen
