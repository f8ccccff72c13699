// What is put into another order so that fewer registers live: arithmetic in crowded blocks, and what is computed from loads.
#include "codegen/HoldLoads.h"
#include "codegen/ShortLives.h"

#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "llvm/Support/SourceMgr.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace attn::codegen {

namespace {
class OrderOfBlocks : public testing::Test {
protected:
  llvm::BasicBlock &entryOf(const std::string &text) {
    llvm::SMDiagnostic problem;
    module = llvm::parseIR(llvm::MemoryBufferRef(text, "test"), problem, context);
    EXPECT_TRUE(module) << problem.getMessage().str();
    return module->begin()->getEntryBlock();
  }

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
};
} // namespace

/// `count` numbers are read; all squares, then their sum, then a product of all numbers.
static std::string squares(int count) {
  std::string text = "define float @f(ptr addrspace(1) %p) {\n";
  for (int i = 0; i < count; ++i)
    text += fmt::format("  %g{0} = getelementptr float, ptr addrspace(1) %p, i32 {0}\n  %x{0} = load float, ptr addrspace(1) %g{0}\n", i);
  for (int i = 0; i < count; ++i)
    text += fmt::format("  %y{0} = fmul float %x{0}, %x{0}\n", i);
  text += "  %s0 = fadd float %y0, 0.0\n";
  for (int i = 1; i < count; ++i)
    text += fmt::format("  %s{0} = fadd float %s{1}, %y{0}\n", i, i - 1);
  text += fmt::format("  %z0 = fmul float %x0, %s{}\n", count - 1);
  for (int i = 1; i < count; ++i)
    text += fmt::format("  %z{0} = fmul float %z{1}, %x{0}\n", i, i - 1);
  return text + fmt::format("  ret float %z{}\n}}\n", count - 1);
}

/// How many of the squares stand directly in front of what takes them.
static int besideTheirUser(llvm::BasicBlock &block) {
  int beside = 0;
  for (llvm::Instruction &instruction : block)
    if (instruction.getName().starts_with("y"))
      beside += instruction.getNextNode() == *instruction.user_begin();
  return beside;
}

TEST_F(OrderOfBlocks, SquaresOfACrowdedBlockStandBesideTheirSum) {
  llvm::BasicBlock &block = entryOf(squares(140));
  EXPECT_LE(besideTheirUser(block), 1);
  shortenLives(*module);
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  EXPECT_EQ(besideTheirUser(block), 140);
}

TEST_F(OrderOfBlocks, BlocksWithRoomStayAsTheyAre) {
  llvm::BasicBlock &block = entryOf(squares(40));
  shortenLives(*module);
  EXPECT_LE(besideTheirUser(block), 1);
}

/// `count` numbers are read and changed, and stored behind a branch.
static std::string guardedStores(int count) {
  std::string text = "define void @f(ptr addrspace(1) %p, i1 %c) {\n", stores;
  for (int i = 0; i < count; ++i) {
    text += fmt::format("  %g{0} = getelementptr float, ptr addrspace(1) %p, i32 {0}\n  %x{0} = load float, ptr addrspace(1) %g{0}\n"
                        "  %y{0} = fmul float %x{0}, 2.0\n",
                        i);
    stores += fmt::format("  store float %y{0}, ptr addrspace(1) %g{0}\n", i);
  }
  return text + "  br i1 %c, label %then, label %end\nthen:\n" + stores + "  br label %end\nend:\n  ret void\n}\n";
}

/// Values that are marked as needed in `block`.
static unsigned marked(llvm::BasicBlock &block) {
  unsigned values = 0;
  for (llvm::Instruction &instruction : block)
    if (auto *call = llvm::dyn_cast<llvm::CallInst>(&instruction); call && call->isInlineAsm())
      values += call->arg_size();
  return values;
}

TEST_F(OrderOfBlocks, MathOfManyLoadsIsNeededInFrontOfTheBranch) {
  llvm::BasicBlock &block = entryOf(guardedStores(50));
  holdMathOfLoads(*module);
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  EXPECT_EQ(marked(block), 50U);
}

TEST_F(OrderOfBlocks, MathOfFewLoadsMayGoWhereItIsWanted) {
  llvm::BasicBlock &block = entryOf(guardedStores(20));
  holdMathOfLoads(*module);
  EXPECT_EQ(marked(block), 0U);
}

} // namespace attn::codegen
