// Rows of tables added to values (Shaw): `value + table[r]` adds the sum of the weights times the rows that their diagonals
// choose (RelativeRows.h) to the weighted sum of values, one more matrix product a block and table.
//
// A row that is not finite would spread to queries that no key leads to it, for 0 · NaN is NaN. So it counts as 0 there and is
// added behind the loop to the rows that do meet it, as values are (HiddenValues.h); here in every block, whole or not.
#pragma once

#include "passes/RelativeRows.h"
#include "passes/convert/HiddenValues.h"
#include "passes/convert/ValueSlice.h"

namespace attn {

class ValueTables {
public:
  /// Finds them in region `weight`; fails with a message at rows that the distance of key and query does not choose.
  mlir::LogicalResult analyse(mlir::Region &weight);
  /// To the channels that the kernel has; null: all.
  void restrictTo(const ValueSlice *channels) { slice = channels; }
  size_t size() const { return tables.size(); }
  /// What they are read from.
  llvm::SmallVector<ir::LoadOp> reads() const;

  /// The sums with a block's added; `notes` has an entry a table and is brought up to date. Null after a message.
  mlir::Value add(KernelScope &kernel, mlir::OpBuilder &builder, const Frame &point, mlir::Value weights, mlir::Value sums,
                  const HiddenValues &values, llvm::MutableArrayRef<mlir::Value> notes) const;
  /// The sums with what was left out, as numbers of `element`.
  mlir::Value restore(mlir::OpBuilder &builder, mlir::Value sums, const HiddenValues &values, mlir::Type element,
                      mlir::ValueRange notes) const;

private:
  llvm::SmallVector<RelativeRow> tables;
  const ValueSlice *slice = nullptr;
};

} // namespace attn
