// Rows of a tensor in global memory, as `load`, `store` and `fill` address them: row r is the tensor's row at the given
// indices with r added to one of them; packed, r / pack is added to it and r % pack to the index of heads.
#pragma once

#include "codegen/nvvm/KernelContext.h"

#include <functional>

namespace mlir {
class ConversionPatternRewriter;
}
#include <optional>

namespace attn::codegen {

class GlobalRows {
public:
  /// `indices`: one value a dimension (all but the last for whole rows); `limit`, if any, bounds dimension `dim` further.
  GlobalRows(TensorView view, llvm::ArrayRef<mlir::ValueRange> indices, unsigned dim, mlir::Value limit, int pack = 1);

  /// From here on the first two indices are those of a request in the page table `pages` and of one of its rows, which lie in
  /// the tensor's pages (`tile.load`).
  void setPages(TensorView pages) { table = std::move(pages); }
  /// Into how many rows a block of `rows`, which begins at a multiple of them, is cut by pages: all if there are none.
  std::int64_t rowsTogether(std::int64_t rows) const;
  /// The page of row `index` of the request, read where `inside`, else `otherwise`.
  mlir::Value page(Emitter &e, mlir::Value index, mlir::Value inside, int otherwise) const;
  /// Its row in the page.
  mlir::Value rowInPage(Emitter &e, mlir::Value index) const;

  int elementBytes() const { return static_cast<int>(view.elementBits() / 8); }
  bool hasWholeRows() const { return indices.size() + 1 == view.type.getRank(); }
  /// Elements of a row, as far as known when compiling; 0 otherwise.
  std::int64_t columns() const { return view.type.getStaticSize(view.type.getRank() - 1).value_or(0); }
  /// Whether rows can be copied to the buffer 16 bytes at a time; widened, 8 elements at a time.
  bool hasWholeChunks(tile::BufferType buffer) const;
  const TensorView &tensor() const { return view; }
  /// The dimension whose index counts rows.
  unsigned dimension() const { return dim; }

  /// Address `rows` rows behind `pointer`, which is that of row `row` plus `bytes`; with pages in the same one.
  mlir::Value pointerBehind(Emitter &e, mlir::Value pointer, int rows, mlir::Value row, mlir::Value bytes) const;
  /// Address of row `row` plus `bytes`.
  mlir::Value pointer(Emitter &e, mlir::Value row, mlir::Value bytes) const;
  /// Whether row `row` exists (and lies below the limit).
  mlir::Value isInside(Emitter &e, mlir::Value row) const;

private:
  mlir::Value stride(Emitter &e, unsigned dimension) const;
  mlir::Value strideBytes(Emitter &e, unsigned dimension) const;
  mlir::Value place(Emitter &e, mlir::Value row) const;
  mlir::Value pagedPointer(Emitter &e, mlir::Value row, mlir::Value bytes) const;

  TensorView view;
  llvm::SmallVector<mlir::Value> indices;
  unsigned dim;
  mlir::Value limit;
  int pack;
  std::optional<TensorView> table;
};

/// Copies rows of a tensor, or elements of a 1-D one, to a buffer through registers, an element a thread at a time; what is
/// beyond the tensor becomes 0. For tables and columns, which are small and of any shape.
void copyElements(KernelContext &kernel, Emitter &e, tile::BufferType type, mlir::Value buffer, const GlobalRows &source);

/// Which row of the tensor, along the dimension of its rows, a row of the buffer is.
using ChosenRows = std::function<mlir::Value(mlir::Value row)>;

/// Copies whole rows to a 2-D buffer, 16 bytes at a time, asynchronously (cp.async); what is beyond the tensor becomes 0.
/// `source.hasWholeChunks(type)` holds.
void copyChunks(KernelContext &kernel, Emitter &e, tile::BufferType type, mlir::Value buffer, const GlobalRows &source,
                ChosenRows chosen = {});

/// What `fill` copies, by all threads, into `buffer`: 16 bytes at a time and asynchronously, or `via` "plain" an element at a
/// time, and 8 where they are widened; nothing where the predicate is false. Leaves the builder behind it. Fails with a message if rows are no whole chunks.
mlir::LogicalResult copyByThreads(KernelContext &kernel, Emitter &e, mlir::ConversionPatternRewriter &rewriter, tile::FillOp fill,
                                  llvm::ArrayRef<mlir::ValueRange> indices, mlir::ValueRange limit, mlir::ValueRange predicate,
                                  llvm::function_ref<mlir::Value()> buffer);

} // namespace attn::codegen
