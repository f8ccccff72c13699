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

Value ClippedLookups::holds() {
  Value all;
  for (auto &[result, read] : found) {
    Value index = read.lookup.index();
    if (columns.contains(index))
      continue;
    Value least = atCorner(index, false, corners, kernel, builder), greatest = atCorner(index, true, corners, kernel, builder);
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
    auto type = tile::FragType::get(builder.getContext(), {rows}, kernel.realType(), {});
    auto map = tile::MapOp::create(builder, location, type, ValueRange());
    OpBuilder body = OpBuilder::atBlockEnd(&map.getBody().emplaceBlock());
    Value row = tile::RowOp::create(body, location, body.getI32Type());
    Value product = tile::AtOp::create(body, location, kernel.realType(), read.products, ValueRange{row, columns[read.lookup.index()]});
    tile::YieldOp::create(body, location, product);
    fragments[result] = {map, 0};
  }
  return fragments;
}

} // namespace attn
