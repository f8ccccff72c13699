// Writes the products of a tile of queries with small tables (passes/Lookups.h) into shared memory, before the loop over
// blocks of keys; points of the loop read them.
#pragma once

#include "passes/Lookups.h"
#include "passes/convert/KernelScope.h"

namespace attn {

/// Where a point finds the product that a `dot` of its region stands for: in its row, in the column that the index says.
struct LookupRead {
  Lookup lookup;
  mlir::Value products; ///< a buffer; null until it is written
};
using LookupReads = llvm::DenseMap<mlir::Value, LookupRead>;

class LookupTables {
public:
  /// Takes `dot` as a lookup if it is one.
  bool take(ir::DotOp dot, unsigned queryFeatures);
  /// Writes the products of the tile's `rows` queries. `queryOperands` are the query's features as matrix operands.
  mlir::LogicalResult write(KernelScope &kernel, mlir::OpBuilder &builder, mlir::ValueRange queryOperands, int64_t rows);

  /// By the results of the dots.
  const LookupReads &reads() const { return found; }

private:
  mlir::Value tableOperand(const Lookup &lookup, KernelScope &kernel, mlir::OpBuilder &builder, mlir::Type element);

  LookupReads found;
  llvm::SmallVector<mlir::Value> order; ///< of the dots
};

} // namespace attn
