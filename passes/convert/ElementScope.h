// Writes values of a region of `attn` as mathematics of one element, inside the region of a `tile.map` or of a
// `tile.rotate`. Row `r` of the fragment is query q0 + r or key k0 + r; at a point column c is key k0 + c, else it is a
// channel of the row.
#pragma once

#include "passes/convert/KernelScope.h"
#include "passes/convert/LookupTables.h"

#include <memory>

namespace attn {

/// Where the elements of a fragment lie in the computation.
struct Frame {
  int64_t rows = 0, columns = 0;
  ir::IndexKind rowIndex = ir::IndexKind::q_idx;   ///< what a row counts
  mlir::Value rowBase;                             ///< the index of row 0
  mlir::Value columnBase;                          ///< at a point: kv_idx of column 0; null: columns are channels
  mlir::Value key = {};                            ///< kv_idx of all elements, where they are of one key

  bool isPoint() const { return static_cast<bool>(columnBase); }
  tile::FragType matrixType(mlir::Type element) const {
    return tile::FragType::get(element.getContext(), {rows, columns}, element, {});
  }
  tile::FragType rowType(mlir::Type element) const {
    return tile::FragType::get(element.getContext(), {rows}, element, {});
  }
};

/// A row of a region as columns of a fragment: channel c stands in column `offset` + c. A scalar of a row is a 1-D
/// fragment, a scalar of a point a 2-D one.
struct Fragment {
  mlir::Value value;
  int64_t offset = 0;
};
using FragmentMap = llvm::DenseMap<mlir::Value, Fragment>;

/// A row in memory: where elements of a region's row argument can be read at any channel.
struct StoredRow {
  mlir::Value tensor;   ///< of the kernel
  mlir::Value head;
};

class ReadChecks;

class ElementScope {
public:
  /// For a `tile.map`: inputs are added as they are needed.
  ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, tile::MapOp map);
  /// For a `tile.rotate`.
  ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, tile::RotateOp rotate);
  /// For another region of elements, each at a place of its own: `row` and `column` of the frame, and a row's `channel`, which
  /// may be null. Reads are not checked: where they count is known at points only.
  ElementScope(KernelScope &kernel, const Frame &frame, const FragmentMap &fragments, mlir::Block *block, mlir::Value row,
               mlir::Value column, mlir::Value channel);
  ~ElementScope();

  /// A scalar of the region at this element; null after a message.
  mlir::Value scalar(mlir::Value value);
  /// Of a vector of the region the channel that stands in this column when channel 0 stands in column `offset`.
  mlir::Value element(mlir::Value vector, int64_t offset);

  /// Where the region's row argument lies in memory, for channels that stand in another column.
  void setStoredRow(mlir::Value argument, const StoredRow *stored) { storedArgument = argument, storedRow = stored; }

  /// Products with rows of tables, read where a point chooses one.
  void setLookups(const LookupReads &reads) { lookups = &reads; }

  /// From here on `condition` of the region is known to hold.
  void assume(mlir::Value condition);
  /// From here on, reads count only where `condition` holds.
  void setCounting(mlir::Value condition);
  /// Writes the check of a read that is made elsewhere, where it is to count as if it were made here.
  mlir::LogicalResult check(ir::LoadOp load);
  /// That the row exists, and at a point the key; null where rows are not those of query or key.
  mlir::Value exists();

  mlir::OpBuilder &body() { return builder; }
  mlir::Value row();
  mlir::Value column();
  /// Is the column one of the `length` from `offset` on; null if all are.
  mlir::Value columnWithin(int64_t offset, int64_t length);

private:
  mlir::Value input(mlir::Value fragment);
  mlir::Value channel(int64_t offset);
  mlir::Value index(ir::IndexKind kind, mlir::Location place);
  mlir::Value random(ir::RandomOp op);
  bool isPacked() const { return kernel.packedHeads() > 1 && frame.rowIndex == ir::IndexKind::q_idx; }
  mlir::Value rowPlace();
  mlir::Value packedHead(mlir::Value first);
  mlir::Value load(ir::LoadOp op, mlir::Value channel, bool channelInRange);
  mlir::Value stored(mlir::Value channel, mlir::Location location);
  mlir::Value lookedUp(const LookupRead &read);
  mlir::Value computeElement(mlir::Value vector, int64_t offset);
  mlir::Value computeScalar(mlir::Value value);

  KernelScope &kernel;
  const Frame &frame;
  const FragmentMap &fragments;
  tile::MapOp map;                          ///< null in a rotation
  mlir::Block *block;
  mlir::OpBuilder builder;
  mlir::Location location;
  mlir::Value rowValue, columnValue, rowIndex, columnIndex, existence;
  std::unique_ptr<ReadChecks> checks;
  llvm::DenseMap<mlir::Value, mlir::Value> inputs, scalars;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, mlir::Value> elements;
  mlir::Value channelValue;                 ///< where it is not the column
  llvm::DenseMap<int64_t, mlir::Value> channels;
  mlir::Value storedArgument;
  const StoredRow *storedRow = nullptr;
  const LookupReads *lookups = nullptr;
};

/// A `tile.map` without inputs yet, its region open.
tile::MapOp openMap(mlir::OpBuilder &builder, mlir::Location location, tile::FragType result);
/// Ends the region and puts the builder behind the operation.
void closeRegion(ElementScope &scope, mlir::Location location, mlir::Value yielded);

} // namespace attn
