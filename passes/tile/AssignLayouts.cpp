// Decides where every fragment's elements lie, and puts the operands of matrix products where `tile.dot` takes them:
//
//   2-D fragments       acc<W>, W the kernel's warps
//   1-D fragments       row<W>; the row_sum carried by a loop row_partial<W>, added up once behind it
//   rhs of a dot        a buffer: the load's own, or a `write` of what was computed (in place on the load it came from)
//   lhs of a dot        computed beside the dot: lhs<W> in registers (probs); else a buffer (query)
//   16-bit results      staged in a buffer, so that memory is written in whole 16-byte chunks
//
// Requires: no layouts yet. Guarantees: every fragment has a layout, every rhs is a buffer; loads give buffers, which
// PipelineLoads turns into rings.
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_ASSIGNLAYOUTS
#include "passes/Passes.h.inc"

namespace {

class LayoutAssignment {
public:
  LayoutAssignment(func::FuncOp kernel, unsigned warps)
      : kernel(kernel), context(kernel.getContext()), acc(tile::AccAttr::get(context, warps)),
        lhs(tile::LhsAttr::get(context, warps)), row(tile::RowAttr::get(context, warps)),
        partial(tile::RowPartialAttr::get(context, warps)) {}

  void run();

private:
  void setDefaults();
  void placeRowSum(tile::SoftmaxStepOp step);
  void placeLoad(tile::LoadOp load);
  void placeOperand(OpOperand &operand, bool mayBeRegisters);
  int64_t stagingColumns(tile::StoreOp store);
  void stageStore(tile::StoreOp store);
  void keepInBuffer(tile::KeepFiniteOp keep);
  Value inBuffer(Value fragment);
  tile::LoadOp claimSource(Value fragment);
  Value allocate(tile::FragType type);
  tile::BufferType bufferType(tile::FragType type) const;

  func::FuncOp kernel;
  MLIRContext *context;
  Attribute acc, lhs, row, partial;
  DenseSet<Operation *> claimed;              ///< loads whose buffer holds an operand already
  llvm::DenseMap<Value, Value> written;       ///< fragment → buffer that holds it
};

} // namespace

tile::BufferType LayoutAssignment::bufferType(tile::FragType type) const {
  auto layout = tile::operandLayout(context, type.getColumns(), type.getElementType());
  return tile::BufferType::get(context, type.getShape(), type.getElementType(), layout);
}

Value LayoutAssignment::allocate(tile::FragType type) {
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.front());
  return tile::AllocOp::create(builder, kernel.getLoc(), bufferType(type), IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

void LayoutAssignment::setDefaults() {
  auto setType = [&](Value value) {
    auto type = dyn_cast<tile::FragType>(value.getType());
    if (type && !type.getLayout())
      value.setType(type.withLayout(type.getRank() == 1 ? row : acc));
  };
  kernel.walk([&](Operation *op) {
    llvm::for_each(op->getResults(), setType);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), setType);
  });
}

/// Keeps the row_sum as four summands a row from step to step.
void LayoutAssignment::placeRowSum(tile::SoftmaxStepOp step) {
  Location location = step.getLoc();
  auto rowType = step.getNewRowSum().getType();
  auto partialType = rowType.withLayout(partial);
  auto carried = dyn_cast<BlockArgument>(step.getRowSum());
  auto loop = dyn_cast<scf::ForOp>(step->getParentOp());
  OpBuilder builder(step);
  step.getNewRowSum().setType(partialType);
  bool isCarried = loop && carried && carried.getOwner() == loop.getBody() && carried.getArgNumber() > 0 &&
                   loop.getYieldedValues()[carried.getArgNumber() - 1] == step.getNewRowSum();
  if (!isCarried) {
    step.getRowSumMutable().assign(tile::ConvertOp::create(builder, location, partialType, step.getRowSum()));
    builder.setInsertionPointAfter(step);
    auto whole = tile::ConvertOp::create(builder, location, rowType, step.getNewRowSum());
    step.getNewRowSum().replaceAllUsesExcept(whole, whole);
    return;
  }
  unsigned position = carried.getArgNumber() - 1;
  builder.setInsertionPoint(loop);
  Value init = loop.getInitArgs()[position];
  auto splat = init.getDefiningOp<tile::SplatOp>();
  if (splat && splat.getValue().isZero())
    init = tile::SplatOp::create(builder, location, partialType, splat.getValueAttr());
  else
    init = tile::ConvertOp::create(builder, location, partialType, init);
  loop.getInitArgsMutable()[position].assign(init);
  carried.setType(partialType);
  Value result = loop.getResult(position);
  result.setType(partialType);
  builder.setInsertionPointAfter(loop);
  auto whole = tile::ConvertOp::create(builder, location, rowType, result);
  result.replaceAllUsesExcept(whole, whole);
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// A 2-D load lands in shared memory; what is not an operand of a dot reads it into registers.
void LayoutAssignment::placeLoad(tile::LoadOp load) {
  auto type = dyn_cast<tile::FragType>(load.getType());
  if (!type || type.getRank() != 2)
    return;
  SmallVector<OpOperand *> reads;
  for (OpOperand &use : load.getResult().getUses())
    if (!isa<tile::KeepFiniteOp>(use.getOwner()) && (!isa<tile::DotOp>(use.getOwner()) || use.getOperandNumber() == 2))
      reads.push_back(&use);
  load.getResult().setType(bufferType(type));
  if (reads.empty())
    return;
  OpBuilder builder(load);
  builder.setInsertionPointAfter(load);
  auto fragment = tile::ReadOp::create(builder, load.getLoc(), type, load.getResult(), /*trans=*/false);
  for (OpOperand *use : reads)
    use->set(fragment);
}

/// The load whose rows `fragment` was computed from, element by element, if its buffer is free for the result.
tile::LoadOp LayoutAssignment::claimSource(Value fragment) {
  SmallVector<Value> open{fragment};
  auto type = cast<tile::FragType>(fragment.getType());
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (auto read = dyn_cast_or_null<tile::ReadOp>(op)) {
      auto load = read.getBuffer().getDefiningOp<tile::LoadOp>();
      bool onlyRead = load && load->hasOneUse() && load->getBlock() == fragment.getParentBlock();
      if (onlyRead && read.getBuffer().getType() == bufferType(type) && claimed.insert(load).second)
        return load;
      continue;
    }
    if (op && isa<tile::ConvertOp, tile::MapOp, tile::RotateOp>(op))
      llvm::append_range(open, op->getOperands());
  }
  return {};
}

Value LayoutAssignment::inBuffer(Value fragment) {
  Value &buffer = written[fragment];
  if (buffer)
    return buffer;
  tile::LoadOp source = claimSource(fragment);
  buffer = source ? source.getResult() : allocate(cast<tile::FragType>(fragment.getType()));
  OpBuilder builder(context);
  builder.setInsertionPointAfterValue(fragment);
  tile::WriteOp::create(builder, fragment.getLoc(), fragment, buffer, /*trans=*/false);
  return buffer;
}

void LayoutAssignment::placeOperand(OpOperand &operand, bool mayBeRegisters) {
  Value fragment = operand.get();
  if (isa<tile::BufferType>(fragment.getType()))
    return;
  Operation *definition = fragment.getDefiningOp();
  bool besideDot = definition && definition->getBlock() == operand.getOwner()->getBlock();
  if (mayBeRegisters && besideDot && isa<tile::ConvertOp>(definition) && fragment.hasOneUse()) {
    fragment.setType(cast<tile::FragType>(fragment.getType()).withLayout(lhs));
    return;
  }
  operand.set(inBuffer(fragment));
}

/// The buffer itself is changed, and takes the result's place.
void LayoutAssignment::keepInBuffer(tile::KeepFiniteOp keep) {
  Value input = keep.getInput();
  Value buffer = isa<tile::BufferType>(input.getType()) ? input : inBuffer(input);
  OpBuilder builder(keep);
  auto inPlace = tile::KeepFiniteOp::create(builder, keep.getLoc(), Type(), keep.getFound().getType(), buffer, keep.getPredicate(),
                                            keep.getRows());
  keep.getResult().replaceAllUsesWith(buffer);
  keep.getFound().replaceAllUsesWith(inPlace.getFound());
  keep.erase();
}

/// As wide as the buffers that rows of this length are loaded into: whole panels of their swizzle.
int64_t LayoutAssignment::stagingColumns(tile::StoreOp store) {
  auto type = cast<tile::FragType>(store.getValue().getType());
  auto rows = store.getTensor().getType();
  int64_t columns = type.getColumns();
  kernel.walk([&](tile::LoadOp load) {
    auto buffer = dyn_cast<tile::BufferType>(load.getType());
    auto tensor = load.getTensor().getType();
    if (buffer && buffer.getShape().size() == 2 && tensor.getStaticSize(tensor.getRank() - 1) == rows.getStaticSize(rows.getRank() - 1))
      columns = std::max(columns, buffer.getShape()[1]);
  });
  return columns;
}

void LayoutAssignment::stageStore(tile::StoreOp store) {
  auto type = dyn_cast<tile::FragType>(store.getValue().getType());
  if (!type || type.getRank() != 2 || type.getElementType().getIntOrFloatBitWidth() != 16)
    return;
  Value buffer = allocate(tile::FragType::get(context, {type.getRows(), stagingColumns(store)}, type.getElementType(), {}));
  OpBuilder builder(store);
  tile::WriteOp::create(builder, store.getLoc(), store.getValue(), buffer, /*trans=*/false);
  store.getValueMutable().assign(buffer);
}

void LayoutAssignment::run() {
  SmallVector<tile::LoadOp> loads;
  SmallVector<tile::SoftmaxStepOp> steps;
  SmallVector<tile::DotOp> dots;
  SmallVector<tile::KeepFiniteOp> keeps;
  SmallVector<tile::StoreOp> stores;
  kernel.walk([&](Operation *op) {
    if (auto load = dyn_cast<tile::LoadOp>(op))
      loads.push_back(load);
    else if (auto step = dyn_cast<tile::SoftmaxStepOp>(op))
      steps.push_back(step);
    else if (auto dot = dyn_cast<tile::DotOp>(op))
      dots.push_back(dot);
    else if (auto keep = dyn_cast<tile::KeepFiniteOp>(op))
      keeps.push_back(keep);
    else if (auto store = dyn_cast<tile::StoreOp>(op))
      stores.push_back(store);
  });
  setDefaults();
  llvm::for_each(loads, [&](tile::LoadOp load) { placeLoad(load); });
  llvm::for_each(steps, [&](tile::SoftmaxStepOp step) { placeRowSum(step); });
  llvm::for_each(keeps, [&](tile::KeepFiniteOp keep) { keepInBuffer(keep); });
  for (tile::DotOp dot : dots) {
    placeOperand(dot.getLhsMutable(), /*mayBeRegisters=*/true);
    placeOperand(dot.getRhsMutable(), /*mayBeRegisters=*/false);
  }
  llvm::for_each(stores, [&](tile::StoreOp store) { stageStore(store); });
}

namespace {
struct AssignLayouts final : impl::AssignLayoutsBase<AssignLayouts> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (!kernel->hasAttr(tile::kKernelAttr))
      return;
    auto warps = kernel->getAttrOfType<IntegerAttr>(tile::kWarpsAttr);
    if (!warps) {
      kernel.emitOpError("expects attribute `tile.warps`");
      return signalPassFailure();
    }
    LayoutAssignment(kernel, static_cast<unsigned>(warps.getInt())).run();
  }
};
} // namespace

} // namespace attn
