// Fragments to and from memory: global rows (`load`, `store`), shared buffers (`read`, `write`).
#include "codegen/nvvm/GlobalRows.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

/// The row that slot `slot` of this thread holds.
static Value rowOfSlot(KernelContext &kernel, Emitter &e, const Fragment &fragment, int slot) {
  ThreadForm form = fragment.rowOf(slot);
  return e.iadd(kernel.threadPart(form), e.i32(form.constant));
}

/// Whether the thread is the one that speaks for its rows, of all that hold their values.
static Value isFirstOfRow(KernelContext &kernel, Emitter &e) {
  Value first = e.ieq(kernel.quadLane(), e.i32(0));
  return kernel.parts() == 1 ? first : e.land(first, e.ieq(kernel.part(), e.i32(0)));
}

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

template <class Adaptor> static GlobalRows globalRows(Value tensor, Adaptor adaptor, unsigned dim, int pack = 1) {
  return GlobalRows(TensorView::of(tensor), adaptor.getIndices(), dim,
                    adaptor.getLimit().empty() ? Value() : adaptor.getLimit().front(), pack);
}

namespace {
//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

class StorePattern : public TilePattern<tile::StoreOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::StoreOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    if (isTensorMapStore(op)) {
      storeByTensorMap(kernel, e, op, adaptor.getValue().front(), adaptor.getIndices());
      rewriter.eraseOp(op);
      return mlir::success();
    }
    GlobalRows target = globalRows(op.getTensor(), adaptor, op.getDim(), static_cast<int>(op.getPack().value_or(1)));
    mlir::LogicalResult stored = mlir::success();
    if (auto type = mlir::dyn_cast<tile::FragType>(op.getValue().getType())) {
      if (type.getRank() == 1)
        storeRowValues(e, fragmentOf(type), adaptor.getValue(), target);
      else
        stored = storeFragment(e, op, type, adaptor.getValue(), target);
    } else {
      stored = storeBuffer(e, op, adaptor.getValue().front(), target);
    }
    if (mlir::failed(stored))
      return mlir::failure();
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  template <class Body> void ifInside(Emitter &e, Value inside, Body body) const {
    auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(guard.thenBlock());
    body();
  }

  Value isInside(Emitter &e, const Fragment &fragment, const GlobalRows &target, Value row) const {
    Value inside = target.isInside(e, row);
    if (fragment.fillsAllWarps())
      return inside;
    return e.land(inside, e.icmp(Compare::Lt, row, e.i32(fragment.rows())));
  }

  /// A value a row: written by the first lane of each quad, of the first part.
  void storeRowValues(Emitter &e, const Fragment &fragment, mlir::ValueRange registers, const GlobalRows &target) const {
    Value first = isFirstOfRow(kernel, e);
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      Value row = rowOfSlot(kernel, e, fragment, slot);
      ifInside(e, e.land(first, isInside(e, fragment, target, row)),
               [&] { e.store(registers[slot], target.pointer(e, row, Value()), target.elementBytes()); });
    }
  }

  mlir::LogicalResult storeFragment(Emitter &e, tile::StoreOp op, tile::FragType type, mlir::ValueRange registers,
                                    const GlobalRows &target) const {
    Fragment fragment = fragmentOf(type);
    if (fragment.partCount() > 1)
      return op.emitOpError("of columns in parts goes through a buffer");
    if (!target.hasWholeRows() || target.columns() % 8 != 0 || target.columns() == 0)
      return op.emitOpError("expects whole rows of a multiple of 8 elements, but got ") << op.getTensor().getType();
    int tiles = static_cast<int>(std::min<std::int64_t>(fragment.columnTileCount(), target.columns() / 8));
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      auto at = [&](int tile, int column) { return registers[fragment.registerOf(slot / 2, tile, slot % 2, column)]; };
      llvm::SmallVector<std::array<Value, 4>> quads;
      int transposed = fragment.packing() == 2 ? tiles / 4 * 4 : 0;
      for (int tile = 0; tile < transposed; tile += 4)
        quads.push_back(transposeQuad(e, {at(tile, 0), at(tile + 1, 0), at(tile + 2, 0), at(tile + 3, 0)}));
      Value row = rowOfSlot(kernel, e, fragment, slot);
      if (isFloat8(type.getElementType())) {
        ifInside(e, isInside(e, fragment, target, row), [&] { storeBytes(e, at, quads, tiles, row, target); });
        continue;
      }
      ifInside(e, isInside(e, fragment, target, row), [&] {
        Value base = target.pointer(e, row, e.imul(kernel.quadLane(), e.i32(16)));
        for (int tile = 0; tile < transposed; tile += 4)
          e.storeWords(quads[tile / 4], e.offset(base, 16 * tile));
        if (transposed == tiles)
          return;
        int pairBytes = 2 * target.elementBytes();
        Value pair = target.pointer(e, row, e.imul(kernel.quadLane(), e.i32(pairBytes)));
        for (int tile = transposed; tile < tiles; ++tile)
          storePair(e, fragment, at, tile, e.offset(pair, 4 * pairBytes * tile));
      });
    }
    return mlir::success();
  }

  /// A row of 8-bit elements, pairs in the lower halves of registers: of four tiles each lane has one whole, 8 bytes.
  template <class At>
  void storeBytes(Emitter &e, At at, llvm::ArrayRef<std::array<Value, 4>> quads, int tiles, Value row, const GlobalRows &target) const {
    auto pointer = [&](int bytesOfLane) {
      return target.pointer(e, row, e.imul(kernel.quadLane(), e.i32(bytesOfLane)));
    };
    auto join = [&](Value low, Value high) { return e.ior(low, e.shl(high, e.i32(16))); };
    Value whole = quads.empty() ? Value() : pointer(8), pair = quads.size() * 4 == static_cast<std::size_t>(tiles) ? Value() : pointer(2);
    for (auto [i, quad] : llvm::enumerate(quads))
      e.storeWords({join(quad[0], quad[1]), join(quad[2], quad[3])}, e.offset(whole, 32 * static_cast<int>(i)));
    for (int tile = 4 * static_cast<int>(quads.size()); tile < tiles; ++tile)
      e.store(e.truncateInt(at(tile, 0), e.i16Type()), e.offset(pair, 8 * tile), 2);
  }

  template <class At> static void storePair(Emitter &e, const Fragment &fragment, At at, int tile, Value pointer) {
    if (fragment.packing() == 2)
      return e.storeWords({at(tile, 0)}, pointer);
    e.storeWords({e.asInt(at(tile, 0)), e.asInt(at(tile, 1))}, pointer);
  }

  /// In: word i of lane t is columns 2t, 2t+1 of tile i. Out: word k of lane t is columns 2k, 2k+1 of tile t, so that a
  /// lane holds 16 bytes in a row. Two exchanges: with the neighbour lane, then with the neighbour pair.
  std::array<Value, 4> transposeQuad(Emitter &e, std::array<Value, 4> words) const {
    for (int distance : {1, 2}) {
      Value upper = e.icmp(Compare::Ne, e.iand(kernel.quadLane(), e.i32(distance)), e.i32(0));
      for (int i = 0; i < 4; ++i) {
        if (i & distance)
          continue;
        Value &low = words[i], &high = words[i + distance];
        Value received = e.shuffleXor(e.select(upper, low, high), distance);
        Value newLow = e.select(upper, received, low), newHigh = e.select(upper, high, received);
        low = newLow;
        high = newHigh;
      }
    }
    return words;
  }

  /// 16 bytes a thread at a time, along the rows first.
  mlir::LogicalResult storeBuffer(Emitter &e, tile::StoreOp op, Value buffer, const GlobalRows &target) const {
    auto type = mlir::cast<tile::BufferType>(op.getValue().getType());
    if (!target.hasWholeChunks(type))
      return op.emitOpError("writes 16 bytes at a time, which rows of ") << op.getTensor().getType() << " do not consist of";
    int bytes = target.elementBytes();
    int chunks = static_cast<int>(std::min(type.getShape()[1], target.columns()) * bytes / 16);
    int total = chunks * static_cast<int>(type.getShape()[0]);
    auto loop = mlir::scf::ForOp::create(e.builder, e.location, kernel.thread(), e.i32(total), e.i32(kernel.threads()));
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(loop.getBody());
    Value row = e.udiv(loop.getInductionVar(), e.i32(chunks)), chunk = e.urem(loop.getInductionVar(), e.i32(chunks));
    ifInside(e, target.isInside(e, row), [&] {
      Value offset = kernel.elementOffset(e, type, {row, e.imul(chunk, e.i32(16 / bytes))});
      auto words = e.loadWords(kernel.sharedPointer(e, e.iadd(offset, buffer)), 4);
      e.storeWords(words, target.pointer(e, row, e.imul(chunk, e.i32(16))));
    });
    return mlir::success();
  }
};

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
    else if (type.getRank() == 1 || op.getTrans() || !(isSmallFloat(element) || element.isF32()))
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

  /// f32, two columns at a time: the mirror of writePairs.
  llvm::SmallVector<Value> loadPairs(Emitter &e, const Fragment &fragment, tile::BufferType type, Value buffer) const {
    llvm::SmallVector<Value> registers(fragment.registers());
    for (int slot = 0; slot < fragment.rowSlots(); ++slot)
      for (int tile = 0; tile < fragment.columnTileCount(); ++tile) {
        Value pointer = kernel.sharedPointer(e, type, buffer, LanePattern::WidePairs, fragment.rowOf(slot).constant, 2 * tile);
        int index = fragment.registerOf(slot / 2, tile, slot % 2, 0);
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
      LanePattern pattern = isPacked ? LanePattern::Pairs : LanePattern::WidePairs;
      Value pointer = kernel.sharedPointer(e, type, buffer, pattern, row, isPacked ? tile : 2 * tile);
      if (isPacked)
        e.storeWords({registers[index]}, pointer);
      else
        e.storeWords({e.asInt(registers[index]), e.asInt(registers[index + 1])}, pointer);
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
  patterns.add<StorePattern, LoadPattern, ReadPattern, WritePattern>(converter, kernel);
}

} // namespace attn::codegen
