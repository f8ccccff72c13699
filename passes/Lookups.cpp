// See Lookups.h.
#include "passes/Lookups.h"

#include "passes/IndexUses.h"
#include "passes/WideRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <limits>

using namespace mlir;

namespace attn {

//===----------------------------------------------------------------------===//
// What an index depends on
//===----------------------------------------------------------------------===//

namespace {
struct Dependence {
  bool query = false, key = false, data = false; ///< data: of the two rows, which a dot makes scores of
};
} // namespace

static Dependence dependenceOf(Value value) {
  Dependence found;
  for (Operation *op : operationsBehind(value)) {
    if (auto index = dyn_cast<ir::IndexOp>(op)) {
      found.query |= index.getKind() == ir::IndexKind::q_idx;
      found.key |= index.getKind() == ir::IndexKind::kv_idx;
    }
    found.data |= isa<ir::DotOp, ir::SuffixSumOp, ir::RandomOp>(op);
  }
  return found;
}

bool dependsOnScores(Value value) { return dependenceOf(value).data; }

//===----------------------------------------------------------------------===//
// Lookups
//===----------------------------------------------------------------------===//

bool Lookup::sharesProducts(const Lookup &other) const {
  auto own = ir::LoadOp(load), others = ir::LoadOp(other.load);
  if (feature != other.feature || dim != other.dim || own.getTensor() != others.getTensor())
    return false;
  for (unsigned i = 0; i < own.getIndices().size(); ++i)
    if (i != dim && own.getIndices()[i] != others.getIndices()[i])
      return false;
  return true;
}

bool Lookup::isCopied(Type element) const {
  auto read = ir::LoadOp(load);
  auto table = cast<ir::AttnTensorType>(read.getTensor().getType());
  int64_t bytes = cast<VectorType>(read.getType()).getNumElements() * element.getIntOrFloatBitWidth() / 8;
  return table.getElementType() == element && bytes % 16 == 0 && table.getRank() <= 5;
}

std::optional<Lookup> findLookup(ir::DotOp dot, unsigned queryFeatures) {
  Lookup lookup{dot, {}};
  bool hasQuery = false;
  for (Value operand : {dot.getLhs(), dot.getRhs()}) {
    auto feature = dyn_cast<BlockArgument>(operand);
    if (feature && feature.getArgNumber() < queryFeatures) {
      lookup.feature = feature.getArgNumber();
      hasQuery = true;
    } else {
      lookup.load = operand.getDefiningOp<ir::LoadOp>();
    }
  }
  if (!hasQuery || !lookup.load)
    return std::nullopt;
  auto table = cast<ir::AttnTensorType>(lookup.load.getTensor().getType());
  bool isFound = false;
  for (auto [dim, index] : llvm::enumerate(lookup.load.getIndices())) {
    Dependence on = dependenceOf(index);
    if (on.data || (on.query && on.key)) {
      if (isFound)
        return std::nullopt;
      isFound = true;
      lookup.dim = static_cast<unsigned>(dim);
    } else if (on.query || on.key) {
      return std::nullopt;
    }
  }
  auto rows = isFound ? table.getConstantSize(lookup.dim) : std::nullopt;
  if (!rows || *rows < 1 || *rows > kMostLookupRows)
    return std::nullopt;
  lookup.rows = *rows;
  auto row = cast<VectorType>(lookup.load.getType());
  int64_t channels = row.getNumElements();
  bool isLarge = lookup.rows * channels > kMostLookupNumbers || areWide(channels, channels, row.getElementType());
  return isLarge && !dependsOnScores(lookup.index()) ? std::nullopt : std::optional(lookup); // the former go by diagonals
}

SmallVector<Lookup> findLookupTables(Region &score, unsigned queryFeatures) {
  SmallVector<Lookup> found;
  score.walk([&](ir::DotOp dot) {
    auto lookup = findLookup(dot, queryFeatures);
    if (lookup && llvm::none_of(found, [&](const Lookup &other) { return other.sharesProducts(*lookup); }))
      found.push_back(*lookup);
  });
  return found;
}

//===----------------------------------------------------------------------===//
// Bounds of an index
//===----------------------------------------------------------------------===//

namespace {
/// Values between these, both included: as they are, those of any i32.
struct Bounds {
  int64_t lo = std::numeric_limits<int32_t>::min(), hi = std::numeric_limits<int32_t>::max();
};
} // namespace

/// Of a sum: any i32 where it may wrap around.
static Bounds unlessWrapped(int64_t lo, int64_t hi) {
  Bounds all;
  return lo < all.lo || hi > all.hi ? all : Bounds{lo, hi};
}

static Bounds boundsOf(Value value, unsigned depth = 0) {
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number)))
    return {number.getSExtValue(), number.getSExtValue()};
  Operation *op = value.getDefiningOp();
  constexpr unsigned kDeepest = 8;
  if (!op || depth == kDeepest)
    return {};
  auto of = [&](unsigned operand) { return boundsOf(op->getOperand(operand), depth + 1); };
  return llvm::TypeSwitch<Operation *, Bounds>(op)
      .Case([&](arith::AddIOp) { return unlessWrapped(of(0).lo + of(1).lo, of(0).hi + of(1).hi); })
      .Case([&](arith::SubIOp) { return unlessWrapped(of(0).lo - of(1).hi, of(0).hi - of(1).lo); })
      .Case([&](arith::MinSIOp) { return Bounds{std::min(of(0).lo, of(1).lo), std::min(of(0).hi, of(1).hi)}; })
      .Case([&](arith::MaxSIOp) { return Bounds{std::max(of(0).lo, of(1).lo), std::max(of(0).hi, of(1).hi)}; })
      .Case([&](arith::SelectOp) { return Bounds{std::min(of(1).lo, of(2).lo), std::max(of(1).hi, of(2).hi)}; })
      .Default([](Operation *) { return Bounds{}; });
}

bool isWithin(Value index, int64_t rows) {
  Bounds bounds = boundsOf(index);
  return bounds.lo >= 0 && bounds.hi < rows;
}

} // namespace attn
