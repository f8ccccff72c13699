// See ScorePlan.h.
#include "passes/convert/ScorePlan.h"

#include "ir/attn/ProductTypes.h"
#include "ir/tile/DiagonalOps.h"
#include "passes/convert/DiagonalRows.h"
#include "passes/convert/RowRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

/// Whether `value` is surely > 0 and finite: a factor that may be taken out of a maximum.
static bool isPositive(Value value, func::FuncOp plan) {
  APFloat number(0.0f);
  if (matchPattern(value, m_ConstantFloat(&number)))
    return number.isFiniteNonZero() && !number.isNegative();
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() == &plan.front() && plan.getArgAttr(argument.getArgNumber(), ir::AttnDialect::kPositive);
  Operation *op = value.getDefiningOp();
  if (isa<arith::MulFOp, arith::DivFOp>(op))
    return isPositive(op->getOperand(0), plan) && isPositive(op->getOperand(1), plan);
  if (auto wide = dyn_cast<arith::ExtFOp>(op))
    return isPositive(wide.getIn(), plan);
  return false;
}

LogicalResult ScorePlan::analyse(ir::OnlineAttentionOp attention, KernelScope &kernel, func::FuncOp plan) {
  op = attention;
  if (op.getScore().empty())
    return op.emitOpError("expects region `score`: run `attn-fold-scale` first");
  queryFeatures = static_cast<unsigned>(op.getQueryFeatureTypes().size());
  ValueRange yielded = ir::yieldedBy(op.getScore());
  inner = yielded[0];
  divisor = yielded.size() > 1 ? yielded[1] : Value();
  bool isSoftmax = op.getWeights() == ir::Weights::softmax;
  if (auto sum = inner.getDefiningOp<arith::AddFOp>(); sum && isSoftmax && kernel.isUniform(sum.getRhs())) {
    summand = sum.getRhs();
    inner = sum.getLhs();
  }
  if (auto product = inner.getDefiningOp<arith::MulFOp>(); product && isSoftmax)
    for (unsigned i : {1u, 0u}) {
      Value by = product->getOperand(i);
      if (!kernel.isUniform(by) || !isPositive(by, plan))
        continue;
      factor = by;
      inner = product->getOperand(1 - i);
      break;
    }
  for (Operation &each : op.getScore().front())
    if (auto dot = dyn_cast<ir::DotOp>(each))
      if (failed(classify(dot, kernel)))
        return failure();
  return success();
}

Value ScorePlan::scale(KernelScope &kernel) {
  return factor ? kernel.uniform(factor) : kernel.real(1.0);
}

/// A dot of two features is a product of tiles. The other operand may be a row that depends on one side only: with the
/// feature of the same side it is a term of that row, with the other side's feature a product of tiles again. A row of a small
/// table that the point chooses is looked up; rows that the distance chooses are one a diagonal of the tile.
LogicalResult ScorePlan::classify(ir::DotOp dot, KernelScope &kernel) {
  Product product;
  product.result = dot.getResult();
  if (tables.take(dot, queryFeatures)) {
    product.form = Form::Lookup;
    products.push_back(product);
    return success();
  }
  if (auto relative = findRelativeProduct(dot, queryFeatures);
      relative && (kernel.dependence(relative->row.row) & (kOnQuery | kOnKey)) == (kOnQuery | kOnKey)) {
    product.form = relative->ofKey ? Form::RelativeToKey : Form::RelativeToQuery;
    (relative->ofKey ? product.keyFeature : product.queryFeature) = relative->feature;
    product.relative = relative->row;
    products.push_back(product);
    return success();
  }
  auto isOfQuery = [&](Value operand) {
    auto feature = dyn_cast<BlockArgument>(operand);
    return feature && feature.getArgNumber() < queryFeatures;
  };
  if (isOfQuery(dot.getLhs()) && isOfQuery(dot.getRhs())) {
    product.form = Form::QueryTerm;
    product.queryFeature = cast<BlockArgument>(dot.getLhs()).getArgNumber();
    product.rows = dot.getRhs();
    products.push_back(product);
    return success();
  }
  bool hasQuery = false, hasKey = false;
  for (Value operand : {dot.getLhs(), dot.getRhs()}) {
    auto feature = dyn_cast<BlockArgument>(operand);
    if (!feature) {
      product.rows = operand;
    } else if (feature.getArgNumber() < queryFeatures) {
      hasQuery = true;
      product.queryFeature = feature.getArgNumber();
    } else {
      hasKey = true;
      product.keyFeature = feature.getArgNumber() - queryFeatures;
    }
  }
  uint8_t on = product.rows ? kernel.dependence(product.rows) : 0;
  if (hasQuery && hasKey)
    product.form = Form::Tiles;
  else if (hasQuery && product.rows && !(on & kOnKey))
    product.form = Form::QueryTerm;
  else if (hasKey && product.rows && !(on & kOnKey))
    product.form = Form::RowsTimesKeys;
  else if (hasQuery && product.rows && !(on & kOnQuery))
    product.form = Form::QueryTimesRows;
  else
    return dot.emitOpError("is not supported: a row that depends on query and key would be needed for each pair");
  products.push_back(product);
  return success();
}

/// The rows that are no feature, as a matrix operand.
Value ScorePlan::operandOf(const Product &product, KernelScope &kernel, OpBuilder &builder, const Frame &frame,
                           Type element) {
  Value row = RowRegion(kernel, frame, builder, {}, {}, nullptr).row(product.rows);
  if (!row)
    return {};
  return tile::ConvertOp::create(builder, product.result.getLoc(), frame.matrixType(element), row);
}

static int64_t columnsOf(Value fragment) { return cast<tile::FragType>(fragment.getType()).getColumns(); }

LogicalResult ScorePlan::writeQueryTerms(KernelScope &kernel, OpBuilder &builder, ValueRange queryOperands,
                                         Value firstOfTile, int64_t rows) {
  firstRow = firstOfTile;
  Type element = ir::featureType(op);
  for (Product &product : products) {
    int64_t length = product.rows ? cast<VectorType>(product.rows.getType()).getNumElements() : 0;
    Frame frame{rows, kernel.paddedColumns(length), ir::IndexKind::q_idx, firstRow, {}};
    if (product.form == Form::RowsTimesKeys) {
      product.invariant = operandOf(product, kernel, builder, frame, element);
    } else if (product.form == Form::QueryTerm) {
      auto widened = [&](unsigned feature) -> Value {
        return tile::ConvertOp::create(builder, product.result.getLoc(), frame.matrixType(kernel.realType()), queryOperands[feature]);
      };
      BlockArgument argument = op.getScore().getArgument(product.queryFeature);
      RowRegion region(kernel, frame, builder, argument, widened(product.queryFeature), nullptr);
      if (auto other = dyn_cast<BlockArgument>(product.rows); other && other != argument)
        region.bind(other, widened(other.getArgNumber()));
      product.invariant = region.dot(argument, product.rows, product.result.getLoc());
    } else {
      continue;
    }
    if (!product.invariant)
      return failure();
  }
  return tables.write(kernel, builder, queryOperands, rows);
}

/// The addition that is the only use of `product`, and what it is added to, if that stands in a fragment which nothing else
/// uses; else null. Products then need no fragment of their own.
static arith::AddFOp sumWith(Value product, const FragmentMap &results, Value &other) {
  auto sum = product.hasOneUse() ? dyn_cast<arith::AddFOp>(*product.user_begin()) : arith::AddFOp();
  if (!sum)
    return {};
  other = sum.getLhs() == product ? sum.getRhs() : sum.getLhs();
  auto known = results.find(other);
  bool isTile = known != results.end() && cast<tile::FragType>(known->second.value.getType()).getRank() == 2;
  return isTile && other.hasOneUse() ? sum : arith::AddFOp();
}

LogicalResult ScorePlan::writeRelative(const Product &product, KernelScope &kernel, OpBuilder &builder, Value operand, Value firstKey,
                                       tile::FragType type, FragmentMap &results) const {
  Frame point{type.getRows(), type.getColumns(), ir::IndexKind::q_idx, firstRow, firstKey};
  Type element = cast<tile::FragType>(operand.getType()).getElementType();
  RowForAll forAll; // first: whether it holds says which rows are copied
  bool mayBeOne = hasRowForAll(kernel, product.relative, element);
  if (mayBeOne)
    forAll = rowForAll(kernel, builder, product.relative, point, columnsOf(operand), element);
  Value rows = diagonalRows(kernel, builder, product.relative, point, columnsOf(operand), element);
  if (!rows || (mayBeOne && !forAll.rows))
    return failure();
  Value other, addend;
  arith::AddFOp sum = sumWith(product.result, results, other);
  if (sum)
    addend = results.lookup(other).value;
  bool ofKey = product.form == Form::RelativeToKey;
  Value scores = tile::DiagonalDotOp::create(builder, product.result.getLoc(), type, operand, rows, addend, forAll.rows, forAll.isAlike, ofKey);
  results[sum ? sum.getResult() : product.result] = {scores, 0};
  return success();
}

LogicalResult ScorePlan::checkDiagonals(FragmentMap &results, function_ref<Value(Value, ArrayRef<ir::LoadOp>)> checked) const {
  for (const Product &product : products) {
    if (!isRelative(product))
      continue;
    Value stands = product.result;
    for (Operation *user = *stands.user_begin(); isa<arith::AddFOp>(user) && results.contains(user->getResult(0));
         user = *stands.user_begin())
      stands = user->getResult(0); // the sum that it is part of
    Value &scores = results[stands].value;
    if (!(scores = checked(scores, loadsBehind(product.relative.row))))
      return failure();
  }
  return success();
}

FailureOr<FragmentMap> ScorePlan::writeProducts(KernelScope &kernel, OpBuilder &builder, ValueRange queryOperands,
                                                ValueRange keyOperands, Value firstKey, Value zero) {
  FragmentMap results;
  int64_t keys = cast<tile::FragType>(zero.getType()).getColumns();
  for (const Product &product : products) {
    Location location = product.result.getLoc();
    if (product.form == Form::Lookup)
      continue;
    if (product.form == Form::QueryTerm) {
      results[product.result] = {product.invariant, 0};
      continue;
    }
    if (isRelative(product))
      continue;
    Value lhs = product.form == Form::RowsTimesKeys ? product.invariant : queryOperands[product.queryFeature];
    Value rhs;
    if (product.form == Form::QueryTimesRows) {
      Frame frame{keys, columnsOf(lhs), ir::IndexKind::kv_idx, firstKey, {}};
      rhs = operandOf(product, kernel, builder, frame, ir::featureType(op));
      if (!rhs)
        return failure();
    } else {
      rhs = keyOperands[product.keyFeature];
    }
    Value scores = tile::DotOp::create(builder, location, zero.getType(), lhs, rhs, zero, /*trans=*/true);
    results[product.result] = {scores, 0};
  }
  for (const Product &product : products) { // behind the others, to which they are added
    if (!isRelative(product))
      continue;
    Value operand = product.form == Form::RelativeToKey ? keyOperands[product.keyFeature] : queryOperands[product.queryFeature];
    if (failed(writeRelative(product, kernel, builder, operand, firstKey, cast<tile::FragType>(zero.getType()), results)))
      return failure();
  }
  return results;
}

} // namespace attn
