// See DiagonalOperands.h.
#include "codegen/nvvm/DiagonalOperands.h"

#include "codegen/nvvm/SharedAddress.h"

#include "ir/tile/TileLayouts.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

//===----------------------------------------------------------------------===//
// Moves within a quad
//===----------------------------------------------------------------------===//

Value QuadMove::isOdd() {
  kernel.group();
  return once("odd", [&](Emitter &e) { return e.icmp(Compare::Ne, e.iand(columns(e), e.i32(1)), e.i32(0)); });
}

Value QuadMove::fetch(Emitter &e, int half, Value own, Value next) { return e.shuffleFrom(e.select(isBehind(half), next, own), lane(half)); }

Value QuadMove::once(const char *what, llvm::function_ref<Value(Emitter &)> make) {
  return kernel.atEntry(fmt::format("quad move {} {} {}", from, direction, what), make);
}

Value QuadMove::columns(Emitter &e) { return e.iadd(e.i32(from), e.imul(kernel.group(), e.i32(direction))); }

/// By how many lanes the source of element `half` is away.
Value QuadMove::lanes(Emitter &e, int half) { return e.lshr(e.iadd(columns(e), e.i32(half)), e.i32(1)); }

/// Whether whoever fetches from this lane fetches of the next tile.
Value QuadMove::isBehind(int half) {
  Value quad = kernel.quadLane();
  kernel.group();
  return once(half ? "behind 1" : "behind 0", [&](Emitter &e) { return e.icmp(Compare::Lt, quad, lanes(e, half)); });
}

Value QuadMove::lane(int half) {
  Value quad = kernel.quadLane(), group = kernel.group();
  return once(half ? "lane 1" : "lane 0", [&](Emitter &e) {
    Value within = e.iand(e.iadd(quad, lanes(e, half)), e.i32(3));
    return e.iadd(e.shl(group, e.i32(2)), within);
  });
}

//===----------------------------------------------------------------------===//
// Places and numbers
//===----------------------------------------------------------------------===//

Value atChunk(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, LanePattern pattern, int row, int chunk) {
  int swizzle = static_cast<int>(type.getSmem().getSwizzle());
  constexpr std::int64_t kShortRow = 128; // longer ones are multiplied without roles, where what is kept was seen to fit
  if (swizzle == 0 || (!kernel.hasRoles() && type.getShape()[1] > kShortRow))
    return kernel.sharedPointer(e, type, buffer, pattern, row, chunk);
  int chunksOfPanel = swizzle / 16, exchanged = chunk % chunksOfPanel;
  std::int64_t panel = chunk / chunksOfPanel * type.getShape()[0];
  Value first = kernel.sharedPointer(e, type, buffer, pattern, 0, 0);
  Value own = exchanged == 0 ? first : sharedAt(e, e.ixor(e.addressOf(first), e.i32(16 * exchanged)));
  return e.offset(own, (panel + row) * swizzle);
}

int depthOf(mlir::Type element) { return element.getIntOrFloatBitWidth() >= 32 ? 8 : 16; }

llvm::SmallVector<Value> operandRows(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, LanePattern pattern, int row,
                                     int step) {
  if (!type.getElementType().isF64())
    return e.ldmatrix(atChunk(kernel, e, type, buffer, pattern, row, 2 * step), 4, /*transposed=*/false);
  bool isRight = pattern == LanePattern::MatrixColumns || pattern == LanePattern::DiagonalColumns;
  bool isOfWarp = pattern == LanePattern::MatrixRowsOfWarp;
  auto pair = [&](int below) {
    auto lanes = isOfWarp ? LanePattern::LongPairs : LanePattern::GroupRowLongPairs;
    return e.loadDoubles(kernel.sharedPointer(e, type, buffer, lanes, row + below, 4 * step));
  };
  auto upper = pair(0), lower = pair(kTileColumns);
  if (isRight)
    return {upper[0], upper[1], lower[0], lower[1]};
  return {upper[0], lower[0], upper[1], lower[1]};
}

/// Rows of f64 are plain: a warp's are `type`'s, so many bytes in front of the first warp's.
static Value bufferOfWarp(const Diagonals &diagonals, Emitter &e) {
  KernelContext &kernel = diagonals.kernel;
  std::int64_t bytes = kSlabRows * (tile::byteOffset(diagonals.type, 1, 0) - tile::byteOffset(diagonals.type, 0, 0));
  Value warp = kernel.warp();
  Value before = kernel.atEntry(fmt::format("diagonal bytes {}", bytes), [&](Emitter &entry) { return entry.imul(warp, entry.i32(bytes)); });
  return e.isub(diagonals.buffer, before);
}

Value Diagonals::pointer(Emitter &e, LanePattern pattern, int slab, int diagonal, int chunk) const {
  int first = rows - kSlabRows - kSlabRows * static_cast<int>(kernel.warps()) * slab;
  if (type.getElementType().isF64())
    return kernel.sharedPointer(e, type, bufferOfWarp(*this, e), pattern, first + diagonal, chunk);
  return atChunk(kernel, e, type, buffer, pattern, first + diagonal, chunk);
}

llvm::SmallVector<Value> Diagonals::operands(Emitter &e, LanePattern pattern, int slab, int diagonal, int step) const {
  int first = rows - kSlabRows - kSlabRows * static_cast<int>(kernel.warps()) * slab;
  return operandRows(kernel, e, type, type.getElementType().isF64() ? bufferOfWarp(*this, e) : buffer, pattern, first + diagonal, step);
}

std::optional<std::string> whyNotByDiagonals(KernelContext &kernel, const Fragment &tile, mlir::Type diagonals) {
  if (!mlir::isa<tile::BufferType>(diagonals))
    return "expects its diagonals in a buffer";
  mlir::Type element = mlir::cast<tile::BufferType>(diagonals).getElementType();
  if (!isSmallFloat(element) && !element.isF32() && !element.isF64())
    return "multiplies f16, bf16, f32 and f64 only";
  if (!tile.fillsAllWarps() || kernel.parts() != 1)
    return "expects each warp to have rows, and all columns of them";
  return std::nullopt;
}

llvm::SmallVector<Tf32Parts, 4> splitWords(const KernelContext &kernel, Emitter &e, llvm::ArrayRef<Value> words) {
  llvm::SmallVector<Tf32Parts, 4> parts;
  for (Value word : words)
    parts.push_back(splitToTf32(kernel, e, word));
  return parts;
}

} // namespace attn::codegen
