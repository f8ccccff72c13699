// Rows of more than 256 channels, whose sums no warpgroup holds: the columns of a tile's sums are cut into parts, each held by
// some of the warps. What schedule and kernel must agree on: when values are a part of the keys' buffer, and how wide the
// buffers are.
#pragma once

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <optional>

namespace attn {

/// Channels of rows that one part holds: f32 sums of 16 rows take half as many registers of each thread.
inline constexpr int64_t kChannelsOfPart = 256;

/// Query, key and sums of an attention with rows of these lengths are wide.
inline bool areWide(int64_t headDim, int64_t valueLength) { return std::max(headDim, valueLength) > kChannelsOfPart; }

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

/// Columns of the sums: each part begins with a panel of the widest swizzle, 64 channels of 16 bits.
inline int64_t wideSumColumns(int64_t valueLength, int64_t parts) { return static_cast<int64_t>(llvm::alignTo(valueLength, 64 * parts)); }

/// Columns of the buffers of query and key. As wide as the sums where values lie in them; and where all buffers of a kernel
/// live throughout (`areKept`), so that the result is staged on a query that otherwise would be narrower.
inline int64_t wideRowColumns(int64_t padded, int64_t sumColumns, bool isValueInKey, bool areKept) {
  return isValueInKey || (areKept && padded > kChannelsOfPart) ? std::max(padded, sumColumns) : padded;
}

} // namespace attn
