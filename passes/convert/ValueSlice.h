// Attentions of wide rows whose sums are in no parts (passes/WideRows.h): kernels one after the other, each with some channels of
// the values and of the result. Each computes all scores; the first one writes the numbers of a row.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"

#include "mlir/IR/Builders.h"

#include <optional>

namespace attn {

/// Some channels of a row.
struct ValueSlice {
  int64_t first, channels;
};

/// The slices of an attention's kernels, of which there is one at least; empty where it is computed otherwise.
llvm::SmallVector<ValueSlice> valueSlices(ir::OnlineAttentionOp op, const ir::Schedule &schedule);

/// Those channels of a `!tile.tensor`'s rows, as a tensor.
mlir::Value columnsOf(mlir::OpBuilder &entry, mlir::Value tensor, ValueSlice slice);

/// The channels of row `row`, stored in `element`, that `vector` is, where threads can copy them as they lie.
std::optional<ValueSlice> copiedSlice(mlir::Value vector, mlir::Value row, mlir::Type element);

} // namespace attn
