// Combining the columns of a row: the registers of a thread, then the four lanes of a quad.
#pragma once

#include "codegen/nvvm/KernelContext.h"

namespace attn::codegen {

/// One value a row slot, of the thread's own columns, combined in register order. 32-bit elements in layout `acc`.
llvm::SmallVector<mlir::Value> reduceRegisters(Emitter &e, tile::ReduceKind kind, const Fragment &input,
                                               mlir::ValueRange registers);

/// Combined over the quad; the same value in its four lanes.
mlir::Value reduceQuad(Emitter &e, tile::ReduceKind kind, mlir::Value value);

} // namespace attn::codegen
