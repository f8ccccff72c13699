// Applies a row region (query, key, value, out) to all rows of a fragment: elementwise mathematics becomes `tile.map`,
// rotations `tile.rotate`, sums over a row `tile.reduce`.
#pragma once

#include "passes/convert/ElementScope.h"

namespace attn {

class RowRegion {
public:
  /// Operations are written at `builder`; `argument` is the region's row as an f32 fragment of the frame's columns, or
  /// null if its rows are read from memory (`stored`) element by element.
  RowRegion(KernelScope &kernel, const Frame &frame, mlir::OpBuilder &builder, mlir::Value regionArgument,
            mlir::Value fragment, const StoredRow *stored);

  /// Another vector of the row, as an f32 fragment of the frame's columns.
  void bind(mlir::Value vector, mlir::Value fragment) { fragments[vector] = {fragment, 0}; }
  /// From here on each vector has columns of its own, the first of which is its channel 0 (RowSlices).
  void useOwnColumns() { hasOwnColumns = true; }

  /// The fragment of a vector of the region, channel 0 in column 0, columns beyond it 0; null after a message.
  mlir::Value row(mlir::Value vector);
  /// The same where columns are channel `channel` of vector and row and the next ones, of what is made channel by channel.
  mlir::Value rowFrom(mlir::Value vector, int64_t channel);
  /// The 1-D fragment of Σ over channels of a · b.
  mlir::Value dot(mlir::Value a, mlir::Value b, mlir::Location location);

private:
  bool prepare(mlir::Value value);
  bool prepareRotation(ir::RotateOp op);
  bool prepareReduction(mlir::Operation *op);
  mlir::Value fragmentOf(mlir::Value vector, int64_t offset);
  mlir::Value mapOf(mlir::Value vector, int64_t offset);
  mlir::Value sumOfColumns(mlir::Value fragment, mlir::Location location);
  Frame frameOf(mlir::Value vector) const;
  int64_t offsetOf(mlir::Value vector) const;

  KernelScope &kernel;
  const Frame &frame;
  mlir::OpBuilder &builder;
  mlir::Value regionArgument;
  const StoredRow *stored;
  bool hasOwnColumns = false;
  FragmentMap fragments;
  llvm::DenseSet<mlir::Value> prepared;
};

} // namespace attn
