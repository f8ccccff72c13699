// See AlikeRows.h. An index that rises or falls only is compared at two corners of the block; one that goes through buckets is
// known to end at some distance (ClippedDistances.h), which the block's least or greatest is compared with:
//
//   clamp(q - k, -c, c) + c        %same = cmpi eq, index at (q0, k0 + BN - 1), index at (q0 + BM - 1, k0)
//   bucket(q - k), last from 518   %same = cmpi sge, q0 - (k0 + BN - 1), 518   or   cmpi sle, (q0 + BM - 1) - k0, -518
#include "passes/convert/AlikeRows.h"

#include "passes/ClippedDistances.h"
#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace attn {

static Value indexOf(const RelativeRow &row) { return row.load ? Value(ir::LoadOp(row.load).getIndices()[row.dim]) : Value(); }

/// Whether an integer that has slopes may stand still for a while: a sum that grows by one a key cannot.
static bool mayStandStill(Value value, KernelScope &kernel) {
  return findBehind(value, [&](Value behind) {
    Operation *op = behind.getDefiningOp();
    if (!op || kernel.isUniform(behind))
      return WalkBehind::Skip;
    return isa<arith::MinSIOp, arith::MaxSIOp, arith::FloorDivSIOp, arith::DivSIOp>(op) ? WalkBehind::Found : WalkBehind::Descend;
  });
}

static std::optional<ClippedDistances> clippedDistances(Value index, KernelScope &kernel) {
  return findClippedDistances(index, [&](Value value) {
    auto slopes = value.getType().isInteger(32) ? slopesOf(value, kernel) : std::nullopt;
    return slopes && slopes->query * slopes->key < 0 && !mayStandStill(value, kernel);
  });
}

bool mayBeAlike(KernelScope &kernel, const RelativeRow &row) {
  Value index = indexOf(row);
  if (!index)
    return false;
  return slopesOf(index, kernel) ? mayStandStill(index, kernel) : clippedDistances(index, kernel).has_value();
}

Value areRowsAlike(KernelScope &kernel, OpBuilder &builder, const RelativeRow &row, const BlockCorners &corners) {
  Value index = indexOf(row);
  Location location = index.getLoc();
  auto at = [&](Value number, bool greatest) { return atCorner(number, greatest, corners, kernel, builder); };
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return a && b ? arith::CmpIOp::create(builder, location, predicate, a, b).getResult() : Value();
  };
  if (slopesOf(index, kernel))
    return compare(arith::CmpIPredicate::eq, at(index, false), at(index, true));
  auto clipped = clippedDistances(index, kernel);
  if (!clipped)
    return {};
  Value all;
  for (bool isFar : {true, false}) {
    auto end = isFar ? clipped->from : clipped->to;
    if (!end)
      continue;
    auto predicate = isFar ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
    Value beyond = compare(predicate, at(clipped->distance, !isFar), kernel.constant(static_cast<int32_t>(*end)));
    if (!beyond)
      return {};
    all = all ? arith::OrIOp::create(builder, location, all, beyond).getResult() : beyond;
  }
  return all;
}

} // namespace attn
