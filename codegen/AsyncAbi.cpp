// See AsyncAbi.h.
#include "codegen/AsyncAbi.h"

#include "ir/tile/TileLayouts.h"

#include "llvm/Support/MathExtras.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

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
bool isTensorMapStore(tile::StoreOp store) { return store.getVia() == "tma"; }

unsigned packedDimension(unsigned indices, unsigned along) { return indices - 1 == along ? along - 1 : indices - 1; }

/// `pack` heads of a query lie before the next query in the buffer, and so in the box.
static TensorMapLayout mapOf(tile::BufferType buffer, unsigned rank, unsigned along, std::uint32_t rows, std::uint32_t pack) {
  TensorMapLayout map;
  map.swizzle = buffer.getSmem().getSwizzle();
  map.dims = {rank - 1};
  map.box = {static_cast<std::uint32_t>(tile::rowPitch(buffer.getShape(), buffer.getElementType(), buffer.getSmem()))};
  unsigned heads = pack > 1 ? packedDimension(rank - 1, along) : rank;
  if (pack > 1) {
    map.dims.push_back(heads);
    map.box.push_back(pack);
  }
  map.dims.push_back(along);
  map.box.push_back(rows / pack);
  for (unsigned dim = rank - 1; dim-- > 0;)
    if (dim != along && dim != heads) {
      map.dims.push_back(dim);
      map.box.push_back(1);
    }
  return map;
}

std::int64_t pageRowsOfCopy(tile::FillOp fill) {
  return std::gcd(fill.getRing().getType().getShape()[0], *fill.getTensor().getType().getStaticSize(1));
}

TensorMapLayout tensorMapOf(tile::FillOp fill) {
  tile::BufferType buffer = fill.getRing().getType().getBufferType();
  std::int64_t rows = fill.getPages() ? pageRowsOfCopy(fill) : buffer.getShape()[0];
  return mapOf(buffer, fill.getTensor().getType().getRank(), fill.getDim(), static_cast<std::uint32_t>(rows),
               static_cast<std::uint32_t>(fill.getPack().value_or(1)));
}

TensorMapLayout tensorMapOf(tile::StoreOp store) {
  auto buffer = mlir::cast<tile::BufferType>(store.getValue().getType());
  return mapOf(buffer, store.getTensor().getType().getRank(), store.getDim(), kStoreRows, static_cast<std::uint32_t>(store.getPack().value_or(1)));
}

std::optional<TensorMapLayout> tensorMapOf(mlir::Operation *op) {
  if (auto fill = mlir::dyn_cast<tile::FillOp>(op); fill && isTensorMapFill(fill))
    return tensorMapOf(fill);
  if (auto store = mlir::dyn_cast<tile::StoreOp>(op); store && isTensorMapStore(store))
    return tensorMapOf(store);
  return std::nullopt;
}

static std::optional<std::string> whyNoMap(tile::BufferType buffer, unsigned rank) {
  if (buffer.getRank() != 2 || buffer.getSmem().getSwizzle() == 0)
    return "a tensor map serves swizzled buffers only";
  if (rank < 2 || rank > kMaxMapRank)
    return fmt::format("a tensor map has 2 to {} dimensions here, but the tensor has {}", kMaxMapRank, rank);
  return std::nullopt;
}

std::optional<std::string> whyNoTensorMap(tile::FillOp fill) {
  tile::BufferType buffer = fill.getRing().getType().getBufferType();
  if (auto reason = whyNoMap(buffer, fill.getTensor().getType().getRank()))
    return reason;
  if (buffer.getShape()[0] > kMaxBoxRows)
    return fmt::format("a tensor map copies at most {} rows, but the entry has {}", kMaxBoxRows, buffer.getShape()[0]);
  if (fill.getPages() && pageRowsOfCopy(fill) % 8 != 0)
    return fmt::format("a copy of {} rows of a page is no whole pattern of the swizzle", pageRowsOfCopy(fill));
  if (fill.getLimit() && !fill.getPages())
    return "a tensor map knows no `limit`";
  if (auto pack = fill.getPack(); pack && buffer.getShape()[0] % *pack != 0)
    return fmt::format("{} heads do not divide the {} rows of an entry", *pack, buffer.getShape()[0]);
  return std::nullopt;
}

std::optional<std::string> whyNoTensorMap(tile::StoreOp store) {
  auto buffer = mlir::cast<tile::BufferType>(store.getValue().getType());
  if (auto reason = whyNoMap(buffer, store.getTensor().getType().getRank()))
    return reason;
  if (buffer.getShape()[0] % kStoreRows != 0)
    return fmt::format("a warp stores {} rows at a time, but the buffer has {}", kStoreRows, buffer.getShape()[0]);
  if (auto pack = store.getPack(); pack && kStoreRows % *pack != 0)
    return fmt::format("{} heads do not divide the {} rows that a warp stores", *pack, kStoreRows);
  return std::nullopt;
}

} // namespace attn::codegen
