// What a value of a region is computed from.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// The operations that `value` is computed from, its own included, each once; the rows that regions take as arguments count
/// for nothing.
llvm::SmallVector<mlir::Operation *> operationsBehind(mlir::Value value);

/// Whether `value` depends on index `kind`.
bool dependsOnIndex(mlir::Value value, ir::IndexKind kind);

} // namespace attn
