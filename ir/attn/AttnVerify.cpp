// What traits cannot say about the ops: the constraints (C1) to (C10) of AttnOps.td, each cited where it is checked.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/ProductTypes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/SmallSet.h"

using namespace mlir;

namespace attn::ir {

//===----------------------------------------------------------------------===//
// Domains
//===----------------------------------------------------------------------===//

namespace {
/// What a region may look at.
enum class Domain { Row, Column, Point, Tile };
} // namespace

static StringRef spelling(Domain domain) {
  switch (domain) {
  case Domain::Row:
    return "row: b h kv_head q_idx";
  case Domain::Column:
    return "column: b h kv_head kv_idx";
  case Domain::Point:
    return "point";
  case Domain::Tile:
    return "tile: b h kv_head";
  }
  llvm_unreachable("all domains are handled");
}

static bool allows(Domain domain, IndexKind kind) {
  if (kind == IndexKind::q_idx)
    return domain == Domain::Row || domain == Domain::Point;
  if (kind == IndexKind::kv_idx)
    return domain == Domain::Column || domain == Domain::Point;
  return true;
}

/// (C1) A region uses only the indices of its domain.
static LogicalResult verifyDomain(Region &region, StringRef name, Domain domain) {
  WalkResult result = region.walk([&](Operation *op) {
    if (auto index = dyn_cast<IndexOp>(op); index && !allows(domain, index.getKind())) {
      index.emitOpError() << "expects an index of the domain of region `" << name << "` (" << spelling(domain)
                          << "), but got `" << stringifyIndexKind(index.getKind()) << "`";
      return WalkResult::interrupt();
    }
    if (isa<RandomOp, SuffixSumOp>(op) && domain != Domain::Point) {
      op->emitOpError() << "expects a point region, but stands in region `" << name << "`";
      return WalkResult::interrupt();
    }
    if (isa<LowerBoundOp>(op) && domain != Domain::Tile) {
      op->emitOpError() << "expects region `ranges`, but stands in region `" << name << "`";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// The region takes `arguments`, and ends in `attn.yield`.
static LogicalResult verifySignature(Operation *op, Region &region, StringRef name, TypeRange arguments) {
  if (region.getArgumentTypes() != arguments)
    return op->emitOpError() << "expects region `" << name << "` to take (" << arguments << "), but it takes ("
                             << region.getArgumentTypes() << ")";
  if (!isa<YieldOp>(region.front().getTerminator()))
    return op->emitOpError() << "expects region `" << name << "` to end in `attn.yield`";
  return success();
}

static LogicalResult verifyYields(Operation *op, Region &region, StringRef name, TypeRange expected) {
  if (yieldedBy(region).getTypes() != expected)
    return op->emitOpError() << "expects region `" << name << "` to yield (" << expected << "), but it yields ("
                             << yieldedBy(region).getTypes() << ")";
  return success();
}

static Type rowType(Type real, int64_t length) { return VectorType::get({length}, real); }

/// What a region computes in that stands apart from its attention: f64 where its row is of that.
static Type realOf(Region &region) {
  Builder builder(region.getContext());
  bool isDouble = !region.empty() && region.getNumArguments() == 1 && getElementTypeOrSelf(region.getArgument(0)).isF64();
  return isDouble ? Type(builder.getF64Type()) : Type(builder.getF32Type());
}

/// A region from one row to one or more rows.
static LogicalResult verifyRowRegion(Operation *op, Region &region, StringRef name, Domain domain, Type real, int64_t length,
                                     bool manyFeatures) {
  if (region.empty())
    return success();
  if (failed(verifySignature(op, region, name, rowType(real, length))) ||
      failed(verifyDomain(region, name, domain)))
    return failure();
  TypeRange types = yieldedBy(region).getTypes();
  if (types.empty() || (!manyFeatures && types.size() != 1) ||
      !llvm::all_of(types, [](Type type) { return isa<VectorType>(type); }))
    return op->emitOpError() << "expects region `" << name << "` to yield " << (manyFeatures ? "rows" : "one row")
                             << ", but it yields (" << types << ")";
  return success();
}

//===----------------------------------------------------------------------===//
// score
//===----------------------------------------------------------------------===//

/// (C3) Features meet in dots only: with one another, or with a loaded row.
static LogicalResult verifyFeatures(Region &score, unsigned queryFeatures) {
  auto sideOf = [&](Value value) -> int {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != &score.front())
      return 0;
    return argument.getArgNumber() < queryFeatures ? 1 : 2;
  };
  for (BlockArgument feature : score.getArguments())
    for (Operation *user : feature.getUsers())
      if (!isa<DotOp>(user))
        return user->emitOpError("expects features of `score` to be used by `attn.dot` only");
  WalkResult result = score.walk([&](DotOp dot) {
    int lhs = sideOf(dot.getLhs()), rhs = sideOf(dot.getRhs());
    bool lhsLoaded = isa_and_present<LoadOp>(dot.getLhs().getDefiningOp());
    bool rhsLoaded = isa_and_present<LoadOp>(dot.getRhs().getDefiningOp());
    if ((lhs && rhs) || (lhs && rhsLoaded) || (rhs && lhsLoaded))
      return WalkResult::advance();
    dot.emitOpError("expects a feature, and another or a loaded row");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

template <typename AttentionLike>
static LogicalResult verifyScore(AttentionLike op) {
  Region &score = op.getScore();
  SmallVector<Type> queryTypes = op.getQueryFeatureTypes(), keyTypes = op.getKeyFeatureTypes();
  if (score.empty()) {
    if (queryTypes.size() != 1 || queryTypes != keyTypes)
      return op.emitOpError("expects region `score` where `query` and `key` yield other than one feature of one length");
    if (op.getWeights() == Weights::direct)
      return op.emitOpError("expects region `score` with direct weights");
    return success();
  }
  // (C2) The yields of `query` and `key` are the leading and trailing arguments of `score`.
  SmallVector<Type> features = queryTypes;
  features.append(keyTypes);
  if (failed(verifySignature(op, score, "score", features)) || failed(verifyDomain(score, "score", Domain::Point)) ||
      failed(verifyFeatures(score, queryTypes.size())))
    return failure();
  Type real = computeType(op);
  if (op.getWeights() == Weights::direct && op.getNormalize() && yieldedBy(score).size() == 2)
    return verifyYields(op, score, "score", {real, real});
  return verifyYields(op, score, "score", {real});
}

//===----------------------------------------------------------------------===//
// weight
//===----------------------------------------------------------------------===//

/// Whether the value of `value` depends on `argument`, inside the argument's block.
static bool dependsOn(Value value, Value argument) {
  if (value == argument)
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != argument.getParentBlock())
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) { return dependsOn(operand, argument); });
}

/// Whether `value` is `weight` times something free of it: products, quotients, selections against 0.
static bool isMultipleOf(Value value, Value weight) {
  if (value == weight || matchPattern(value, m_AnyZeroFloat()))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  auto isFree = [&](Value operand) { return !dependsOn(operand, weight); };
  if (isa<arith::MulFOp>(op))
    return (isMultipleOf(op->getOperand(0), weight) && isFree(op->getOperand(1))) ||
           (isMultipleOf(op->getOperand(1), weight) && isFree(op->getOperand(0)));
  if (isa<arith::DivFOp>(op))
    return isMultipleOf(op->getOperand(0), weight) && isFree(op->getOperand(1));
  if (isa<arith::SelectOp>(op))
    return isFree(op->getOperand(0)) && isMultipleOf(op->getOperand(1), weight) &&
           isMultipleOf(op->getOperand(2), weight);
  if (isa<arith::AddFOp, arith::SubFOp>(op))
    return isMultipleOf(op->getOperand(0), weight) && isMultipleOf(op->getOperand(1), weight);
  return isa<arith::NegFOp>(op) && isMultipleOf(op->getOperand(0), weight);
}

/// Whether `value` is `row` plus rows free of it.
static bool isRowPlus(Value value, Value row) {
  if (value == row)
    return true;
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (isa<arith::AddFOp>(op))
    return (isRowPlus(op->getOperand(0), row) && !dependsOn(op->getOperand(1), row)) ||
           (isRowPlus(op->getOperand(1), row) && !dependsOn(op->getOperand(0), row));
  return isa<arith::SelectOp>(op) && !dependsOn(op->getOperand(0), row) && isRowPlus(op->getOperand(1), row) &&
         isRowPlus(op->getOperand(2), row);
}

template <typename AttentionLike>
static LogicalResult verifyWeight(AttentionLike op) {
  Region &weight = op.getWeight();
  if (weight.empty())
    return success();
  Type types[] = {computeType(op), rowType(computeType(op), op.getValueRowLength())};
  if (failed(verifySignature(op, weight, "weight", types)) || failed(verifyYields(op, weight, "weight", types)) ||
      failed(verifyDomain(weight, "weight", Domain::Point)))
    return failure();
  // (C4) `weight` yields p·f with f free of p, and v plus a sum of loaded rows.
  OperandRange yielded = yieldedBy(weight);
  if (!isMultipleOf(yielded[0], weight.getArgument(0)))
    return op.emitOpError("expects region `weight` to yield a multiple of its first argument");
  if (!isRowPlus(yielded[1], weight.getArgument(1)) || dependsOn(yielded[1], weight.getArgument(0)))
    return op.emitOpError("expects region `weight` to yield its second argument plus loaded rows");
  return success();
}

//===----------------------------------------------------------------------===//
// attention, online_attention
//===----------------------------------------------------------------------===//

template <typename AttentionLike>
static LogicalResult verifyOperands(AttentionLike op) {
  AttnTensorType query = op.getQueryType(), key = op.getKeyType(), value = op.getValueType();
  bool inSequence = !op.getRagged().empty() || !op.getPaged().empty();
  unsigned queryRank = inSequence ? 3 : 4, keyRank = op.getRagged().empty() ? 4 : 3;
  if (query.getRank() != queryRank || key.getRank() != keyRank || value.getRank() != keyRank)
    return op.emitOpError() << "expects query of rank " << queryRank << ", key and value of rank " << keyRank
                            << ", but got ranks " << query.getRank() << ", " << key.getRank() << ", "
                            << value.getRank();
  for (AttnTensorType type : {query, key, value})
    if (!type.getConstantSize(type.getRank() - 1) || !isa<FloatType>(type.getElementType()))
      return op.emitOpError() << "expects floating elements and a number as last size, but got " << type;
  // (C5) kv_heads divides q_heads.
  std::optional<int64_t> queryHeads = query.getConstantSize(queryRank - 2);
  std::optional<int64_t> kvHeads = key.getConstantSize(keyRank - 2);
  if (queryHeads && kvHeads && *queryHeads % *kvHeads != 0)
    return op.emitOpError() << "expects kv_heads to divide q_heads, but got " << *kvHeads << " and " << *queryHeads;
  bool differ = op.getPaged().empty() ? key.getSizes().drop_back() != value.getSizes().drop_back() // pages, or made of them
                                      : key.getSizes()[keyRank - 2] != value.getSizes()[keyRank - 2];
  if (differ)
    return op.emitOpError() << "expects key and value of equal sizes but for the last, but got " << key << " and "
                            << value;
  if (!op.getRagged().empty() && op.getRagged().size() != 2)
    return op.emitOpError("expects cu_seqlens_q, cu_seqlens_kv as operands of `ragged`");
  if (!op.getPaged().empty() && (op.getPaged().size() != 3 || !op.getPageSize()))
    return op.emitOpError("expects cu_seqlens_q, page_table, kv_lens as operands of `paged`, and `page_size`");
  if (op.getNormalize() && op.getWeights() == Weights::softmax)
    return op.emitOpError("expects `normalize` with direct weights only");
  return success();
}

template <typename AttentionLike>
static LogicalResult verifyStepRegions(AttentionLike op) {
  Type real = computeType(op);
  int64_t headDim = op.getHeadDim(), keyDim = *op.getKeyType().getConstantSize(op.getKeyType().getRank() - 1);
  if (failed(verifyRowRegion(op, op.getQueryRegion(), "query", Domain::Row, real, headDim, true)) ||
      failed(verifyRowRegion(op, op.getKeyRegion(), "key", Domain::Column, real, keyDim, true)) ||
      failed(verifyRowRegion(op, op.getValueRegion(), "value", Domain::Column, real, op.getStoredValueLength(), false)) ||
      failed(verifyScore(op)) || failed(verifyWeight(op)))
    return failure();
  Builder builder(op.getContext());
  if (Region &mask = op.getMask(); !mask.empty())
    if (failed(verifySignature(op, mask, "mask", {})) || failed(verifyDomain(mask, "mask", Domain::Point)) ||
        failed(verifyYields(op, mask, "mask", {builder.getI1Type()})))
      return failure();
  if (Region &init = op.getInit(); !init.empty()) {
    if (op.getWeights() == Weights::direct)
      return op.emitOpError("expects no region `init` with direct weights");
    if (failed(verifySignature(op, init, "init", {})) || failed(verifyDomain(init, "init", Domain::Row)) ||
        failed(verifyYields(op, init, "init", {real})))
      return failure();
  }
  if (Region &ranges = op.getRanges(); !ranges.empty()) {
    Type i32 = builder.getI32Type();
    if (ranges.getArgumentTypes() != TypeRange{i32, i32} || !isa<YieldRangesOp>(ranges.front().getTerminator()))
      return op.emitOpError("expects region `ranges` to take (i32, i32) and to end in `attn.yield_ranges`");
    return verifyDomain(ranges, "ranges", Domain::Tile);
  }
  return success();
}

/// `out` has the result's row length, `lse` and `max_score` are f32 a row.
template <typename OpWithOutputs>
static LogicalResult verifyOutputs(OpWithOutputs op, int64_t rowLength, unsigned stateRank) {
  if (op.getResults().empty() || op.getResults().size() > 3)
    return op.emitOpError() << "expects one to three results, but got " << op.getResults().size();
  if (op.getOutputs() && op.getOutputs()->size() != op.getResults().size())
    return op.emitOpError() << "expects a name in `outputs` for each of " << op.getResults().size()
                            << " results, but got " << op.getOutputs()->size();
  llvm::SmallSet<StringRef, 3> seen;
  if (op.getOutputs())
    for (StringAttr name : op.getOutputs()->template getAsRange<StringAttr>())
      if (!llvm::is_contained({"out", "lse", "max_score"}, name.getValue()) || !seen.insert(name.getValue()).second)
        return op.emitOpError() << "expects out, lse, max_score in `outputs`, each once, but got " << name;
  for (StringRef name : {"lse", "max_score"})
    if (Value result = op.getOutput(name)) {
      auto type = cast<AttnTensorType>(result.getType());
      if (!type.getElementType().isF32() || type.getRank() != stateRank)
        return op.emitOpError() << "expects `" << name << "` as f32 of rank " << stateRank << ", but got " << type;
    }
  if (Value out = op.getOutput("out")) {
    auto type = cast<AttnTensorType>(out.getType());
    int64_t length =
        op.getOut().empty() ? rowLength : cast<VectorType>(yieldedBy(op.getOut()).getTypes().front()).getNumElements();
    if (type.getRank() == 0 || type.getConstantSize(type.getRank() - 1) != length)
      return op.emitOpError() << "expects `out` with rows of " << length << ", but got " << type;
  }
  return success();
}

LogicalResult AttentionOp::verify() { return verifyOperands(*this); }

LogicalResult AttentionOp::verifyRegions() {
  if (failed(verifyStepRegions(*this)) ||
      failed(verifyRowRegion(*this, getOut(), "out", Domain::Row, computeType(*this), getValueRowLength(), false)))
    return failure();
  return verifyOutputs(*this, getValueRowLength(), getQueryType().getRank() - 1);
}

LogicalResult OnlineAttentionOp::verify() {
  if (failed(verifyOperands(*this)))
    return failure();
  auto before = cast<AttnStateType>(getState().getType()), after = cast<AttnStateType>(getResult().getType());
  ArrayRef<Attribute> sizes = after.getSizes();
  if (getSplit()) {
    if (sizes.empty() || sizeExprOf(sizes.front()).constant() != static_cast<int64_t>(*getSplit()))
      return emitOpError() << "expects a leading dimension of " << *getSplit() << " splits, but got " << after;
    sizes = sizes.drop_front();
  }
  if (sizes != before.getSizes() || before.getRowLength() != after.getRowLength() ||
      before.getBins() != after.getBins())
    return emitOpError() << "expects the state it absorbs keys into, but got " << before << " and " << after;
  return success();
}

LogicalResult OnlineAttentionOp::verifyRegions() {
  if (failed(verifyStepRegions(*this)))
    return failure();
  int64_t stateLength = cast<AttnStateType>(getResult().getType()).getRowLength();
  if (stateLength != getValueRowLength())
    return emitOpError() << "expects a state with rows of " << getValueRowLength() << ", but got " << stateLength;
  return success();
}

//===----------------------------------------------------------------------===//
// Other ops on tensors and states
//===----------------------------------------------------------------------===//

LogicalResult MergeOp::verify() {
  auto parts = cast<AttnStateType>(getState().getType()), whole = cast<AttnStateType>(getResult().getType());
  // (C6) The result is the operand without its leading dimension.
  if (parts.getSizes().empty() || parts.getSizes().drop_front() != whole.getSizes() ||
      parts.getRowLength() != whole.getRowLength() || parts.getBins() != whole.getBins())
    return emitOpError() << "expects the operand without its leading dimension, but got " << whole << " from " << parts;
  return success();
}

LogicalResult FinalizeOp::verifyRegions() {
  auto state = cast<AttnStateType>(getState().getType());
  if (failed(verifyRowRegion(*this, getOut(), "out", Domain::Row, realOf(getOut()), state.getRowLength(), false)))
    return failure();
  return verifyOutputs(*this, state.getRowLength(), state.getSizes().size());
}

LogicalResult TransformOp::verifyRegions() {
  auto from = cast<AttnTensorType>(getTensor().getType()), to = cast<AttnTensorType>(getResult().getType());
  std::optional<int64_t> length, resultLength;
  if (from.getRank() > 0 && from.getRank() == to.getRank()) {
    length = from.getConstantSize(from.getRank() - 1);
    resultLength = to.getConstantSize(to.getRank() - 1);
  }
  // Rows in pages become those of requests, which have the padded length.
  bool leavesPages = length && to.getRank() == 4 && getOver() == RowSide::key && from.getSizes()[2] == to.getSizes()[2] &&
                     to.getSizes()[0] == sizeAttr(getContext(), SizeExpr::name("batch")) &&
                     to.getSizes()[1] == sizeAttr(getContext(), SizeExpr::name("kv_len"));
  if (!length || !resultLength || (!leavesPages && from.getSizes().drop_back() != to.getSizes().drop_back()))
    return emitOpError() << "expects tensors of equal sizes but for the last, which are numbers, but got " << from
                         << " and " << to;
  Domain domain = getOver() == RowSide::query ? Domain::Row : Domain::Column;
  if (failed(verifyRowRegion(*this, getRow(), "row", domain, realOf(getRow()), *length, false)))
    return failure();
  return verifyYields(*this, getRow(), "row", {rowType(realOf(getRow()), *resultLength)});
}

//===----------------------------------------------------------------------===//
// In regions
//===----------------------------------------------------------------------===//

/// These have a meaning only at a point that an enclosing op of this dialect gives them.
static LogicalResult verifyInRegion(Operation *op) {
  if (isa_and_present<AttentionOp, OnlineAttentionOp, FinalizeOp, TransformOp>(op->getParentOp()))
    return success();
  return op->emitOpError("expects to stand in a region of an `attn` op");
}

LogicalResult IndexOp::verify() { return verifyInRegion(*this); }
LogicalResult RandomOp::verify() { return verifyInRegion(*this); }
LogicalResult SuffixSumOp::verify() { return verifyInRegion(*this); }

LogicalResult LoadOp::verify() {
  // (C7) The number and type of indices fit the result.
  auto type = cast<AttnTensorType>(getTensor().getType());
  unsigned indices = getIndices().size();
  if (auto row = dyn_cast<VectorType>(getResult().getType())) {
    if (indices + 1 != type.getRank() || type.getConstantSize(indices) != row.getNumElements() ||
        !isa<FloatType>(type.getElementType()))
      return emitOpError() << "expects a row of floating elements with all but the last index, but got " << type
                           << " with " << indices << " indices for " << row;
    return success();
  }
  if (indices != type.getRank())
    return emitOpError() << "expects " << type.getRank() << " indices for a scalar, but got " << indices;
  bool isByteBool = type.getElementType().isInteger(8) && getResult().getType().isInteger(1);
  bool isDouble = isa<FloatType>(type.getElementType()) && getResult().getType().isF64();
  if (getResult().getType() != type.getLoadedType() && !isByteBool && !isDouble)
    return emitOpError() << "expects a load from " << type << " to give " << type.getLoadedType() << ", but got "
                         << getResult().getType();
  return success();
}

LogicalResult LowerBoundOp::verify() {
  // (C8) The tensor ascends; the indices are all but the last.
  auto type = cast<AttnTensorType>(getTensor().getType());
  if (!type.getAscending() || !isa<IntegerType>(type.getElementType()) || getIndices().size() + 1 != type.getRank())
    return emitOpError() << "expects an ascending tensor of integers and all but its last index, but got " << type
                         << " with " << getIndices().size() << " indices";
  return success();
}

LogicalResult RotateOp::verify() {
  // (C9) Twice the number of angles is at most the row's length.
  int64_t angles = cast<VectorType>(getAngle().getType()).getNumElements();
  int64_t length = cast<VectorType>(getRow().getType()).getNumElements();
  if (2 * angles > length)
    return emitOpError() << "expects at most " << length / 2 << " angles for a row of " << length << ", but got "
                         << angles;
  return success();
}

LogicalResult YieldRangesOp::verify() {
  // (C10) Ends come in pairs.
  if (getVisit().size() % 2 || getFull().size() % 2 || getFacts().size() % 2)
    return emitOpError("expects pairs of ends in `visit`, `full` and `facts`");
  return success();
}

} // namespace attn::ir
