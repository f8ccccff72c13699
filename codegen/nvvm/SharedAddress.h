// Pointers to shared memory from addresses that were computed bit by bit.
#pragma once

#include "codegen/nvvm/Emitter.h"

namespace attn::codegen {

/// The pointer whose `Emitter::addressOf` is `address`.
mlir::Value sharedAt(Emitter &e, mlir::Value address);

} // namespace attn::codegen
