// The lane maps of Fragments.h. Both 2-D layouts have one formula: lhs register r of step kk is the packed acc register of
// column tile j = 2kk + r / 2 and half h = r % 2; of 32 and 64-bit elements they are the same registers.
#include "codegen/arch/Fragments.h"

#include <fmt/format.h>

namespace attn::codegen {

static std::optional<Fragment> refuse(std::string *error, std::string message) {
  if (error)
    *error = std::move(message);
  return std::nullopt;
}

std::optional<Fragment> Fragment::make(FragmentLayout layout, int warps, int rows, int columns, int elementBits,
                                       std::string *error, int parts) {
  if (parts <= 0 || warps % parts != 0)
    return refuse(error, fmt::format("{} warps in {} parts: expects equal parts", warps, parts));
  warps /= parts;
  Fragment result;
  result.layout = layout;
  result.warps = warps;
  result.parts = parts;
  result.rowCount = rows;
  if (warps <= 0 || rows <= 0 || rows % 16 != 0)
    return refuse(error, fmt::format("{} rows over {} warps: expects a multiple of 16 rows", rows, warps));
  result.slabs = (rows + 16 * warps - 1) / (16 * warps);
  if (result.isRowLayout()) {
    result.columnTiles = 1;
    return result;
  }
  bool hasFour = layout == FragmentLayout::Lhs && elementBits == 8;
  int granule = parts * (hasFour ? 32 : layout == FragmentLayout::Lhs && elementBits == 16 ? 16 : 8);
  if (columns <= 0 || columns % granule != 0)
    return refuse(error, fmt::format("{} columns: expects a multiple of {}", columns, granule));
  if (layout == FragmentLayout::Lhs && elementBits == 1)
    return refuse(error, "1-bit elements in a left operand: expects 16, 32 or 64");
  if (elementBits != 8 && elementBits != 16 && elementBits != 32 && elementBits != 64 && elementBits != 1)
    return refuse(error, fmt::format("{}-bit elements: expects 8, 16, 32 or 64", elementBits));
  result.columnTiles = columns / parts / 8;
  result.elementsPerRegister = hasFour ? 4 : elementBits == 16 || elementBits == 8 ? 2 : 1;
  return result;
}

ThreadForm Fragment::rowOf(int slot) const {
  int slab = slot / 2, half = slot % 2;
  return {.constant = 16 * warps * slab + 8 * half, .warp = 16, .group = 1};
}

ThreadForm Fragment::columnOf(int slot) const {
  if (isRowLayout())
    return {};
  return {.constant = 8 * (slot / 2) + slot % 2, .thread = 2, .part = parts > 1 ? columnsOfPart() : 0};
}

FragmentPosition Fragment::position(int index, int part) const {
  if (elementsPerRegister == 4) {
    int slab = index / columnTiles, inSlab = index % columnTiles;
    int columnTile = inSlab / 4 * 4 + inSlab % 4 / 2 * 2 + part / 2;
    return {rowOf(2 * slab + inSlab % 2), columnOf(2 * columnTile + part % 2)};
  }
  int element = index * elementsPerRegister + part;
  int column = element % columnsPerTile();
  int half = element / columnsPerTile() % 2;
  int columnTile = element / (2 * columnsPerTile()) % columnTiles;
  int slab = element / (2 * columnsPerTile() * columnTiles);
  return {rowOf(2 * slab + half), columnOf(2 * columnTile + column)};
}

int Fragment::registerOf(int slab, int columnTile, int half, int column) const {
  if (elementsPerRegister == 4)
    return slab * columnTiles + columnTile / 4 * 4 + columnTile % 4 / 2 * 2 + half;
  int element = ((slab * columnTiles + columnTile) * 2 + half) * columnsPerTile() + column;
  return element / elementsPerRegister;
}

} // namespace attn::codegen
