// PTX of a plan of several kernels, each made by a thread of its own: the back end takes most of the time of a compilation, and
// kernels know nothing of each other.
#pragma once

#include "codegen/Ptx.h"

#include <optional>
#include <span>
#include <string>

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace attn::codegen {

/// The PTX text of all kernels of a module in the llvm and nvvm dialects; nothing, with a diagnostic or `*error`, on failure. As
/// translateToLlvm (LlvmModule.h) it takes the module as its own.
std::optional<std::string> emitKernels(mlir::ModuleOp module, const PtxOptions &options, std::string *error);

/// Texts of one target and version as one: what stands around kernels once, kernels in their order. Nothing where they number source
/// files differently.
std::optional<std::string> joinPtx(std::span<const std::string> texts);

} // namespace attn::codegen
