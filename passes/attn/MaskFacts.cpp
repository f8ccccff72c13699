// See MaskFacts.h. Each comparison is solved by itself; what every row sees of it is [from, kv_len) or [0, end).
#include "passes/attn/MaskFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn::mask {

static constexpr unsigned kMostComparisons = 4; // each edge has code of its own

/// The comparisons of integers that `visible` is a conjunction of; empty if it is something else.
static SmallVector<arith::CmpIOp> conjuncts(Value visible) {
  SmallVector<Value> open{visible};
  SmallVector<arith::CmpIOp> comparisons;
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (isa_and_present<arith::AndIOp>(op)) {
      llvm::append_range(open, op->getOperands());
      continue;
    }
    auto comparison = dyn_cast_or_null<arith::CmpIOp>(op);
    if (!comparison || !comparison.getLhs().getType().isInteger(32) || comparisons.size() == kMostComparisons)
      return {};
    if (!llvm::is_contained(comparisons, comparison))
      comparisons.push_back(comparison);
  }
  return comparisons;
}

KeySet markFacts(ir::AttentionOp op, Expressions &expressions, MaskSolver &solver) {
  if (op.getMask().empty())
    return {};
  Linear none = Expressions::number(0), all = expressions.extent("kv_len");
  Linear from = none, end = all;
  SmallVector<arith::CmpIOp> below, above;
  for (arith::CmpIOp comparison : conjuncts(ir::yieldedBy(op.getMask()).front())) {
    KeySet seen = solver.solve(expressions.predicateOf(comparison.getResult())).must;
    if (seen.size() != 1 || seen.front().guard->kind != Predicate::Kind::True)
      return {};
    const Interval &interval = seen.front();
    if (interval.hi == all && interval.lo != none) {
      from = expressions.maximum(from, interval.lo);
      below.push_back(comparison);
    } else if (interval.lo == none && interval.hi != all) {
      end = expressions.minimum(end, interval.hi);
      above.push_back(comparison);
    } else {
      return {};
    }
  }
  if (below.empty() || above.empty() || expressions.hasOverflowed())
    return {};
  Builder builder(op.getContext());
  for (auto [fact, comparisons] : {std::pair(0, &below), std::pair(1, &above)})
    for (arith::CmpIOp comparison : *comparisons)
      comparison->setAttr(ir::AttnDialect::kFact, builder.getI32IntegerAttr(fact));
  return {{from, all, expressions.always()}, {none, end, expressions.always()}};
}

} // namespace attn::mask
