// See DiagonalBudget.h.
#include "passes/attn/DiagonalBudget.h"

#include "passes/DiagonalLimits.h"
#include "passes/RelativeRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static SmallVector<RelativeProduct> productsOf(ir::AttentionOp op) {
  return findRelativeProducts(op.getScore(), static_cast<unsigned>(op.getQueryFeatureTypes().size()));
}

bool areDiagonalsBesideRoles(ir::AttentionOp op) {
  SmallVector<Value> rows = rowsAddedToValue(op.getWeight());
  for (RelativeProduct &product : productsOf(op))
    rows.push_back(product.row.row);
  auto isShort = [](Value row) { return cast<VectorType>(row.getType()).getNumElements() <= kMostChannelsBesideRoles; };
  return rows.size() <= kMostTablesBesideRoles && llvm::all_of(rows, isShort);
}

/// Products have 16 columns more than scores, and are made before probs are; they are scores of their own where they are not
/// added to others. Probs of 16 columns more stand beside the others.
int64_t diagonalRegisters(ir::AttentionOp op, const ir::Schedule &schedule, bool isOverlapped) {
  SmallVector<RelativeProduct> products = productsOf(op);
  int64_t registers = products.empty() ? 0 : schedule.blockN / (isOverlapped ? 2 : 4) + 8;
  for (RelativeProduct &product : products)
    if (!product.dot->hasOneUse() || !isa<arith::AddFOp>(*product.dot->user_begin()))
      registers += schedule.blockN / 2;
  constexpr int64_t kShortRow = 64;
  bool hasLongKeys = llvm::any_of(products, [](RelativeProduct &product) {
    return product.ofKey && cast<VectorType>(product.row.row.getType()).getNumElements() > kShortRow;
  });
  if (isOverlapped && hasLongKeys) // operands of keys and diagonals at once: ptxas 13.0 was seen to spill without them
    registers += 8;
  return registers + (rowsAddedToValue(op.getWeight()).empty() ? 0 : schedule.blockN / 4 + 4);
}

/// From what ptxas 13.0 was seen to spill with examples/23_deberta.attn and the cases of tests/conformance/Cases.def.
int64_t diagonalOperandRegisters(ir::AttentionOp op, bool isOverlapped) {
  auto tables = static_cast<int64_t>(productsOf(op).size() + rowsAddedToValue(op.getWeight()).size());
  return tables == 0 ? 0 : 40 + (isOverlapped ? 36 : 52) * (tables - 1);
}

} // namespace attn
