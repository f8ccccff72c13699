// See SharedAddress.h.
#include "codegen/nvvm/SharedAddress.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace attn::codegen {

mlir::Value sharedAt(Emitter &e, mlir::Value address) {
  return mlir::LLVM::IntToPtrOp::create(e.builder, e.location, e.sharedPointer(), address);
}

} // namespace attn::codegen
