// See IndexUses.h.
#include "passes/IndexUses.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

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

bool findBehind(Value value, llvm::function_ref<WalkBehind(Value)> visit) {
  SmallVector<Value> open{value};
  llvm::SmallPtrSet<void *, 16> seen;
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (!seen.insert(next.getAsOpaquePointer()).second)
      continue;
    WalkBehind step = visit(next);
    if (step == WalkBehind::Found)
      return true;
    if (Operation *op = next.getDefiningOp(); op && step == WalkBehind::Descend)
      llvm::append_range(open, op->getOperands());
  }
  return false;
}

bool dependsOnIndex(Value value, ir::IndexKind kind) {
  return llvm::any_of(operationsBehind(value), [&](Operation *op) {
    auto index = dyn_cast<ir::IndexOp>(op);
    return index && index.getKind() == kind;
  });
}

} // namespace attn
