// Translation and checking of the addresses of one memory instruction.
#pragma once

#include "runtime/emulator/Cta.h"

namespace attn::emulator {

/// Where the lanes of an instruction access memory, after all checks.
struct Access {
  std::byte *base = nullptr;
  /// Null when everything read is known to be defined and nothing needs to be noted.
  std::uint8_t *shadow = nullptr;
  std::uint32_t mask = 0;       ///< lanes that passed the checks
  std::uint64_t offset[32];     ///< from `base`, and as a bit number from `shadow`
  ptx::Space space = ptx::Space::Global;
  std::uint32_t unchanged = 0;  ///< with the sanitizer: lanes that store what stands there already
  bool ofBarrier = false;       ///< set by those who may touch an mbarrier
};

enum class AccessKind : std::uint8_t { Read, Write, Update };

/// The lanes' addresses: register (32 or 64 bits, or none) plus displacement.
void laneAddresses(const Warp &warp, std::uint32_t slot, bool wide, std::int64_t displacement, std::uint64_t (&addresses)[32]);

/// Checks `bytes` bytes at each address of the lanes in `mask`, all in `space` (not Generic), and translates.
void resolve(Warp &warp, const Inst &in, ptx::Space space, const std::uint64_t (&addresses)[32], std::uint32_t mask,
             std::uint32_t bytes, std::uint32_t alignment, AccessKind kind, Access &access);

/// The space a generic address is in, and the address inside it.
ptx::Space spaceOf(std::uint64_t &address);

/// Runs `f(space, mask, addresses)` for the space of the instruction, or for each space that generic addresses name.
template <typename F>
void forEachSpace(ptx::Space space, std::uint64_t (&addresses)[32], std::uint32_t mask, F f) {
  if (space != ptx::Space::Generic) {
    f(space, mask);
    return;
  }
  std::uint32_t masks[6] = {};
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      masks[static_cast<unsigned>(spaceOf(addresses[lane]))] |= 1u << lane;
  for (unsigned i = 0; i < 6; ++i)
    if (masks[i])
      f(static_cast<ptx::Space>(i), masks[i]);
}

/// Counts sectors of a global access, or wavefronts of a shared one, when the launch asks for it.
void countAccess(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes);

/// Reports R01 (read) or R02 (write) for lanes whose shared bytes a cp.async has yet to deliver. False: the warp failed.
bool checkInFlight(Warp &warp, const Inst &in, const Access &access, std::uint32_t bytes, AccessKind kind);

} // namespace attn::emulator
