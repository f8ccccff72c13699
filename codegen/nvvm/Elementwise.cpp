// Elementwise work on fragments: splat, map, scale, convert, build; and scalars outside regions.
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/RingEntry.h"
#include "codegen/nvvm/RowReduction.h"
#include "codegen/nvvm/ScalarOps.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

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
      value = e.f32(number);
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
    if (!op.getInput().getType().getElementType().isF32())
      return op.emitOpError("expects f32 elements, but got ") << op.getInput().getType();
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(op.getInput().getType());
    llvm::SmallVector<Value> registers;
    mlir::scf::IfOp branch;
    if (auto step = op.getFactor().getDefiningOp<tile::SoftmaxStepOp>(); step && step.getLazy()) { // mostly all are 1
      Value isOther = e.boolean(false);
      for (Value factor : adaptor.getFactor())
        isOther = e.lor(isOther, e.lnot(e.feq(factor, e.f32(1.0))));
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
    if (mlir::failed(convertLayout(e, op, from, to, registers)) || mlir::failed(convertElements(e, op, from, to, registers)))
      return mlir::failure();
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
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
      if (kernel.parts() > 1)
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
    if (source.isF32() && isSmallFloat(target)) {
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

/// Each thread computes every threads-th element of the entry.
class BuildPattern : public TilePattern<tile::BuildOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::BuildOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::RingType ring = op.getRing().getType();
    tile::BufferType type = ring.getBufferType();
    std::int64_t total = 1;
    for (std::int64_t size : type.getShape())
      total *= size;
    std::optional<RingEntry> entry;
    if (kernel.hasRoles())
      entry.emplace(kernel, e, op.getRing(), adaptor.getRing().front(), adaptor.getEntry().front());
    Value buffer = entry ? entry->buffer(e) : slotOffset(e, ring, adaptor.getRing().front(), adaptor.getEntry().front());
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
    mlir::Type element = type.getElementType();
    if (isSmallFloat(element) && value.getType().isF32())
      value = e.unpackRaw(element, e.pack(element, value, value), 0);
    if (type.getSmem().getQuads()) {
      storeQuads(e, buffer, place.front(), value);
    } else {
      Value offset = e.iadd(buffer, kernel.elementOffset(e, type, place));
      e.store(value, kernel.sharedPointer(e, offset), element.getIntOrFloatBitWidth() / 8);
    }
    rewriter.setInsertionPointAfter(loop);
    if (entry)
      e.arriveAtBarrier(entry->fullBarrier(e));
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  /// Into the four words that hold the element: its own, and those whose neighbour it is.
  void storeQuads(Emitter &e, Value buffer, Value place, Value value) const {
    Value own = kernel.sharedPointer(e, e.iadd(buffer, e.imul(place, e.i32(tile::kQuadBytes))));
    for (int part = 0; part < 4; ++part) {
      std::int64_t word = tile::kQuadsBefore - tile::kQuadSteps[part];
      e.store(value, e.offset(own, word * tile::kQuadBytes + 4 * part), 4);
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
