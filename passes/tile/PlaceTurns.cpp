// Lets the warpgroups of a role issue their products in turns: while one multiplies, the other computes its softmax, and
// the tensor cores always have work (FlashAttention-3, section 3.1).
//
//   for … { turn_begin; issue S = Q·K; issue O += P·V; turn_end; wait S; … }
//
// Requires: SpecializeWarps. Changes nothing where a loop has no products in flight, where it computes operands, for which
// all warpgroups meet in barriers before the product, where they meet to add up what each has of a product, or where the role
// has one warpgroup.
#include "ir/tile/PartOps.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_PLACETURNS
#include "passes/Passes.h.inc"

static constexpr int32_t kWarpsOfGroup = 4;

static void placeIn(scf::ForOp loop) {
  tile::DotAsyncOp first, last;
  for (Operation &op : *loop.getBody()) {
    if (isa<tile::WaitOp>(op))
      break;
    if (auto dot = dyn_cast<tile::DotAsyncOp>(op)) {
      first = first ? first : dot;
      last = dot;
    }
  }
  bool computesOperands = !loop.getBody()->getOps<tile::WriteOp>().empty();
  bool addsUp = !loop.getBody()->getOps<tile::AddPartsOp>().empty();
  if (!first || computesOperands || addsUp)
    return;
  OpBuilder builder(first);
  tile::TurnBeginOp::create(builder, first.getLoc(), 0);
  builder.setInsertionPointAfter(last);
  tile::TurnEndOp::create(builder, last.getLoc(), 0);
}

namespace {
struct PlaceTurns final : impl::PlaceTurnsBase<PlaceTurns> {
  void runOnOperation() override {
    getOperation()->walk([](tile::RoleOp role) {
      if (static_cast<int32_t>(role.getEndWarp() - role.getFirstWarp()) <= kWarpsOfGroup)
        return;
      role.walk([](scf::ForOp loop) { placeIn(loop); });
    });
  }
};
} // namespace

} // namespace attn
