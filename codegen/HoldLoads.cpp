// See HoldLoads.h. The mark is inline assembly without text that takes the values: PTX has none of it.
#include "codegen/HoldLoads.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

#include <string>

namespace attn::codegen {

static constexpr unsigned kManyLoads = 32, kValuesOfMark = 16;

/// A load from global memory, be it by a predicate (Emitter::loadIf).
static bool isLoad(const llvm::Instruction &instruction) {
  constexpr unsigned kGlobal = 1;
  if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&instruction))
    return load->getPointerAddressSpace() == kGlobal;
  auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction);
  auto *assembly = call ? llvm::dyn_cast<llvm::InlineAsm>(call->getCalledOperand()) : nullptr;
  return assembly && llvm::StringRef(assembly->getAsmString()).contains("ld.global");
}

/// The letter of its registers in inline assembly; 0 where it has none of 32 bits at least.
static char letterOf(const llvm::Type *type) {
  return type->isFloatTy() ? 'f' : type->isDoubleTy() ? 'd' : type->isIntegerTy(32) ? 'r' : type->isIntegerTy(64) ? 'l' : 0;
}

/// What is computed in `block` from its loads and used behind it.
static llvm::SmallVector<llvm::Instruction *> findLeaving(llvm::BasicBlock &block) {
  llvm::SmallPtrSet<const llvm::Value *, 32> ofLoads;
  llvm::SmallVector<llvm::Instruction *> leaving;
  for (llvm::Instruction &instruction : block) {
    if (llvm::isa<llvm::PHINode>(instruction))
      continue;
    bool isComputed = llvm::any_of(instruction.operands(), [&](const llvm::Use &use) { return ofLoads.contains(use.get()); });
    if (isComputed || isLoad(instruction))
      ofLoads.insert(&instruction);
    bool leaves = llvm::any_of(instruction.users(), [&](const llvm::User *user) { return llvm::cast<llvm::Instruction>(user)->getParent() != &block; });
    if (isComputed && leaves && !isLoad(instruction) && letterOf(instruction.getType()) != 0)
      leaving.push_back(&instruction);
  }
  return leaving;
}

static void mark(llvm::BasicBlock &block, llvm::ArrayRef<llvm::Instruction *> values) {
  llvm::IRBuilder<> builder(block.getTerminator());
  std::string constraints;
  llvm::SmallVector<llvm::Value *> operands;
  llvm::SmallVector<llvm::Type *> types;
  for (llvm::Instruction *value : values) {
    constraints += std::string(constraints.empty() ? "" : ",") + letterOf(value->getType());
    operands.push_back(value);
    types.push_back(value->getType());
  }
  auto *type = llvm::FunctionType::get(builder.getVoidTy(), types, /*isVarArg=*/false);
  builder.CreateCall(llvm::InlineAsm::get(type, "", constraints, /*hasSideEffects=*/true), operands);
}

void holdMathOfLoads(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function) {
      if (block.getTerminator()->getNumSuccessors() < 2 || llvm::count_if(block, isLoad) < kManyLoads)
        continue;
      llvm::SmallVector<llvm::Instruction *> leaving = findLeaving(block);
      for (llvm::ArrayRef<llvm::Instruction *> rest = leaving; !rest.empty(); rest = rest.drop_front(std::min<std::size_t>(rest.size(), kValuesOfMark)))
        mark(block, rest.take_front(kValuesOfMark));
    }
}

} // namespace attn::codegen
