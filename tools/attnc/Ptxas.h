// NVIDIA's assembler and disassembler, where they are installed: PTX to cubin, what is reported about registers and
// spills, and the text of the instructions.
#pragma once

#include "attn/Result.h"

#include <optional>
#include <string>
#include <vector>

namespace attn::tools {

struct KernelResources {
  std::string kernel;
  unsigned registers = 0;     ///< a thread
  unsigned spillBytes = 0;    ///< stores and loads
};

struct AssemblerReport {
  std::string cubin;          ///< the binary
  std::vector<KernelResources> kernels;
  std::vector<std::string> notes; ///< C75xx: products that ptxas serialised or repaired
  std::string text;           ///< all that ptxas printed
};

/// Path of ptxas: on PATH, in $CUDA_HOME/bin or /usr/local/cuda/bin.
std::optional<std::string> findPtxas();
Result<AssemblerReport> assemble(const std::string &ptx, const std::string &target);

/// Path of nvdisasm, else of cuobjdump, from the same places.
std::optional<std::string> findDisassembler();
/// The text that parseSass (Sass.h) reads.
Result<std::string> disassemble(const std::string &cubin);

} // namespace attn::tools
