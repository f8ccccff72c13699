// Attributes that tie kernels to the plan they are launched by: a plan of several kernels passes tensors between them
// in workspace.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace attn::tile {

/// On a kernel function: the name of its plan, where that is not the kernel's own.
inline constexpr llvm::StringLiteral kPlanAttr = "tile.plan";
/// On a kernel's argument: workspace, written by an earlier kernel of the plan or by this one.
inline constexpr llvm::StringLiteral kWorkspaceAttr = "tile.workspace";
/// On a kernel's i32 argument: it is the extent of its name, which the caller passes where no tensor's shape gives it.
inline constexpr llvm::StringLiteral kExtentAttr = "tile.extent";
/// On a kernel function: reads that count trap where an index is out of range.
inline constexpr llvm::StringLiteral kCheckedAttr = "tile.checked";
/// On a kernel function: products of f32 operands round them to tf32.
inline constexpr llvm::StringLiteral kTf32Attr = "tile.tf32";
/// On a kernel function: all products are mma.sync's, also where warpgroups could multiply.
inline constexpr llvm::StringLiteral kMmaSyncAttr = "tile.mma_sync";

} // namespace attn::tile
