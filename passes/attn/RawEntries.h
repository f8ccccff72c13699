// Bytes of shared memory of entries as they lie in memory, where rows of 8-bit floats are widened in shared memory
// (passes/tile/WidenedFills.h).
#pragma once

#include "ir/attn/ProductTypes.h"
#include "ir/attn/Schedule.h"

#include "llvm/Support/MathExtras.h"

#include <array>

namespace attn {

/// Of a block's query, keys and values; 0 where rows are not widened so.
inline std::array<int64_t, 3> rawEntryBytes(ir::AttentionOp op, const ir::Schedule &schedule) {
  auto ofRows = [](ir::AttnTensorType tensor, int64_t rows) -> int64_t {
    int64_t length = tensor.getConstantSize(tensor.getRank() - 1).value_or(0);
    return ir::isFloat8(tensor.getElementType()) && length % 16 == 0 ? rows * static_cast<int64_t>(llvm::alignTo(length, 32)) : 0;
  };
  return {ofRows(op.getQueryType(), schedule.blockM), ofRows(op.getKeyType(), schedule.blockN), ofRows(op.getValueType(), schedule.blockN)};
}

} // namespace attn
