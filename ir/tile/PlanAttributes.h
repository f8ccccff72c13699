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
/// On a kernel function: rows of query and key are multiplied as 8-bit floats, whose sums have fewer bits than f32.
inline constexpr llvm::StringLiteral kFloat8ScoresAttr = "tile.float8_scores";
/// On a kernel function: probs are rounded to 8-bit floats, and multiplied so.
inline constexpr llvm::StringLiteral kFloat8ProbsAttr = "tile.float8_probs";
/// On a kernel function: all products are mma.sync's, also where warpgroups could multiply.
inline constexpr llvm::StringLiteral kMmaSyncAttr = "tile.mma_sync";
/// On a kernel function: so many channels of the first product's left operand are in registers from its tile's begin on, an i32.
inline constexpr llvm::StringLiteral kKeptAttr = "tile.kept";

/// On a kernel of a plan whose keys may be split: when it is launched, one of the words of `KernelUse` (runtime/manifest).
inline constexpr llvm::StringLiteral kUseAttr = "tile.use";
/// On the kernels of such a plan that attend: rows and keys of a tile, in two numbers.
inline constexpr llvm::StringLiteral kTileAttr = "tile.tile";
/// On its kernel for few rows: bytes of a block of keys and values, and of a tile's sums in one share, in two numbers.
inline constexpr llvm::StringLiteral kBytesAttr = "tile.bytes";
/// On its kernel for few rows: how many keys a request has, the text of a size over extents.
inline constexpr llvm::StringLiteral kKeysAttr = "tile.keys";
/// On the kernels of such a plan that attend, and, as entry `kVisibleKeys`, in the schedules that they are made by: how many keys the
/// mask lets a tile see at most, the text of a size over extents and numbers given at launch. Absent where it bounds nothing.
inline constexpr llvm::StringLiteral kVisibleAttr = "tile.visible", kVisibleKeys = "visible";
/// The extent that says into how many shares keys are split, which the launch chooses.
inline constexpr llvm::StringLiteral kSplitsExtent = "splits";

} // namespace attn::tile
