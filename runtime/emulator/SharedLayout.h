// How tiles lie in shared memory for the tensor memory accelerator and for wgmma: the swizzle, and matrix descriptors.
// From PTX ISA 9.1: 5.5.7 "Swizzling modes", 9.7.15.5.1 "Register fragments and shared memory matrix layouts".
#pragma once

#include <cstdint>

namespace attn::emulator {

/// Where byte `address` lies under a swizzle of `bytes` (0: none, 32, 64, 128): 16-byte units of a row are exchanged by the
/// row's number, both taken from the address itself.
constexpr std::uint32_t swizzled(std::uint32_t address, unsigned bytes) {
  const std::uint32_t rows = bytes == 128 ? 7 : bytes == 64 ? 3 : bytes == 32 ? 1 : 0;
  return address ^ ((address >> 7 & rows) << 4);
}

/// The 64-bit operand that names a matrix of wgmma in shared memory. All in bytes.
struct MatrixDescriptor {
  std::uint32_t start = 0, leading = 0, stride = 0;
  unsigned baseOffset = 0;
  unsigned swizzle = 0;  ///< 0, 32, 64 or 128
  std::uint64_t reserved = 0; ///< bits that must be zero

  static constexpr MatrixDescriptor decode(std::uint64_t bits) {
    constexpr unsigned kSwizzles[4] = {0, 128, 64, 32};
    auto field = [&](unsigned at) { return static_cast<std::uint32_t>(bits >> at & 0x3FFF) << 4; };
    constexpr std::uint64_t kFields = 0x3FFFull | 0x3FFFull << 16 | 0x3FFFull << 32 | 7ull << 49 | 3ull << 62;
    return {field(0), field(16), field(32), static_cast<unsigned>(bits >> 49 & 7), kSwizzles[bits >> 62], bits & ~kFields};
  }

  /// Offset from `start`, before the swizzle, of the 16-byte unit that holds elements of 16 bits at row or column `x` and
  /// depth `k`; eight of them along k, or along x where the matrix is `mnMajor`.
  constexpr std::uint32_t unitOffset(std::uint32_t x, std::uint32_t k, bool mnMajor) const {
    if (!mnMajor)
      return swizzle ? x % 8 * swizzle + x / 8 * stride + k * 2 : x % 8 * 16 + x / 8 * stride + k / 8 * leading;
    if (!swizzle)
      return x / 8 * stride + k % 8 * 16 + k / 8 * leading;
    const std::uint32_t columns = swizzle / 2;
    return x % columns * 2 + x / columns * leading + k % 8 * swizzle + k / 8 * stride;
  }

  constexpr std::uint32_t unitAddress(std::uint32_t x, std::uint32_t k, bool mnMajor) const {
    return swizzled(start + unitOffset(x, k, mnMajor), swizzle);
  }
};

} // namespace attn::emulator
