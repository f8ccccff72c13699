// What the lowerings of products with a row a diagonal share (DiagonalDot.cpp, DiagonalSum.cpp): moves of columns within a quad,
// places of diagonals in shared memory, operands of f32.
#pragma once

#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/Tf32.h"

#include "ir/tile/DiagonalOps.h"

#include <optional>
#include <string>

namespace attn::codegen {

inline constexpr int kSlabRows = 16, kTileColumns = 8;

/// Within a quad: elements of a row of tiles of 8 columns, two a lane (columns 2t and 2t + 1), that move by a number of columns
/// which is the quad's own, `from` + direction · g, 0 to 8: element n of the result is element n + move of the source.
class QuadMove {
public:
  QuadMove(KernelContext &kernel, int from, int direction) : kernel(kernel), from(from), direction(direction) {}

  /// Whether the move is odd: then the two elements of a lane come from the other halves of two lanes' pairs.
  mlir::Value isOdd();
  /// The value for element `half` of a pair: `own` is the pair half it comes from of its own tile, `next` that of the next.
  mlir::Value fetch(Emitter &e, int half, mlir::Value own, mlir::Value next);

private:
  mlir::Value once(const char *what, llvm::function_ref<mlir::Value(Emitter &)> make);
  mlir::Value columns(Emitter &e);
  mlir::Value lanes(Emitter &e, int half);
  mlir::Value isBehind(int half);
  mlir::Value lane(int half);

  KernelContext &kernel;
  int from, direction;
};

/// As KernelContext::sharedPointer, of `row` a multiple of 8 where rows are swizzled. The chunks of a row follow from the address of
/// its first in the entry at hand, an instruction each: kept for all chunks of the operands of two tables, addresses would not fit in
/// registers.
mlir::Value atChunk(KernelContext &kernel, Emitter &e, tile::BufferType type, mlir::Value buffer, LanePattern pattern, int row, int chunk);

/// How many columns of its operands a product takes, in two chunks of 16 bytes; f64: in four.
int depthOf(mlir::Type element);

/// 16 rows of a buffer as one left operand or two right ones (MatrixRowsOfWarp; MatrixRows; MatrixColumns), of step `step`: by
/// ldmatrix, or of f64 in the order of DotDouble.cpp.
llvm::SmallVector<mlir::Value> operandRows(KernelContext &kernel, Emitter &e, tile::BufferType type, mlir::Value buffer,
                                           LanePattern pattern, int row, int step);

/// Address of diagonal `diagonal` of the warp's slab `slab` in an operand with a row for each of the tile's `rows` + columns
/// diagonals, as `pattern` takes it.
struct Diagonals {
  KernelContext &kernel;
  tile::BufferType type;
  mlir::Value buffer;
  int rows;

  mlir::Value pointer(Emitter &e, LanePattern pattern, int slab, int diagonal, int chunk) const;
  /// As `operandRows`, of DiagonalRows or DiagonalColumns.
  llvm::SmallVector<mlir::Value> operands(Emitter &e, LanePattern pattern, int slab, int diagonal, int step) const;
};

/// Why a product with such diagonals cannot be lowered, or nothing.
std::optional<std::string> whyNotByDiagonals(KernelContext &kernel, const Fragment &tile, mlir::Type diagonals);

/// Beside populateDiagonalPatterns, which calls it.
void populateDiagonalSumPattern(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns);

llvm::SmallVector<Tf32Parts, 4> splitWords(const KernelContext &kernel, Emitter &e, llvm::ArrayRef<mlir::Value> words);

} // namespace attn::codegen
