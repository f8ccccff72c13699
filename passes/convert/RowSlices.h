// Rows of more channels than the registers of a quad of lanes hold, as slices that fit: the mathematics of a row region
// written again for some of the row's channels at a time.
#pragma once

#include "ir/attn/AttnDialect.h"

#include "mlir/IR/Builders.h"

#include <map>
#include <optional>

namespace attn {

class RowSlices {
public:
  /// Channels `first` … `first` + `length` - 1 of a vector, and behind them as many from `second` on: both halves of pairs.
  struct Range {
    int64_t first, length;
    std::optional<int64_t> second = {};

    int64_t channels() const { return second ? 2 * length : length; }
    friend auto operator<=>(const Range &, const Range &) = default;
  };
  struct Slice : Range {
    mlir::Value vector;
  };

  /// Of the region's vectors; operations are written in front of its terminator.
  explicit RowSlices(mlir::Region &region);

  /// The yielded row in slices; fails with a message if one is no multiple of 8 channels. Sums over rows that are too long are
  /// sums of slices' sums then, and what no slice needs is gone.
  mlir::FailureOr<llvm::SmallVector<Slice>> write();

private:
  struct Cuts;
  void cut(mlir::Value vector, int64_t at, int64_t begin, int64_t end, Cuts &cuts);
  void cutRotation(ir::RotateOp op, int64_t at, int64_t begin, int64_t end, Cuts &cuts);
  llvm::SmallVector<Range> ranges(mlir::Value vector, int64_t alignment);
  void writeSum(mlir::Operation *op);
  mlir::Value slice(mlir::Value vector, Range range);
  mlir::Value computeSlice(mlir::Value vector, Range range);
  mlir::Value rotated(ir::RotateOp op, Range range);
  mlir::Value elementwise(mlir::Operation *op, Range range);
  mlir::Value joined(mlir::Value vector, Range range);
  mlir::Value constant(mlir::DenseElementsAttr elements, Range range, mlir::Location location);
  mlir::Value extracted(mlir::Value vector, Range range);
  void eraseUnused();

  mlir::Block &block;
  mlir::OpBuilder builder;
  llvm::DenseMap<mlir::Value, std::map<Range, mlir::Value>> known;
};

} // namespace attn
