// What a kernel with warp roles takes from its launch beside what its IR says: shared memory for the barriers of its rings,
// and a tensor map for every way in which its copies cut a tensor.
//
// The barriers lie behind the kernel's own shared memory, 8 bytes each, ring after ring in the order of the code:
//
//     tile.shared_bytes, rounded up to 16 | full[0] … full[S-1] empty[0] … empty[S-1] | the next ring's | …
#pragma once

#include "ir/tile/TileDialect.h"
#include "runtime/manifest/KernelManifest.h"

#include "llvm/ADT/DenseMap.h"

#include <cstdint>
#include <optional>
#include <string>

namespace attn::codegen {

inline constexpr std::int64_t kBarrierBytes = 8;

/// Where the barriers of a ring lie, in bytes from the start of shared memory: one a slot of each kind.
struct RingBarriers {
  std::int64_t full = 0;  ///< an entry has landed
  std::int64_t empty = 0; ///< no one reads the slot any more
};

struct BarrierPlan {
  llvm::DenseMap<mlir::Value, RingBarriers> rings;
  std::int64_t sharedBytes = 0; ///< of the whole kernel, barriers included
};

/// Whether warps of the kernel have different roles.
bool hasRoles(mlir::Operation *kernel);
/// Warps of a block: those of all roles, or the kernel's.
unsigned warpsOfBlock(mlir::Operation *kernel);
/// Barriers of all rings of a kernel with roles; of a kernel without, its shared memory alone.
BarrierPlan planBarriers(mlir::Operation *kernel);

/// Rows of a store that a warp copies at a time: those that it holds in layout `acc`.
inline constexpr std::uint32_t kStoreRows = 16;

/// Of an operation on rows with that many indices, those of heads where `pack` rows of a query are those of as many heads:
/// the last beside the rows' own dimension.
unsigned packedDimension(unsigned indices, unsigned along);

/// Rows that a copy from pages moves: those of a page that lie in one block of rows. The blocks begin at multiples of
/// their length.
std::int64_t pageRowsOfCopy(tile::FillOp fill);

bool isTensorMapFill(tile::FillOp fill);
bool isTensorMapStore(tile::StoreOp store);
/// The tensor map of a fill or store by the tensor memory accelerator: a copy moves one swizzled panel, or a warp's rows of
/// one. Dimensions are counted as in the IR.
TensorMapLayout tensorMapOf(tile::FillOp fill);
TensorMapLayout tensorMapOf(tile::StoreOp store);
/// The tensor map of an operation on this tensor; nothing if it needs none.
std::optional<TensorMapLayout> tensorMapOf(mlir::Operation *op);
/// Why the fill or store cannot be such a copy, or nothing.
std::optional<std::string> whyNoTensorMap(tile::FillOp fill);
std::optional<std::string> whyNoTensorMap(tile::StoreOp store);

} // namespace attn::codegen
