// Fragments from memory, and to shared memory: global rows (`load`), buffers (`read`, `write`). Stores to global rows are
// in Store.cpp.
#include "codegen/nvvm/FragmentRows.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

/// Emits `body` for the threads whose row `row` lies in the fragment; all do unless warps are left over.
static void forRowsOfFragment(Emitter &e, const Fragment &fragment, Value row, llvm::function_ref<void()> body) {
  if (fragment.fillsAllWarps())
    return body();
  Value inside = e.icmp(Compare::Lt, row, e.i32(fragment.rows()));
  auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  e.builder.setInsertionPointToStart(guard.thenBlock());
  body();
}

namespace {
//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

/// Loads that feed no dot: 1-D row data, and tiles read once. Rows and columns beyond the tensor are 0.
class LoadPattern : public TilePattern<tile::LoadOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::LoadOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    auto type = mlir::dyn_cast<tile::FragType>(op.getResult().getType());
    if (!type || op.getPack())
      return op.emitOpError("is lowered to fragments only, without `pack`; PipelineLoads makes rings of the others");
    Emitter e = emitter(rewriter, op);
    Fragment fragment = fragmentOf(type);
    GlobalRows source = globalRows(op.getTensor(), adaptor, op.getDim());
    if (type.getRank() == 2 && (!source.hasWholeRows() || source.columns() == 0 || source.columns() % 2 != 0))
      return op.emitOpError("expects whole rows of an even number of elements, but got ") << op.getTensor().getType();
    llvm::SmallVector<Value> registers;
    for (int index = 0; index < fragment.registers(); ++index)
      registers.push_back(loadRegister(e, type, fragment, source, index));
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  Value loadRegister(Emitter &e, tile::FragType type, const Fragment &fragment, const GlobalRows &source, int index) const {
    FragmentPosition at = fragment.position(index);
    Value row = e.iadd(kernel.threadPart(at.row), e.i32(at.row.constant));
    Value inside = source.isInside(e, row);
    if (type.getRank() == 1)
      return e.loadIf(inside, type.getElementType(), source.pointer(e, row, Value()));
    Value column = e.iadd(kernel.threadPart(at.column), e.i32(at.column.constant));
    inside = e.land(inside, e.icmp(Compare::Lt, column, e.i32(source.columns())));
    Value pointer = source.pointer(e, row, e.imul(column, e.i32(source.elementBytes())));
    return e.loadIf(inside, registerType(type), pointer);
  }
};

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

class ReadPattern : public TilePattern<tile::ReadOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::ReadOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::FragType type = op.getResult().getType();
    tile::BufferType buffer = op.getBuffer().getType();
    Value start = adaptor.getBuffer().front();
    Fragment fragment = fragmentOf(type);
    llvm::SmallVector<Value> registers;
    mlir::Type element = type.getElementType();
    if (type.getRank() == 2 && op.getTrans() && isSmallFloat(element))
      registers = loadTransposed(e, fragment, buffer, start);
    else if (type.getRank() == 1 || op.getTrans() || !(isSmallFloat(element) || element.isF32() || element.isF64()))
      registers = readElements(e, op, fragment, buffer, start);
    else
      registers = readMatrices(e, type, fragment, buffer, start);
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  /// Matrices of floats. Warps without rows read nothing: others may be writing theirs.
  llvm::SmallVector<Value> readMatrices(Emitter &e, tile::FragType result, const Fragment &fragment, tile::BufferType type,
                                        Value buffer) const {
    auto load = [&] { return fragment.packing() == 2 ? loadMatrices(e, fragment, type, buffer) : loadPairs(e, fragment, type, buffer); };
    if (fragment.fillsAllWarps())
      return load();
    Value inside = e.icmp(Compare::Lt, rowOfSlot(kernel, e, fragment, 0), e.i32(fragment.rows()));
    llvm::SmallVector<mlir::Type> types(fragment.registers(), registerType(result));
    auto guard = mlir::scf::IfOp::create(e.builder, e.location, types, inside, /*withElseRegion=*/true);
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(guard.thenBlock());
    mlir::scf::YieldOp::create(e.builder, e.location, load());
    e.builder.setInsertionPointToStart(guard.elseBlock());
    mlir::scf::YieldOp::create(e.builder, e.location, llvm::SmallVector<Value>(fragment.registers(), e.zero(registerType(result))));
    return llvm::SmallVector<Value>(guard.getResults());
  }

  /// f32 and f64, two columns at a time: the mirror of writePairs.
  llvm::SmallVector<Value> loadPairs(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer) const {
    llvm::SmallVector<Value> registers(fragment.registers());
    buffer = kernel.atColumnsOfPart(e, type, buffer, fragment.columnsOfPart());
    for (int slot = 0; slot < fragment.rowSlots(); ++slot)
      for (int tile = 0; tile < fragment.columnTileCount(); ++tile) {
        int index = fragment.registerOf(slot / 2, tile, slot % 2, 0), row = fragment.rowOf(slot).constant;
        if (type.getElementType().isF64()) {
          llvm::copy(e.loadDoubles(kernel.sharedPointer(e, type, buffer, LanePattern::LongPairs, row, 4 * tile)), registers.begin() + index);
          continue;
        }
        Value pointer = kernel.sharedPointer(e, type, buffer, LanePattern::WidePairs, row, 2 * tile);
        for (auto [column, word] : llvm::enumerate(e.loadWords(pointer, 2)))
          registers[index + static_cast<int>(column)] = e.asFloat(word);
      }
    return registers;
  }

  /// An ldmatrix.x4 brings two column tiles of a slab.
  llvm::SmallVector<Value> loadMatrices(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer) const {
    llvm::SmallVector<Value> registers(fragment.registers());
    buffer = kernel.atColumnsOfPart(e, type, buffer, fragment.columnsOfPart());
    for (int slab = 0; slab < fragment.slabCount(); ++slab)
      for (int tile = 0; tile < fragment.columnTileCount(); tile += 2) {
        int count = tile + 1 < fragment.columnTileCount() ? 4 : 2;
        int row = 16 * static_cast<int>(kernel.rowWarps()) * slab;
        Value pointer = kernel.sharedPointer(e, type, buffer, LanePattern::MatrixRowsOfWarp, row, tile);
        auto loaded = e.ldmatrix(pointer, count, /*transposed=*/false);
        std::copy(loaded.begin(), loaded.end(), registers.begin() + fragment.registerOf(slab, tile, 0, 0));
      }
    return registers;
  }

  /// Columns as rows, two column tiles of a slab at a time: matrices transposed as they are loaded. Those of one ldmatrix.x4 as
  /// (rows, columns) of the buffer: [0-7, 0-7] [0-7, 8-15] [8-15, 0-7] [8-15, 8-15]. Warps without rows read the last ones.
  llvm::SmallVector<Value> loadTransposed(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer) const {
    llvm::SmallVector<Value> registers(fragment.registers());
    Value lane = kernel.lane();
    Value row = e.iadd(e.iand(lane, e.i32(7)), e.iand(e.lshr(lane, e.i32(1)), e.i32(8)));
    for (int slab = 0; slab < fragment.slabCount(); ++slab) {
      ThreadForm first = fragment.rowOf(2 * slab), ofWarp;
      ofWarp.warp = first.warp;
      Value column = e.iadd(kernel.threadPart(ofWarp), e.i32(first.constant));
      if (!fragment.fillsAllWarps())
        column = e.smin(column, e.i32(fragment.rows() - 16));
      column = e.iadd(column, e.iand(lane, e.i32(8)));
      for (int tile = 0; tile < fragment.columnTileCount(); tile += 2) {
        int count = tile + 1 < fragment.columnTileCount() ? 4 : 2;
        Value offset = kernel.elementOffset(e, type, {e.iadd(row, e.i32(8 * tile)), column});
        auto loaded = e.ldmatrix(kernel.sharedPointer(e, e.iadd(offset, buffer)), count, /*transposed=*/true);
        std::copy(loaded.begin(), loaded.end(), registers.begin() + fragment.registerOf(slab, tile, 0, 0));
      }
    }
    return registers;
  }

  llvm::SmallVector<Value> readElements(Emitter &e, tile::ReadOp op, const Fragment &fragment, tile::BufferType type,
                                        Value buffer) const {
    unsigned bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    auto element = [&](int index, int part) {
      FragmentPosition at = fragment.position(index, part);
      Value row = e.iadd(kernel.threadPart(at.row), e.i32(at.row.constant));
      if (!fragment.fillsAllWarps())
        row = e.umin(row, e.i32(fragment.rows() - 1));
      llvm::SmallVector<Value, 2> place{row};
      if (type.getRank() == 2) {
        Value column = e.iadd(kernel.threadPart(at.column), e.i32(at.column.constant));
        place = op.getTrans() ? llvm::SmallVector<Value, 2>{column, row} : llvm::SmallVector<Value, 2>{row, column};
      }
      Value offset = e.iadd(kernel.elementOffset(e, type, place), buffer);
      return e.load(type.getElementType(), kernel.sharedPointer(e, offset), bytes);
    };
    llvm::SmallVector<Value> registers;
    for (int index = 0; index < fragment.registers(); ++index) {
      Value value = element(index, 0);
      registers.push_back(fragment.packing() == 2 ? e.packRaw(value, element(index, 1)) : value);
    }
    return registers;
  }
};

class WritePattern : public TilePattern<tile::WriteOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::WriteOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::FragType type = op.getValue().getType();
    tile::BufferType buffer = op.getBuffer().getType();
    Value start = adaptor.getBuffer().front();
    Fragment fragment = fragmentOf(type);
    bool inPairs = type.getRank() == 2 && !op.getTrans() && !mlir::isa<mlir::IntegerType>(type.getElementType());
    if (inPairs && fragment.packing() == 2 && fragment.fillsAllWarps() && kernel.hasRoles()) { // a target that has stmatrix
      writeMatrices(e, fragment, buffer, start, adaptor.getValue());
      rewriter.eraseOp(op);
      return mlir::success();
    }
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      Value row = rowOfSlot(kernel, e, fragment, slot);
      forRowsOfFragment(e, fragment, row, [&] {
        if (type.getRank() == 1)
          writeRowValue(e, buffer, start, row, adaptor.getValue()[slot]);
        else if (inPairs)
          writePairs(e, fragment, buffer, start, slot, adaptor.getValue());
        else
          writeElements(e, op, fragment, start, slot, row, adaptor.getValue());
      });
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  void writeRowValue(Emitter &e, tile::BufferType type, Value buffer, Value row, Value value) const {
    Value first = isFirstOfRow(kernel, e);
    auto guard = mlir::scf::IfOp::create(e.builder, e.location, first, /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(guard.thenBlock());
    Value offset = e.iadd(kernel.elementOffset(e, type, {row}), buffer);
    e.store(value, kernel.sharedPointer(e, offset), type.getElementType().getIntOrFloatBitWidth() / 8);
  }

  /// The mirror of readMatrices: an stmatrix.x4 takes two column tiles of a slab.
  void writeMatrices(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer, mlir::ValueRange registers) const {
    buffer = kernel.atColumnsOfPart(e, type, buffer, fragment.columnsOfPart());
    for (int slab = 0; slab < fragment.slabCount(); ++slab)
      for (int tile = 0; tile < fragment.columnTileCount(); tile += 2) {
        int count = tile + 1 < fragment.columnTileCount() ? 4 : 2;
        int row = 16 * static_cast<int>(kernel.rowWarps()) * slab;
        Value pointer = kernel.sharedPointer(e, type, buffer, LanePattern::MatrixRowsOfWarp, row, tile);
        llvm::SmallVector<Value> words(registers.slice(fragment.registerOf(slab, tile, 0, 0), count));
        e.stmatrix(pointer, words);
      }
  }

  void writePairs(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer, int slot,
                  mlir::ValueRange registers) const {
    bool isPacked = fragment.packing() == 2;
    int row = fragment.rowOf(slot).constant;
    buffer = kernel.atColumnsOfPart(e, type, buffer, fragment.columnsOfPart());
    for (int tile = 0; tile < fragment.columnTileCount(); ++tile) {
      int index = fragment.registerOf(slot / 2, tile, slot % 2, 0);
      bool isLong = type.getElementType().isF64();
      LanePattern pattern = isPacked ? LanePattern::Pairs : isLong ? LanePattern::LongPairs : LanePattern::WidePairs;
      Value pointer = kernel.sharedPointer(e, type, buffer, pattern, row, isPacked ? tile : isLong ? 4 * tile : 2 * tile);
      if (isPacked)
        e.storeWords({registers[index]}, pointer);
      else
        e.storePair(registers[index], registers[index + 1], pointer);
    }
  }

  void writeElements(Emitter &e, tile::WriteOp op, const Fragment &fragment, Value buffer, int slot, Value row,
                     mlir::ValueRange registers) const {
    tile::BufferType type = op.getBuffer().getType();
    mlir::Type element = type.getElementType();
    for (int columnSlot = 0; columnSlot < fragment.columnSlots(); ++columnSlot) {
      ThreadForm form = fragment.columnOf(columnSlot);
      Value column = e.iadd(kernel.threadPart(form), e.i32(form.constant));
      Value value = registers[fragment.registerOf(slot / 2, columnSlot / 2, slot % 2, columnSlot % 2)];
      if (fragment.packing() == 2)
        value = e.unpackRaw(element, value, columnSlot % 2);
      llvm::SmallVector<Value, 2> place = op.getTrans() ? llvm::SmallVector<Value, 2>{column, row} : llvm::SmallVector<Value, 2>{row, column};
      Value offset = e.iadd(kernel.elementOffset(e, type, place), buffer);
      e.store(value, kernel.sharedPointer(e, offset), element.getIntOrFloatBitWidth() / 8);
    }
  }
};
} // namespace

void populateLoadStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<LoadPattern, ReadPattern, WritePattern>(converter, kernel);
  populateStorePatterns(kernel, converter, patterns);
}

} // namespace attn::codegen
