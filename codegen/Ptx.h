// From LLVM IR to PTX text, by LLVM's NVPTX back end.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace attn::codegen {

class LlvmModule;

struct PtxOptions {
  std::string target = "sm_80";
  /// PTX ISA version times ten: the lowest that knows every instruction of the target's lowering, so that old drivers load it.
  unsigned version = 70;
};

/// The PTX ISA version, times ten, that instructions need which LLVM does not know by itself; 0 if there are none.
unsigned versionOf(LlvmModule &module);

/// The PTX text of all kernels of the module, or nothing and `*error`.
std::optional<std::string> emitPtx(LlvmModule &module, const PtxOptions &options, std::string *error);

} // namespace attn::codegen
