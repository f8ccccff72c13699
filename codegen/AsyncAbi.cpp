// See AsyncAbi.h.
#include "codegen/AsyncAbi.h"

#include "ir/tile/TileLayouts.h"

#include "llvm/Support/MathExtras.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn::codegen {

static constexpr std::int64_t kMaxBoxRows = 256;
static constexpr unsigned kMaxMapRank = 5;

bool hasRoles(mlir::Operation *kernel) {
  return kernel->walk([](tile::RoleOp) { return mlir::WalkResult::interrupt(); }).wasInterrupted();
}

unsigned warpsOfBlock(mlir::Operation *kernel) {
  unsigned warps = 0;
  if (auto attribute = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kWarpsAttr))
    warps = static_cast<unsigned>(attribute.getInt());
  kernel->walk([&](tile::RoleOp role) { warps = std::max(warps, role.getEndWarp()); });
  return warps;
}

BarrierPlan planBarriers(mlir::Operation *kernel) {
  BarrierPlan plan;
  if (auto shared = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kSharedBytesAttr))
    plan.sharedBytes = shared.getInt();
  if (!hasRoles(kernel))
    return plan;
  std::int64_t next = llvm::alignTo(plan.sharedBytes, 16);
  kernel->walk([&](tile::RingOp ring) {
    std::int64_t bytes = kBarrierBytes * ring.getResult().getType().getStages();
    plan.rings[ring.getResult()] = {next, next + bytes};
    next += 2 * bytes;
    plan.sharedBytes = next;
  });
  return plan;
}

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

bool isTensorMapFill(tile::FillOp fill) { return fill.getVia() == "tma"; }

TensorMapLayout tensorMapOf(tile::FillOp fill) {
  tile::BufferType buffer = fill.getRing().getType().getBufferType();
  unsigned rank = fill.getTensor().getType().getRank();
  TensorMapLayout map;
  map.swizzle = buffer.getSmem().getSwizzle();
  map.dims = {rank - 1, fill.getDim()};
  map.box = {static_cast<std::uint32_t>(tile::rowPitch(buffer.getShape(), buffer.getElementType(), buffer.getSmem())),
             static_cast<std::uint32_t>(buffer.getShape()[0])};
  for (unsigned dim = rank - 1; dim-- > 0;)
    if (dim != fill.getDim()) {
      map.dims.push_back(dim);
      map.box.push_back(1);
    }
  return map;
}

std::optional<std::string> whyNoTensorMap(tile::FillOp fill) {
  tile::BufferType buffer = fill.getRing().getType().getBufferType();
  unsigned rank = fill.getTensor().getType().getRank();
  if (buffer.getRank() != 2 || buffer.getSmem().getSwizzle() == 0)
    return "a tensor map copies to swizzled buffers only";
  if (buffer.getShape()[0] > kMaxBoxRows)
    return fmt::format("a tensor map copies at most {} rows, but the entry has {}", kMaxBoxRows, buffer.getShape()[0]);
  if (rank < 2 || rank > kMaxMapRank)
    return fmt::format("a tensor map has 2 to {} dimensions here, but the tensor has {}", kMaxMapRank, rank);
  if (fill.getLimit() || fill.getPack())
    return "a tensor map knows no `limit` and no `pack`";
  return std::nullopt;
}

} // namespace attn::codegen
