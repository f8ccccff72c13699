// Takes out of the loop over blocks of keys what is expensive and the same for all of them.
//
// In a map's region a value that depends on the row and on nothing of the loop, and whose computation reads a tensor,
// divides or calls a transcendental function, becomes a 1-D map before the loop; the row's entry comes in as an input:
//
//   scf.for … { %y = tile.map %s { ^(%z): %r = tile.row … %a = tile.param %slope[%h, %q0 + %r] … } }
//   → %a = tile.map { %r = tile.row … tile.param … }   scf.for … { %y = tile.map %s, %a { ^(%z, %a0): … } }
//
// Cheap integers and products are computed again where they are used: a register costs more. What depends on the key
// alone is not moved. Requires: AttnToTile. Guarantees: results are unchanged.
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_HOISTINVARIANTS
#include "passes/Passes.h.inc"

namespace {

/// What a map in a loop computes from the row alone.
class RowValues {
public:
  RowValues(tile::MapOp map, scf::ForOp loop) : map(map), loop(loop) {}

  void hoist();

private:
  bool isInvariant(Value value);
  bool isCostly(Value value);
  bool usesRow(Value value);
  Value copyOut(Value value);

  tile::MapOp map;
  scf::ForOp loop;
  DenseMap<Value, bool> invariant, costly, row;
};

} // namespace

/// Depends on the row and on what is computed before the loop only.
bool RowValues::isInvariant(Value value) {
  if (auto known = invariant.find(value); known != invariant.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  bool result;
  if (value.getParentRegion() != &map.getBody())
    result = !loop->isAncestor(value.getParentBlock()->getParentOp());
  else if (!op) // a 1-D input that is made before the loop has been moved out already
    result = false;
  else
    result = !isa<tile::ColOp, tile::AtOp>(op) && op->getNumRegions() == 0 &&
             llvm::all_of(op->getOperands(), [&](Value operand) { return isInvariant(operand); });
  return invariant[value] = result;
}

bool RowValues::isCostly(Value value) {
  if (auto known = costly.find(value); known != costly.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  bool inside = op && op->getParentRegion() == &map.getBody();
  return costly[value] = inside && (isExpensive(op) || llvm::any_of(op->getOperands(), [&](Value operand) { return isCostly(operand); }));
}

bool RowValues::usesRow(Value value) {
  if (auto known = row.find(value); known != row.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  bool inside = op && op->getParentRegion() == &map.getBody();
  return row[value] = inside && (isa<tile::RowOp>(op) || llvm::any_of(op->getOperands(), [&](Value operand) { return usesRow(operand); }));
}

/// The 1-D map before the loop that computes `value`, from what the map's body holds now.
Value RowValues::copyOut(Value value) {
  OpBuilder builder(loop);
  Location location = value.getLoc();
  auto type = tile::FragType::get(value.getContext(), {map.getType().getRows()}, value.getType(), {});
  auto rows = tile::MapOp::create(builder, location, type, ValueRange());
  OpBuilder body = OpBuilder::atBlockEnd(&rows.getBody().emplaceBlock());
  IRMapping mapping;
  Value copy = copyOutOf(body, map.getBody(), value, mapping);
  tile::YieldOp::create(body, location, copy);
  return rows.getResult();
}

void RowValues::hoist() {
  // The outermost such values: those that something else than an invariant uses.
  SmallVector<Value> found;
  for (Operation &op : map.getBody().front()) {
    if (op.getNumResults() != 1)
      continue;
    Value value = op.getResult(0);
    bool fits = value.getType().isF32() || value.getType().isF64() || value.getType().isInteger(32);
    bool used = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return user->getNumResults() != 1 || user->getResult(0).getType().isInteger(1) || !isInvariant(user->getResult(0));
    });
    if (fits && used && isInvariant(value) && isCostly(value) && usesRow(value))
      found.push_back(value);
  }
  // All copies first: one such value may be made of another, which is to be an input of this map only.
  SmallVector<Value> rows = llvm::map_to_vector(found, [&](Value value) { return copyOut(value); });
  for (auto [value, fragment] : llvm::zip(found, rows)) {
    map.getInputsMutable().append(fragment);
    value.replaceAllUsesWith(map.getBody().addArgument(value.getType(), value.getLoc()));
  }
}

namespace {
struct HoistInvariants final : impl::HoistInvariantsBase<HoistInvariants> {
  void runOnOperation() override {
    getOperation()->walk([](tile::MapOp map) {
      if (auto loop = map->getParentOfType<scf::ForOp>(); loop && map.getType().getRank() == 2)
        RowValues(map, loop).hoist();
    });
  }
};
} // namespace

} // namespace attn
