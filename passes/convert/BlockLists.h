// Lists of the blocks of keys that tiles visit, where key ranges say too little (passes/attn/ListedBlocks.h). Two kernels in
// front of the attention's write, for each tile of queries,
//
//   marks[b, h, tile, block]     2: every row of the tile sees every key of the block; 1: some row sees some key; 0: none
//   lists[b, h, tile, n]         2 · block + (mark is 2), the marked blocks, the last one first
//   counts[b, h, tile]           how many these are
//
// and the attention's loop takes block n from the list. Blocks that the ranges decide are not looked at. A mask that does not
// depend on the request, or on the head, has one row of lists for all of them.
#pragma once

#include "ir/attn/Schedule.h"
#include "passes/convert/BlockRanges.h"
#include "passes/convert/KernelScope.h"

namespace attn {

class BlockLists {
public:
  /// Nothing where the schedule does not ask for lists.
  static std::optional<BlockLists> of(ir::OnlineAttentionOp op);

  /// The tensors between the kernels.
  llvm::SmallVector<tile::TileTensorType, 3> workspaceTypes() const;
  static llvm::StringRef workspaceName(unsigned number);

  /// Write the kernels in front; `workspace` are arguments of the types above.
  mlir::LogicalResult writeMarks(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, mlir::ValueRange workspace) const;
  mlir::LogicalResult writeLists(mlir::func::FuncOp plan, mlir::func::FuncOp kernel, mlir::ValueRange workspace) const;

  /// In the attention's kernel: from here on `blocks` are those of the tile's list.
  void visit(KernelScope &scope, mlir::func::FuncOp kernel, mlir::Value tile, BlockRanges &blocks) const;

private:
  /// Which heads have lists of their own.
  enum class Heads { One, KeyHeads, QueryHeads };

  /// A tile's row of a tensor above.
  llvm::SmallVector<mlir::Value, 4> placeOf(KernelScope &scope, mlir::Value tile) const;
  explicit BlockLists(ir::OnlineAttentionOp op) : op(op) {}
  void enter(KernelScope &scope, mlir::Block *body) const;
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> extents(KernelScope &scope) const;

  mutable ir::OnlineAttentionOp op;
  ir::Schedule schedule;
  bool ofRequests = false;
  Heads heads = Heads::One;
};

} // namespace attn
