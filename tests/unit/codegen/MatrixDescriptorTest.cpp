// Descriptors of operands in shared memory: every element of every step is where the PTX ISA's formulas for the descriptor's
// fields ("Matrix descriptor", "Strides") lead, against the placement of elements that `#tile.smem` defines.
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include "codegen/nvvm/MatrixDescriptor.h"
#include "ir/tile/TileLayouts.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

namespace attn::codegen {

/// The address to which a descriptor leads for element (x, k) of a step of 16: x counts the rows of a left operand or the
/// columns of a right one.
static std::int64_t addressOf(std::uint64_t bits, bool depthAlongRows, std::int64_t x, std::int64_t k) {
  constexpr std::int64_t bytes = 2;
  std::int64_t start = (bits & 0x3FFF) << 4, leading = (bits >> 16 & 0x3FFF) << 4, stride = (bits >> 32 & 0x3FFF) << 4;
  std::int64_t swizzle = bits >> 62 == 1 ? 128 : 64, panel = swizzle / bytes;
  std::int64_t offset = depthAlongRows ? x % 8 * swizzle + x / 8 * stride + k * bytes
                                       : x % panel * bytes + x / panel * leading + k % 8 * swizzle + k / 8 * stride;
  std::int64_t address = start + offset, mask = swizzle == 128 ? 7 : 3;
  return address ^ ((address >> 7 & mask) << 4);
}

static void checkOperand(tile::BufferType type, bool depthAlongRows, std::int64_t first, std::int64_t count) {
  MatrixDescriptor descriptor(type, depthAlongRows);
  std::int64_t depth = depthAlongRows ? type.getShape()[1] : type.getShape()[0];
  for (std::int64_t step = 0; step < depth / 16; ++step) {
    std::uint64_t bits = descriptor.constantBits() + static_cast<std::uint64_t>(descriptor.offset(first, step));
    for (std::int64_t x = 0; x < count; ++x)
      for (std::int64_t k = 0; k < 16; ++k) {
        std::int64_t place = depthAlongRows ? tile::byteOffset(type, first + x, 16 * step + k)
                                            : tile::byteOffset(type, 16 * step + k, first + x);
        ASSERT_EQ(addressOf(bits, depthAlongRows, x, k), place) << "step " << step << ", x " << x << ", k " << k;
      }
  }
}

TEST(MatrixDescriptor, LeadsToEveryElement) {
  mlir::MLIRContext context;
  context.loadDialect<tile::TileDialect>();
  mlir::Type element = mlir::Float16Type::get(&context);
  for (auto [rows, columns, swizzle] : {std::tuple{128, 64, 128u}, {128, 128, 128u}, {176, 128, 128u}, {80, 256, 128u},
                                        {128, 96, 64u}, {64, 32, 64u}, {256, 64, 128u}}) {
    auto type = tile::BufferType::get(&context, {rows, columns}, element, tile::SmemAttr::get(&context, swizzle, 0));
    SCOPED_TRACE(testing::Message() << rows << " x " << columns << ", swizzle " << swizzle);
    checkOperand(type, /*depthAlongRows=*/true, 0, rows);
    if (rows >= 128)
      checkOperand(type, /*depthAlongRows=*/true, 64, 64); // the second warpgroup's rows
    checkOperand(type, /*depthAlongRows=*/false, 0, columns);
    if (columns % 64 == 0)
      checkOperand(type, /*depthAlongRows=*/false, columns - 64, 64);
  }
}

/// A step of 32 bytes along rows of 8-bit floats is where one of 16 halves is.
TEST(MatrixDescriptor, StepsOverBytes) {
  mlir::MLIRContext context;
  context.loadDialect<tile::TileDialect>();
  for (auto [rows, columns, swizzle] : {std::tuple{128, 64, 64u}, {128, 128, 128u}, {80, 256, 128u}, {64, 192, 64u}}) {
    auto layout = tile::SmemAttr::get(&context, swizzle, 0);
    MatrixDescriptor bytes(tile::BufferType::get(&context, {rows, columns}, mlir::Float8E4M3FNType::get(&context), layout), true);
    MatrixDescriptor halves(tile::BufferType::get(&context, {rows, columns / 2}, mlir::Float16Type::get(&context), layout), true);
    EXPECT_EQ(bytes.constantBits(), halves.constantBits());
    for (std::int64_t step = 0; step < columns / 32; ++step)
      for (std::int64_t first : {0, 64})
        EXPECT_EQ(bytes.offset(first, step), halves.offset(first, step));
  }
}

} // namespace attn::codegen
