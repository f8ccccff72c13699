#include "runtime/emulator/TensorMap.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace attn::emulator {

static constexpr std::uint64_t kMagic = 0x50414d5f52534e54; // "TNSR_MAP"
static constexpr std::uint64_t kGranule = 16;
static constexpr std::uint64_t kExtentLimit = std::uint64_t{1} << 32, kStrideLimit = std::uint64_t{1} << 40;
static constexpr std::uint32_t kBoxLimit = 256;

namespace {

struct Encoded {
  std::uint64_t magic;
  std::uint64_t checksum; // of all that follows
  std::uint64_t address;
  std::array<std::uint64_t, kMaxTensorRank> extents;
  std::array<std::uint64_t, kMaxTensorRank - 1> strides;
  std::array<std::uint16_t, kMaxTensorRank> box; // 256 fits
  std::uint8_t rank, elementBytes, swizzle;
  std::array<std::uint8_t, 19> unused;
};
static_assert(sizeof(Encoded) == kTensorMapBytes && std::is_trivially_copyable_v<Encoded>);

} // namespace

/// FNV-1a.
static std::uint64_t checksumOf(const Encoded &encoded) {
  std::array<unsigned char, sizeof encoded> bytes;
  std::memcpy(bytes.data(), &encoded, sizeof encoded);
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t i = offsetof(Encoded, address); i < bytes.size(); ++i)
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

static std::string findMistake(const TensorMap &map) {
  if (map.rank < 1 || map.rank > kMaxTensorRank)
    return fmt::format("rank {} is out of 1..{}", map.rank, kMaxTensorRank);
  if (map.elementBytes != 1 && map.elementBytes != 2 && map.elementBytes != 4 && map.elementBytes != 8)
    return fmt::format("elements of {} bytes; expects 1, 2, 4 or 8", map.elementBytes);
  if (map.address % kGranule != 0)
    return fmt::format("address {:#x} is not aligned to {} bytes", map.address, kGranule);
  for (unsigned i = 0; i < map.rank; ++i) {
    if (map.extents[i] == 0 || map.extents[i] > kExtentLimit)
      return fmt::format("extent {} of dimension {} is out of 1..2^32", map.extents[i], i);
    if (map.box[i] == 0 || map.box[i] > kBoxLimit)
      return fmt::format("box size {} of dimension {} is out of 1..{}", map.box[i], i, kBoxLimit);
    if (i > 0 && (map.strides[i - 1] % kGranule != 0 || map.strides[i - 1] >= kStrideLimit))
      return fmt::format("stride of {} bytes of dimension {} is no multiple of {} below 2^40", map.strides[i - 1], i,
                         kGranule);
  }
  const std::uint64_t row = std::uint64_t{map.box[0]} * map.elementBytes;
  if (row % kGranule != 0)
    return fmt::format("a box row of {} bytes is no multiple of {}", row, kGranule);
  if (map.swizzle != 0 && map.swizzle != 32 && map.swizzle != 64 && map.swizzle != 128)
    return fmt::format("a swizzle of {} bytes; expects 0, 32, 64 or 128", map.swizzle);
  if (map.swizzle != 0 && row > map.swizzle)
    return fmt::format("a box row of {} bytes exceeds the swizzle of {}", row, map.swizzle);
  return {};
}

Status encodeTensorMap(const TensorMap &map, std::span<std::byte, kTensorMapBytes> bytes) {
  if (std::string mistake = findMistake(map); !mistake.empty())
    return {StatusCode::InvalidArgument, "tensor map: " + mistake};
  Encoded out{};
  out.magic = kMagic;
  out.address = map.address;
  out.rank = static_cast<std::uint8_t>(map.rank);
  out.elementBytes = static_cast<std::uint8_t>(map.elementBytes);
  out.swizzle = static_cast<std::uint8_t>(map.swizzle);
  for (unsigned i = 0; i < map.rank; ++i) {
    out.extents[i] = map.extents[i];
    out.box[i] = static_cast<std::uint16_t>(map.box[i]);
    if (i > 0)
      out.strides[i - 1] = map.strides[i - 1];
  }
  out.checksum = checksumOf(out);
  std::memcpy(bytes.data(), &out, sizeof out);
  return {};
}

std::optional<TensorMap> decodeTensorMap(std::span<const std::byte, kTensorMapBytes> bytes) {
  Encoded in;
  std::memcpy(&in, bytes.data(), sizeof in);
  if (in.magic != kMagic || in.checksum != checksumOf(in))
    return std::nullopt;
  TensorMap map;
  map.address = in.address;
  map.rank = in.rank;
  map.elementBytes = in.elementBytes;
  map.swizzle = in.swizzle;
  map.extents = in.extents;
  map.strides = in.strides;
  for (unsigned i = 0; i < kMaxTensorRank; ++i)
    map.box[i] = in.box[i];
  return map;
}

} // namespace attn::emulator
