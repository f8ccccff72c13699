// Decides where row regions are applied: in the attention's kernel, or by a kernel in front of it.
//
// First all into the kernel, so that no copy of an operand is written without need:
//
//   %r = attn.transform %key over key row { A }            attn.attention … key(%key)
//   attn.attention … key(%r) key { B }               →         key { A; B }
//
// Query rows are changed once a tile, there they stay. Key and value rows would be changed again by each tile of queries
// that visits them: what costs more than a few products goes out again, to be done once for all tiles, and leaves the
// loop's registers to scores and sums:
//
//   attn.attention … key(%key) key { A; B }          →     %r = attn.transform %key over key row { A; B }
//                                                          attn.attention … key(%r)
// Rows of f64 with more than 64 channels fill a thread's registers: queries, too, are changed by a kernel in front there.
//
// A product of two vectors of the key in the score is a number of each key, made by such a kernel too (RowNumbers.h).
//
// What is made of rows in pages lies out of them, [batch, kv_len, heads, dim] of the padded length.
//
// Values always go out: one that is not finite is looked up again (convert/HiddenValues.h), for which it must lie in memory
// as it is multiplied; and beside sums of 256 channels no registers are left to change a block of rows. They stay if that
// depends on the query head, makes several vectors, or rows that are no multiple of 8. A transform with another user stays as
// it is. Of rows with more than 256 channels no region stays in the kernel (WideHeads.h), unless it makes a value the first
// channels of its key: no row is computed then. Several vectors of such a row, or of queries of f64, are made one behind the
// other, and read as slices of that. Guarantees: the same when run again.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/ProductTypes.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/WideRows.h"
#include "passes/attn/DoubleRows.h"
#include "passes/attn/RowNumbers.h"
#include "passes/attn/WideHeads.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

#include <memory>

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_FUSEPRODUCERS
#include "passes/Passes.h.inc"

/// Puts the row region of `transform` in front of `region`, which may be absent.
static void prepend(ir::AttentionOp op, Region &region, ir::TransformOp transform) {
  if (region.empty()) {
    region.takeBody(transform.getRow());
    return;
  }
  Block &block = region.front(), &first = transform.getRow().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  BlockArgument stored = block.insertArgument(0u, first.getArgument(0).getType(), op.getLoc());
  IRMapping mapping;
  mapping.map(first.getArgument(0), stored);
  for (Operation &inner : first.without_terminator())
    builder.clone(inner, mapping);
  block.getArgument(1).replaceAllUsesWith(mapping.lookupOrDefault(first.getTerminator()->getOperand(0)));
  block.eraseArgument(1);
}

/// Fuses the transform that makes `operand`, if there is one that only this attention reads.
static bool fuse(ir::AttentionOp op, OpOperand &operand, Region &region, ir::RowSide side, StringRef name) {
  auto transform = operand.get().getDefiningOp<ir::TransformOp>();
  if (!transform || transform.getOver() != side || (isWide(op) && givesSlices(region))) // of what that makes: see `joinVectors`
    return false;
  if (!transform->hasOneUse()) {
    remark(op, RemarkCategory::Fusion, "`" + name + "` is read from memory, for its transform has other users");
    return false;
  }
  prepend(op, region, transform);
  operand.set(transform.getTensor());
  transform->erase();
  remark(op, RemarkCategory::Fusion, "the transform of `" + name + "` moves into the kernel");
  return true;
}

/// Says which rows are transformed in the kernel, and how often, and which are widened there.
static void explain(ir::AttentionOp op) {
  auto say = [&](Region &region, StringRef name, StringRef when) {
    if (!region.empty())
      remark(op, RemarkCategory::Fusion, "rows of `" + name + "` are transformed in the kernel, " + when);
  };
  say(op.getQueryRegion(), "query", "once a tile");
  say(op.getKeyRegion(), "key", "each time a tile is visited");
  if (!isWide(op) || !isValueInKey(op))
    say(op.getValueRegion(), "value", "each time a tile is visited");
  auto sayWidened = [&](ir::AttnTensorType tensor, Type product, StringRef name) {
    Type stored = tensor.getElementType();
    if (ir::isFloat8(stored) && product)
      remark(op, RemarkCategory::Fusion, "rows of `" + name + "` lie as " + ir::spell(stored) + " and are multiplied as " + ir::spell(product));
  };
  if (!ir::isFloat8(op.getQueryType().getElementType()) || !ir::isFloat8(op.getKeyType().getElementType())) { // else SelectSchedule says
    sayWidened(op.getQueryType(), ir::featureType(op), "query");
    sayWidened(op.getKeyType(), ir::featureType(op), "key");
  }
  if (!ir::isFloat8(op.getProbsElementType()))
    sayWidened(op.getValueType(), ir::weightedType(op), "value");
}

/// Whether a row region costs more than a few products an element.
static bool isExpensive(Region &region) {
  return llvm::any_of(region.front(), [](Operation &inner) {
    return isa<ir::RotateOp, ir::LoadOp, vector::ReductionOp>(inner) || isa<math::MathDialect>(inner.getDialect());
  });
}

static bool dependsOnQueryHead(Region &region) {
  return llvm::any_of(region.front(), [](Operation &inner) {
    auto index = dyn_cast<ir::IndexOp>(inner);
    return index && index.getKind() == ir::IndexKind::h;
  });
}

/// Whether what changes rows of queries has no registers beside them: of 16 rows of f64.
static bool fillsRegisters(ir::AttentionOp op) {
  constexpr int64_t kMostChannels = 64;
  return hasDoubleRows(op) && op.getHeadDim() > kMostChannels;
}

/// Registers for 16 keys as they are changed beside the sums of 16 queries.
static constexpr int64_t kRegistersOfRows = 200;

/// Makes of a wide row's region that gives several vectors one that gives them all in one row, and a second, which it returns: the
/// slices of that row, which a kernel copies as they lie.
static std::unique_ptr<Region> joinVectors(Region &region) {
  Operation *yield = region.front().getTerminator();
  Location location = yield->getLoc();
  OpBuilder builder(yield);
  int64_t length = 0;
  for (Type type : yield->getOperandTypes())
    length += cast<VectorType>(type).getNumElements();
  auto type = VectorType::get({length}, cast<VectorType>(yield->getOperand(0).getType()).getElementType());
  Value row = arith::ConstantOp::create(builder, location, builder.getZeroAttr(type));
  auto slices = std::make_unique<Region>();
  Block &block = slices->emplaceBlock();
  Value whole = block.addArgument(type, location);
  OpBuilder inner(location.getContext()); // the region has no place yet
  inner.setInsertionPointToEnd(&block);
  SmallVector<Value> yielded;
  int64_t first = 0;
  for (Value vector : yield->getOperands()) {
    int64_t channels = cast<VectorType>(vector.getType()).getNumElements();
    row = vector::InsertStridedSliceOp::create(builder, location, vector, row, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{1});
    yielded.push_back(vector::ExtractStridedSliceOp::create(inner, location, whole, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{channels},
                                                            ArrayRef<int64_t>{1}));
    first += channels;
  }
  ir::YieldOp::create(inner, location, yielded);
  yield->setOperands(row);
  return slices;
}

/// Makes a row region a kernel of its own, where that is cheaper or needed.
static void splitOff(ir::AttentionOp op, OpOperand &operand, Region &region, StringRef name, ir::RowSide side = ir::RowSide::key) {
  int64_t registers = (op.getHeadDim() + op.getValueRowLength()) / 2 * (hasDoubleRows(op) ? 2 : 1);
  bool fits = !isWide(op) && registers <= kRegistersOfRows;
  if (region.empty() || !(isExpensive(region) || &operand == &op.getValueMutable() || !fits))
    return;
  auto stays = [&](const Twine &why) {
    remark(op, RemarkCategory::Fusion, ("`" + name + "` has no kernel of its own: " + why).str());
  };
  Operation *yield = region.front().getTerminator();
  if (isWide(op) && yield->getNumOperands() != 1 && givesSlices(region)) // which are copied as they lie
    return;
  bool joins = isWide(op) || (fillsRegisters(op) && side == ir::RowSide::query);
  if (yield->getNumOperands() != 1 && !joins)
    return stays("it gives several vectors");
  if (side == ir::RowSide::key && dependsOnQueryHead(region))
    return stays("it depends on the query head");
  int64_t length = 0;
  for (Type type : yield->getOperandTypes())
    length += cast<VectorType>(type).getNumElements();
  if (length % 8 != 0)
    return stays("its rows are no multiple of 8 channels");
  std::unique_ptr<Region> slices = yield->getNumOperands() != 1 ? joinVectors(region) : nullptr;
  OpBuilder builder(op);
  auto stored = cast<ir::AttnTensorType>(operand.get().getType());
  SmallVector<Attribute> sizes(stored.getSizes());
  sizes.back() = ir::sizeAttr(op.getContext(), SizeExpr::number(length));
  if (!op.getPaged().empty() && side == ir::RowSide::key) { // out of pages, which requests may share
    sizes[0] = ir::sizeAttr(op.getContext(), SizeExpr::name("batch"));
    sizes[1] = ir::sizeAttr(op.getContext(), SizeExpr::name("kv_len"));
  }
  // Changed rows of 8-bit floats are kept as they will be multiplied.
  Type element = stored.getElementType(), beside = op.getProbsElementType();
  if (Type wide = operand.get() == op.getValue() ? ir::productType(beside, element) : ir::featureType(op); wide && ir::isFloat8(element))
    element = wide;
  auto type = ir::AttnTensorType::get(op.getContext(), sizes, element, false);
  auto transform = ir::TransformOp::create(builder, yield->getLoc(), type, operand.get(), side);
  transform.getRow().takeBody(region);
  operand.set(transform.getResult());
  if (slices)
    region.takeBody(*slices);
  bool isLong = areWide(stored.getConstantSize(stored.getRank() - 1).value_or(0), length, ir::computeType(op));
  remark(op, RemarkCategory::Fusion, ("rows of `" + name + "` are transformed once for all tiles, by a kernel before this one" +
                                      (isLong ? ", some channels at a time" : "")).str());
}

namespace {
struct FuseProducers final : impl::FuseProducersBase<FuseProducers> {
  void runOnOperation() override {
    getOperation()->walk([](ir::AttentionOp op) {
      while (fuse(op, op.getQueryMutable(), op.getQueryRegion(), ir::RowSide::query, "query") ||
             fuse(op, op.getKeyMutable(), op.getKeyRegion(), ir::RowSide::key, "key") ||
             fuse(op, op.getValueMutable(), op.getValueRegion(), ir::RowSide::key, "value")) {
      }
      readKeyNumbers(op);
      bool sharesRows = isWide(op) && isValueInKey(op);
      if (isWide(op) || fillsRegisters(op))
        splitOff(op, op.getQueryMutable(), op.getQueryRegion(), "query", ir::RowSide::query);
      splitOff(op, op.getKeyMutable(), op.getKeyRegion(), "key");
      if (sharesRows)
        remark(op, RemarkCategory::Fusion, "`value` is read as a part of `key`, which is copied once for both");
      else
        splitOff(op, op.getValueMutable(), op.getValueRegion(), "value");
      explain(op);
    });
  }
};
} // namespace

} // namespace attn
