// See BlockRanges.h. A single range that starts at 0, the usual case, gives
//
//   count = max(ceildiv(end, BN), 1),  block(i) = count - (i + 1),  full: block < floordiv(full_end, BN)
//
// and one that does not  block(i) = max(ceildiv(end, BN) - (i + 1), its first).
//
// Several ranges may overlap and stand in any order: they are sorted by their first block with a compare-exchange
// network of selects, and each is cut where the ones before it end, for a block visited twice would count twice.
#include "passes/convert/BlockRanges.h"

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace attn {

static bool isConstant(Value value, int64_t expected) {
  APInt number;
  return matchPattern(value, m_ConstantInt(&number)) && number.getSExtValue() == expected;
}

static bool isNotNegative(Value value) {
  APInt number;
  return matchPattern(value, m_ConstantInt(&number)) && number.sge(0);
}

template <typename OpTy> static Value binary(OpBuilder &builder, Location location, Value a, Value b) {
  return builder.createOrFold<OpTy>(location, a, b);
}

static Value compare(OpBuilder &builder, Location location, arith::CmpIPredicate predicate, Value a, Value b) {
  return arith::CmpIOp::create(builder, location, predicate, a, b);
}

Value BlockRanges::number(OpBuilder &builder, int64_t value) const {
  return arith::ConstantIntOp::create(builder, location, value, 32);
}

BlockRanges::BlockRanges(OpBuilder &work, Location location, ValueRange visit, ValueRange full, int64_t blockN)
    : location(location), blockN(blockN) {
  for (unsigned i = 1; i < visit.size(); i += 2)
    lastKey = lastKey ? binary<arith::MaxSIOp>(work, location, lastKey, visit[i]) : visit[i];
  visitBlocks(work, visit);
  Value size = number(work, blockN);
  for (unsigned i = 0; i + 1 < full.size(); i += 2) {
    Value lo = isNotNegative(full[i]) && isConstant(full[i], 0)
                   ? full[i]
                   : binary<arith::CeilDivSIOp>(work, location, full[i], size);
    fulls.push_back({lo, binary<arith::FloorDivSIOp>(work, location, full[i + 1], size)});
  }
}

void BlockRanges::visitBlocks(OpBuilder &work, ValueRange keys) {
  Value zero = number(work, 0), size = number(work, blockN);
  SmallVector<Range> ranges;
  for (unsigned i = 0; i + 1 < keys.size(); i += 2) {
    Value lo = keys[i];
    if (!isConstant(lo, 0)) {
      if (!isNotNegative(lo))
        lo = binary<arith::MaxSIOp>(work, location, lo, zero);
      lo = binary<arith::DivUIOp>(work, location, lo, size);
    }
    ranges.push_back({lo, binary<arith::CeilDivSIOp>(work, location, keys[i + 1], size)});
  }
  if (ranges.empty())
    ranges.push_back({zero, zero});
  if (ranges.size() > 1)
    visitSorted(work, ranges);
  Value sum;
  for (Range &range : ranges) {
    Value length = isConstant(range.lo, 0) ? range.hi : binary<arith::SubIOp>(work, location, range.hi, range.lo);
    sum = sum ? binary<arith::AddIOp>(work, location, sum, length) : length;
  }
  total = binary<arith::MaxSIOp>(work, location, sum, number(work, 1));
  visited = std::move(ranges);
}

/// Sorts by `lo`, then makes the ranges disjoint and their lengths not negative.
void BlockRanges::visitSorted(OpBuilder &work, MutableArrayRef<Range> ranges) {
  for (Range &range : ranges)
    range.hi = binary<arith::MaxSIOp>(work, location, range.hi, range.lo);
  for (size_t end = ranges.size(); end > 1; --end)
    for (size_t i = 0; i + 1 < end; ++i) {
      Range a = ranges[i], b = ranges[i + 1];
      Value swap = compare(work, location, arith::CmpIPredicate::sgt, a.lo, b.lo);
      auto pick = [&](Value yes, Value no) { return arith::SelectOp::create(work, location, swap, yes, no).getResult(); };
      ranges[i] = {pick(b.lo, a.lo), pick(b.hi, a.hi)};
      ranges[i + 1] = {pick(a.lo, b.lo), pick(a.hi, b.hi)};
    }
  Value reached = ranges.front().hi;
  for (Range &range : ranges.drop_front()) {
    range.lo = binary<arith::MaxSIOp>(work, location, range.lo, reached);
    range.hi = binary<arith::MaxSIOp>(work, location, range.hi, range.lo);
    reached = range.hi;
  }
}

void BlockRanges::visitListed(OpBuilder &work, Value tensor, ValueRange place, Value count) {
  list = tensor;
  listed = count;
  placeOfList.assign(place.begin(), place.end());
  shown = binary<arith::MaxSIOp>(work, location, count, number(work, 1));
}

/// An entry holds a block and whether it is full, in the lowest bit.
Value BlockRanges::listedBlock(OpBuilder &builder, Value i) const {
  SmallVector<Value> place(placeOfList);
  place.push_back(i);
  Value exists = compare(builder, location, arith::CmpIPredicate::slt, i, listed);
  Value entry = tile::ParamOp::create(builder, location, builder.getI32Type(), list, place, exists);
  return arith::ShRUIOp::create(builder, location, entry, number(builder, 1));
}

Value BlockRanges::block(OpBuilder &builder, Value i) const {
  if (list)
    return listedBlock(builder, i);
  if (firstShown)
    i = binary<arith::AddIOp>(builder, location, i, firstShown);
  Value next = binary<arith::AddIOp>(builder, location, i, number(builder, 1));
  if (visited.size() == 1 && isConstant(visited.front().lo, 0))
    return binary<arith::SubIOp>(builder, location, total, next);
  if (visited.size() == 1) // counted from the end; of an empty range the block behind it, whose keys are hidden or past the end
    return binary<arith::MaxSIOp>(builder, location, binary<arith::SubIOp>(builder, location, visited.front().hi, next), visited.front().lo);
  // The ranges from the last to the first; `left` counts the blocks still to pass.
  Value result, taken, left = i;
  for (const Range &range : llvm::reverse(visited)) {
    Value length = binary<arith::SubIOp>(builder, location, range.hi, range.lo);
    Value one = binary<arith::AddIOp>(builder, location, left, number(builder, 1));
    Value here = binary<arith::SubIOp>(builder, location, range.hi, one);
    result = result ? arith::SelectOp::create(builder, location, taken, result, here).getResult() : here;
    Value inside = compare(builder, location, arith::CmpIPredicate::slt, left, length);
    taken = taken ? arith::OrIOp::create(builder, location, taken, inside).getResult() : inside;
    left = binary<arith::SubIOp>(builder, location, left, length);
  }
  return binary<arith::MaxSIOp>(builder, location, result, number(builder, 0)); // nothing visited: block 0, masked
}

Value BlockRanges::isFull(OpBuilder &builder, Value block) const {
  if (list) {
    Value entry = block.getDefiningOp<arith::ShRUIOp>().getLhs(), one = number(builder, 1);
    return compare(builder, location, arith::CmpIPredicate::eq, arith::AndIOp::create(builder, location, entry, one), one);
  }
  Value any;
  for (const Range &range : fulls) {
    Value holds = compare(builder, location, arith::CmpIPredicate::slt, block, range.hi);
    if (!isConstant(range.lo, 0)) {
      Value from = compare(builder, location, arith::CmpIPredicate::sge, block, range.lo);
      holds = arith::AndIOp::create(builder, location, holds, from);
    }
    any = any ? arith::OrIOp::create(builder, location, any, holds).getResult() : holds;
  }
  return any;
}

} // namespace attn
