// See TileLayouts.h.
#include "ir/tile/TileLayouts.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn::tile {

static int64_t elementBytes(Type element) { return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8); }

unsigned warpsOf(Attribute layout) {
  return TypeSwitch<Attribute, unsigned>(layout)
      .Case<AccAttr, LhsAttr, RowAttr, RowPartialAttr, LaneRowAttr>([](auto fragment) { return fragment.getWarps(); })
      .Default(0u);
}

unsigned partsOf(Attribute layout) {
  if (!layout)
    return 1;
  return TypeSwitch<Attribute, unsigned>(layout)
      .Case<AccAttr, LhsAttr, RowAttr, RowPartialAttr, LaneRowAttr>([](auto fragment) { return fragment.getParts(); })
      .Default(1u);
}

int64_t registersPerThread(FragType type) {
  Attribute layout = type.getLayout();
  int64_t parts = partsOf(layout);
  int64_t rowTiles = llvm::divideCeil(type.getRows(), 16 * (int64_t(warpsOf(layout)) / parts));
  if (type.getRank() == 1)
    return 2 * rowTiles * (type.getElementType().isF64() ? 2 : 1);
  int64_t elements = 4 * rowTiles * (type.getColumns() / parts / 8);
  // Pairs of 16 bits share a register in every layout, pairs of 8 bits half of one, in a left operand four of them all of one; a
  // lane that owns whole rows packs them alike.
  unsigned bits = type.getElementType().getIntOrFloatBitWidth();
  return llvm::divideCeil(elements * (bits == 8 && !isa<LhsAttr>(layout) ? 16 : bits), 32);
}

int64_t rowPitch(ArrayRef<int64_t> shape, Type element, SmemAttr layout) {
  if (layout.getSwizzle() != 0)
    return layout.getSwizzle() / elementBytes(element);
  return layout.getPitch() != 0 ? layout.getPitch() : shape.back();
}

int64_t bufferBytes(ArrayRef<int64_t> shape, Type element, SmemAttr layout) {
  if (layout.getQuads())
    return (kQuadsBefore + shape.back() + kQuadsBehind) * kQuadBytes;
  int64_t rows = shape.size() == 2 ? shape[0] : 1;
  int64_t panels = layout.getSwizzle() != 0 ? shape.back() * elementBytes(element) / layout.getSwizzle() : 1;
  return rows * panels * rowPitch(shape, element, layout) * elementBytes(element);
}

int64_t bufferAlignment(SmemAttr layout) { return layout.getSwizzle() != 0 ? kSwizzleAlignment : 16; }

int64_t byteOffset(BufferType type, int64_t row, int64_t column) {
  SmemAttr layout = type.getSmem();
  if (layout.getQuads())
    return (column + kQuadsBefore) * kQuadBytes;
  int64_t bytes = elementBytes(type.getElementType());
  int64_t pitch = rowPitch(type.getShape(), type.getElementType(), layout);
  if (layout.getSwizzle() == 0)
    return (row * pitch + column) * bytes;
  int64_t rows = type.getShape()[0];
  int64_t panel = column / pitch, inPanel = column % pitch * bytes;
  int64_t turn = layout.getSwizzle() == 128 ? row % 8 : row / 2 % 4;
  int64_t chunk = (inPanel / 16) ^ turn;
  return panel * rows * layout.getSwizzle() + row * layout.getSwizzle() + chunk * 16 + inPanel % 16;
}

SmemAttr operandLayout(MLIRContext *context, int64_t columns, Type element, int64_t parts, bool byColumns) {
  int64_t bytes = columns * elementBytes(element);
  bool isWide = elementBytes(element) >= 4; // read without ldmatrix as well
  for (unsigned swizzle : {128u, 64u})
    if (!isWide && bytes / parts % swizzle == 0)
      return SmemAttr::get(context, swizzle, 0);
  int64_t chunks = llvm::divideCeil(bytes, 16);
  bool isLong = elementBytes(element) == 8 && !byColumns;
  int64_t pitch = isLong ? 4 * (llvm::divideCeil(chunks, 4) | 1) : chunks | 1; // an odd number of 64 or 16 bytes
  return SmemAttr::get(context, 0, pitch * 16 / elementBytes(element));
}

} // namespace attn::tile
