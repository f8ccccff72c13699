// See TileRanges.h.
#include "passes/convert/TileRanges.h"

#include "passes/convert/RowPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace attn {

FailureOr<TileRanges> writeTileRanges(KernelScope &scope, Region &region, Value first, int64_t queries) {
  Location location = region.getLoc();
  OpBuilder &uniform = scope.work;
  Value last = arith::AddIOp::create(uniform, location, first, scope.constant(static_cast<int32_t>(queries - 1)));
  bool reads = llvm::any_of(region.front(), [](Operation &inner) { return isa<ir::LoadOp, ir::LowerBoundOp>(inner); });
  if (reads) { // a table is read at a row that exists
    OpBuilder &builder = scope.rows().isInSequence() ? uniform : scope.entry;
    Value lastRow = arith::SubIOp::create(builder, location, scope.rows().length(ir::IndexKind::q_idx, location), scope.constant(1));
    last = arith::MinSIOp::create(uniform, location, last, lastRow);
  }
  scope.bind(region.getArgument(0), first);
  scope.bind(region.getArgument(1), last);
  auto yield = cast<ir::YieldRangesOp>(region.front().getTerminator());
  TileRanges ranges;
  for (auto [ends, written] : {std::pair(yield.getVisit(), &ranges.visit), {yield.getFull(), &ranges.full}, {yield.getFacts(), &ranges.facts}})
    for (Value end : ends)
      if (!written->emplace_back(scope.uniform(end)))
        return failure();
  return ranges;
}

} // namespace attn
