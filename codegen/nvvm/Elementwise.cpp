// Elementwise work on fragments: splat, map, scale, convert, build; and scalars outside regions.
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RingEntry.h"
#include "codegen/nvvm/RowReduction.h"
#include "codegen/nvvm/ScalarOps.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallVectorExtras.h"

namespace attn::codegen {

using mlir::Value;

/// Row slot and column slot of register `index`, part `part`.
static Slot slotOf(const Fragment &fragment, int index, int part) {
  if (fragment.isRowLayout())
    return {index, 0};
  int element = index * fragment.packing() + part;
  int columnTile = element / 4 % fragment.columnTileCount(), slab = element / (4 * fragment.columnTileCount());
  return {2 * slab + element / 2 % 2, 2 * columnTile + element % 2};
}

/// An f64 in f32: cut off, and the last bit set where anything was. Rounding that once more to at most 22 bits gives what rounding
/// the f64 to them does (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd").
static Value narrowToOdd(Emitter &e, Value number) {
  Value nearest = e.narrow(number), size = e.fabs(number), rounded = e.fabs(e.widen(nearest)), bits = e.asInt(nearest), one = e.i32(1);
  Value down = e.select(e.flt(rounded, size), e.ior(bits, one), bits); // NaN compares with nothing
  return e.asFloat(e.select(e.flt(size, rounded), e.ior(e.isub(bits, one), one), down));
}

namespace {
class SplatPattern : public TilePattern<tile::SplatOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::SplatOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::FragType type = op.getResult().getType();
    double number = op.getValue().convertToDouble();
    Value value;
    if (isSmallFloat(type.getElementType())) {
      if (number != 0)
        return op.emitOpError("of 16-bit elements is lowered for 0 only");
      value = e.i32(0);
    } else if (type.getElementType().isInteger()) {
      value = e.pool.get(rewriter.getIntegerAttr(type.getElementType(), static_cast<std::int64_t>(number)));
    } else {
      value = e.real(type.getElementType(), number);
    }
    llvm::SmallVector<Value> registers(fragmentOf(type).registers(), value);
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }
};

class MapPattern : public TilePattern<tile::MapOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::MapOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::FragType type = op.getResult().getType();
    Fragment fragment = fragmentOf(type);
    ElementExpander expander(kernel, e, rewriter, &op.getBody());
    for (auto [argument, input, registers] :
         llvm::zip(op.getBody().getArguments(), op.getInputs(), adaptor.getInputs()))
      expander.bindFragment(argument, mlir::cast<tile::FragType>(input.getType()), registers);
    expander.bindPositions([fragment](int slot) { return fragment.rowOf(slot); },
                           [fragment](int slot) { return fragment.columnOf(slot); });
    expander.lowerChecks(fragment);
    Value yielded = tile::yieldOf(op.getBody()).getValues().front();
    llvm::SmallVector<Value> registers;
    for (int index = 0; index < fragment.registers(); ++index)
      registers.push_back(resultRegister(e, expander, type, fragment, yielded, index));
    if (expander.failed())
      return mlir::failure();
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  static Value resultRegister(Emitter &e, ElementExpander &expander, tile::FragType type, const Fragment &fragment,
                              Value yielded, int index) {
    if (fragment.packing() == 1)
      return expander.evaluate(yielded, slotOf(fragment, index, 0));
    // a rounding at the end of the region serves both halves of a register
    auto rounding = yielded.getDefiningOp<mlir::arith::TruncFOp>();
    Value source = rounding && rounding.getIn().getType().isF32() ? rounding.getIn() : yielded;
    Value low = expander.evaluate(source, slotOf(fragment, index, 0));
    Value high = expander.evaluate(source, slotOf(fragment, index, 1));
    if (expander.failed())
      return Value();
    return source == yielded ? e.packRaw(low, high) : e.pack(type.getElementType(), low, high);
  }
};

class ScalePattern : public TilePattern<tile::ScaleOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ScaleOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    mlir::Type element = op.getInput().getType().getElementType();
    if (!element.isF32() && !element.isF64())
      return op.emitOpError("expects f32 or f64 elements, but got ") << op.getInput().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getInput().getType());
    llvm::SmallVector<Value> registers;
    mlir::scf::IfOp branch;
    if (auto step = op.getFactor().getDefiningOp<tile::SoftmaxStepOp>(); step && step.getLazy()) { // mostly all are 1
      Value isOther = e.boolean(false);
      for (Value factor : adaptor.getFactor())
        isOther = e.lor(isOther, e.lnot(e.feq(factor, e.real(element, 1.0))));
      llvm::SmallVector<mlir::Type> types(adaptor.getInput().getTypes());
      branch = mlir::scf::IfOp::create(rewriter, op.getLoc(), types, e.anyInWarp(isOther), /*withElseRegion=*/true);
      rewriter.setInsertionPointToStart(branch.elseBlock());
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), adaptor.getInput());
      rewriter.setInsertionPointToStart(branch.thenBlock());
    }
    for (auto [index, value] : llvm::enumerate(adaptor.getInput()))
      registers.push_back(e.fmul(value, adaptor.getFactor()[slotOf(fragment, static_cast<int>(index), 0).row]));
    if (branch) {
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), registers);
      registers.assign(branch.getResults().begin(), branch.getResults().end());
    }
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }
};

class ConvertPattern : public TilePattern<tile::ConvertOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ConvertOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    auto from = op.getInput().getType(), to = op.getResult().getType();
    llvm::SmallVector<Value> registers(adaptor.getInput());
    if (isFloat8(to.getElementType()) && mlir::isa_and_present<tile::LhsAttr>(to.getLayout())) {
      if (!from.getElementType().isF32() || !mlir::isa_and_present<tile::AccAttr>(from.getLayout()))
        return op.emitOpError("from ") << from << " to " << to << " is not lowered";
      rewriter.replaceOpWithMultiple(op, {packLeft(e, from, to, registers)});
      return mlir::success();
    }
    if (mlir::failed(convertLayout(e, op, from, to, registers)) || mlir::failed(convertElements(e, op, from, to, registers)))
      return mlir::failure();
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  /// Accumulators as a left operand of 8-bit floats, four a register.
  static llvm::SmallVector<Value> packLeft(Emitter &e, tile::FragType from, tile::FragType to, llvm::ArrayRef<Value> numbers) {
    Fragment acc = fragmentOf(from), left = fragmentOf(to);
    llvm::SmallVector<Value> registers(left.registers());
    for (int slab = 0; slab < acc.slabCount(); ++slab)
      for (int columnTile = 0; columnTile < acc.columnTileCount(); columnTile += 2)
        for (int half : {0, 1}) {
          Value four[4];
          for (int part = 0; part < 4; ++part)
            four[part] = numbers[acc.registerOf(slab, columnTile + part / 2, half, part % 2)];
          registers[left.registerOf(slab, columnTile, half, 0)] = e.packFloat8(to.getElementType(), four);
        }
    return registers;
  }

  mlir::LogicalResult convertLayout(Emitter &e, tile::ConvertOp op, tile::FragType from, tile::FragType to,
                                    llvm::SmallVectorImpl<Value> &registers) const {
    if (from.getLayout() == to.getLayout())
      return mlir::success();
    auto isPair = [&](auto a, auto b) { return mlir::isa<decltype(a)>(from.getLayout()) && mlir::isa<decltype(b)>(to.getLayout()); };
    if (isPair(tile::RowPartialAttr(), tile::RowAttr()) && tile::partsOf(from.getLayout()) == 1) {
      for (Value &value : registers)
        value = reduceQuad(e, tile::ReduceKind::add, value);
      return mlir::success();
    }
    if (isPair(tile::RowAttr(), tile::RowPartialAttr())) {
      Value first = e.ieq(kernel.quadLane(), e.i32(0));
      if (tile::partsOf(to.getLayout()) > 1)
        first = e.land(first, e.ieq(kernel.part(), e.i32(0)));
      for (Value &value : registers)
        value = e.select(first, value, e.zero(value.getType()));
      return mlir::success();
    }
    // packed, an accumulator and a left operand are the same registers; so they are of one 32-bit type
    if ((isPair(tile::AccAttr(), tile::LhsAttr()) || isPair(tile::LhsAttr(), tile::AccAttr())) &&
        (isSmallFloat(to.getElementType()) || isSmallFloat(from.getElementType()) || to.getElementType() == from.getElementType()))
      return mlir::success();
    return op.emitOpError("from ") << from << " to " << to << " is not lowered";
  }

  mlir::LogicalResult convertElements(Emitter &e, tile::ConvertOp op, tile::FragType from, tile::FragType to,
                                      llvm::SmallVectorImpl<Value> &registers) const {
    mlir::Type source = from.getElementType(), target = to.getElementType();
    if (source == target)
      return mlir::success();
    llvm::SmallVector<Value> converted;
    if (source.isF64() && target.isF32()) {
      converted = llvm::map_to_vector(registers, [&](Value value) { return e.narrow(value); });
    } else if (source.isF32() && target.isF64()) {
      converted = llvm::map_to_vector(registers, [&](Value value) { return e.widen(value); });
    } else if (source.isF64()) { // once, in effect
      for (std::size_t i = 0; i < registers.size(); i += 2) {
        Value first = narrowToOdd(e, registers[i]), second = narrowToOdd(e, registers[i + 1]);
        converted.push_back(isFloat8(target) ? e.packFloat8(target, first, second) : e.pack(target, first, second));
      }
    } else if (source.isF32() && isSmallFloat(target)) {
      for (std::size_t i = 0; i < registers.size(); i += 2)
        converted.push_back(e.pack(target, registers[i], registers[i + 1]));
    } else if (source.isF32() && isFloat8(target)) {
      for (std::size_t i = 0; i < registers.size(); i += 2)
        converted.push_back(e.packFloat8(target, registers[i], registers[i + 1]));
    } else if (isSmallFloat(source)) {
      for (Value value : registers)
        for (int part : {0, 1})
          converted.push_back(e.unpack(source, value, part));
      if (isSmallFloat(target)) { // through f32
        llvm::SmallVector<Value> wide = std::move(converted);
        converted.clear();
        for (std::size_t i = 0; i < wide.size(); i += 2)
          converted.push_back(e.pack(target, wide[i], wide[i + 1]));
      }
    } else {
      return op.emitOpError("from ") << source << " to " << target << " is not lowered";
    }
    registers.assign(converted.begin(), converted.end());
    return mlir::success();
  }
};

/// Each thread computes every threads-th element of the entry: of a short strip of cheap elements one after the other, for its
/// addresses and distances then differ by constants; else in a loop.
class BuildPattern : public TilePattern<tile::BuildOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::BuildOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::RingType ring = op.getRing().getType();
    std::optional<RingEntry> entry;
    if (kernel.hasRoles())
      entry.emplace(kernel, e, op.getRing(), adaptor.getRing().front(), adaptor.getEntry().front());
    Value buffer = entry ? entry->buffer(e) : slotOffset(e, ring, adaptor.getRing().front(), adaptor.getEntry().front());
    if (failed(isBuiltByOneWarp(op) ? buildInSteps(op, e, rewriter, buffer) : buildInLoop(op, e, rewriter, buffer)))
      return mlir::failure();
    rewriter.setInsertionPointAfter(op);
    if (entry)
      e.arriveAtBarrier(entry->fullBarrier(e));
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  mlir::LogicalResult buildInLoop(tile::BuildOp op, Emitter &e, Rewriter &rewriter, Value buffer) const {
    tile::BufferType type = op.getRing().getType().getBufferType();
    std::int64_t total = 1;
    for (std::int64_t size : type.getShape())
      total *= size;
    auto loop = mlir::scf::ForOp::create(rewriter, op.getLoc(), kernel.thread(), e.i32(total), e.i32(kernel.threads()));
    rewriter.setInsertionPointToStart(loop.getBody());
    llvm::SmallVector<Value, 2> place{loop.getInductionVar()};
    if (type.getRank() == 2) {
      Value columns = e.i32(type.getShape()[1]);
      place = {e.udiv(loop.getInductionVar(), columns), e.urem(loop.getInductionVar(), columns)};
    }
    ElementExpander expander(kernel, e, rewriter, &op.getBody());
    for (auto [argument, index] : llvm::zip(op.getBody().getArguments(), place)) {
      IntegerForm form = IntegerForm::of(index, /*isPosition=*/true);
      expander.bindIndex(argument, ElementExpander::Uniform, [form](Slot) { return form; });
    }
    Value value = expander.evaluate(tile::yieldOf(op.getBody()).getValues().front(), {});
    if (expander.failed())
      return mlir::failure();
    store(e, type, pointerTo(e, type, buffer, place), value);
    return mlir::success();
  }

  /// Step i is column slot i: what steps share is computed once.
  mlir::LogicalResult buildInSteps(tile::BuildOp op, Emitter &e, Rewriter &rewriter, Value buffer) const {
    tile::BufferType type = op.getRing().getType().getBufferType();
    std::int64_t total = type.getShape().front(), threads = kernel.threads();
    IntegerForm thread = IntegerForm::of(kernel.thread(), /*isPosition=*/true);
    ElementExpander expander(kernel, e, rewriter, &op.getBody());
    expander.bindIndex(op.getBody().getArgument(0), ElementExpander::Column,
                       [thread, threads](Slot slot) { return thread.plus(IntegerForm::of(slot.column * threads), 1); });
    Value first = pointerTo(e, type, buffer, kernel.thread());
    for (int step = 0; step * threads < total; ++step) {
      std::int64_t begin = step * threads;
      if (begin + threads > total) { // the last
        Value isLeft = e.icmp(Compare::Lt, kernel.thread(), e.i32(total - begin));
        auto guard = mlir::scf::IfOp::create(rewriter, op.getLoc(), isLeft, /*withElseRegion=*/false);
        rewriter.setInsertionPointToStart(guard.thenBlock());
      }
      Value value = expander.evaluate(tile::yieldOf(op.getBody()).getValues().front(), {0, step});
      if (expander.failed())
        return mlir::failure();
      store(e, type, e.offset(first, begin * bytesBetween(type)), value);
    }
    return mlir::success();
  }

  /// From an element of a strip to the next.
  static std::int64_t bytesBetween(tile::BufferType type) {
    return type.getSmem().getQuads() ? tile::kQuadBytes : type.getElementType().getIntOrFloatBitWidth() / 8;
  }

  Value pointerTo(Emitter &e, tile::BufferType type, Value buffer, mlir::ValueRange place) const {
    Value offset = type.getRank() == 1 ? e.imul(place.front(), e.i32(bytesBetween(type))) : kernel.elementOffset(e, type, llvm::to_vector(place));
    return kernel.sharedPointer(e, e.iadd(buffer, offset));
  }

  void store(Emitter &e, tile::BufferType type, Value pointer, Value value) const {
    mlir::Type element = type.getElementType();
    if (isSmallFloat(element) && value.getType().isF32())
      value = e.unpackRaw(element, e.pack(element, value, value), 0);
    if (!type.getSmem().getQuads())
      return e.store(value, pointer, element.getIntOrFloatBitWidth() / 8);
    for (int part = 0; part < 4; ++part) { // its own word, and those whose neighbour it is
      std::int64_t word = tile::kQuadsBefore - tile::kQuadSteps[part];
      e.store(value, e.offset(pointer, word * tile::kQuadBytes + 4 * part), 4);
    }
  }
};

class ParamPattern : public TilePattern<tile::ParamOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ParamOp op, Adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    ElementExpander expander(kernel, e, rewriter, nullptr);
    Value value = expander.loadOutsideRegions(op);
    if (!value)
      return mlir::failure();
    rewriter.replaceOp(op, value);
    return mlir::success();
  }
};

/// Any scalar operation of `arith` or `math`.
class ScalarPattern : public mlir::ConversionPattern {
public:
  ScalarPattern(const mlir::TypeConverter &converter, KernelContext &kernel)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), /*benefit=*/1, kernel.anchorContext()), kernel(kernel) {}

  mlir::LogicalResult matchAndRewrite(mlir::Operation *op, llvm::ArrayRef<Value> operands,
                                      mlir::ConversionPatternRewriter &rewriter) const override {
    if (!isScalarOp(op))
      return mlir::failure();
    Emitter e = kernel.emitter(rewriter, op->getLoc());
    Value value = emitScalar(e, op, operands);
    if (!value)
      return op->emitOpError("is not lowered to this target");
    rewriter.replaceOp(op, value);
    return mlir::success();
  }

private:
  KernelContext &kernel;
};
} // namespace

void populateElementwisePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<SplatPattern, MapPattern, ScalePattern, ConvertPattern, BuildPattern>(converter, kernel);
  populateRotatePatterns(kernel, converter, patterns);
}

void populateScalarPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<ParamPattern, ScalarPattern>(converter, kernel);
}

} // namespace attn::codegen
