// From the syntax tree of an entry to a Program: operands become virtual registers, each PTX instruction becomes one or a
// few Insts, calls are inlined, and at the end virtual registers get slots (RegisterAllocation.cpp).
#pragma once

#include "runtime/emulator/Handlers.h"
#include "runtime/emulator/InstructionTable.h"
#include "runtime/emulator/lanes/LaneHandlers.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace attn::emulator {

/// A register before it has a slot. Fixed ones (constants, special registers) keep theirs for the whole program.
struct VirtualRegister {
  bool wide = false;
  bool fixed = false;
  bool pinned = false; ///< an operand of wgmma: keeps a slot of its own, since it is used after the instruction has passed
};

/// An Inst whose register fields are virtual, with what liveness needs to know.
struct Draft {
  Inst inst;
  std::vector<std::uint32_t> list;
  unsigned listDefines = 0; ///< how many of the list are results; the rest are sources
  bool definesD = false;    ///< d is a result; else it is a source
  std::vector<std::uint32_t> targets; ///< drafts that control may go to
  bool endsPath = false;    ///< control never goes on to the next draft
};

struct DecodeError {
  std::uint32_t line = 0;
  std::string message; ///< empty when there was none
};

/// Decodes `entry`. False with `error` filled when it holds what the virtual GPU does not run.
bool decodeEntry(const ptx::Module &module, const ptx::Function &entry, const LaneHandlers &lanes, Program &program,
                 DecodeError &error);

/// Gives each virtual register a slot, by liveness, and fills Program::code.
void allocateRegisters(Program &program, std::vector<Draft> &drafts, const std::vector<VirtualRegister> &registers);

class Decoder {
public:
  Decoder(const ptx::Module &module, const ptx::Function &entry, const LaneHandlers &lanes, Program &program)
      : module(module), entry(entry), lanes(lanes), program(program) {}
  bool run();
  DecodeError error;

private:
  /// A function being decoded: the entry, or a call inlined into it.
  struct Instance {
    const ptx::Function *function = nullptr;
    std::vector<std::uint32_t> registers; ///< PTX register to virtual register or predicate
    std::map<std::uint32_t, std::uint32_t> frameOffset; ///< of `.param` and `.local` variables of this instance
    std::vector<std::uint32_t> draftOf;   ///< first draft of each instruction
    std::vector<std::size_t> returns;     ///< drafts that jump to the end
    std::vector<std::pair<std::size_t, std::uint32_t>> jumps; ///< draft, label
  };

  // Decode.cpp
  bool decodeFunction(Instance &instance);
  bool decodeInstruction(Instance &instance, const ptx::Instruction &instruction);
  bool resolveJumps(Instance &instance);
  void layOutShared();
  bool fail(std::string message);
  bool refuse(std::string_view why);
  bool has(std::string_view modifier) const;
  /// The n-th modifier that is a type.
  ptx::ScalarType type(unsigned n = 0) const;
  ptx::ScalarType lastType() const;
  Rounding rounding() const;
  std::uint32_t commonFlags() const;

  // Operands (DecodeOperands.cpp). kNoRegister means an error was noted.
  std::uint32_t newRegister(bool wide);
  std::uint16_t newPredicate();
  std::uint32_t constant(std::uint64_t value, bool wide);
  std::uint32_t special(std::uint32_t which, bool wide);
  std::uint32_t symbolAddress(const ptx::Operand &operand, bool wide);
  /// A source of `type`; `relaxed` allows a wider register, of which the low part is taken (ISA 9.4.1).
  std::uint32_t source(const ptx::Operand &operand, ptx::ScalarType type, bool relaxed = false);
  /// A destination; a wider register gets the extended result through a move that follows the instruction.
  std::uint32_t destination(const ptx::Operand &operand, ptx::ScalarType type, bool relaxed = false);
  std::uint16_t predicateSource(const ptx::Operand &operand, bool &negated);
  std::uint16_t predicateDestination(const ptx::Operand &operand);
  std::uint64_t literal(const ptx::Operand &operand, ptx::ScalarType type, bool &valid) const;
  /// Fills a, imm, flags and space for `[address]`.
  bool address(const ptx::Operand &operand, ptx::Space space, Draft &draft);
  std::uint32_t frameOffset(std::uint32_t variable);

  Draft make(Handler handler) const;
  void emit(Draft draft);
  void countAs(InstructionClass kind);
  bool emitArithmetic(Handler handler, ptx::ScalarType result, std::initializer_list<ptx::ScalarType> sources,
                      std::uint32_t flags = 0, std::int64_t imm = 0, std::uint8_t kind = 0);

  // Families
  bool decodeInteger();
  bool decodeBitInsert();
  bool decodeCarry();
  bool decodePredicateLogic();
  bool decodeFloat();
  bool decodeFloatTest();
  bool decodeHalf();
  bool decodeCompare();
  bool decodeSet();
  bool decodeSelect();
  bool decodeMove();
  bool decodeMoveVector();
  bool decodeConvert();
  bool decodeConvertPack();
  bool decodeConvertFloat8();
  bool decodeAddressConvert();
  bool decodeIsSpace();
  bool decodeLoad();
  bool decodeStore();
  bool decodeAtomic();
  bool decodeCreatePolicy();
  bool decodeAsyncCopy();
  bool decodeAsyncWait();
  bool decodeLoadMatrix();
  bool decodeStoreMatrix();
  bool decodeMbarrier();
  bool decodeMbarrierWait();
  bool decodeCopyArrival();
  bool decodeTensorCopy();
  bool decodeBulkGroup();
  bool decodeMapPrefetch();
  bool decodeProduct();
  bool decodeProductSync();
  bool decodeElect();
  bool decodeFence();
  bool decodeMaxRegisters();
  bool addressRegister(const ptx::Operand &operand, ptx::Space space, std::uint32_t &reg, std::int64_t &displacement, bool &wide);
  bool decodeMma();
  bool decodeShuffle();
  bool decodeVote();
  bool decodeMatch();
  bool decodeWarpReduce();
  bool decodeBarrier();
  bool decodeBranch();
  bool decodeBranchIndexed();
  bool decodeCall();
  bool decodeBuiltin(const ptx::Function &callee, const std::vector<ptx::Operand> &results,
                     const std::vector<ptx::Operand> &arguments);
  bool decodeReturn();
  bool decodeSimple(Handler handler, InstructionClass kind);
  ptx::Space memorySpace() const;
  Origin &origin() { return program.origins.back(); }

  const ptx::Module &module;
  const ptx::Function &entry;
  const LaneHandlers &lanes;
  Program &program;
  std::vector<Draft> drafts;
  std::vector<Draft> after; ///< moves that follow the instruction being decoded
  std::vector<VirtualRegister> registers;
  std::map<std::pair<std::uint64_t, bool>, std::uint32_t> constants;
  std::map<std::tuple<std::uint32_t, std::int64_t, bool>, std::uint32_t> symbols;
  std::vector<const ptx::Function *> callStack;
  Instance *instance = nullptr;
  const ptx::Instruction *instruction = nullptr;
  std::uint16_t guard = kNoPredicate;
  std::uint32_t guardFlags = 0;
  unsigned predicateCount = 0;
};

} // namespace attn::emulator
