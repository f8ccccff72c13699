// What every thread computes at entry is computed where it is first used, if that is behind the kernel's last loop: addresses
// of the result's rows would take registers through a loop that needs all of them. Runs between the conversion of tile
// operations and that of control flow, when loops still stand as single operations.
#include "codegen/nvvm/Entry.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace attn::codegen {

/// The first operation of `block` in which, or in a region of which, `op` is used; null if nothing uses it.
static mlir::Operation *firstUser(mlir::Operation &op, mlir::Block &block) {
  mlir::Operation *first = nullptr;
  for (mlir::Operation *user : op.getUsers()) {
    mlir::Operation *ancestor = block.findAncestorOpInBlock(*user);
    if (!first || ancestor->isBeforeInBlock(first))
      first = ancestor;
  }
  return first;
}

void sinkBehindLoops(mlir::Block &block) {
  mlir::Operation *last = nullptr;
  for (mlir::scf::ForOp loop : block.getOps<mlir::scf::ForOp>())
    if (llvm::any_of(loop.getResultTypes(), [](mlir::Type type) { return type.isF32(); }))
      last = loop;
  if (!last)
    return;
  llvm::SmallVector<mlir::Operation *> before;
  for (mlir::Operation &op : block) {
    if (&op == last)
      break;
    if (!mlir::isa<mlir::LLVM::ConstantOp>(op) && op.getNumRegions() == 0 && mlir::isPure(&op))
      before.push_back(&op);
  }
  for (mlir::Operation *op : llvm::reverse(before)) // users before what they use
    if (mlir::Operation *first = firstUser(*op, block); first && last->isBeforeInBlock(first))
      op->moveBefore(first);
}

} // namespace attn::codegen
