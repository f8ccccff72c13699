// The NVPTX target machine. Only this back end is initialised, and only once a process.
//
// 32-bit shared addresses are asked for by LLVM's command-line option `nvptx-short-ptr`, as the target machine has no other
// way in ([T] in dialects.md, 5.5); it is found through the option registry and set before the first machine is made.
#include "codegen/Ptx.h"

#include "codegen/LlvmModule.h"
#include "support/GpuTarget.h"

#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
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
  version = std::max(version, versionOfAssembly(module.module()));
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
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true)) {
    *error = "LLVM's NVPTX back end cannot print assembly";
    return std::nullopt;
  }
  passes.run(module.module());
  return std::string(text);
}

} // namespace attn::codegen
