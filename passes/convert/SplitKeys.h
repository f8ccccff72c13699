// A plan whose keys may be split: beside its kernel it has one for few rows, whose work items are a tile of rows and one of
// `splits` shares of the blocks that the tile visits, and one that merges what these leave. How many shares there are is known
// at launch; with one the kernel for few rows writes the results itself, and nothing is merged.
//
//   ahead:  only where scores look along keys (`suffix_sum`): for each share what its keys add to the sums → carries
//   few:    for each tile of rows, for each share: attention over the share's keys → sums, maxima (log2 units), totals;
//           sums over later keys begin with the carries of the shares before, which have the later keys
//   merge:  for 16 rows at a time: m = max m_s;  acc = Σ 2^(m_s - m) sums_s;  total = Σ 2^(m_s - m) total_s;  outputs
//
// A share is ceil(visited / splits) blocks, so the last ones may be empty: they write nothing, and `counts` tells the merge how
// many are not. Sums lie in workspace by share and tile, rows of a tile one after the other as the tile has them:
// row r of tile t of heads g of request b in share s is row (((s · batch + b) · groups + g) · tiles + t) · block_m + r.
#pragma once

#include "ir/attn/Schedule.h"
#include "passes/convert/BlockRanges.h"
#include "passes/convert/RowOutputs.h"

namespace attn {

/// What a plan has for it, beside its own tensors.
class SplitPlan {
public:
  /// Nothing where the schedule has no kernel for few rows.
  static std::optional<SplitPlan> of(ir::OnlineAttentionOp op);

  const ir::Schedule &schedule() const { return few; }
  /// What passes from the one kernel to the other: sums, maxima, totals, counts, carries, in this order; maxima of a softmax only,
  /// totals where something is divided by one, carries for each sum over later keys.
  llvm::SmallVector<tile::TileTensorType, 4> workspaceTypes() const;
  std::string workspaceName(unsigned number) const;   ///< no name of the language, so that no parameter has it
  bool hasMaxima() const { return isSoftmax; }
  bool hasTotals() const { return isSoftmax || isNormalized; }
  unsigned carryCount() const { return suffixSums; }
  /// Of a block of keys and their values; of a tile's sums in one share.
  int64_t blockBytes() const, sumBytes() const;
  /// How many keys a request has, for the launch's choice: the text of a size over extents.
  std::string keys() const;

private:
  SplitPlan(ir::OnlineAttentionOp op, const ir::Schedule &few) : op(op), few(few) {}

  mutable ir::OnlineAttentionOp op;
  ir::Schedule few;
  bool isSoftmax = true, isNormalized = false;
  unsigned suffixSums = 0;
};

/// The arguments of a kernel for that.
struct SplitArguments {
  mlir::Value sums, maxima, totals, counts;   ///< tensors; null where there are none
  mlir::ValueRange carries;
  mlir::Value splits;

  static SplitArguments of(const SplitPlan &plan, mlir::func::FuncOp kernel, mlir::ValueRange workspace);
};

/// Where work items of the kernels lie among all.
struct SplitExtents {
  mlir::Value batch, groups, tiles;   ///< requests, tiles of heads, tiles of rows
};

/// The kernel for few rows, or the one ahead of it: which share a work item has.
class SplitKeys {
public:
  SplitKeys(const SplitPlan &plan, const SplitArguments &arguments, bool ahead = false) : plan(plan), arguments(arguments), ahead(ahead) {}

  const ir::Schedule &schedule() const { return plan.schedule(); }
  bool isAhead() const { return ahead; }

  /// The last extent of the kernel's work: shares of one tile follow each other.
  mlir::Value workItems(mlir::OpBuilder &entry, const SplitExtents &extents);
  /// In the work tile: the tile of rows of item `index` of request `b` and heads `group`.
  mlir::Value enter(KernelScope &scope, mlir::Location location, mlir::Value b, mlir::Value group, mlir::Value index);
  /// Leaves the share's blocks of those that are visited; none may be left.
  void deal(KernelScope &scope, mlir::Location location, BlockRanges &blocks);
  mlir::Value isEmpty() const { return empty; }

  /// What counts once, in the first share: `value` there, else `otherwise`.
  mlir::Value inFirst(mlir::OpBuilder &builder, mlir::Value value, mlir::Value otherwise) const;
  /// The first row that is not stored as a result: `end` where nothing is merged, else none is.
  mlir::Value endOfResults(KernelScope &scope, mlir::Location location, mlir::Value end) const;
  /// Stores the tile's state where something is merged. `rows`: how many rows of queries there are from the tile's first one on.
  void store(KernelScope &scope, mlir::OpBuilder &builder, mlir::Location location, const RowState &state, mlir::Value rows) const;
  /// The same of the kernel ahead.
  void storeCarries(KernelScope &scope, mlir::OpBuilder &builder, mlir::Location location, mlir::ValueRange carries, mlir::Value rows) const;
  /// What sums over later keys begin with; `zero`: rows of 0.
  llvm::SmallVector<mlir::Value> carries(KernelScope &scope, mlir::OpBuilder &builder, mlir::Location location, mlir::Value zero,
                                         mlir::Value rows) const;

private:
  /// The tile's rows in tensors of workspace.
  struct RowsOfShare {
    mlir::Value first, end;
  };
  RowsOfShare rowsOf(mlir::OpBuilder &at, KernelScope &scope, mlir::Location location, mlir::Value share, mlir::Value rows) const;

  const SplitPlan &plan;
  SplitArguments arguments;
  bool ahead;
  SplitExtents extents;
  mlir::Value share, tile, place, isMerged, empty, filled;   ///< `place`: of the tile among all of a share
};

/// The number of a tile among all of a share.
mlir::Value placeOfTile(mlir::OpBuilder &builder, mlir::Location location, const SplitExtents &extents, mlir::Value b, mlir::Value group, mlir::Value tile);

} // namespace attn
