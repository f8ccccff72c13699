// See ClippedLookups.h. An index that neither rises and falls again with the query nor with the key has its least and greatest
// value at two corners of the block. Where these are equal all are:
//
//   %same = cmpi eq, index at (q0 + BM - 1, k0), index at (q0, k0 + BN - 1)           kv - q clipped
//   %x = scf.if %same { %r = tile.map { at %products[%row, %index] }  tile.map %s, %r { … } } else { tile.map %s { … } }
#include "passes/convert/ClippedLookups.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

namespace {
/// How a number changes as the query grows, and as the key grows: never down (1), never up (-1), not at all.
struct Slopes {
  int query = 0, key = 0;
};
} // namespace

static std::optional<int> sumOf(int a, int b) { return a * b < 0 ? std::nullopt : std::optional(a != 0 ? a : b); }

/// Of a sum, or of the smaller or larger of two numbers.
static std::optional<Slopes> both(std::optional<Slopes> a, std::optional<Slopes> b) {
  if (!a || !b)
    return std::nullopt;
  auto query = sumOf(a->query, b->query), key = sumOf(a->key, b->key);
  if (!query || !key)
    return std::nullopt;
  return Slopes{*query, *key};
}

static std::optional<Slopes> times(std::optional<Slopes> slopes, int sign) {
  if (!slopes)
    return std::nullopt;
  return Slopes{slopes->query * sign, slopes->key * sign};
}

static std::optional<Slopes> slopesOf(Value value, KernelScope &kernel) {
  if (kernel.isUniform(value))
    return Slopes{};
  Operation *op = value.getDefiningOp();
  if (auto index = dyn_cast_or_null<ir::IndexOp>(op)) {
    if (index.getKind() == ir::IndexKind::q_idx)
      return Slopes{1, 0};
    return index.getKind() == ir::IndexKind::kv_idx ? std::optional(Slopes{0, 1}) : std::nullopt;
  }
  if (!op || op->getNumOperands() != 2 || !value.getType().isInteger(32))
    return std::nullopt;
  auto of = [&](unsigned operand) { return slopesOf(op->getOperand(operand), kernel); };
  APInt number;
  bool hasNumber = matchPattern(op->getOperand(1), m_ConstantInt(&number));
  if (isa<arith::AddIOp, arith::MinSIOp, arith::MaxSIOp>(op))
    return both(of(0), of(1));
  if (isa<arith::SubIOp>(op))
    return both(of(0), times(of(1), -1));
  if (isa<arith::MulIOp>(op) && hasNumber)
    return times(of(0), number.isNegative() ? -1 : number.isZero() ? 0 : 1);
  if (isa<arith::FloorDivSIOp, arith::DivSIOp>(op) && hasNumber && number.isStrictlyPositive())
    return of(0);
  return std::nullopt;
}

bool ClippedLookups::find(Value root, const FragmentMap &fragments, const LookupReads &lookups) {
  SmallVector<Value> open{root};
  DenseSet<Value> seen;
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (fragments.contains(value) || !seen.insert(value).second)
      continue;
    if (auto read = lookups.find(value); read != lookups.end()) {
      if (!slopesOf(read->second.lookup.index(), kernel))
        return false;
      found.push_back({value, read->second});
    } else if (Operation *op = value.getDefiningOp(); op && !kernel.isUniform(value)) {
      llvm::append_range(open, op->getOperands());
    }
  }
  return !found.empty();
}

/// The value of an index at the corner where it is least, or greatest.
Value ClippedLookups::atCorner(Value index, bool greatest) {
  Slopes slopes = *slopesOf(index, kernel);
  IRMapping numbers;
  auto write = [&](auto &&self, Value value) -> Value {
    if (Value known = numbers.lookupOrNull(value))
      return known;
    if (kernel.isUniform(value))
      return kernel.uniform(value);
    Operation *op = value.getDefiningOp();
    if (auto position = dyn_cast<ir::IndexOp>(op)) {
      if (position.getKind() == ir::IndexKind::q_idx)
        return slopes.query == 0 || (slopes.query > 0) == greatest ? corners.lastQuery : corners.firstQuery;
      return slopes.key == 0 || (slopes.key > 0) == greatest ? corners.lastKey : corners.firstKey;
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      if (!operands.emplace_back(self(self, operand)))
        return {};
    Value result = cloneScalar(builder, op, operands);
    numbers.map(value, result);
    return result;
  };
  return write(write, index);
}

Value ClippedLookups::holds() {
  Value all;
  for (auto &[result, read] : found) {
    Value index = read.lookup.index();
    if (columns.contains(index))
      continue;
    Value least = atCorner(index, false), greatest = atCorner(index, true);
    if (!least || !greatest)
      return {};
    Value same = arith::CmpIOp::create(builder, result.getLoc(), arith::CmpIPredicate::eq, least, greatest);
    if (!isWithin(index, read.lookup.rows))
      least = arith::MinUIOp::create(builder, result.getLoc(), least, kernel.constant(static_cast<int32_t>(read.lookup.rows - 1)));
    columns[index] = least;
    all = all ? arith::AndIOp::create(builder, result.getLoc(), all, same).getResult() : same;
  }
  return all;
}

FragmentMap ClippedLookups::withRows(FragmentMap fragments, int64_t rows) {
  for (auto &[result, read] : found) {
    Location location = result.getLoc();
    auto type = tile::FragType::get(builder.getContext(), {rows}, builder.getF32Type(), {});
    auto map = tile::MapOp::create(builder, location, type, ValueRange());
    OpBuilder body = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
    Value row = tile::RowOp::create(body, location, body.getI32Type());
    Value product = tile::AtOp::create(body, location, body.getF32Type(), read.products, ValueRange{row, columns[read.lookup.index()]});
    tile::YieldOp::create(body, location, product);
    fragments[result] = {map, 0};
  }
  return fragments;
}

} // namespace attn
