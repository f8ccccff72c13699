// The bytes of a package file. All numbers are little-endian.
//
//   offset  size  header
//        0     8  magic "ATTNPKG" and a 0
//        8     4  format version, 1
//       12     4  number of sections S
//       16     8  size of the file
//       24     8  checksum of bytes 32 to the end of the section table (XXH3, 64 bits)
//
//       32  32*S  section table; the row of a section:
//                   0   4  kind: 1 manifest, 2 PTX, 3 cubin, 4 source, 5 producer
//                   4   4  entry: sections of one plan for one target share a number, counted from 0; 0 for 4 and 5
//                   8   8  offset in the file, a multiple of 16
//                  16   8  size
//                  24   8  checksum of the contents (XXH3, 64 bits)
//
//   then the contents, in the order of the table, each followed by zeros up to the next multiple of 16.
//
// So every byte is covered by a checksum or must be zero. An entry has one manifest, one PTX and at most one cubin;
// there is one source and one producer (the version of the program that wrote the file). A reader of version 1 refuses
// other versions and kinds: a new kind is a new version. Files of a released version stay readable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace attn::package {

inline constexpr std::array<char, 8> kMagic = {'A', 'T', 'T', 'N', 'P', 'K', 'G', '\0'};
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 32;
inline constexpr std::size_t kTableRowBytes = 32;
inline constexpr std::size_t kAlignment = 16;
inline constexpr std::uint32_t kMaxSections = 65536;
inline constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 31;

enum class SectionKind : std::uint32_t { Manifest = 1, Ptx = 2, Cubin = 3, Source = 4, Producer = 5 };

/// Little-endian numbers in byte sequences, whatever the machine.
template <typename T> T loadNumber(const std::byte *bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(static_cast<T>(std::to_integer<unsigned>(bytes[i])) << (8 * i));
  return value;
}
template <typename T> void storeNumber(std::byte *bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes[i] = static_cast<std::byte>(value >> (8 * i));
}

constexpr std::uint64_t aligned(std::uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

} // namespace attn::package
