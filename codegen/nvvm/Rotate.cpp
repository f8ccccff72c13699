// Rotations of column pairs. Both columns of a pair lie in one thread when they are neighbours (interleaved) or column
// tiles 8·k apart; otherwise each thread turns its own columns and gets their partners from the lane of the quad that
// holds them (`rotateColumn`), at the price of a second sine and cosine a pair.
//
// Angles need more than f32: a position of 10^5 times a frequency known to 24 bits is off by hundredths of a radian. When the
// region is position · frequency and the frequency depends on the pair and on constants alone, frequencies are computed
// here, in f64, and stored in quarter turns as high + low; two fma then reduce the product exactly. Else the angle is
// computed as written and reduced in f64. Rows of f64 are turned by functions of f64; their table holds frequencies in radians.
#include "codegen/nvvm/ConstantTables.h"
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/MathDouble.h"
#include "codegen/nvvm/Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>

namespace attn::codegen {

using mlir::Value;

namespace {
/// How a region's angle is computed.
struct AnglePlan {
  Value position;        ///< with a table: the other factor
  Value table;           ///< pointer to (high, low) of each pair in quarter turns, or f64 radians; null: no constant frequencies
  Value angle;           ///< without: the angle itself
};

class RotatePattern : public TilePattern<tile::RotateOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::RotateOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!mlir::isa<tile::AccAttr>(op.getInput().getType().getLayout()))
      return op.emitOpError("expects layout `acc`, but got ") << op.getInput().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getInput().getType());
    if (fragment.partCount() > 1)
      return op.emitOpError("turns pairs that lie in one part, but got ") << op.getInput().getType();
    ElementExpander expander(kernel, e, rewriter, &op.getBody());
    bind(op, fragment, expander);
    expander.lowerChecks(fragment);
    AnglePlan plan = planAngle(e, op);
    llvm::SmallVector<Value> registers(adaptor.getInput());
    bool isLocal = op.getInterleaved() || pairs(op) % 8 == 0;
    // What a column has of its own, frequencies of f64 and those that are computed, serves all rows one after the other: kept
    // from row to row it would take as many registers as a row.
    bool isOfColumns = !plan.table || (expander.domainOf(plan.position) & ElementExpander::Column) != 0;
    bool byColumns = op.getInput().getType().getElementType().isF64() || isOfColumns;
    int rows = fragment.rowSlots(), columns = fragment.columnSlots();
    for (int i = 0; i < rows * columns && !expander.failed(); ++i) {
      Slot slot = byColumns ? Slot{i % rows, i / rows} : Slot{i / columns, i % columns};
      if (!isLocal)
        rotateColumn(e, op, fragment, expander, plan, slot, adaptor.getInput(), registers);
      else if (startsPair(op, fragment, slot.column))
        rotatePair(e, op, fragment, expander, plan, slot, registers);
    }
    if (expander.failed())
      return mlir::failure();
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  /// The pair that the column of slot `column` begins, as a function of the thread. Counted on beyond the last slot: the
  /// pair that the column ends.
  static ThreadForm pairOf(tile::RotateOp op, const Fragment &fragment, int column) {
    bool ends = column >= fragment.columnSlots();
    ThreadForm form = fragment.columnOf(ends ? column - fragment.columnSlots() : column);
    form.constant -= static_cast<int>(op.getStart()) + (ends ? pairs(op) : 0);
    if (op.getInterleaved()) {
      form.constant /= 2;
      form.thread /= 2;
    }
    return form;
  }

  static int pairs(tile::RotateOp op) { return static_cast<int>(op.getWidth()) / 2; }

  /// Whether the slot holds, in some thread, the first column of a pair.
  static bool startsPair(tile::RotateOp op, const Fragment &fragment, int column) {
    if (op.getInterleaved() && column % 2 != 0)
      return false;
    ThreadForm pair = pairOf(op, fragment, column);
    return pair.constant + 3 * pair.thread >= 0 && pair.constant < pairs(op);
  }

  static void bind(tile::RotateOp op, const Fragment &fragment, ElementExpander &expander) {
    mlir::Block &body = op.getBody().front();
    expander.bindIndex(body.getArgument(0), ElementExpander::Row,
                       [fragment, &expander](Slot slot) { return expander.threadForm(fragment.rowOf(slot.row)); });
    expander.bindIndex(body.getArgument(1), ElementExpander::Column, [op, fragment, &expander](Slot slot) {
      return expander.threadForm(pairOf(op, fragment, slot.column));
    });
  }

  /// Whether an f64 number is exact in f32: an integer (positions are below 2^24), and what was f32 before.
  static bool isSingle(Value number) {
    if (auto choice = number.getDefiningOp<mlir::arith::SelectOp>())
      return isSingle(choice.getTrueValue()) && isSingle(choice.getFalseValue());
    mlir::Operation *op = number.getDefiningOp();
    return op && mlir::isa<mlir::arith::SIToFPOp, mlir::arith::ExtFOp>(op);
  }

  AnglePlan planAngle(Emitter &e, tile::RotateOp op) const {
    Value angle = tile::yieldOf(op.getBody()).getValues().front();
    if (auto rounded = angle.getDefiningOp<mlir::arith::TruncFOp>()) // ExactChains has been here
      angle = rounded.getIn();
    auto product = angle.getDefiningOp<mlir::arith::MulFOp>();
    if (!product || !op.getBody().isAncestor(product->getParentRegion()))
      return {Value(), Value(), angle};
    Value pair = op.getBody().front().getArgument(1);
    bool isDouble = op.getInput().getType().getElementType().isF64();
    for (auto [position, frequency] : {std::pair{product.getLhs(), product.getRhs()}, std::pair{product.getRhs(), product.getLhs()}})
      if (auto table = makeFrequencyTable(e, frequency, pair, pairs(op), isDouble))
        return {position, *table, Value()};
    return {Value(), Value(), angle};
  }

  math::SineCosine<Value> sineCosine(Emitter &e, ElementExpander &expander, const AnglePlan &plan, const ThreadForm &pair,
                                     bool isPartial, int pairCount, Slot slot, bool isDouble) const {
    if (!plan.table) {
      Value angle = expander.evaluate(plan.angle, slot);
      if (!angle)
        return {};
      if (isDouble)
        return math::sineCosineDouble(e, angle);
      return angle.getType().isF64() ? math::sineCosineOfWide(e, angle) : math::sineCosine(e, angle);
    }
    Value position = expander.evaluate(plan.position, slot);
    if (!position)
      return {};
    Value rest;
    if (position.getType().isF64() && !isDouble) {
      Value wide = position;
      position = e.narrow(wide);
      if (!isSingle(plan.position))
        rest = e.narrow(e.fsub(wide, e.widen(position)));
    }
    Value pointer;
    if (isPartial) {
      Value index = expander.materialize(expander.threadForm(pair));
      index = e.smax(e.smin(index, e.i32(pairCount - 1)), e.i32(0));
      pointer = e.offset(plan.table, e.shl(index, e.i32(3)));
    } else {
      ThreadForm thread = pair;
      thread.constant = 0;
      Value base = kernel.threadPart(thread);
      pointer = e.offset(e.offset(plan.table, e.shl(base, e.i32(3))), 8 * pair.constant);
    }
    if (isDouble)
      return math::sineCosineDouble(e, e.fmul(position, e.loadInvariant(e.f64Type(), pointer, 8)));
    Value high = e.loadInvariant(e.f32Type(), pointer, 8);
    Value low = e.loadInvariant(e.f32Type(), e.offset(pointer, 4), 4);
    return math::sineCosineOfProduct(e, position, high, low, rest ? &rest : nullptr);
  }

  void rotatePair(Emitter &e, tile::RotateOp op, const Fragment &fragment, ElementExpander &expander, const AnglePlan &plan,
                  Slot slot, llvm::SmallVectorImpl<Value> &registers) const {
    ThreadForm pair = pairOf(op, fragment, slot.column);
    int last = pair.constant + 3 * pair.thread;
    bool isPartial = pair.constant < 0 || last >= pairs(op);
    int partner = op.getInterleaved() ? slot.column + 1 : slot.column + 2 * (pairs(op) / 8);
    auto at = [&](int column) -> Value & {
      return registers[fragment.registerOf(slot.row / 2, column / 2, slot.row % 2, column % 2)];
    };
    auto [sine, cosine] = sineCosine(e, expander, plan, pair, isPartial, pairs(op), slot, registers.front().getType().isF64());
    if (!sine)
      return;
    Value x = at(slot.column), y = at(partner);
    Value turnedX = e.fma(x, cosine, e.fneg(e.fmul(y, sine)));
    Value turnedY = e.fma(x, sine, e.fmul(y, cosine));
    if (isPartial) {
      Value index = expander.materialize(expander.threadForm(pair));
      Value inside = e.icmp(Compare::UnsignedLt, index, e.i32(pairs(op)));
      turnedX = e.select(inside, turnedX, x);
      turnedY = e.select(inside, turnedY, y);
    }
    at(slot.column) = turnedX;
    at(partner) = turnedY;
  }

  /// For each thread the element `distance` columns from its own in this slot; any number where there is no such column.
  Value elementAt(Emitter &e, const Fragment &fragment, mlir::ValueRange registers, Slot slot, int distance) const {
    int lanes = (distance % 8 + 8) % 8 / 2;               // to the right, within the quad
    int tile = slot.column / 2 + (distance - 2 * lanes) / 8;
    auto at = [&](int columnTile) -> Value {
      int inside = std::clamp(columnTile, 0, fragment.columnTileCount() - 1);
      return registers[fragment.registerOf(slot.row / 2, inside, slot.row % 2, slot.column % 2)];
    };
    if (lanes == 0)
      return at(tile);
    // The left lanes are asked by those for whom the column lies a tile further on.
    Value own = kernel.quadLane();
    Value sent = e.select(e.icmp(Compare::Lt, own, e.i32(lanes)), at(tile + 1), at(tile));
    Value from = e.ior(e.iand(kernel.lane(), e.i32(28)), e.iand(e.iadd(own, e.i32(lanes)), e.i32(3)));
    return e.shuffleFrom(sent, from);
  }

  /// Turns one column: the first of a pair, the second, or in some threads the one, in others the other.
  void rotateColumn(Emitter &e, tile::RotateOp op, const Fragment &fragment, ElementExpander &expander, const AnglePlan &plan,
                    Slot slot, mlir::ValueRange input, llvm::SmallVectorImpl<Value> &registers) const {
    ThreadForm place = fragment.columnOf(slot.column);
    place.constant -= static_cast<int>(op.getStart());
    int count = pairs(op), first = place.constant, last = first + 3 * place.thread;
    if (last < 0 || first >= 2 * count)
      return;
    int index = fragment.registerOf(slot.row / 2, slot.column / 2, slot.row % 2, slot.column % 2);
    Value x = input[index];
    auto turn = [&](bool ends) -> Value {
      Slot at{slot.row, slot.column + (ends ? fragment.columnSlots() : 0)};
      ThreadForm pair = pairOf(op, fragment, at.column);
      bool isPartial = pair.constant < 0 || pair.constant + 3 * pair.thread >= count;
      auto [sine, cosine] = sineCosine(e, expander, plan, pair, isPartial, count, at, x.getType().isF64());
      if (!sine)
        return x;
      Value product = e.fmul(elementAt(e, fragment, input, slot, ends ? -count : count), sine);
      return e.fma(x, cosine, ends ? product : e.fneg(product));
    };
    Value column = expander.materialize(expander.threadForm(place)), turned;
    if (last < count)
      turned = turn(false);
    else if (first >= count)
      turned = turn(true);
    else
      turned = e.select(e.icmp(Compare::Lt, column, e.i32(count)), turn(false), turn(true));
    if (first < 0 || last >= 2 * count)
      turned = e.select(e.icmp(Compare::UnsignedLt, column, e.i32(2 * count)), turned, x);
    registers[index] = turned;
  }
};
} // namespace

void populateRotatePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<RotatePattern>(converter, kernel);
}

} // namespace attn::codegen
