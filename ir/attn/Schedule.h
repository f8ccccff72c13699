// The attribute `schedule` of an attention as numbers: in which blocks and with how many warps it is computed.
// Written by SelectSchedule, read by AttnToTile and the passes after it.
#pragma once

#include "mlir/IR/BuiltinAttributes.h"

#include <cstdint>
#include <string_view>

namespace attn::ir {

/// The entry of the schedule that is the schedule of the kernel for few rows; absent where the plan has none.
inline constexpr llvm::StringLiteral kFewRows = "few_rows";

struct Schedule {
  int64_t blockM = 0;   ///< query rows a CTA
  int64_t blockN = 0;   ///< kv rows an iteration
  int64_t stages = 0;   ///< K and V buffers each, the pipeline's depth
  int64_t warps = 0;    ///< of a CTA
  int64_t pack = 1;     ///< query heads of a kv head whose rows share a tile: row r is query r / pack of head r % pack
  int64_t emulate = 0;  ///< of a hundred exponentials of the softmax, how many are computed by fma
  int64_t parts = 1;    ///< parts that the columns of scores and sums are cut into; `warps / parts` have the same columns

  int64_t chunked = 0;  ///< 1: linear attention whose first keys come as their sum (passes/LinearForm.h)

  int64_t split = 0;    ///< 1: the plan has a kernel for few rows too, whose keys may be split (`kFewRows`)

  int64_t listed = 0;   ///< 1: kernels in front look at each point and list the blocks that a tile visits (passes/attn/ListedBlocks.h)

  int64_t kept = 0;     ///< channels of the query that warps hold in registers, where matrix units read the others from shared memory

  /// Queries of a tile.
  int64_t queries() const { return blockM / pack; }
  /// 16-row slabs of a warp.
  int64_t slabs() const { return blockM * parts / warps / 16; }

  /// The entry of that name (`block_m`, `block_n`, `stages`, `warps`, `pack`, `chunked`, `split`, `listed`, `kept`), or null.
  int64_t *entry(std::string_view name);

  mlir::DictionaryAttr toAttr(mlir::MLIRContext *context) const;
  /// Entries of other names are other passes' business; all above but `pack`, `emulate` and `parts` must be there.
  static mlir::FailureOr<Schedule> fromAttr(mlir::DictionaryAttr attr,
                                            llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
};

} // namespace attn::ir
