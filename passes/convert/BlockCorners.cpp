// See BlockCorners.h.
#include "passes/convert/BlockCorners.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

static std::optional<int> sumOf(int a, int b) { return a * b < 0 ? std::nullopt : std::optional(a != 0 ? a : b); }

/// Of a sum, or of the smaller or larger of two numbers.
static std::optional<Slopes> both(std::optional<Slopes> a, std::optional<Slopes> b) {
  if (!a || !b)
    return std::nullopt;
  auto query = sumOf(a->query, b->query), key = sumOf(a->key, b->key);
  if (!query || !key)
    return std::nullopt;
  return Slopes{*query, *key};
}

static std::optional<Slopes> times(std::optional<Slopes> slopes, int sign) {
  if (!slopes)
    return std::nullopt;
  return Slopes{slopes->query * sign, slopes->key * sign};
}

using KnownSlopes = DenseMap<Value, std::optional<Slopes>>;

static std::optional<Slopes> findSlopes(Value value, KernelScope &kernel, KnownSlopes &known);

static std::optional<Slopes> computeSlopes(Value value, KernelScope &kernel, KnownSlopes &known) {
  if (kernel.isUniform(value))
    return Slopes{};
  Operation *op = value.getDefiningOp();
  if (auto index = dyn_cast_or_null<ir::IndexOp>(op)) {
    if (index.getKind() == ir::IndexKind::q_idx)
      return Slopes{1, 0};
    return index.getKind() == ir::IndexKind::kv_idx ? std::optional(Slopes{0, 1}) : std::nullopt;
  }
  if (!op || op->getNumOperands() != 2 || !value.getType().isInteger(32))
    return std::nullopt;
  auto of = [&](unsigned operand) { return findSlopes(op->getOperand(operand), kernel, known); };
  APInt number;
  bool hasNumber = matchPattern(op->getOperand(1), m_ConstantInt(&number));
  if (isa<arith::AddIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return both(of(0), of(1));
  if (isa<arith::SubIOp>(op))
    return both(of(0), times(of(1), -1));
  if (isa<arith::MulIOp>(op) && hasNumber)
    return times(of(0), number.isNegative() ? -1 : number.isZero() ? 0 : 1);
  if (isa<arith::FloorDivSIOp, arith::DivSIOp>(op) && hasNumber && number.isStrictlyPositive())
    return of(0);
  return std::nullopt;
}

/// Each value once, however many ways lead to it.
static std::optional<Slopes> findSlopes(Value value, KernelScope &kernel, KnownSlopes &known) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  std::optional<Slopes> slopes = computeSlopes(value, kernel, known);
  return known[value] = slopes;
}

std::optional<Slopes> slopesOf(Value value, KernelScope &kernel) {
  KnownSlopes known;
  return findSlopes(value, kernel, known);
}

Value atCorner(Value number, bool greatest, const BlockCorners &corners, KernelScope &kernel, OpBuilder &builder) {
  Slopes slopes = *slopesOf(number, kernel);
  IRMapping numbers;
  auto write = [&](auto &&self, Value value) -> Value {
    if (Value known = numbers.lookupOrNull(value))
      return known;
    if (kernel.isUniform(value))
      return kernel.uniform(value);
    Operation *op = value.getDefiningOp();
    if (auto position = dyn_cast<ir::IndexOp>(op)) {
      if (position.getKind() == ir::IndexKind::q_idx)
        return slopes.query == 0 || (slopes.query > 0) == greatest ? corners.lastQuery : corners.firstQuery;
      return slopes.key == 0 || (slopes.key > 0) == greatest ? corners.lastKey : corners.firstKey;
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      if (!operands.emplace_back(self(self, operand)))
        return {};
    Value result = cloneScalar(builder, op, operands);
    numbers.map(value, result);
    return result;
  };
  return write(write, number);
}

} // namespace attn
