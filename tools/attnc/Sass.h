// Reads a disassembly (SASS): instructions, their classes, and the loops they are in. Knows the text that nvdisasm and
// cuobjdump print, and nothing about kernels.
#pragma once

#include "attn/Counters.h"
#include "attn/Result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

struct SassInstruction {
  std::uint32_t address = 0;
  std::string guard;     ///< `@!P0`, empty if none
  std::string opcode;    ///< with all modifiers: `MUFU.EX2`
  std::string operands;
  InstructionClass kind = InstructionClass::Other;
  bool isKnown = false;  ///< the opcode is in SassOpcodes.def
};

struct SassFunction {
  std::string name;
  std::vector<SassInstruction> code;
  /// Index of the instruction that a branch may go to, or -1; parallel to `code`. Calls that return have none.
  std::vector<std::ptrdiff_t> targets;
};

/// All kernels of the text. Fails when there is none.
Result<std::vector<SassFunction>> parseSass(std::string_view text);

/// A natural loop. Instructions by index into the function's code, ascending. Of the ways through an iteration those count
/// that multiply most; inner loops (waits that spin) count once.
struct SassLoop {
  std::vector<std::size_t> shortest; ///< masks, and waits that did not end at once, jumped over
  std::vector<std::size_t> longest;
  std::vector<std::size_t> all;
};

/// Loops that multiply matrices and contain no smaller loop that does, in the order of their addresses.
std::vector<SassLoop> productLoops(const SassFunction &function);
/// The same for loops that start tensor copies or cp.async without a product: those of a producer.
std::vector<SassLoop> copyLoops(const SassFunction &function);

/// What one warp does for a product, or nothing for other instructions.
struct SassProduct {
  double macs = 0;
  double sharedBytes = 0; ///< operands from shared memory; those that four warps share count a quarter
};
SassProduct productOf(const SassInstruction &instruction);
/// Wavefronts of shared memory without conflicts: `LDSM.16.M88.4` has four.
double sharedWavefrontsOf(const SassInstruction &instruction);

/// Of a loop with asynchronous products.
struct SassOverlap {
  bool hasWaits = false;            ///< for asynchronous products
  bool leavesInFlight = false;      ///< a wait lets a group stay pending
  unsigned exponentials = 0;        ///< MUFU.EX2 of the shortest way
  unsigned exponentialsBetween = 0; ///< of these after a wait that leaves a group pending and before the wait for it
  /// Each product is followed by a wait for itself: ptxas gave up on asynchrony (notes C7510 to C7515).
  bool isSerialized = false;
};
SassOverlap overlapOf(const SassFunction &function, const SassLoop &loop);

} // namespace attn::tools
