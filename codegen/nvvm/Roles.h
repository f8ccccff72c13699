// What is known of a kernel with warp roles before its code is taken apart, and the dispatch of its warps.
//
//     block:   warp 0 … 7             8 … 11
//              consumer               producer            a role's warps and threads are counted from its first warp
//              row tile 0 | 1         one lane of warp 8 issues all copies; the warp, where it computes short strips as well
#pragma once

#include "codegen/AsyncAbi.h"
#include "ir/tile/TileDialect.h"

#include "mlir/IR/Operation.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/LogicalResult.h"

#include <optional>

namespace attn::codegen {

class KernelContext;

inline constexpr unsigned kWarpgroupThreads = 128;

/// Named barriers: 0 is the block's; those of turns have one a warpgroup, those of roles follow.
inline constexpr unsigned kFirstTurnBarrier = 1, kFirstRoleBarrier = 8;
constexpr unsigned turnBarrier(unsigned turn, unsigned warpgroups) { return kFirstTurnBarrier + turn * warpgroups; }
constexpr unsigned roleBarrier(unsigned role) { return kFirstRoleBarrier + role; }

/// Registers a thread has before its role takes or gives some: the register file in equal parts, in units of 8.
constexpr unsigned registersAtEntry(unsigned threads) {
  unsigned share = 65536 / threads;
  return (share > 255 ? 255 : share) / 8 * 8;
}

/// The warps that execute a piece of code: all of the block, or a role's.
struct WarpRange {
  unsigned first = 0;
  unsigned count = 0;
  unsigned idle = 0;                 ///< warps behind these that the role has, for registers are a warpgroup's, and does not use
  unsigned role = 0;                 ///< its number in the kernel
  bool isOneLane = false;            ///< all of it is done by one lane of the first warp
  std::optional<unsigned> registers; ///< a thread
  unsigned turns = 0;                ///< turns its warpgroups take
  mlir::Operation *anchor = nullptr; ///< what its threads compute once goes before it

  unsigned threads() const { return 32 * count; }
  unsigned warpgroups() const { return count / 4; }
};

/// Arrivals that complete a phase of a ring's barriers.
struct RingArrivals {
  unsigned full = 1;  ///< the copy's one lane, or every thread that fills
  unsigned empty = 1; ///< warps that release
  bool isReadByThreads = false; ///< by loads, not by tensor cores alone
};

struct RoleFacts {
  llvm::SmallVector<WarpRange> roles;
  llvm::DenseMap<mlir::Operation *, unsigned> roleOf; ///< of every operation in a role
  BarrierPlan barriers;
  llvm::MapVector<mlir::Value, RingArrivals> rings;
  llvm::DenseMap<mlir::Operation *, unsigned> younger; ///< products that may be in flight when a wait returns
  llvm::DenseMap<mlir::Operation *, unsigned> keptSteps; ///< of products: steps whose left operand is in registers before the loop
  llvm::DenseMap<mlir::Operation *, unsigned> depths;  ///< of products of two buffers: columns that are not padding
  llvm::DenseMap<mlir::Operation *, mlir::Value> maps; ///< the tensor map of a fill or store: a parameter of the function
};

/// Whether an element of what is built takes few instructions and there are few: one warp computes them beside its copies.
bool isBuiltByOneWarp(tile::BuildOp op);

/// Moves what the kernel computes for its roles into each that uses it: behind its change of registers, where it need not
/// fit the smallest role.
void sinkIntoRoles(mlir::Operation *kernel);

/// The facts of a kernel with roles but for `maps`. Fails after a diagnostic where roles disagree.
llvm::FailureOr<RoleFacts> collectRoles(mlir::Operation *kernel);

/// For each wait, the products issued since the one it waits for (Wgmma.cpp).
llvm::DenseMap<mlir::Operation *, unsigned> countYoungerProducts(mlir::Operation *kernel);

/// For each product whose left operand is awaited in front of its loop, the steps along the depth that are in registers from
/// there on, as `tile.kept` says (Wgmma.cpp).
llvm::DenseMap<mlir::Operation *, unsigned> findKeptSteps(mlir::Operation *kernel);

/// For each product of two buffers of rows, the depth behind which one of them is 0 (Wgmma.cpp).
llvm::DenseMap<mlir::Operation *, unsigned> measureDepths(mlir::Operation *kernel);

/// Replaces the roles in `entry` by a dispatch on the warp's index, behind the set-up of barriers by one thread.
void dispatchRoles(mlir::Block *entry, KernelContext &kernel);

} // namespace attn::codegen
