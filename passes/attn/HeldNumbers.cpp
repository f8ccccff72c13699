// See HeldNumbers.h.
#include "passes/attn/HeldNumbers.h"

#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace attn {

int64_t fragmentsOfRow(Region &region) {
  int64_t rotations = 0;
  bool isChosen = false;
  region.walk([&](ir::RotateOp rotation) {
    ++rotations;
    isChosen |= llvm::any_of(rotation->getUsers(), [](Operation *user) { return isa<arith::SelectOp>(user); });
  });
  return rotations > 1 || isChosen ? 2 : 1;
}

int64_t angleRegisters(Region &region) {
  int64_t registers = 0;
  region.walk([&](ir::RotateOp rotation) {
    int64_t numbers = 0, rows = 0;
    for (Operation *op : operationsBehind(rotation.getAngle()))
      if (auto load = dyn_cast<ir::LoadOp>(op))
        ++(isa<VectorType>(load.getType()) ? rows : numbers);
    if (numbers > 1 || rows > 0)
      registers = 72;
  });
  return registers;
}

int64_t rangeRegisters(ir::AttentionOp op) {
  if (op.getRanges().empty() || op.getMask().empty())
    return 0;
  auto ranges = cast<ir::YieldRangesOp>(op.getRanges().front().getTerminator());
  llvm::SmallPtrSet<void *, 8> scalars;
  op.getMask().walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      auto argument = dyn_cast<BlockArgument>(operand);
      if (argument && operand.getType().isInteger(32) && isa<func::FuncOp>(argument.getOwner()->getParentOp()))
        scalars.insert(operand.getAsOpaquePointer());
    }
  });
  constexpr int64_t kUsual = 8, kMore = 16; // the ends of two ranges and of what is seen whole; more than the leanest tiles leave
  auto held = static_cast<int64_t>(ranges.getVisit().size() + ranges.getFull().size() + scalars.size());
  return held > kUsual ? kMore : 0;
}

int64_t outputSumRegisters(ir::AttentionOp op) {
  bool sums = op.getOut().walk([](vector::ReductionOp) { return WalkResult::interrupt(); }).wasInterrupted();
  return sums ? 1 : 0;
}

} // namespace attn
