// See Distances.h.
#include "passes/Distances.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

/// a + b · factor, nothing where that leaves 64 bits.
static std::optional<PointSteps> sum(PointSteps a, PointSteps b, int64_t factor) {
  int64_t query = 0, key = 0;
  bool overflows = llvm::MulOverflow(b.query, factor, query) || llvm::AddOverflow(a.query, query, query);
  overflows |= llvm::MulOverflow(b.key, factor, key) || llvm::AddOverflow(a.key, key, key);
  return overflows ? std::nullopt : std::optional(PointSteps{query, key});
}

std::optional<PointSteps> Distances::steps(Value value) {
  if (auto known = stepsOf.find(value); known != stepsOf.end())
    return known->second;
  std::optional<PointSteps> steps = computeSteps(value);
  return stepsOf[value] = steps;
}

std::optional<PointSteps> Distances::computeSteps(Value value) {
  if (!isInside(value))
    return PointSteps{};
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto known = position(op))
    return known;
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    return kindOf(value) == PointKind::Shared ? std::optional(PointSteps{}) : std::nullopt;
  auto a = steps(op->getOperand(0)), b = steps(op->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  if (isa<arith::MulIOp>(op)) {
    APInt factor;
    if (matchPattern(op->getOperand(1), m_ConstantInt(&factor)))
      return sum({}, *a, factor.getSExtValue());
    bool areShared = a->query == 0 && a->key == 0 && b->query == 0 && b->key == 0;
    return areShared ? a : std::nullopt;
  }
  return sum(*a, *b, isa<arith::AddIOp>(op) ? 1 : -1);
}

PointKind Distances::kindOf(Value value) {
  if (auto known = kinds.find(value); known != kinds.end())
    return known->second;
  PointKind kind = computeKind(value);
  return kinds[value] = kind;
}

PointKind Distances::computeKind(Value value) {
  if (!isInside(value))
    return PointKind::Shared;
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0 || op->getNumResults() != 1 || position(op) || (isOpaque && isOpaque(op)))
    return PointKind::Other;
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    if (auto known = steps(value)) {
      if (known->query == 0 && known->key == 0)
        return PointKind::Shared;
      return known->query == -known->key ? PointKind::Distance : PointKind::Other;
    }
  PointKind kind = PointKind::Shared;
  for (Value operand : op->getOperands())
    kind = std::max(kind, kindOf(operand));
  return kind;
}

} // namespace attn
