// What an access leaves behind for the check of later ones (see Sanitizer.h and GlobalShadow.h).
#pragma once

#include "runtime/emulator/sanitizer/Clock.h"

#include <algorithm>
#include <cstdint>

namespace attn::emulator {

// AccessRecord::flags
inline constexpr std::uint8_t kWrites = 1;
inline constexpr std::uint8_t kAsync = 2;    ///< through the asynchronous proxy
inline constexpr std::uint8_t kAtomic = 4;   ///< in global memory all strong accesses: relaxed, acquire, release, volatile
inline constexpr std::uint8_t kByLanes = 8;  ///< an ordinary access: `component` is the warp, `lanes` say more
inline constexpr std::uint8_t kTogether = 16;
// In global memory only:
inline constexpr std::uint8_t kCtaScope = 32;    ///< a strong access that orders nothing outside its CTA
inline constexpr std::uint8_t kNonCoherent = 64; ///< ld.global.nc
inline constexpr std::uint8_t kMerged = 128;     ///< reads of several warps, or of several CTAs

/// An access that others may conflict with. 16 bytes of memory have a list of them.
struct AccessRecord {
  std::uint32_t component = 0; ///< of the warp, or of asynchronous work
  std::uint32_t lanes = 0;
  Epoch epoch = 0;
  std::uint32_t origin = 0;
  std::uint16_t bytes = 0; ///< bit i: byte i of the 16
  std::uint8_t warp = 0;
  std::uint8_t flags = 0;
  std::uint32_t next = 0;
};

/// Bytes that accesses are recorded in: the unit of ldmatrix, cp.async, tensor copies and products.
inline constexpr std::uint32_t kGranule = 16;

/// Of bytes that no tensor copy wrote last.
inline constexpr std::uint8_t kNoPattern = 0xFF;

/// Calls `visit(granule, mask of its bytes, address)` for the granules that [address, address + bytes) touches.
template <typename Visit> void forEachGranule(std::uint64_t address, std::uint32_t bytes, Visit visit) {
  for (const std::uint64_t end = address + bytes; address < end;) {
    const std::uint64_t offset = address % kGranule, length = std::min<std::uint64_t>(kGranule - offset, end - address);
    visit(address / kGranule, static_cast<std::uint16_t>(((1u << length) - 1) << offset), address);
    address += length;
  }
}

} // namespace attn::emulator
