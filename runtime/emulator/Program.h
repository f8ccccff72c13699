// Decoded code: what a warp executes. Built once for each entry by Decode*.cpp; immutable afterwards.
//
// A warp's registers are planes of 32 lanes: a slot is 32 words of 32 bits (128 bytes), a 64-bit register takes two slots
// as one array of 32 words of 64 bits. A value of 8 or 16 bits is in the low part of a word; every reader ignores the rest.
// The first slots
// hold special registers and constants, so that handlers read every source the same way.
#pragma once

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/PtxAst.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attn::emulator {

struct LaneState;
struct Inst;
using Handler = void (*)(LaneState &, const Inst &);

inline constexpr std::uint32_t kNoRegister = 0xFFFFFFFF;
inline constexpr std::uint16_t kNoPredicate = 0xFFFF;
inline constexpr std::uint32_t kFullMask = 0xFFFFFFFF;

/// Bits of Inst::flags. Those above 16 belong to the handler's family.
inline constexpr std::uint32_t kGuardNegated = 1 << 0;
inline constexpr std::uint32_t kNegateP1 = 1 << 1; ///< the predicate source p1 is `!p`
inline constexpr std::uint32_t kNegateP2 = 1 << 2;
inline constexpr std::uint32_t kCounted = 1 << 3; ///< the instruction as written, as opposed to a move that decoding added
inline constexpr std::uint32_t kFtz = 1 << 4;
inline constexpr std::uint32_t kSat = 1 << 5;
inline constexpr std::uint32_t kRelu = 1 << 6;
inline constexpr std::uint32_t kNaN = 1 << 7;
inline constexpr std::uint32_t kSigned = 1 << 8; ///< a load extends the sign
inline constexpr std::uint32_t kAligned = 1 << 9;
inline constexpr std::uint32_t kUniform = 1 << 10;
inline constexpr std::uint32_t kXorSign = 1 << 11;

/// One decoded instruction. Register fields are slots; `list` holds those that do not fit in d, a, b, c.
struct Inst {
  Handler fn = nullptr;
  Handler inner = nullptr; ///< what alignedMmaHandler runs once the warp is together
  std::uint32_t d = kNoRegister, a = kNoRegister, b = kNoRegister, c = kNoRegister;
  const std::uint32_t *list = nullptr;
  std::int64_t imm = 0;
  std::uint16_t guard = kNoPredicate;
  std::uint16_t p0 = kNoPredicate, p1 = kNoPredicate, p2 = kNoPredicate;
  std::uint32_t flags = 0;
  std::uint32_t target = 0; ///< of a branch; else for the handler
  std::uint32_t origin = 0; ///< index into Program::origins
  std::uint8_t count = 0;   ///< vector elements, or for the handler
  std::uint8_t bytes = 0;   ///< of a memory element
  std::uint8_t space = 0;   ///< ptx::Space
  std::uint8_t kind = 0;    ///< an operation code of the family
  bool definesD = false;    ///< d is a result
  bool touchesPinned = false; ///< some operand is a pinned register
  std::uint16_t listCount = 0, listDefines = 0; ///< of `list`; the first ones are results
};

/// The PTX instruction that decoded instructions came from.
struct Origin {
  const ptx::Function *function = nullptr;
  const ptx::Instruction *instruction = nullptr;
  InstructionClass kind = InstructionClass::Other;
  std::uint32_t macs = 0;        ///< multiply-adds of one warp instruction
  std::uint32_t sharedOperandBytes = 0;   ///< that one warp's part of a product reads from shared memory
  std::uint8_t specialFunctionsPerLane = 0;
};

/// A constant slot whose value is the address of a variable, known at launch.
struct SymbolSlot {
  std::uint32_t slot = 0;
  std::uint32_t variable = 0;
  std::int64_t addend = 0;
  bool wide = true;
};

/// A constant in the register file, the same in all lanes.
struct ConstantSlot {
  std::uint32_t slot = 0;
  std::uint64_t value = 0;
  bool wide = false;
};

/// The static special registers, in the order of ptx::specialRegisterName; clocks are read by instructions instead.
enum SpecialRegister : std::uint32_t {
  kTidX, kTidY, kTidZ, kNtidX, kNtidY, kNtidZ, kCtaidX, kCtaidY, kCtaidZ, kNctaidX, kNctaidY, kNctaidZ, kLaneid,
  kWarpid, kNwarpid, kSmid, kNsmid, kGridid, kLanemaskEq, kLanemaskLt, kLanemaskLe, kLanemaskGt, kLanemaskGe, kClock,
  kClock64, kClockHi, kGlobaltimer, kGlobaltimerLo, kGlobaltimerHi, kDynamicSmemSize, kTotalSmemSize, kClusterCtaidX,
  kClusterCtaidY, kClusterCtaidZ, kClusterNctaidX, kClusterNctaidY, kClusterNctaidZ, kClusterCtarank,
  kClusterNctarank, kClusteridX, kClusteridY, kClusteridZ, kNclusteridX, kNclusteridY, kNclusteridZ,
  kIsExplicitCluster, kAggrSmemSize,
};

/// One entry, ready to run.
struct Program {
  const ptx::Module *module = nullptr;
  const ptx::Function *entry = nullptr;
  std::vector<Inst> code; ///< ends with an `exit`
  std::vector<Origin> origins;
  std::vector<std::unique_ptr<std::uint32_t[]>> lists;
  std::vector<std::vector<std::uint32_t>> branchTables;
  std::uint32_t slots = 0;
  bool hasProducts = false; ///< wgmma
  std::uint32_t predicates = 0;
  std::vector<ConstantSlot> constants;
  std::vector<SymbolSlot> symbols;
  /// Slot of each special register used, or kNoRegister.
  std::uint32_t specialSlots[ptx::kSpecialRegisters];
  std::uint32_t localBytes = 0;
  std::uint32_t staticSharedBytes = 0; ///< up to the start of dynamic memory
  std::uint32_t dynamicSharedAlignment = 16;
  /// Shared offset or local offset of the variables that have one; indexed like Module::variables.
  std::vector<std::uint32_t> variableOffset;
};

/// Shared memory begins with a block reserved for the system, as on sm_90; a null shared pointer stays invalid.
inline constexpr std::uint32_t kReservedSharedBytes = 1024;

/// Generic windows; everything else generic is global.
inline constexpr std::uint64_t kSharedWindow = 0x7E00'0000'0000;
inline constexpr std::uint64_t kLocalWindow = 0x7E80'0000'0000;
inline constexpr std::uint64_t kParamWindow = 0x7F00'0000'0000;
inline constexpr std::uint64_t kWindowBytes = 0x0040'0000'0000;

} // namespace attn::emulator
