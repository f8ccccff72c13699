// What a kernel takes: the parameters of its PTX entry, its grid, threads and shared memory, and the manifest of the plan it
// belongs to. Everything follows from the function in the `tile` dialect, so manifest and lowering cannot disagree.
//
// A kernel takes only what it uses, in this order: tensor maps, pointers, strides, extents, scalars.
#pragma once

#include "runtime/manifest/KernelManifest.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"

#include <optional>
#include <string>
#include <vector>

namespace mlir {
class ModuleOp;
class Value;
namespace func {
class FuncOp;
}
} // namespace mlir

namespace attn::codegen {

/// The parameters of a kernel function, dimensions counted as in the IR.
std::vector<KernelParam> kernelParams(mlir::func::FuncOp kernel);

/// The manifest of the plan whose kernels are the module's functions marked `tile.kernel`, in their order; all `tile` passes
/// have run. Nothing and `*error` when the module is not of that form.
std::optional<PlanManifest> buildManifest(mlir::ModuleOp module, llvm::StringRef target, std::string *error);

/// Grid dimension (0 = x) that work extent `index` of `count` is mapped to: the last extent to x, the one before to y, all
/// others to z.
unsigned gridDimension(unsigned index, unsigned count);

} // namespace attn::codegen
