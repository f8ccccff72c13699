// What a launch on the virtual GPU executed: work, not time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace attn {

/// The classes that executed warp instructions are counted in, by the unit of a multiprocessor that does the work.
enum class InstructionClass : std::uint8_t {
  Tensor,           ///< mma, wgmma
  FloatArithmetic,  ///< add, mul, fma of f32, and what is made of them
  FloatMinMax,      ///< min, max, neg, abs of f32
  DoubleArithmetic, ///< all of f64, comparisons too: few lanes, on many GPUs very few
  PackedHalf,       ///< arithmetic of f16, bf16 and pairs of them
  Integer,          ///< arithmetic, logic, shifts, addresses
  Predicate,        ///< comparisons, and logic of predicates
  Select,           ///< selp, slct
  SpecialFunction,  ///< ex2, lg2, rcp, rsqrt, sqrt, tanh, sin, cos, as approximations
  Conversion,
  Move,
  GlobalMemory,
  SharedMemory,     ///< ldmatrix and stmatrix too
  LocalMemory,
  ParameterMemory,
  AsyncCopy,        ///< cp.async, tensor copies, their groups
  Atomic,
  Shuffle,          ///< what lanes of a warp exchange: shfl, vote, match, redux, elect
  Synchronization,  ///< barriers, fences, waits
  Control,          ///< branches, calls, exit
  Other,
};
inline constexpr std::size_t kInstructionClasses = static_cast<std::size_t>(InstructionClass::Other) + 1;
std::string_view spelling(InstructionClass kind);

/// Exact for the PTX that ran, whatever the schedule, but for `waits`. An assembler rewrites integer arithmetic, moves and
/// conversions; products, special functions and memory it leaves as they are.
/// Nothing here is a time: latency, caches and clocks are not modelled.
struct WorkCounters {
  /// Executed once for each warp, also with few lanes active. An instruction that had to wait counts once.
  std::array<std::uint64_t, kInstructionClasses> warpInstructions{};
  std::uint64_t totalWarpInstructions = 0;
  std::uint64_t activeLanes = 0;         ///< 32 for each warp instruction without divergence or guard
  std::uint64_t tensorMacs = 0;          ///< multiply-adds of products
  std::uint64_t specialFunctionOps = 0;  ///< lanes of SpecialFunction; two for each packed pair
  std::uint64_t waits = 0;               ///< times a warp stood at a barrier or a wait; depends on the order of warps

  // Memory: 0 unless it was asked for
  std::uint64_t globalBytes = 0;         ///< that lanes, cp.async and tensor copies asked for
  std::uint64_t globalSectors = 0;       ///< distinct 32-byte sectors of each request
  std::uint64_t tensorCopyBytes = 0;     ///< in shared memory, with what lies outside of the tensor
  std::uint64_t sharedWavefronts = 0;    ///< of 128 bytes, of lanes and cp.async
  std::uint64_t sharedBankConflicts = 0; ///< of these those above the fewest possible
  std::uint64_t productSharedBytes = 0;  ///< operands that wgmma reads from shared memory

  std::uint64_t of(InstructionClass kind) const { return warpInstructions[static_cast<std::size_t>(kind)]; }
  WorkCounters &operator+=(const WorkCounters &other);
};

/// One launch of a kernel.
struct LaunchCounters {
  std::string kernel;
  std::array<std::uint32_t, 3> grid{};
  std::uint32_t threads = 0; ///< of a block
  WorkCounters counters;
};

} // namespace attn
