// Loads in element regions: parameters in global memory, words of shared buffers. Addresses are forms as well: what the slot
// adds becomes an immediate, and a word asked for twice (a Toeplitz strip) is loaded once.
#include "codegen/nvvm/ConstantTables.h"
#include "codegen/nvvm/ElementExpander.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/Support/MathExtras.h"

namespace attn::codegen {

using mlir::Value;

/// The stored number as the region sees it. `raw` of 8 and 16-bit integers is an i32.
static Value convertStored(Emitter &e, mlir::Type stored, mlir::Type result, Value raw) {
  auto wide = [&](Value single) { return result.isF64() ? e.widen(single) : single; };
  if (mlir::isa<mlir::Float8E4M3FNType, mlir::Float8E5M2Type>(stored))
    return wide(e.decodeFloat8(raw, mlir::isa<mlir::Float8E5M2Type>(stored)));
  if (isSmallFloat(stored))
    return wide(e.extendHalf(raw));
  if (stored.isF64() && result.isF32())
    return e.narrow(raw);
  if (stored.isF32() && result.isF64())
    return e.widen(raw);
  if (stored.isInteger() && result.isInteger(1))
    return e.icmp(Compare::Ne, raw, e.zero(raw.getType()));
  return raw;
}

static mlir::Type loadedType(Emitter &e, mlir::Type stored) {
  if (mlir::isa<mlir::Float8E4M3FNType, mlir::Float8E5M2Type>(stored))
    return e.builder.getI8Type();
  return stored;
}

/// Address of an element but for a constant: Σ index · stride. Shared by all places whose indices differ by constants in the
/// last dimension.
Value ElementExpander::paramPointer(const TensorView &view, llvm::ArrayRef<IntegerForm> indices, std::int64_t &constantBytes) {
  std::int64_t bytes = std::max<std::int64_t>(1, view.elementBits() / 8);
  constantBytes = indices.empty() ? 0 : indices.back().constant * bytes;
  std::vector<const void *> key{view.pointer.getAsOpaquePointer()};
  llvm::SmallVector<Value> parts;
  for (auto [dimension, form] : llvm::enumerate(indices)) {
    bool isLast = dimension + 1 == indices.size();
    parts.push_back(isLast ? baseOf(form) : materialize(form));
    key.push_back(parts.back() ? parts.back().getAsOpaquePointer() : nullptr);
  }
  Value &pointer = pointers[key];
  if (pointer)
    return pointer;
  Value elements;
  for (auto [dimension, part] : llvm::enumerate(parts)) {
    if (!part || Emitter::constantOf(part) == 0)
      continue;
    Value term = e.signExtend(part, e.i64Type());
    if (dimension + 1 < parts.size())
      term = e.imul(term, view.strides[dimension]);
    elements = elements ? e.iadd(elements, term) : term;
  }
  return pointer = elements ? e.offset(view.pointer, e.imul(elements, e.i64(bytes))) : view.pointer;
}

Value ElementExpander::computeParam(tile::ParamOp op, Slot slot) {
  TensorView view = TensorView::of(op.getTensor());
  mlir::Type stored = view.type.getElementType(), result = op.getResult().getType();
  llvm::SmallVector<IntegerForm> places;
  for (Value index : op.getIndices())
    places.push_back(evaluateForm(index, slot));
  Value predicate = op.getPredicate() ? evaluate(op.getPredicate(), slot) : Value();
  if (hasFailed)
    return Value();
  Value bit;
  if (stored.isInteger(1)) { // rows of 32-bit words, lowest bit first
    Value index = materialize(places.back());
    bit = e.iand(index, e.i32(31));
    places.back() = IntegerForm::of(e.lshr(index, e.i32(5)), /*isPosition=*/true);
    view.type = tile::TileTensorType::get(op.getContext(), view.type.getSizes(), e.i32Type(), false);
  }
  std::int64_t constantBytes = 0;
  Value start = paramPointer(view, places, constantBytes);
  Value pointer = e.offset(start, constantBytes);
  mlir::Type loaded = loadedType(e, view.type.getElementType());
  unsigned alignment = std::max(1u, loaded.getIntOrFloatBitWidth() / 8);
  Value raw = predicate ? e.loadIf(predicate, loaded, pointer) : e.loadInvariant(loaded, pointer, alignment);
  if (mlir::isa<mlir::IntegerType>(raw.getType()) && !raw.getType().isInteger(32))
    raw = e.signExtend(raw, e.i32Type());
  if (bit)
    return e.icmp(Compare::Ne, e.iand(e.lshr(raw, bit), e.i32(1)), e.i32(0));
  return convertStored(e, stored, result, raw);
}

void ElementExpander::lowerChecks(const Fragment &fragment) {
  for (auto check : region->getOps<mlir::cf::AssertOp>()) {
    Domain domain = domainOf(check.getArg());
    int rows = domain & Row ? fragment.rowSlots() : 1, columns = domain & Column ? fragment.columnSlots() : 1;
    Value all;
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns && !hasFailed; ++column) {
        Value holds = evaluate(check.getArg(), {row, column});
        all = all ? e.land(all, holds) : holds;
      }
    if (hasFailed)
      return;
    kernel.emitter(rewriter, check.getLoc()).trapUnless(all);
  }
}

/// A word of a constant table: the slot's part of the index is an immediate here too.
Value ElementExpander::computeLookup(tile::LookupOp op, Slot slot) {
  IntegerForm place = evaluateForm(op.getIndex(), slot);
  if (hasFailed)
    return Value();
  Value table = constantTable(e, mlir::cast<mlir::DenseElementsAttr>(op.getTable()));
  unsigned bytes = op.getResult().getType().getIntOrFloatBitWidth() / 8;
  if (Value base = baseOf(place))
    table = e.offset(table, e.signExtend(e.shl(base, e.i32(llvm::Log2_32(bytes))), e.i64Type()));
  return e.loadInvariant(op.getResult().getType(), e.offset(table, bytes * place.constant), bytes);
}

/// Rows of a slab are 8 apart, columns of a tile 1: what a thread has there lies in one word, read for all four.
Value ElementExpander::computeOfQuad(tile::AtOp op, IntegerForm place, Slot slot) {
  int part = slot.row % 2 * 2 + slot.column % 2;
  auto &words = quads[{op.getOperation(), slot.row / 2, slot.column / 2}];
  if (words.empty()) {
    place.constant += tile::kQuadsBefore - tile::kQuadSteps[part];
    Value buffer = rewriter.getRemappedValue(op.getBuffer()), base = baseOf(place);
    std::vector<const void *> key{buffer.getAsOpaquePointer(), base ? base.getAsOpaquePointer() : nullptr};
    Value &start = pointers[key];
    if (!start)
      start = kernel.sharedPointer(e, base ? e.iadd(buffer, e.imul(base, e.i32(tile::kQuadBytes))) : buffer);
    words = e.loadWords(e.offset(start, place.constant * tile::kQuadBytes), 4);
  }
  return e.bitcast(words[part], op.getType());
}

Value ElementExpander::computeAt(tile::AtOp op, Slot slot) {
  tile::BufferType type = op.getBuffer().getType();
  Value buffer = rewriter.getRemappedValue(op.getBuffer());
  std::int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
  llvm::SmallVector<IntegerForm> places;
  for (Value index : op.getIndices())
    places.push_back(evaluateForm(index, slot));
  if (hasFailed)
    return Value();
  Value pointer;
  std::int64_t constant = 0;
  if (type.getSmem().getQuads())
    return computeOfQuad(op, places.front(), slot);
  if (type.getSmem().getSwizzle() == 0) {
    // The row's part stands by itself: a computed column is then added to what all elements of the row share.
    std::vector<const void *> key{buffer.getAsOpaquePointer()};
    Value &whole = pointers[key];
    if (!whole)
      whole = kernel.sharedPointer(e, buffer);
    pointer = whole;
    for (auto [dimension, place] : llvm::enumerate(places)) {
      bool isRow = dimension + 1 < places.size();
      std::int64_t stride = bytes * (isRow ? tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) : 1);
      constant += place.constant * stride;
      Value base = baseOf(place);
      key.push_back(base ? base.getAsOpaquePointer() : nullptr);
      Value &start = pointers[key];
      if (!start)
        start = base ? e.offset(pointer, e.imul(base, e.i32(stride))) : pointer;
      pointer = start;
    }
  } else {
    Value indices[] = {materialize(places[0]), materialize(places[1])};
    pointer = kernel.sharedPointer(e, e.iadd(buffer, kernel.elementOffset(e, type, indices)));
  }
  Value &loaded = loads[{pointer.getAsOpaquePointer(), nullptr, constant}];
  if (loaded)
    return loaded;
  Value raw = e.load(type.getElementType(), e.offset(pointer, constant), bytes);
  if (mlir::isa<mlir::IntegerType>(raw.getType()))
    raw = e.signExtend(raw, e.i32Type());
  return loaded = convertStored(e, type.getElementType(), op.getResult().getType(), raw);
}

} // namespace attn::codegen
