// See RelativeRows.h.
#include "passes/RelativeRows.h"

#include "ir/attn/ProductTypes.h"
#include "passes/DiagonalLimits.h"
#include "passes/Distances.h"
#include "passes/Lookups.h"
#include "passes/WideRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static std::optional<PointSteps> positionOf(Operation *op) {
  auto index = dyn_cast<ir::IndexOp>(op);
  if (!index || (index.getKind() != ir::IndexKind::q_idx && index.getKind() != ir::IndexKind::kv_idx))
    return std::nullopt;
  return index.getKind() == ir::IndexKind::q_idx ? PointSteps{1, 0} : PointSteps{0, 1};
}

/// What is neither computed element by element nor read from a table.
static bool isOpaque(Operation *op) {
  return !isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) &&
         !isa<ir::IndexOp, ir::SizeOp, ir::LoadOp, ir::ChannelOp, vector::BroadcastOp>(op);
}

std::optional<RelativeRow> findRelativeRow(Value row) {
  Distances distances(*row.getParentRegion(), positionOf);
  distances.isOpaque = isOpaque;
  if (!isa<VectorType>(row.getType()) || distances.kindOf(row) == PointKind::Other)
    return std::nullopt;
  RelativeRow found{row, {}};
  auto load = row.getDefiningOp<ir::LoadOp>();
  unsigned indices = 0;
  for (unsigned i = 0; load && i < load.getIndices().size(); ++i)
    if (distances.kindOf(load.getIndices()[i]) == PointKind::Distance) {
      ++indices;
      found.dim = i;
    }
  if (indices == 1)
    found.load = load;
  return found;
}

std::optional<RelativeProduct> findRelativeProduct(ir::DotOp dot, unsigned queryFeatures) {
  if (findLookup(dot, queryFeatures)) // cheaper: few rows, multiplied once a tile of queries
    return std::nullopt;
  RelativeProduct product;
  product.dot = dot;
  bool hasFeature = false;
  Value row;
  for (Value operand : {dot.getLhs(), dot.getRhs()}) {
    auto feature = dyn_cast<BlockArgument>(operand);
    if (!feature) {
      row = operand;
      continue;
    }
    hasFeature = true;
    product.ofKey = feature.getArgNumber() >= queryFeatures;
    product.feature = feature.getArgNumber() - (product.ofKey ? queryFeatures : 0);
  }
  auto found = hasFeature && row ? findRelativeRow(row) : std::nullopt;
  if (!found)
    return std::nullopt;
  product.row = *found;
  return product;
}

SmallVector<RelativeProduct> findRelativeProducts(Region &score, unsigned queryFeatures) {
  SmallVector<RelativeProduct> found;
  score.walk([&](ir::DotOp dot) {
    if (auto product = findRelativeProduct(dot, queryFeatures))
      found.push_back(*product);
  });
  return found;
}

SmallVector<Value> rowsAddedToValue(Region &weight) {
  SmallVector<Value> rows;
  if (weight.empty())
    return rows;
  SmallVector<Value> open{weight.front().getTerminator()->getOperand(1)};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (auto sum = value.getDefiningOp<arith::AddFOp>())
      open.append({sum.getRhs(), sum.getLhs()});
    else if (value != weight.getArgument(1))
      rows.push_back(value);
  }
  return rows;
}

SmallVector<ir::LoadOp> loadsBehind(Value row) {
  SmallVector<ir::LoadOp> loads;
  SmallVector<Value> open{row};
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (auto load = dyn_cast_or_null<ir::LoadOp>(op); load && isa<VectorType>(load.getType())) {
      if (!llvm::is_contained(loads, load))
        loads.push_back(load);
    } else if (op) {
      llvm::append_range(open, op->getOperands());
    }
  }
  return loads;
}

bool hasRelativeRows(ir::AttentionOp op) { return relativeRowBytes(op, 1, 1) > 0; }

/// Whether far distances may share a row (AlikeRows.h), which then has a place of its own.
static bool mayShareRow(const RelativeRow &row) {
  if (!row.load || cast<VectorType>(row.row.getType()).getNumElements() > kMostChannelsForAll)
    return false;
  SmallVector<Value> open{ir::LoadOp(row.load).getIndices()[row.dim]};
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (isa_and_present<arith::MinSIOp, arith::MaxSIOp, arith::FloorDivSIOp, arith::DivSIOp, arith::SelectOp>(op))
      return true;
    if (isa_and_present<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
      llvm::append_range(open, op->getOperands());
  }
  return false;
}

int64_t relativeRowBytes(ir::AttentionOp op, int64_t blockM, int64_t blockN) {
  constexpr int64_t kRowsForAll = 16;
  int64_t elements = 0, bytes = ir::featureType(op).getIntOrFloatBitWidth() / 8;
  int64_t granule = bytes == 8 ? 16 : 32, between = bytes >= 4 ? bytes : 0; // f32, f64: plain rows, a chunk or four apart
  auto add = [&](int64_t channels, int64_t rows) { elements += rows * (static_cast<int64_t>(llvm::alignTo(channels, granule)) + between); };
  auto lengthOf = [](Value row) { return cast<VectorType>(row.getType()).getNumElements(); };
  Type real = ir::computeType(op);
  bool isWide = areWide(op.getHeadDim(), op.getValueRowLength(), real);
  auto mayShare = [&](const RelativeRow &row) { return bytes < 8 && mayShareRow(row); };
  for (RelativeProduct &product : findRelativeProducts(op.getScore(), static_cast<unsigned>(op.getQueryFeatureTypes().size())))
    add(lengthOf(product.row.row), blockM + blockN + (mayShare(product.row) ? kRowsForAll : 0));
  for (Value row : rowsAddedToValue(op.getWeight())) { // of wide ones a slice
    auto table = findRelativeRow(row);
    add(isWide ? std::min(lengthOf(row), channelsOfSlice(real)) : lengthOf(row), blockM + blockN + (table && mayShare(*table) ? kRowsForAll : 0));
  }
  return elements * bytes;
}

} // namespace attn
