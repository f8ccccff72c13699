// See ShortLives.h.
#include "codegen/ShortLives.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

#include <algorithm>

namespace attn::codegen {

static constexpr unsigned kMostRegisters = 255;

using Places = llvm::DenseMap<const llvm::Instruction *, unsigned>;

/// Registers of 32 bits; predicates and what lies in several values have none.
static unsigned registersOf(const llvm::Type *type) {
  if (!type->isIntegerTy() && !type->isFloatingPointTy() && !type->isPointerTy())
    return 0;
  if (type->isPointerTy())
    return type->getPointerAddressSpace() == 3 ? 1 : 2;
  return type->isIntegerTy(1) ? 0 : (type->getPrimitiveSizeInBits() + 31) / 32;
}

/// Of the block's own numbers, as many as are there at once. What is needed behind the block stays to its end.
static unsigned mostAtOnce(const llvm::BasicBlock &block, const Places &places) {
  llvm::SmallVector<int> change(block.size() + 1);
  for (const llvm::Instruction &instruction : block) {
    unsigned last = 0;
    for (const llvm::User *user : instruction.users()) {
      auto place = places.find(llvm::cast<llvm::Instruction>(user));
      last = std::max<unsigned>(last, place == places.end() ? block.size() : place->second);
    }
    auto registers = static_cast<int>(registersOf(instruction.getType()));
    if (unsigned first = places.lookup(&instruction); registers > 0 && last > first) {
      change[first] += registers;
      change[last] -= registers;
    }
  }
  int now = 0, most = 0;
  for (int each : change)
    most = std::max(most, now += each);
  return static_cast<unsigned>(most);
}

/// Arithmetic, which may stand anywhere behind its operands.
static bool isArithmetic(const llvm::Instruction &instruction) {
  return llvm::isa<llvm::BinaryOperator, llvm::UnaryOperator, llvm::CastInst, llvm::ExtractElementInst>(instruction);
}

/// Whether `operand` is needed at `place` or behind it, if `instruction` does not take it.
static bool isNeededAt(const llvm::Value *operand, unsigned place, const llvm::Instruction &instruction, const Places &places) {
  if (!llvm::isa<llvm::Instruction>(operand))
    return true;
  return llvm::any_of(operand->users(), [&](const llvm::User *user) {
    auto found = places.find(llvm::cast<llvm::Instruction>(user));
    return user != &instruction && (found == places.end() || found->second >= place);
  });
}

static void shortenLives(llvm::BasicBlock &block) {
  Places places;
  for (llvm::Instruction &instruction : block)
    places[&instruction] = static_cast<unsigned>(places.size());
  if (mostAtOnce(block, places) <= kMostRegisters)
    return;
  for (llvm::Instruction &instruction : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (!isArithmetic(instruction) || !instruction.hasOneUse())
      continue;
    auto *user = llvm::cast<llvm::Instruction>(*instruction.user_begin());
    if (user->getParent() != &block || llvm::isa<llvm::PHINode>(user))
      continue;
    unsigned place = places.lookup(user); // that it has once moved is the user's, too
    if (!llvm::all_of(instruction.operands(), [&](const llvm::Use &operand) { return isNeededAt(operand.get(), place, instruction, places); }))
      continue;
    instruction.moveBefore(user->getIterator());
    places[&instruction] = place;
  }
}

void shortenLives(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      shortenLives(block);
}

} // namespace attn::codegen
