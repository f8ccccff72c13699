// What the elements of a tile share when attention is written as a block program: tensors, sizes, indices of the work
// tile, and every scalar of a region that is the same for all of them. Such a scalar is written once, before the
// loops: in front of `tile.foreach_work` if all work tiles share it, else at the start of its body.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include <cstdint>
#include <memory>

namespace attn {

/// What a value of a region depends on, as a set.
enum Dependence : uint8_t {
  kOnWork = 1,     ///< the work tile: b, h, kv_head, its first and last row
  kOnQuery = 2,    ///< q_idx
  kOnKey = 4,      ///< kv_idx
  kOnChannel = 8,  ///< the channel of a row
  kOnData = 16,    ///< rows of query, key, value, products of them
};

class RowPlaces;

class KernelScope {
public:
  /// `plan` is read, `kernel` is written: its arguments are the plan's, then the outputs.
  KernelScope(mlir::func::FuncOp plan, mlir::func::FuncOp kernel);
  ~KernelScope();

  /// Where rows of the plan's attention lie.
  RowPlaces &rows() { return *rowPlaces; }

  /// The dependences of a value of a region or of the plan's top level.
  uint8_t dependence(mlir::Value value);
  bool isUniform(mlir::Value value) { return (dependence(value) & ~kOnWork) == 0; }

  /// The kernel's argument for a tensor of the plan.
  mlir::Value tensor(mlir::Value planTensor) const { return values.lookup(planTensor); }
  /// The value of an extent; null after a message if no tensor has it as a size.
  mlir::Value size(llvm::StringRef name, mlir::Location location);
  /// In the work tile: the extent of the request at hand.
  void bindSize(llvm::StringRef name, mlir::Value value) { sizes[name] = value; }
  /// The kernel's argument for an extent that is passed as a number; null if there is none.
  mlir::Value extentArgument(llvm::StringRef name);
  /// The size of a tensor of the kernel: a constant, or the value of its extent.
  mlir::Value sizeOf(mlir::Value tensor, unsigned dim, mlir::Location location);
  mlir::Value constant(int32_t value);
  /// A number as the regions of the attention compute with: f32 or f64.
  mlir::Value real(double value);
  mlir::Type realType() const { return computesIn; }

  /// Sets what `attn.index` of this kind gives in the work tile.
  void setIndex(ir::IndexKind kind, mlir::Value value) { indices[static_cast<unsigned>(kind)] = value; }
  mlir::Value index(ir::IndexKind kind) const { return indices[static_cast<unsigned>(kind)]; }
  /// From here on rows of queries are those of `heads` query heads: row r is query r / heads of head `index(h)` + r % heads.
  void packHeads(int64_t heads) { packed = heads; }
  int64_t packedHeads() const { return packed; }
  /// Binds a region argument (first and last row of `ranges`), or a tensor that an earlier kernel has made.
  void bind(mlir::Value planValue, mlir::Value value) { values[planValue] = value; }

  /// Columns of a matrix operand with that many channels, the rest 0: whole k16 steps, and on targets whose matrix units
  /// read shared memory by themselves whole panels of a swizzle.
  int64_t paddedColumns(int64_t channels) const;
  /// Columns of the weighted sum of rows with that many channels. Matrix units that read shared memory by themselves
  /// leave the padding of the values out.
  int64_t sumColumns(int64_t channels) const;

  /// Whether matrix units read shared memory by themselves.
  bool hasOwnMatrixUnits() const { return columnGranule > 16; }

  /// The value of a uniform scalar; null after a message.
  mlir::Value uniform(mlir::Value value);
  /// b · q_heads: what numbers the heads of a request, together with h.
  mlir::Value headsBefore(mlir::Location location);

  /// One element of a parameter. An index that may be out of range gives 0: the language forbids it only where the
  /// element counts, and tiles reach beyond the last row.
  mlir::Value parameter(mlir::OpBuilder &builder, ir::LoadOp load, mlir::ValueRange indices, mlir::Type result,
                        bool channelInRange);

  /// Whether reads are to trap where an index is out of range.
  bool isChecked() const;
  /// That the indices of a read are in range, but for those of the row and key at hand, which count only where these
  /// exist; null where nothing can be out of range.
  /// `except`: a dimension whose index is not looked at.
  mlir::Value readHolds(mlir::OpBuilder &builder, ir::LoadOp load, mlir::ValueRange indices, std::optional<unsigned> except = {});

  mlir::OpBuilder entry;   ///< before the work loop
  mlir::OpBuilder work;    ///< in the work tile, before its loops

private:
  bool indexInRange(ir::LoadOp load, unsigned dim, mlir::Value planIndex, bool channelInRange);
  bool isOwnPosition(ir::LoadOp load, unsigned dim);
  mlir::Value indexHolds(mlir::OpBuilder &builder, ir::LoadOp load, unsigned dim, mlir::Value index);
  mlir::Value lowerBound(ir::LowerBoundOp op);
  bool isOfRequest(llvm::StringRef extent) const;

  mlir::func::FuncOp kernel;
  llvm::DenseMap<mlir::Value, mlir::Value> values;
  llvm::DenseMap<mlir::Value, uint8_t> dependences;
  llvm::StringMap<mlir::Value> sizes;
  int64_t packed = 1;
  llvm::DenseMap<int64_t, mlir::Value> constants; ///< i64: the map keeps two keys of its own
  mlir::Value indices[5];
  int64_t columnGranule = 16;
  mlir::Type computesIn;           ///< f32 or f64
  mlir::Type queryType, keyType;   ///< of the plan's first attention, for the extents that bound b, h, kv_head
  std::unique_ptr<RowPlaces> rowPlaces;
};

/// A copy of a scalar or elementwise operation with other operands, its result scalar.
mlir::Value cloneScalar(mlir::OpBuilder &builder, mlir::Operation *op, mlir::ValueRange operands);

} // namespace attn
