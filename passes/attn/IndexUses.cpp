// See IndexUses.h.
#include "passes/attn/IndexUses.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace attn {

bool dependsOnIndex(Value value, ir::IndexKind kind) {
  SmallVector<Operation *> open;
  llvm::SmallPtrSet<Operation *, 16> seen;
  auto visit = [&](Value operand) {
    if (Operation *op = operand.getDefiningOp(); op && seen.insert(op).second)
      open.push_back(op);
  };
  for (visit(value); !open.empty();) {
    Operation *op = open.pop_back_val();
    if (auto index = dyn_cast<ir::IndexOp>(op); index && index.getKind() == kind)
      return true;
    llvm::for_each(op->getOperands(), visit);
  }
  return false;
}

} // namespace attn
