// The lane maps, by enumeration: every element of a tile is held exactly once (row layouts: by every lane of a quad), and
// the maps are those of the PTX ISA's figures for mma.m16n8k16, restated here in their own words.
#include "codegen/arch/Fragments.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>

using namespace attn::codegen;

static Fragment make(FragmentLayout layout, int warps, int rows, int columns, int bits) {
  std::string error;
  auto fragment = Fragment::make(layout, warps, rows, columns, bits, &error);
  EXPECT_TRUE(fragment) << error;
  return *fragment;
}

/// How often each (row, column) is held.
static std::map<std::pair<int, int>, int> holders(const Fragment &fragment, int warps) {
  std::map<std::pair<int, int>, int> count;
  int ofPart = warps / fragment.partCount();
  for (int warp = 0; warp < warps; ++warp)
    for (int lane = 0; lane < 32; ++lane)
      for (int index = 0; index < fragment.registers(); ++index)
        for (int element = 0; element < fragment.packing(); ++element) {
          FragmentPosition at = fragment.position(index, element);
          ++count[{at.row.evaluate(warp % ofPart, lane, warp / ofPart), at.column.evaluate(warp % ofPart, lane, warp / ofPart)}];
        }
  return count;
}

TEST(Fragments, ColumnsInParts) {
  for (auto [warps, parts, rows, columns, bits] : {std::tuple{8, 2, 64, 512, 32}, std::tuple{8, 2, 64, 64, 16}, std::tuple{16, 4, 128, 96, 32}}) {
    std::string error;
    auto fragment = Fragment::make(FragmentLayout::Acc, warps, rows, columns, bits, &error, parts);
    ASSERT_TRUE(fragment) << error;
    EXPECT_TRUE(fragment->fillsAllWarps());
    EXPECT_EQ(fragment->columnsOfPart(), columns / parts);
    auto count = holders(*fragment, warps);
    EXPECT_EQ(count.size(), static_cast<std::size_t>(rows * columns));
    for (auto [at, times] : count)
      EXPECT_EQ(times, 1) << at.first << ", " << at.second;
  }
  std::string error;
  auto rows = Fragment::make(FragmentLayout::Row, 8, 64, 1, 32, &error, 2);
  ASSERT_TRUE(rows) << error;
  for (auto [at, times] : holders(*rows, 8))
    EXPECT_EQ(times, 8) << "four lanes of each part";
  EXPECT_FALSE(Fragment::make(FragmentLayout::Acc, 8, 64, 96, 32, &error, 3));
  EXPECT_FALSE(Fragment::make(FragmentLayout::Acc, 8, 64, 24, 32, &error, 2));
}

TEST(Fragments, EveryElementOnce) {
  for (auto [layout, warps, rows, columns, bits] :
       {std::tuple{FragmentLayout::Acc, 4, 128, 64, 32}, std::tuple{FragmentLayout::Acc, 4, 64, 40, 32},
        std::tuple{FragmentLayout::Acc, 8, 128, 128, 16}, std::tuple{FragmentLayout::Acc, 1, 16, 8, 16},
        std::tuple{FragmentLayout::Lhs, 4, 128, 64, 16}, std::tuple{FragmentLayout::Lhs, 2, 32, 16, 16},
        std::tuple{FragmentLayout::Lhs, 4, 128, 24, 32}, std::tuple{FragmentLayout::Lhs, 4, 128, 96, 8}, std::tuple{FragmentLayout::Acc, 2, 64, 24, 8}}) {
    Fragment fragment = make(layout, warps, rows, columns, bits);
    EXPECT_TRUE(fragment.fillsAllWarps());
    auto count = holders(fragment, warps);
    EXPECT_EQ(count.size(), static_cast<std::size_t>(rows * columns));
    for (auto [at, times] : count) {
      EXPECT_EQ(times, 1) << at.first << ", " << at.second;
      EXPECT_LT(at.first, rows);
      EXPECT_LT(at.second, columns);
    }
  }
}

/// PTX ISA, "Matrix Fragments for mma.m16n8k32", 8-bit A: byte i of register r is row g + 8 (r % 2), place 4t + 16 (r / 2) + i. In
/// each 16 places the columns stand in the order of the other operand (codegen/nvvm/TurnValues.cpp).
TEST(Fragments, LeftOperandOfBytes) {
  Fragment fragment = make(FragmentLayout::Lhs, 1, 16, 64, 8), acc = make(FragmentLayout::Acc, 1, 16, 64, 32);
  ASSERT_EQ(fragment.registers(), 8);
  for (int lane = 0; lane < 32; ++lane)
    for (int index = 0; index < fragment.registers(); ++index)
      for (int byte = 0; byte < 4; ++byte) {
        int g = lane / 4, t = lane % 4, r = index % 4, place = 4 * t + byte;
        FragmentPosition at = fragment.position(index, byte);
        EXPECT_EQ(at.row.evaluate(0, lane), g + 8 * (r % 2));
        int column = at.column.evaluate(0, lane);
        EXPECT_EQ(column, 32 * (index / 4) + 16 * (r / 2) + 8 * (place / 2 % 2) + 2 * (place / 4) + place % 2);
        EXPECT_EQ(fragment.registerOf(0, column / 8, r % 2, column % 2), index);
        // The thread has the element as an accumulator too.
        FragmentPosition own = acc.position(acc.registerOf(0, column / 8, r % 2, column % 2));
        EXPECT_EQ(own.row.evaluate(0, lane), at.row.evaluate(0, lane));
        EXPECT_EQ(own.column.evaluate(0, lane), column);
      }
}

TEST(Fragments, RowsOncePerQuadLane) {
  for (FragmentLayout layout : {FragmentLayout::Row, FragmentLayout::RowPartial}) {
    auto count = holders(make(layout, 4, 128, 1, 32), 4);
    EXPECT_EQ(count.size(), 128u);
    for (auto [at, times] : count)
      EXPECT_EQ(times, 4);
  }
}

/// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type": accumulator and multiplicand A.
TEST(Fragments, MatchTheInstruction) {
  Fragment accumulator = make(FragmentLayout::Acc, 1, 16, 8, 32);
  Fragment left = make(FragmentLayout::Lhs, 1, 16, 16, 16);
  for (int lane = 0; lane < 32; ++lane) {
    int groupID = lane >> 2, threadIDInGroup = lane % 4;
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(accumulator.position(i).row.evaluate(0, lane), i < 2 ? groupID : groupID + 8);
      EXPECT_EQ(accumulator.position(i).column.evaluate(0, lane), threadIDInGroup * 2 + (i & 1));
    }
    for (int i = 0; i < 8; ++i) {
      bool upper = (i >= 2 && i < 4) || i >= 6;
      EXPECT_EQ(left.position(i / 2, i % 2).row.evaluate(0, lane), upper ? groupID + 8 : groupID);
      EXPECT_EQ(left.position(i / 2, i % 2).column.evaluate(0, lane), threadIDInGroup * 2 + (i & 1) + (i < 4 ? 0 : 8));
    }
  }
}

/// Rounding an accumulator to the left operand needs no data movement.
TEST(Fragments, PackedAccumulatorIsTheLeftOperand) {
  Fragment packed = make(FragmentLayout::Acc, 4, 128, 64, 16), left = make(FragmentLayout::Lhs, 4, 128, 64, 16);
  ASSERT_EQ(packed.registers(), left.registers());
  for (int index = 0; index < packed.registers(); ++index)
    for (int part = 0; part < 2; ++part) {
      EXPECT_EQ(packed.position(index, part).row, left.position(index, part).row);
      EXPECT_EQ(packed.position(index, part).column, left.position(index, part).column);
    }
}

TEST(Fragments, RegisterOfInvertsPosition) {
  Fragment fragment = make(FragmentLayout::Acc, 4, 128, 48, 32);
  std::set<int> seen;
  for (int slab = 0; slab < fragment.slabCount(); ++slab)
    for (int tile = 0; tile < fragment.columnTileCount(); ++tile)
      for (int half = 0; half < 2; ++half)
        for (int column = 0; column < 2; ++column) {
          int index = fragment.registerOf(slab, tile, half, column);
          seen.insert(index);
          EXPECT_EQ(fragment.position(index).row, fragment.rowOf(2 * slab + half));
          EXPECT_EQ(fragment.position(index).column, fragment.columnOf(2 * tile + column));
        }
  EXPECT_EQ(static_cast<int>(seen.size()), fragment.registers());
}

TEST(Fragments, FewerRowsThanWarps) {
  Fragment fragment = make(FragmentLayout::Acc, 4, 16, 16, 32);
  EXPECT_FALSE(fragment.fillsAllWarps());
  EXPECT_EQ(fragment.slabCount(), 1);
  auto count = holders(fragment, 1);
  EXPECT_EQ(count.size(), 16u * 16u);
}

TEST(Fragments, RefusesWhatDoesNotFit) {
  std::string error;
  EXPECT_FALSE(Fragment::make(FragmentLayout::Acc, 4, 20, 64, 32, &error));
  EXPECT_EQ(error, "20 rows over 4 warps: expects a multiple of 16 rows");
  EXPECT_FALSE(Fragment::make(FragmentLayout::Acc, 4, 64, 12, 32, &error));
  EXPECT_EQ(error, "12 columns: expects a multiple of 8");
  EXPECT_FALSE(Fragment::make(FragmentLayout::Lhs, 4, 64, 24, 16, &error));
  EXPECT_EQ(error, "24 columns: expects a multiple of 16");
  EXPECT_FALSE(Fragment::make(FragmentLayout::Lhs, 4, 64, 32, 1, &error));
  EXPECT_EQ(error, "1-bit elements in a left operand: expects 16, 32 or 64");
}
