// Rows of more than 256 channels (of f64: 128), whose sums no warpgroup holds. Either the columns of a tile's sums are cut into
// parts, each held by some of the warps; or, for what parts do not take, one kernel after the other has a slice of the values'
// channels, and each computes all scores. What schedule and kernel must agree on: when values are a part of the keys' buffer, and
// how wide the buffers are.
#pragma once

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <optional>

namespace attn {

/// Channels of rows that one part holds: f32 sums of 16 rows take half as many registers of each thread.
inline constexpr int64_t kChannelsOfPart = 256;

/// Query, key and sums of an attention with rows of these lengths, computed in `real`, are wide.
inline bool areWide(int64_t headDim, int64_t valueLength, mlir::Type real) {
  return std::max(headDim, valueLength) > (real.isF64() ? kChannelsOfPart / 2 : kChannelsOfPart);
}

/// Channels of values in a slice: of f64 so few that they lie in 163 KiB beside 16 queries and 16 keys of 576 channels.
inline int64_t channelsOfSlice(mlir::Type real) { return real.isF64() ? 64 : 128; }

/// Whether a row region gives nothing but slices of the row as it is stored, or all of it.
inline bool givesSlices(mlir::Region &region) {
  if (region.empty())
    return false;
  return llvm::all_of(region.front(), [](mlir::Operation &op) {
    auto slice = mlir::dyn_cast<mlir::vector::ExtractStridedSliceOp>(op);
    return (slice && mlir::isa<mlir::BlockArgument>(slice->getOperand(0))) || op.hasTrait<mlir::OpTrait::IsTerminator>();
  });
}

/// The channels of a value row where it is the first channels of the key's row, both as they are stored.
inline std::optional<int64_t> valueInKey(mlir::Value key, mlir::Region &keyRegion, mlir::Value value, mlir::Region &valueRegion) {
  if (key != value || !keyRegion.empty())
    return std::nullopt;
  auto type = mlir::dyn_cast<ir::AttnTensorType>(key.getType());
  if (!type)
    return std::nullopt;
  if (valueRegion.empty())
    return type.getConstantSize(type.getSizes().size() - 1);
  mlir::Operation *yield = valueRegion.front().getTerminator();
  if (yield->getNumOperands() != 1)
    return std::nullopt;
  auto slice = yield->getOperand(0).getDefiningOp<mlir::vector::ExtractStridedSliceOp>();
  if (!slice || slice->getOperand(0) != valueRegion.getArgument(0) || mlir::cast<mlir::IntegerAttr>(slice.getOffsets()[0]).getInt() != 0)
    return std::nullopt;
  return mlir::cast<mlir::VectorType>(slice.getType()).getNumElements();
}

/// On a kernel with two parts: products of scores are cut along their depth (ir/tile/PartOps.td), and each part has all scores.
inline constexpr llvm::StringLiteral kCutDepthAttr = "tile.cut_depth";

/// Whether warpgroups multiply scores so: half of the channels each, for all keys of a block. Then only what has as many columns
/// as the sums is in parts, so blocks may not have as many keys.
inline bool isDepthCut(int64_t parts, int64_t blockN, int64_t sumColumns) { return parts == 2 && blockN != sumColumns; }

/// Columns of the sums: each part begins with a panel of the widest swizzle, 64 channels of 16 bits.
inline int64_t wideSumColumns(int64_t valueLength, int64_t parts) { return static_cast<int64_t>(llvm::alignTo(valueLength, 64 * parts)); }

/// Columns of the buffers of query and key. As wide as the sums where values lie in them; and where all buffers of a kernel
/// live throughout (`areKept`), so that the result is staged on a query that otherwise would be narrower.
inline int64_t wideRowColumns(int64_t padded, int64_t sumColumns, bool isValueInKey, bool areKept) {
  return isValueInKey || (areKept && padded > kChannelsOfPart) ? std::max(padded, sumColumns) : padded;
}

} // namespace attn
