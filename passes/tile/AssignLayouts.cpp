// Decides where every fragment's elements lie, and puts the operands of matrix products where `tile.dot` takes them:
//
//   2-D fragments       acc<W>, W the kernel's warps
//   1-D fragments       row<W>; sums of rows carried by a loop row_partial<W>, added up once behind it
//   rhs of a dot        a buffer: the load's own, or a `write` of what was computed (in place on the load it came from)
//   lhs of a dot        computed beside the dot: lhs<W> in registers (probs); else a buffer (query)
//   16-bit results      staged in a buffer, so that memory is written in whole 16-byte chunks
//
// With `tile.parts` the columns of all 2-D fragments are cut into parts, so no thread has a row's scores: maxima and sums of
// rows are combined through a scratch buffer, and probs go through a buffer that all parts multiply from:
//
//   softmax_step %x          →   %own = reduce max %x (row_partial);  %m = combine max %own;  softmax_step %x … block_max %m
//   dot %probs, %v, %acc     →   write %probs, %buffer;  dot %buffer, %v, %acc
//
// With `tile.cut_depth` beside two parts only what has the columns of the sums is cut by column. Scores are whole in both parts,
// for products of them are cut along the depth, and what parts have of these is added up:
//
//   dot %q, trans %k, 0        →   %s = dot %q, trans %k, 0 (twice the columns);  add_parts %s
//
// Requires: no layouts yet. Guarantees: every fragment has a layout, every rhs is a buffer; loads give buffers, which
// PipelineLoads turns into rings.
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/PartOps.h"
#include "ir/tile/SoftmaxOps.h"
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "ir/tile/TransposeOps.h"
#include "passes/Passes.h"
#include "passes/WideRows.h"
#include "passes/tile/LoopFacts.h"

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
  LayoutAssignment(func::FuncOp kernel, unsigned warps, unsigned parts)
      : kernel(kernel), context(kernel.getContext()), parts(parts), cutsDepth(parts > 1 && kernel->hasAttr(kCutDepthAttr)),
        acc(tile::AccAttr::get(context, warps, parts)), row(tile::RowAttr::get(context, warps, parts)),
        partial(tile::RowPartialAttr::get(context, warps, parts)), scores(acc), lhs(tile::LhsAttr::get(context, warps, parts)),
        partialOfScores(partial) {
    if (!cutsDepth)
      return;
    scores = tile::AccAttr::get(context, warps / parts);
    lhs = tile::LhsAttr::get(context, warps / parts);
    partialOfScores = tile::RowPartialAttr::get(context, warps / parts);
  }

  LogicalResult run();

private:
  void findSums();
  void setDefaults();
  Attribute partialOf(OpResult sum) const;
  bool carryPartial(OpOperand &before, OpResult after);
  void placeRowSum(OpOperand &before, OpResult after);
  void combineMaximum(tile::SoftmaxStepOp step);
  void combineSum(tile::ReduceOp reduce);
  void combineConverted(tile::ConvertOp convert);
  LogicalResult cutDepth(tile::DotOp dot);
  Value scratchOf(tile::FragType type, Operation *user);
  void placeInShared(OpResult loaded);
  void placeOperand(OpOperand &operand, bool mayBeRegisters);
  int64_t stagingColumns(tile::StoreOp store);
  void stageStore(tile::StoreOp store);
  void turn(tile::TransposeOp transpose);
  void keepInBuffer(tile::KeepFiniteOp keep);
  Value inBuffer(Value fragment);
  tile::LoadOp claimSource(Value fragment);
  Value allocate(tile::FragType type, bool byColumns = false);
  tile::BufferType bufferType(tile::FragType type, unsigned written = 1, bool byColumns = false) const;

  func::FuncOp kernel;
  MLIRContext *context;
  unsigned parts;
  bool cutsDepth;
  Attribute acc, row, partial;
  Attribute scores, lhs, partialOfScores;     ///< of what comes before probs are multiplied
  int64_t sumColumns = 0;                     ///< where these differ from `acc`
  Value scratch[2];                           ///< of what parts hold of each row: for uses in loops, and behind them
  DenseSet<Operation *> claimed;              ///< loads whose buffer holds an operand already
  llvm::DenseMap<Value, Value> written;       ///< fragment → buffer that holds it
};

} // namespace

/// `written`: in how many parts threads write it.
tile::BufferType LayoutAssignment::bufferType(tile::FragType type, unsigned written, bool byColumns) const {
  auto layout = tile::operandLayout(context, type.getColumns(), type.getElementType(), written, byColumns);
  return tile::BufferType::get(context, type.getShape(), type.getElementType(), layout);
}

Value LayoutAssignment::allocate(tile::FragType type, bool byColumns) {
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.front());
  return tile::AllocOp::create(builder, kernel.getLoc(), bufferType(type, parts, byColumns), IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// The columns of what probs and values are multiplied to.
void LayoutAssignment::findSums() {
  kernel.walk([&](tile::DotOp dot) {
    if (!dot.getTrans())
      sumColumns = dot.getType().getColumns();
  });
}

void LayoutAssignment::setDefaults() {
  auto setType = [&](Value value) {
    auto type = dyn_cast<tile::FragType>(value.getType());
    if (type && !type.getLayout())
      value.setType(type.withLayout(type.getRank() == 1 ? row : type.getColumns() == sumColumns ? acc : scores));
  };
  kernel.walk([&](Operation *op) {
    llvm::for_each(op->getResults(), setType);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), setType);
  });
}

/// The layout of what threads have of a sum over columns.
Attribute LayoutAssignment::partialOf(OpResult sum) const {
  auto summed = cast<tile::FragType>(sum.getOwner()->getOperand(0).getType()); // of a softmax step or a `reduce`
  return summed.getLayout() == scores ? partialOfScores : partial;
}

/// Keeps a sum of rows as four summands from step to step, where a loop carries it: `before` is the sum that comes in,
/// `after` the one that goes on. False if no loop does.
bool LayoutAssignment::carryPartial(OpOperand &before, OpResult after) {
  Location location = after.getLoc();
  auto rowType = cast<tile::FragType>(after.getType());
  auto partialType = rowType.withLayout(partialOf(after));
  auto carried = dyn_cast<BlockArgument>(before.get());
  auto loop = dyn_cast<scf::ForOp>(after.getOwner()->getParentOp());
  if (!loop || !carried || carried.getOwner() != loop.getBody() || carried.getArgNumber() == 0 || !carried.hasOneUse() ||
      loop.getYieldedValues()[carried.getArgNumber() - 1] != after)
    return false;
  after.setType(partialType);
  OpBuilder builder(loop);
  unsigned position = carried.getArgNumber() - 1;
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
  return true;
}

/// The sum of a softmax step: as four summands also where no loop carries it.
void LayoutAssignment::placeRowSum(OpOperand &before, OpResult after) {
  if (carryPartial(before, after))
    return;
  Location location = after.getLoc();
  auto rowType = cast<tile::FragType>(after.getType());
  auto partialType = rowType.withLayout(partialOf(after));
  OpBuilder builder(after.getOwner());
  after.setType(partialType);
  before.set(tile::ConvertOp::create(builder, location, partialType, before.get()));
  builder.setInsertionPointAfter(after.getOwner());
  auto whole = tile::ConvertOp::create(builder, location, rowType, after);
  after.replaceAllUsesExcept(whole, whole);
}

//===----------------------------------------------------------------------===//
// Rows of columns in parts
//===----------------------------------------------------------------------===//

/// Two of them: what is combined in a loop need not wait for what was behind the loop of the tile before.
Value LayoutAssignment::scratchOf(tile::FragType type, Operation *user) {
  Value &known = scratch[isa<scf::ForOp>(user->getParentOp())];
  if (known)
    return known;
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.front());
  auto buffer = tile::BufferType::get(context, {int64_t(parts), type.getRows()}, builder.getF32Type(), tile::SmemAttr::get(context, 0, 0));
  return known = tile::AllocOp::create(builder, kernel.getLoc(), buffer, IntegerAttr());
}

void LayoutAssignment::combineMaximum(tile::SoftmaxStepOp step) {
  if (tile::partsOf(step.getScores().getType().getLayout()) == 1)
    return;
  OpBuilder builder(step);
  Location location = step.getLoc();
  auto type = step.getRowMax().getType();
  auto least = APFloat::getInf(APFloat::IEEEsingle(), /*Negative=*/true);
  Value none = tile::SplatOp::create(builder, location, type.withLayout(partial), least);
  Value own = tile::ReduceOp::create(builder, location, tile::ReduceKind::max, step.getScores(), none);
  Value all = tile::CombineOp::create(builder, location, type, tile::ReduceKind::max, own, scratchOf(type, step));
  step.getBlockMaxMutable().assign(all);
  // Sums of that many columns are scaled where a row's maximum has grown, not for each block (OverlapDots).
  auto loop = dyn_cast<scf::ForOp>(step->getParentOp());
  bool isMultiplied = !llvm::all_of(step.getProbs().getUsers(), [](Operation *user) { return isa<tile::ConvertOp>(user); });
  if (loop && !isMultiplied && maximumServesSumsAlone(step, loop))
    step.setLazy(APFloat(kRescaleAbove));
}

/// A sum over all columns: what each thread has of it, then all.
void LayoutAssignment::combineSum(tile::ReduceOp reduce) {
  auto type = reduce.getType();
  if (type.getLayout() != row || tile::partsOf(reduce.getInput().getType().getLayout()) == 1)
    return;
  OpBuilder builder(reduce);
  Location location = reduce.getLoc();
  reduce.getInitMutable().assign(tile::ConvertOp::create(builder, location, type.withLayout(partial), reduce.getInit()));
  reduce.getResult().setType(type.withLayout(partial));
  builder.setInsertionPointAfter(reduce);
  auto all = tile::CombineOp::create(builder, location, type, reduce.getKind(), reduce.getResult(), scratchOf(type, reduce));
  reduce.getResult().replaceAllUsesExcept(all, all);
}

void LayoutAssignment::combineConverted(tile::ConvertOp convert) {
  if (convert.getInput().getType().getLayout() != partial || convert.getType().getLayout() != row)
    return;
  OpBuilder builder(convert);
  auto type = convert.getType();
  auto all = tile::CombineOp::create(builder, convert.getLoc(), type, tile::ReduceKind::add, convert.getInput(), scratchOf(type, convert));
  convert.getResult().replaceAllUsesWith(all.getResult());
  convert.erase();
}

/// Both parts multiply some steps of the depth for all columns.
LogicalResult LayoutAssignment::cutDepth(tile::DotOp dot) {
  auto start = dot.getAcc().getDefiningOp<tile::SplatOp>();
  if (!start || !start.getValue().isPosZero())
    return dot.emitOpError("expects to begin with 0 where its depth is cut");
  auto type = dot.getType();
  auto summands = tile::FragType::get(context, {type.getRows(), parts * type.getColumns()}, type.getElementType(), acc);
  OpBuilder entry = OpBuilder::atBlockBegin(&kernel.front());
  auto buffer = tile::BufferType::get(context, {int64_t(parts), type.getRows() * type.getColumns() / parts}, type.getElementType(),
                                      tile::SmemAttr::get(context, 0, 0));
  Value exchange = tile::AllocOp::create(entry, dot.getLoc(), buffer, IntegerAttr());
  OpBuilder outside(start), builder(dot);
  Value zero = tile::SplatOp::create(outside, start.getLoc(), summands, start.getValueAttr());
  Value product = tile::DotOp::create(builder, dot.getLoc(), summands, dot.getLhs(), dot.getRhs(), zero, /*trans=*/true);
  Value sum = tile::AddPartsOp::create(builder, dot.getLoc(), type, product, exchange);
  dot.replaceAllUsesWith(sum);
  dot.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Whether the operation takes this operand from shared memory.
static bool takesBuffer(OpOperand &use) {
  if (auto diagonal = dyn_cast<tile::DiagonalDotOp>(use.getOwner()))
    return use.get() != diagonal.getAcc();
  return isa<tile::KeepFiniteOp>(use.getOwner()) ||
         (isa<tile::DotOp, tile::DiagonalSumOp>(use.getOwner()) && use.getOperandNumber() != 2);
}

/// Whether rows of f64, or what is made of their elements, are the right operand of a product as they are, K x N: their lanes
/// read down the columns (codegen/nvvm/DotDouble.cpp).
static bool isReadByColumns(Value rows) {
  auto type = dyn_cast<tile::FragType>(rows.getType());
  if (!type || !type.getElementType().isF64())
    return false;
  return llvm::any_of(rows.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto dot = dyn_cast<tile::DotOp>(user))
      return !dot.getTrans() && use.getOperandNumber() == 1;
    if (isa<tile::DiagonalSumOp>(user))
      return use.getOperandNumber() == 1;
    return isa<tile::KeepFiniteOp, tile::ConvertOp, tile::MapOp, tile::RotateOp>(user) && isReadByColumns(user->getResult(0));
  });
}

/// A matrix that is loaded or tabulated lands in shared memory; what is not an operand of a dot reads it into registers.
void LayoutAssignment::placeInShared(OpResult loaded) {
  auto type = dyn_cast<tile::FragType>(loaded.getType());
  if (!type || type.getRank() != 2)
    return;
  SmallVector<OpOperand *> reads;
  for (OpOperand &use : loaded.getUses())
    if (!takesBuffer(use))
      reads.push_back(&use);
  loaded.setType(bufferType(type, 1, isReadByColumns(loaded)));
  if (reads.empty())
    return;
  OpBuilder builder(loaded.getOwner());
  builder.setInsertionPointAfter(loaded.getOwner());
  auto fragment = tile::ReadOp::create(builder, loaded.getLoc(), type, loaded, /*trans=*/false);
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
      if (onlyRead && read.getBuffer().getType() == bufferType(type, 1, isReadByColumns(fragment)) && claimed.insert(load).second)
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
  buffer = source ? source.getResult() : allocate(cast<tile::FragType>(fragment.getType()), isReadByColumns(fragment));
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
  // Sums by diagonals take the same registers.
  bool isOnlyLeft = llvm::all_of(fragment.getUses(), [&](OpOperand &use) {
    return &use == &operand || (isa<tile::DiagonalSumOp>(use.getOwner()) && use.getOperandNumber() == 0);
  });
  if (mayBeRegisters && besideDot && isa<tile::ConvertOp>(definition) && isOnlyLeft) {
    fragment.setType(cast<tile::FragType>(fragment.getType()).withLayout(lhs));
    return;
  }
  auto type = cast<tile::FragType>(fragment.getType());
  auto read = dyn_cast_or_null<tile::ReadOp>(definition);
  if (mayBeRegisters && besideDot && read && read.getTrans()) { // the same registers
    OpBuilder builder(operand.getOwner());
    operand.set(tile::ConvertOp::create(builder, fragment.getLoc(), type.withLayout(lhs), fragment));
    return;
  }
  auto dot = dyn_cast<tile::DotOp>(operand.getOwner());
  if (mayBeRegisters && besideDot && dot && !dot.getTrans() && type.getElementType().getIntOrFloatBitWidth() >= 32) { // probs: nothing is packed
    OpBuilder builder(context);
    builder.setInsertionPointAfterValue(fragment);
    Value left = tile::ConvertOp::create(builder, fragment.getLoc(), type.withLayout(lhs), fragment);
    fragment.replaceUsesWithIf(left, [&](OpOperand &use) {
      return &use == &operand || (isa<tile::DiagonalSumOp>(use.getOwner()) && use.getOperandNumber() == 0);
    });
    return;
  }
  operand.set(inBuffer(fragment));
}

/// Columns become rows as they are read: from the buffer that the rows were loaded into, or one that they are written to.
void LayoutAssignment::turn(tile::TransposeOp transpose) {
  auto rows = transpose.getInput().getDefiningOp<tile::ReadOp>();
  bool isStored = rows && !rows.getTrans();
  Value buffer = isStored ? rows.getBuffer() : inBuffer(transpose.getInput());
  OpBuilder builder(transpose);
  auto columns = tile::ReadOp::create(builder, transpose.getLoc(), transpose.getType(), buffer, /*trans=*/true);
  transpose.replaceAllUsesWith(columns.getOperation());
  transpose.erase();
  if (isStored && rows->use_empty())
    rows.erase();
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

LogicalResult LayoutAssignment::run() {
  SmallVector<OpResult> loads;
  SmallVector<tile::SoftmaxStepOp> steps;
  SmallVector<tile::BoundedSoftmaxStepOp> boundedSteps;
  SmallVector<tile::ReduceOp> sums;
  SmallVector<tile::TransposeOp> transposes;
  SmallVector<tile::DotOp> dots;
  SmallVector<tile::KeepFiniteOp> keeps;
  SmallVector<tile::StoreOp> stores;
  kernel.walk([&](Operation *op) {
    if (isa<tile::LoadOp, tile::TabulateOp>(op))
      loads.push_back(op->getResult(0));
    else if (auto step = dyn_cast<tile::SoftmaxStepOp>(op))
      steps.push_back(step);
    else if (auto bounded = dyn_cast<tile::BoundedSoftmaxStepOp>(op))
      boundedSteps.push_back(bounded);
    else if (auto sum = dyn_cast<tile::ReduceOp>(op); sum && sum.getKind() == tile::ReduceKind::add)
      sums.push_back(sum);
    else if (auto transpose = dyn_cast<tile::TransposeOp>(op))
      transposes.push_back(transpose);
    else if (auto dot = dyn_cast<tile::DotOp>(op))
      dots.push_back(dot);
    else if (auto keep = dyn_cast<tile::KeepFiniteOp>(op))
      keeps.push_back(keep);
    else if (auto store = dyn_cast<tile::StoreOp>(op))
      stores.push_back(store);
  });
  if (cutsDepth)
    findSums();
  setDefaults();
  llvm::for_each(loads, [&](OpResult loaded) { placeInShared(loaded); });
  auto placeSumOf = [&](auto step) { placeRowSum(step.getRowSumMutable(), cast<OpResult>(step.getNewRowSum())); };
  llvm::for_each(steps, placeSumOf);
  llvm::for_each(boundedSteps, placeSumOf);
  llvm::for_each(sums, [&](tile::ReduceOp sum) { (void)carryPartial(sum.getInitMutable(), cast<OpResult>(sum.getResult())); });
  llvm::for_each(transposes, [&](tile::TransposeOp transpose) { turn(transpose); });
  llvm::for_each(keeps, [&](tile::KeepFiniteOp keep) { keepInBuffer(keep); });
  for (tile::DotOp dot : dots) {
    placeOperand(dot.getLhsMutable(), /*mayBeRegisters=*/parts == 1 || cutsDepth);
    placeOperand(dot.getRhsMutable(), /*mayBeRegisters=*/false);
  }
  kernel.walk([&](tile::DiagonalDotOp dot) {
    placeOperand(dot.getOperandMutable(), /*mayBeRegisters=*/false);
    placeOperand(dot.getDiagonalsMutable(), /*mayBeRegisters=*/false);
    for (OpOperand &row : dot.getRowMutable())
      placeOperand(row, /*mayBeRegisters=*/false);
  });
  kernel.walk([&](tile::DiagonalSumOp sum) {
    placeOperand(sum.getDiagonalsMutable(), /*mayBeRegisters=*/false);
    for (OpOperand &row : sum.getRowMutable())
      placeOperand(row, /*mayBeRegisters=*/false);
  });
  llvm::for_each(stores, [&](tile::StoreOp store) { stageStore(store); });
  if (parts == 1)
    return success();
  llvm::for_each(sums, [&](tile::ReduceOp sum) { combineSum(sum); });
  llvm::for_each(steps, [&](tile::SoftmaxStepOp step) { combineMaximum(step); });
  SmallVector<tile::ConvertOp> converts;
  kernel.walk([&](tile::ConvertOp convert) { converts.push_back(convert); });
  llvm::for_each(converts, [&](tile::ConvertOp convert) { combineConverted(convert); });
  for (tile::DotOp dot : dots)
    if (cutsDepth && dot.getTrans() && failed(cutDepth(dot)))
      return failure();
  return success();
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
    auto parts = kernel->getAttrOfType<IntegerAttr>(tile::kPartsAttr);
    if (failed(LayoutAssignment(kernel, static_cast<unsigned>(warps.getInt()), parts ? static_cast<unsigned>(parts.getInt()) : 1).run()))
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
