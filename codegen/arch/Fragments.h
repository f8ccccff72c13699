// Which element of a tile each register of each thread holds, for every fragment layout (dialects.md, 3.1).
//
// Throughout, lane = 4g + t of its warp, g = lane / 4 (0 … 7), t = lane % 4, and w counts the warps of the role. A tile of
// R x C elements spread over W warps with 16-row slabs dealt out in turn: warp w owns rows 16(w + W·i) … + 15, i = 0, 1, …
//
//   acc (accumulator of m16n8k16, and of wgmma m64nNk16)       lhs (left operand, 16-bit)
//            columns 8j + 0 1 | 2 3 | 4 5 | 6 7                  register r of k step kk holds columns
//   row g      h=0:  t=0 | t=1 | t=2 | t=3     c = 0, 1          16kk + 8(r/2) + 2t + {0, 1} of row g + 8(r%2)
//   row g + 8  h=1:  t=0 | t=1 | t=2 | t=3
//
// Registers are counted i, then j (or kk), then h (or r), then c. 16-bit elements lie two in a register (c = 0 low), so an
// acc tile of 16-bit elements and the lhs operand of the same tile are the same registers: acc → lhs is packing only. An lhs
// tile of 32 or 64-bit elements is the acc tile: the product takes the columns of a k8 step in the order 0 2 4 6 1 3 5 7
// (DotTf32.cpp, DotDouble.cpp). A register of 64-bit elements is a pair of the hardware's.
// An lhs tile of 8-bit elements has four in a register, the c of two column tiles after each other: register r of step kk (32
// columns) holds columns 32kk + 16(r/2) + 8b + 2t + c of row g + 8(r%2), at part 2b + c. The other operand has its depth in that order.
// 1-D layouts hold an entry a row, (i, h): `row` in all four lanes of a quad, `row_partial` as four summands.
//
// With the columns in P parts, w and W are counted within a part, W = warps / P, and part p's columns start at C/P · p:
//
//   2 parts of 8 warps:   columns 0 … C/2 - 1 | C/2 … C - 1        rows 0 … 15:  warps 0 | 4,   rows 16 … 31:  1 | 5, …
#pragma once

#include <optional>
#include <string>

namespace attn::codegen {

/// An integer that depends on the thread: constant + warp·w + group·g + thread·t + part·p.
struct ThreadForm {
  int constant = 0;
  int warp = 0;
  int group = 0;
  int thread = 0;
  int part = 0;

  int evaluate(int warpIndex, int lane, int partIndex = 0) const {
    return constant + warp * warpIndex + group * (lane / 4) + thread * (lane % 4) + part * partIndex;
  }
  friend bool operator==(const ThreadForm &, const ThreadForm &) = default;
};

/// Where in its tile an element lies. The column of a 1-D fragment is 0.
struct FragmentPosition {
  ThreadForm row;
  ThreadForm column;
};

enum class FragmentLayout { Acc, Lhs, Row, RowPartial };

/// The register map of one fragment type.
class Fragment {
public:
  /// Fails, saying why in `*error`, when the tile does not fit the layout: rows a multiple of 16, columns of 8 (16 for
  /// `lhs` of 16 bits), elements of 8 to 64 bits. Where warps are left over, they hold positions beyond the last row.
  /// `parts` divides the warps, and each part is so many columns.
  static std::optional<Fragment> make(FragmentLayout layout, int warps, int rows, int columns, int elementBits,
                                      std::string *error = nullptr, int parts = 1);

  /// Registers a thread, of 32 bits, of 64-bit elements of 64.
  int registers() const { return elements() / elementsPerRegister; }
  /// Elements a thread.
  int elements() const { return slabs * columnTiles * 2 * columnsPerTile(); }
  int packing() const { return elementsPerRegister; }
  int rows() const { return rowCount; }
  /// Whether every position of every warp lies within the tile.
  bool fillsAllWarps() const { return rowCount == 16 * warps * slabs; }
  bool isRowLayout() const { return layout == FragmentLayout::Row || layout == FragmentLayout::RowPartial; }

  /// Where element `part` (0 … packing() - 1) of register `index` lies; the same map for every thread.
  FragmentPosition position(int index, int part = 0) const;
  /// The register that holds element (i, j, h, c); its part is c % packing().
  int registerOf(int slab, int columnTile, int half, int column) const;

  /// Parts that the columns are cut into, and the columns of one.
  int partCount() const { return parts; }
  int columnsOfPart() const { return 8 * columnTiles; }
  /// 16-row slabs a warp (i), 8-column tiles of its part (j; 1 in 1-D layouts).
  int slabCount() const { return slabs; }
  int columnTileCount() const { return columnTiles; }
  /// Rows a thread sees, (i, h) counted 2i + h: as many as the registers of a 1-D fragment.
  int rowSlots() const { return 2 * slabs; }
  /// Columns a thread sees, (j, c) counted 2j + c.
  int columnSlots() const { return columnTiles * columnsPerTile(); }
  /// Row of row slot `slot` and column of column slot `slot`.
  ThreadForm rowOf(int slot) const;
  ThreadForm columnOf(int slot) const;

  /// A row's value over all columns: combine its registers, then the lanes at these xor distances, in this order.
  static constexpr int rowReduction[2] = {1, 2};

private:
  Fragment() = default;
  int columnsPerTile() const { return isRowLayout() ? 1 : 2; }

  FragmentLayout layout = FragmentLayout::Acc;
  int warps = 1; ///< of a part
  int parts = 1;
  int rowCount = 0;
  int slabs = 0;
  int columnTiles = 0;
  int elementsPerRegister = 1;
};

} // namespace attn::codegen
