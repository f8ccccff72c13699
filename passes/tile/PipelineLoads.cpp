// Writes each load into a buffer as the entry of a ring, at distance 0: correct, not yet overlapped with anything.
//
//   %k = tile.load %key[…]      →    tile.acquire %kr[%i]   tile.fill %kr[%i] from %key[…]
//   … uses of %k …                   %k = tile.await %kr[%i]   … uses of %k …   tile.release %kr[%i]
//
// A load in a loop over blocks takes entry i of a ring of `tile.stages` slots, one outside entry 0 of a ring of one. What is
// tabulated (`tile.tabulate`) becomes an entry that is built instead of filled. Rows of diagonals, and the one that stands for all of
// them, are copied where the product that takes either reads them.
// Requires: AssignLayouts. Guarantees: no `tile.load` gives a buffer; every awaited entry is released once.
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/tile/LoopFacts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_PIPELINELOADS
#include "passes/Passes.h.inc"

/// The last operation of the buffer's block that uses it, itself or in a region.
static Operation *lastUserIn(Value buffer, Block *block) {
  Operation *last = nullptr;
  for (Operation *user : buffer.getUsers()) {
    Operation *ancestor = block->findAncestorOpInBlock(*user);
    if (!last || last->isBeforeInBlock(ancestor))
      last = ancestor;
  }
  return last;
}

/// Where a product by diagonals takes one row for all (`alike`), those of the diagonals are not copied, and else that row is not.
static Value whetherRead(OpBuilder &builder, Value rows) {
  Value alike, row;
  if (rows.getDefiningOp<tile::TabulateOp>())
    return {};
  for (Operation *user : rows.getUsers())
    if (auto product = dyn_cast<tile::DiagonalDotOp>(user))
      alike = product.getAlike(), row = product.getRow();
    else if (auto sum = dyn_cast<tile::DiagonalSumOp>(user))
      alike = sum.getAlike(), row = sum.getRow();
    else if (!isa<tile::KeepFiniteOp>(user))
      return {};
  auto multiplies = [](Operation *user) { return isa<tile::DiagonalDotOp, tile::DiagonalSumOp>(user); };
  if (!alike || llvm::count_if(rows.getUsers(), multiplies) != 1)
    return {};
  if (rows == row)
    return alike;
  Value yes = arith::ConstantOp::create(builder, rows.getLoc(), builder.getBoolAttr(true));
  return arith::XOrIOp::create(builder, rows.getLoc(), alike, yes);
}

/// The copy of a load, or the computation of a tabulated matrix, into entry `number`.
static void writeEntry(OpBuilder &builder, Operation *op, Value ring, Value number) {
  if (auto table = dyn_cast<tile::TabulateOp>(op)) {
    auto build = tile::BuildOp::create(builder, op->getLoc(), ring, number);
    build.getBody().takeBody(table.getBody());
    return;
  }
  auto load = cast<tile::LoadOp>(op);
  Value predicate = whetherRead(builder, load.getResult());
  auto fill = tile::FillOp::create(builder, op->getLoc(), ring, number, load.getTensor(), load.getIndices(), load.getDimAttr(),
                                   load.getLimit(), predicate, StringAttr(), load.getPackAttr(), UnitAttr(), load.getPages());
  fill.getRows().takeBody(load.getRows());
}

static LogicalResult rewrite(Operation *load, func::FuncOp kernel, unsigned stages) {
  auto buffer = cast<tile::BufferType>(load->getResult(0).getType());
  Location location = load->getLoc();
  auto loop = dyn_cast<scf::ForOp>(load->getParentOp());
  if (loop && !countsFromZero(loop))
    return load->emitOpError("expects a loop that counts 0, 1, 2, …");
  OpBuilder entry = OpBuilder::atBlockBegin(&kernel.front());
  Value number;
  if (loop)
    number = loop.getInductionVar();
  else
    number = arith::ConstantIntOp::create(entry, location, 0, 32);
  auto ringType = tile::RingType::get(kernel.getContext(), loop ? stages : 1, buffer.getShape(),
                                      buffer.getElementType(), buffer.getLayout());
  Value ring = tile::RingOp::create(entry, location, ringType, IntegerAttr());
  OpBuilder builder(load);
  tile::AcquireOp::create(builder, location, ring, number);
  writeEntry(builder, load, ring, number);
  Value landed = tile::AwaitOp::create(builder, location, buffer, ring, number, IntegerAttr(), UnitAttr());
  if (Operation *last = lastUserIn(load->getResult(0), load->getBlock()))
    builder.setInsertionPointAfter(last);
  tile::ReleaseOp::create(builder, location, ring, number);
  load->getResult(0).replaceAllUsesWith(landed);
  load->erase();
  return success();
}

namespace {
struct PipelineLoads final : impl::PipelineLoadsBase<PipelineLoads> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr))
      return;
    auto stages = kernel->getAttrOfType<IntegerAttr>(tile::kStagesAttr);
    SmallVector<Operation *> loads;
    kernel.walk([&](Operation *op) {
      if (isa<tile::LoadOp, tile::TabulateOp>(op) && isa<tile::BufferType>(op->getResult(0).getType()))
        loads.push_back(op);
    });
    // Rings are written at the kernel's start, so the last one first.
    for (Operation *load : llvm::reverse(loads))
      if (failed(rewrite(load, kernel, stages ? static_cast<unsigned>(stages.getInt()) : 1)))
        return signalPassFailure();
  }
};
} // namespace

} // namespace attn
