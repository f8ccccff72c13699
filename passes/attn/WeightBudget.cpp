// See WeightBudget.h.
#include "passes/attn/WeightBudget.h"
#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

/// A counter of Philox and the words of two tiles of columns; seed, offset and a round's keys, which are immediates where
/// they are known.
static constexpr int64_t kRandom = 25, kRandomKeys = 36;
/// A division of real numbers that depend on the key, which are in registers for all of a block's.
static constexpr int64_t kDivision = 12;

int64_t weightRegisters(ir::AttentionOp op) {
  int64_t registers = 0;
  for (Region *region : {&op.getScore(), &op.getWeight()})
    region->walk([&](ir::RandomOp random) {
      bool isKnown = matchPattern(random.getSeed(), m_Constant()) && matchPattern(random.getOffset(), m_Constant());
      registers += isKnown ? kRandom : kRandom + kRandomKeys;
    });
  op.getWeight().walk([&](arith::DivFOp division) {
    if (dependsOnIndex(division.getRhs(), ir::IndexKind::kv_idx))
      registers += kDivision;
  });
  return registers;
}

} // namespace attn
