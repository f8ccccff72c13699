// What a value of a region is computed from.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// The operations that `value` is computed from, its own included, each once; the rows that regions take as arguments count
/// for nothing.
llvm::SmallVector<mlir::Operation *> operationsBehind(mlir::Value value);

/// How a walk behind a value goes on at one of those that it comes to.
enum class WalkBehind { Found, Descend, Skip };

/// Whether a walk from `value` to its operands, theirs and so on finds what `visit` is looking for. Each value is visited
/// once, however many ways lead to it.
bool findBehind(mlir::Value value, llvm::function_ref<WalkBehind(mlir::Value)> visit);

/// Whether `value` depends on index `kind`.
bool dependsOnIndex(mlir::Value value, ir::IndexKind kind);

} // namespace attn
