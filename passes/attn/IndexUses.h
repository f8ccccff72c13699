// Which indices a value of a region is computed from.
#pragma once

#include "ir/attn/AttnDialect.h"

namespace attn {

/// Whether `value` depends on index `kind`; the rows that regions take as arguments count for nothing.
bool dependsOnIndex(mlir::Value value, ir::IndexKind kind);

} // namespace attn
