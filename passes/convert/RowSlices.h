// Rows of more channels than the registers of a quad of lanes hold, as slices that fit: the mathematics of a row region
// written again for some of the row's channels at a time.
#pragma once

#include "ir/attn/AttnDialect.h"

#include "mlir/IR/Builders.h"

#include <map>

namespace attn {

class RowSlices {
public:
  /// Of the region's vectors; operations are written in front of its terminator.
  explicit RowSlices(mlir::Region &region);

  /// Channels `first` … of the yielded row.
  struct Slice {
    int64_t first;
    mlir::Value vector;
  };

  /// The yielded row in slices, in order; fails with a message if one is no multiple of 8 channels. Sums over rows that are
  /// too long are sums of slices' sums then, and what no slice needs is gone.
  mlir::FailureOr<llvm::SmallVector<Slice>> write();

private:
  struct Cuts;
  void cut(mlir::Value vector, int64_t at, int64_t begin, int64_t end, Cuts &cuts);
  void cutRotation(ir::RotateOp op, int64_t at, int64_t begin, int64_t end, Cuts &cuts);
  llvm::SmallVector<std::pair<int64_t, int64_t>> ranges(mlir::Value vector, int64_t alignment);
  void writeSum(mlir::Operation *op);
  mlir::Value slice(mlir::Value vector, int64_t first, int64_t length);
  mlir::Value computeSlice(mlir::Value vector, int64_t first, int64_t length);
  mlir::Value rotated(ir::RotateOp op, int64_t first, int64_t length);
  mlir::Value turned(ir::RotateOp op, int64_t first, int64_t length);
  mlir::Value extracted(mlir::Value vector, int64_t first, int64_t length);
  void eraseUnused();

  mlir::Block &block;
  mlir::OpBuilder builder;
  llvm::DenseMap<mlir::Value, std::map<std::pair<int64_t, int64_t>, mlir::Value>> known;
};

} // namespace attn
