// Stores to global rows: fragments as they lie in registers, buffers 16 bytes a thread at a time (`store`), and fragments to
// some of a row's columns (`store_columns`).
#include "codegen/nvvm/FragmentRows.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/tile/ColumnOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace attn::codegen {

using mlir::Value;

template <class Body> static void ifInside(Emitter &e, Value inside, Body body) {
  auto guard = mlir::scf::IfOp::create(e.builder, e.location, inside, /*withElseRegion=*/false);
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  e.builder.setInsertionPointToStart(guard.thenBlock());
  body();
}

/// Two f64, as one predicated instruction: in a branch of their own the compiler would gather the computation of a whole row,
/// and keep what it reads in registers until then.
static void storePairIf(Emitter &e, Value inside, Value first, Value second, Value pointer) {
  e.assembly("{ .reg .pred p; setp.ne.b32 p, $0, 0; @p st.global.v2.f64 [$1], {$2, $3}; }", "r,l,d,d",
             {e.zeroExtend(inside, e.i32Type()), pointer, first, second});
}

static Value isInside(Emitter &e, const Fragment &fragment, const GlobalRows &target, Value row) {
  Value inside = target.isInside(e, row);
  if (fragment.fillsAllWarps())
    return inside;
  return e.land(inside, e.icmp(Compare::Lt, row, e.i32(fragment.rows())));
}

namespace {
/// Columns of a 2-D fragment, from `begin` on, on their way to `columns` channels of rows, from `first` on. Of four column tiles
/// of 16 bits each lane gets one whole and writes 16 bytes; what is left over, and wider elements, it writes in pairs as it has
/// them.
class FragmentStore {
public:
  FragmentStore(KernelContext &kernel, Emitter &e, tile::FragType type, const Fragment &fragment, mlir::ValueRange registers,
                const GlobalRows &target, std::int64_t first, std::int64_t columns, std::int64_t begin = 0)
      : kernel(kernel), e(e), fragment(fragment), registers(registers), target(target), first(static_cast<int>(first)),
        columns(static_cast<int>(columns)), firstTile(static_cast<int>(begin / 8)), isOfBytes(isFloat8(type.getElementType())),
        isOfDoubles(type.getElementType().isF64() && fragment.partCount() == 1) {
    int behindOthers = fragment.columnsOfPart() * (fragment.partCount() - 1);
    tiles = std::min(fragment.columnTileCount(), this->columns / 8);
    inAllParts = std::clamp((this->columns - behindOthers) / 8, 0, tiles);
    transposed = fragment.packing() == 2 ? inAllParts / 4 * 4 : 0;
  }

  void emit() {
    for (int slot = 0; slot < fragment.rowSlots(); ++slot) {
      llvm::SmallVector<std::array<Value, 4>> quads;
      for (int tile = 0; tile < transposed; tile += 4)
        quads.push_back(transposeQuad({at(slot, tile, 0), at(slot, tile + 1, 0), at(slot, tile + 2, 0), at(slot, tile + 3, 0)}));
      Value row = rowOfSlot(kernel, e, fragment, slot), inside = isInside(e, fragment, target, row);
      if (isOfDoubles)
        storeDoubles(slot, row, inside);
      else
        ifInside(e, inside, [&] { storeRow(slot, row, quads); });
    }
  }

private:
  Value at(int slot, int tile, int column) const { return registers[fragment.registerOf(slot / 2, firstTile + tile, slot % 2, column)]; }

  /// Where the lane begins that writes `bytesOfLane` bytes of each tile, or of each four tiles.
  Value pointer(Value row, int bytesOfLane) {
    Value bytes = e.imul(kernel.quadLane(), e.i32(bytesOfLane));
    if (fragment.partCount() > 1)
      bytes = e.iadd(bytes, e.imul(kernel.part(), e.i32(fragment.columnsOfPart() * target.elementBytes())));
    if (first > 0)
      bytes = e.iadd(bytes, e.i32(first * target.elementBytes()));
    return target.pointer(e, row, bytes);
  }

  void storeDoubles(int slot, Value row, Value inside) {
    Value first = pointer(row, 2 * target.elementBytes());
    for (int tile = 0; tile < inAllParts; ++tile)
      storePairIf(e, inside, at(slot, tile, 0), at(slot, tile, 1), e.offset(first, 8 * target.elementBytes() * tile));
  }

  void storeRow(int slot, Value row, llvm::ArrayRef<std::array<Value, 4>> quads) {
    int tileBytes = 8 * target.elementBytes();
    Value whole = quads.empty() ? Value() : pointer(row, tileBytes);
    for (auto [i, quad] : llvm::enumerate(quads))
      e.storeWords(isOfBytes ? joined(quad) : llvm::SmallVector<Value>(quad.begin(), quad.end()), e.offset(whole, 4 * tileBytes * static_cast<int>(i)));
    if (transposed == tiles)
      return;
    Value pair = pointer(row, 2 * target.elementBytes());
    auto storePairs = [&](int from, int to) {
      for (int tile = from; tile < to; ++tile)
        storePair(slot, tile, e.offset(pair, tileBytes * tile));
    };
    storePairs(transposed, inAllParts);
    // Beyond them parts differ: of two, the first one has all of these.
    int step = fragment.partCount() <= 2 ? tiles - inAllParts : 1;
    for (int tile = inAllParts; tile < tiles; tile += step) {
      Value column = e.iadd(e.imul(kernel.part(), e.i32(fragment.columnsOfPart())), e.i32(8 * (tile + step - 1)));
      ifInside(e, e.icmp(Compare::Lt, column, e.i32(columns)), [&] { storePairs(tile, tile + step); });
    }
  }

  /// Of 8-bit elements, pairs lie in the lower halves of registers.
  llvm::SmallVector<Value> joined(const std::array<Value, 4> &quad) {
    auto join = [&](Value low, Value high) { return e.ior(low, e.shl(high, e.i32(16))); };
    return {join(quad[0], quad[1]), join(quad[2], quad[3])};
  }

  void storePair(int slot, int tile, Value pointer) {
    if (isOfBytes)
      return e.store(e.truncateInt(at(slot, tile, 0), e.i16Type()), pointer, 2);
    if (fragment.packing() == 2)
      return e.storeWords({at(slot, tile, 0)}, pointer);
    e.storePair(at(slot, tile, 0), at(slot, tile, 1), pointer);
  }

  /// In: word i of lane t is columns 2t, 2t+1 of tile i. Out: word k of lane t is columns 2k, 2k+1 of tile t, so that a
  /// lane holds 16 bytes in a row. Two exchanges: with the neighbour lane, then with the neighbour pair.
  std::array<Value, 4> transposeQuad(std::array<Value, 4> words) const {
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

  KernelContext &kernel;
  Emitter &e;
  const Fragment &fragment;
  mlir::ValueRange registers;
  const GlobalRows &target;
  int first, columns, firstTile;
  bool isOfBytes, isOfDoubles;
  int tiles = 0;        ///< of a part, that some part's row has
  int inAllParts = 0;   ///< that the last part's row has, too
  int transposed = 0;   ///< that lanes exchange
};

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
    if (!target.hasWholeRows() || target.columns() % 8 != 0 || target.columns() == 0)
      return op.emitOpError("expects whole rows of a multiple of 8 elements, but got ") << op.getTensor().getType();
    FragmentStore(kernel, e, type, fragmentOf(type), registers, target, 0, target.columns()).emit();
    return mlir::success();
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

class StoreColumnsPattern : public TilePattern<tile::StoreColumnsOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::StoreColumnsOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    tile::FragType type = op.getValue().getType();
    GlobalRows target = globalRows(op.getTensor(), adaptor, op.getDim());
    FragmentStore(kernel, e, type, fragmentOf(type), adaptor.getValue(), target, op.getFirst(), op.getCount(), op.getBegin()).emit();
    rewriter.eraseOp(op);
    return mlir::success();
  }
};
} // namespace

void populateStorePatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<StorePattern, StoreColumnsPattern>(converter, kernel);
}

} // namespace attn::codegen
