// NVIDIA's assembler, where one is installed: PTX to cubin, and what it reports about registers and spills.
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
  std::string text;           ///< all that ptxas printed
};

/// Path of ptxas: on PATH, in $CUDA_HOME/bin or /usr/local/cuda/bin.
std::optional<std::string> findPtxas();
Result<AssemblerReport> assemble(const std::string &ptx, const std::string &target);

} // namespace attn::tools
