// See IndexUses.h.
#include "passes/IndexUses.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace attn {

SmallVector<Operation *> operationsBehind(Value value) {
  llvm::SetVector<Operation *> found;
  auto visit = [&](Value operand) {
    if (Operation *op = operand.getDefiningOp())
      found.insert(op);
  };
  visit(value);
  for (size_t i = 0; i < found.size(); ++i)
    llvm::for_each(found[i]->getOperands(), visit);
  return found.takeVector();
}

bool dependsOnIndex(Value value, ir::IndexKind kind) {
  return llvm::any_of(operationsBehind(value), [&](Operation *op) {
    auto index = dyn_cast<ir::IndexOp>(op);
    return index && index.getKind() == kind;
  });
}

} // namespace attn
