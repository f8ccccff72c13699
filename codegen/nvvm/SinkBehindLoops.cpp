// What every thread computes at entry is computed where it is first used, if that is behind the kernel's last loop: addresses
// of the result's rows would take registers through a loop that needs all of them. Runs between the conversion of tile
// operations and that of control flow, when loops still stand as single operations. The loop may stand in a branch (that a
// work tile is not skipped); what stands in front of the branch moves as well.
#include "codegen/nvvm/Entry.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace attn::codegen {

/// The first operation of `block` in which, or in a region of which, `op` is used; null if nothing uses it, or something
/// outside of the block does.
static mlir::Operation *firstUser(mlir::Operation &op, mlir::Block &block) {
  mlir::Operation *first = nullptr;
  for (mlir::Operation *user : op.getUsers()) {
    mlir::Operation *ancestor = block.findAncestorOpInBlock(*user);
    if (!ancestor)
      return nullptr;
    if (!first || ancestor->isBeforeInBlock(first))
      first = ancestor;
  }
  return first;
}

/// The last loop in `block` that carries sums; null if there is none.
static mlir::Operation *lastLoop(mlir::Block &block) {
  mlir::Operation *last = nullptr;
  for (mlir::scf::ForOp loop : block.getOps<mlir::scf::ForOp>())
    if (llvm::any_of(loop.getResultTypes(), [](mlir::Type type) { return type.isF32() || type.isF64(); }))
      last = loop;
  return last;
}

void sinkBehindLoops(mlir::Block &block) {
  mlir::Operation *last = lastLoop(block);
  for (mlir::scf::IfOp branch : block.getOps<mlir::scf::IfOp>())
    if (!last)
      last = lastLoop(*branch.thenBlock());
  if (!last)
    return;
  mlir::Block &inner = *last->getBlock();
  llvm::SmallVector<mlir::Operation *> before;
  auto collect = [&](mlir::Block &from, mlir::Operation *end) {
    for (mlir::Operation &op : from) {
      if (&op == end)
        break;
      if (!mlir::isa<mlir::LLVM::ConstantOp>(op) && op.getNumRegions() == 0 && mlir::isPure(&op))
        before.push_back(&op);
    }
  };
  if (&inner != &block)
    collect(block, block.findAncestorOpInBlock(*last));
  collect(inner, last);
  for (mlir::Operation *op : llvm::reverse(before)) // users before what they use
    if (mlir::Operation *first = firstUser(*op, inner); first && last->isBeforeInBlock(first))
      op->moveBefore(first);
}

} // namespace attn::codegen
