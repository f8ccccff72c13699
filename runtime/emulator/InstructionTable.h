// The rows of Instructions.def as data, and the search for the row that a parsed instruction fits.
#pragma once

#include "runtime/emulator/PtxAst.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::emulator::ptx {

/// The decode functions (Decode*.cpp), one for each family of rows.
enum class Family : std::uint8_t {
  Integer, Carry, PredicateLogic, Float, FloatTest, Half, Compare, Set, Select, Move, Convert, ConvertPack, ConvertFloat8,
  AddressConvert, IsSpace, Load, Store, Nothing, Atomic, CreatePolicy, Shuffle, Vote, Match, WarpReduce, ActiveMask,
  WarpBarrier, MoveMatrix, Barrier, Fence, AsyncCopy, AsyncCommit, AsyncWait, LoadMatrix, Mma, Branch, BranchIndexed,
  Call, Return, Exit, Trap, Sleep, StoreMatrix, Mbarrier, MbarrierWait, CopyArrival, TensorCopy, BulkGroup, MapPrefetch,
  Product, ProductSync, Elect, MaxRegisters,
};

struct ModifierGroup {
  bool required = true;
  std::vector<std::string_view> choices;
};

struct InstructionRow {
  std::string_view name, root, operands;
  std::vector<ModifierGroup> groups;
  unsigned minPtx = 0, minSm = 0;
  Family family = Family::Nothing;
};

/// All rows, in the order of the file.
std::span<const InstructionRow> instructionRows();

/// The row that `instruction` fits. Null when there is none: then `message` says why, beginning with `X01`.
const InstructionRow *findRow(const Module &module, const Function &function, const Instruction &instruction,
                              std::string &message);

} // namespace attn::emulator::ptx
