// `tile.skip_work` becomes a branch around what stands behind it in the work tile:
//
//   foreach_work { A; skip_work if c; B; yield v }   →   foreach_work { A; r = scf.if not c { B; v } else { as carried in }; yield r }
//
// Before roles and registers are looked at, so that all that follows sees control flow it knows.
#include "codegen/nvvm/Entry.h"

#include "ir/tile/WorkOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

namespace attn::codegen {

static void guardWork(tile::SkipWorkOp skip) {
  mlir::Block *body = skip->getBlock();
  auto yield = mlir::cast<tile::YieldOp>(body->getTerminator());
  auto work = mlir::cast<tile::ForeachWorkOp>(body->getParentOp());
  mlir::OpBuilder builder(skip);
  mlir::Location location = skip.getLoc();
  mlir::Value yes = mlir::arith::ConstantOp::create(builder, location, builder.getBoolAttr(true));
  mlir::Value isWork = mlir::arith::XOrIOp::create(builder, location, skip.getCondition(), yes);
  auto branch = mlir::scf::IfOp::create(builder, location, yield.getValues().getTypes(), isWork, /*withElseRegion=*/true);
  mlir::Block *then = branch.thenBlock();
  if (!then->empty())
    then->back().erase();
  then->getOperations().splice(then->end(), body->getOperations(), std::next(branch->getIterator()), yield->getIterator());
  builder.setInsertionPointToEnd(then);
  mlir::scf::YieldOp::create(builder, location, yield.getValues());
  mlir::Block *otherwise = branch.elseBlock();
  if (!otherwise->empty())
    otherwise->back().erase();
  builder.setInsertionPointToEnd(otherwise);
  mlir::scf::YieldOp::create(builder, location, body->getArguments().take_back(work.getInits().size()));
  yield.getValuesMutable().assign(branch.getResults());
  skip.erase();
}

void guardSkippedWork(mlir::func::FuncOp kernel) {
  llvm::SmallVector<tile::SkipWorkOp> skips;
  kernel.walk([&](tile::SkipWorkOp skip) { skips.push_back(skip); });
  llvm::for_each(skips, guardWork);
}

} // namespace attn::codegen
