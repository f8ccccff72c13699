// See IndexRuns.h.
#include "passes/IndexRuns.h"

#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;

namespace attn {

/// What `user` divides its first operand by, rounding down; 1 if it does something else.
static int64_t divisorOf(Operation *user, Value index) {
  APInt number;
  if (user->getNumOperands() != 2 || user->getOperand(0) != index || !matchPattern(user->getOperand(1), m_ConstantInt(&number)))
    return 1;
  int64_t divisor = number.getSExtValue();
  if (isa<arith::ShRSIOp, arith::ShRUIOp>(user))
    return divisor >= 0 && divisor < 31 ? int64_t{1} << divisor : 1;
  // Indices are not negative.
  return isa<arith::FloorDivSIOp, arith::DivSIOp, arith::DivUIOp>(user) && divisor > 0 ? divisor : 1;
}

int64_t runLength(Value value, ir::IndexKind kind) {
  int64_t run = 0;
  for (Operation *op : operationsBehind(value))
    for (Value operand : op->getOperands())
      if (auto index = operand.getDefiningOp<ir::IndexOp>(); index && index.getKind() == kind)
        run = std::gcd(run, divisorOf(op, operand));
  auto itself = value.getDefiningOp<ir::IndexOp>();
  return itself && itself.getKind() == kind ? 1 : run;
}

} // namespace attn
