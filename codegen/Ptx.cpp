// The NVPTX target machine. Only this back end is initialised, and only once a process.
//
// 32-bit shared addresses are asked for by LLVM's command-line option `nvptx-short-ptr`, as the target machine has no other
// way in ([T] in dialects.md, 5.5); it is found through the option registry and set before the first machine is made.
//
// The back end chooses its passes itself; one of them is left out of some kernels, as the pass manager that it hands them to is ours.
#include "codegen/Ptx.h"

#include "codegen/LlvmModule.h"
#include "support/GpuTarget.h"

#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Pass.h"
#include "llvm/PassInfo.h"
#include "llvm/PassRegistry.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Triple.h"

#include <algorithm>
#include <mutex>

extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace attn::codegen {

static void initialiseBackEnd() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    auto &options = llvm::cl::getRegisteredOptions();
    if (auto found = options.find("nvptx-short-ptr"); found != options.end())
      static_cast<llvm::cl::opt<bool> *>(found->second)->setValue(true);
  });
}

/// Products of 8-bit floats by mma.sync are written as assembly; PTX has them from 8.4 on.
static unsigned versionOfAssembly(llvm::Module &module) {
  constexpr unsigned kVersionOfFloat8Products = 84;
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &instruction : block) {
        auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction);
        auto *assembly = call ? llvm::dyn_cast<llvm::InlineAsm>(call->getCalledOperand()) : nullptr;
        if (assembly && llvm::StringRef(assembly->getAsmString()).starts_with("mma.sync.aligned.m16n8k32.row.col.f32.e"))
          return kVersionOfFloat8Products;
      }
  return 0;
}

namespace {
/// The back end's passes, where that is asked for without straight-line strength reduction.
class BackEndPasses final : public llvm::legacy::PassManager {
public:
  explicit BackEndPasses(bool reducesStrength) : reducesStrength(reducesStrength) {}

  void add(llvm::Pass *pass) override {
    const llvm::PassInfo *info = reducesStrength ? nullptr : llvm::PassRegistry::getPassRegistry()->getPassInfo(llvm::StringRef("slsr"));
    if (info && pass->getPassID() == info->getTypeInfo())
      delete pass;
    else
      llvm::legacy::PassManager::add(pass);
  }

private:
  bool reducesStrength;
};
} // namespace

/// Strength reduction asks for each pair of sums whether one may be poison where the other is not, and looks for the answer in what
/// both are computed from and the code around. Through choices and quotients that takes long: 1 s of a mask with 1200 of them, whose
/// other passes take 0.3; it changes a few instructions of thousands.
static bool canReduceStrength(const llvm::Module &module) {
  constexpr unsigned kMostChoices = 256;
  unsigned choices = 0;
  for (const llvm::Function &function : module)
    for (const llvm::BasicBlock &block : function)
      for (const llvm::Instruction &instruction : block) {
        bool isQuotient = instruction.isIntDivRem();
        auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
        llvm::Intrinsic::ID id = call ? call->getIntrinsicID() : llvm::Intrinsic::not_intrinsic;
        choices += isQuotient || id == llvm::Intrinsic::abs || id == llvm::Intrinsic::smin || id == llvm::Intrinsic::smax ||
                   id == llvm::Intrinsic::umin || id == llvm::Intrinsic::umax;
      }
  return choices <= kMostChoices;
}

unsigned versionOf(LlvmModule &module) { return versionOfAssembly(module.module()); }

std::optional<std::string> emitPtx(LlvmModule &module, const PtxOptions &options, std::string *error) {
  initialiseBackEnd();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string lookupError;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, lookupError);
  if (!target) {
    *error = "this build of LLVM has no NVPTX back end: " + lookupError;
    return std::nullopt;
  }
  const GpuTarget *gpu = findGpuTarget(options.target);
  unsigned version = std::max<unsigned>(options.version, gpu ? gpu->ptxVersion : 0); // LLVM ends the process over less
  version = std::max(version, versionOf(module));
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, options.target, "+ptx" + std::to_string(version), llvm::TargetOptions(),
                                  std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Default));
  if (!machine) {
    *error = "LLVM has no target machine for `" + options.target + "`";
    return std::nullopt;
  }
  module.module().setDataLayout(machine->createDataLayout());
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  BackEndPasses passes(canReduceStrength(module.module()));
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true)) {
    *error = "LLVM's NVPTX back end cannot print assembly";
    return std::nullopt;
  }
  passes.run(module.module());
  return std::string(text);
}

} // namespace attn::codegen
