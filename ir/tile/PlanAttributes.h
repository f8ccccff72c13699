// Attributes that tie kernels to the plan they are launched by: a plan of several kernels passes tensors between them
// in workspace.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace attn::tile {

/// On a kernel function: the name of its plan, where that is not the kernel's own.
inline constexpr llvm::StringLiteral kPlanAttr = "tile.plan";
/// On a kernel's argument: workspace, written by an earlier kernel of the plan or by this one.
inline constexpr llvm::StringLiteral kWorkspaceAttr = "tile.workspace";
/// On a kernel function: reads that count trap where an index is out of range.
inline constexpr llvm::StringLiteral kCheckedAttr = "tile.checked";

} // namespace attn::tile
