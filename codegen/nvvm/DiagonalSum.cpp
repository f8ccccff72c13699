// Weights times the rows of their diagonals, by the products of DiagonalDot.cpp (DiagonalOps.td), whose inverse it is. Row r of a
// warp's 16 moves 15 - r columns to the right, zeros come in, and the product takes the rows of the warp's diagonals. Where the
// rows of all diagonals are one, a row's weights are summed first, by a product with ones.
#include "codegen/nvvm/DiagonalOperands.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <array>

namespace attn::codegen {

using mlir::Value;

namespace {

class DiagonalSumPattern : public TilePattern<tile::DiagonalSumOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DiagonalSumOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Fragment weights = fragmentOf(op.getWeights().getType()), result = fragmentOf(op.getType());
    if (auto reason = whyNotByDiagonals(kernel, result, op.getDiagonals().getType()))
      return op.emitOpError(*reason);
    if (!mlir::isa<tile::LhsAttr>(op.getWeights().getType().getLayout()))
      return op.emitOpError("expects its weights in layout `lhs`");
    auto type = mlir::cast<tile::BufferType>(op.getDiagonals().getType());
    Diagonals diagonals{kernel, type, adaptor.getDiagonals().front(), static_cast<int>(op.getType().getRows())};
    llvm::SmallVector<Value> acc(adaptor.getAcc());
    if (!op.getAlike()) {
      addDiagonals(e, diagonals, weights, result, adaptor.getWeights(), acc);
      rewriter.replaceOpWithMultiple(op, {acc});
      return mlir::success();
    }
    auto row = mlir::dyn_cast<tile::BufferType>(op.getRow().getType());
    if (!row || !isSmallFloat(row.getElementType()))
      return op.emitOpError("expects the row for all in a buffer, of 16-bit elements");
    llvm::SmallVector<mlir::Type> types(result.registers(), e.f32Type());
    auto branch = mlir::scf::IfOp::create(rewriter, op.getLoc(), types, adaptor.getAlike().front(), /*withElseRegion=*/true);
    for (bool alike : {true, false}) {
      rewriter.setInsertionPointToEnd(alike ? branch.thenBlock() : branch.elseBlock());
      llvm::SmallVector<Value> sum = acc;
      if (alike)
        addRow(e, row, adaptor.getRow().front(), weights, result, adaptor.getWeights(), sum);
      else
        addDiagonals(e, diagonals, weights, result, adaptor.getWeights(), sum);
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), sum);
    }
    rewriter.replaceOpWithMultiple(op, {llvm::SmallVector<Value>(branch.getResults())});
    return mlir::success();
  }

private:
  void addDiagonals(Emitter &e, const Diagonals &diagonals, const Fragment &weights, const Fragment &result, mlir::ValueRange registers,
                    llvm::SmallVectorImpl<Value> &sum) const {
    mlir::Type element = diagonals.type.getElementType();
    for (int slab = 0; slab < result.slabCount(); ++slab) {
      if (element.isF32() || element.isF64()) {
        if (element.isF64())
          addDoubles(e, diagonals, weights, result, slab, registers, sum);
        else
          addFloats(e, diagonals, weights, result, slab, registers, sum);
        continue;
      }
      llvm::SmallVector<Value> moved = moveRows(e, weights, slab, registers);
      for (int step = 0; step < static_cast<int>(moved.size()) / 4; ++step) {
        auto left = llvm::ArrayRef<Value>(moved).slice(4 * step, 4);
        for (int tile = 0; tile < result.columnTileCount(); tile += 2) {
          int count = tile + 1 < result.columnTileCount() ? 2 : 1;
          Value from = diagonals.pointer(e, LanePattern::DiagonalRows, slab, kSlabRows * step, tile);
          llvm::SmallVector<Value> right = e.ldmatrix(from, 2 * count, /*transposed=*/true);
          for (int part = 0; part < count; ++part) {
            int first = result.registerOf(slab, tile + part, 0, 0);
            auto product = e.mma(element, left, llvm::ArrayRef<Value>(right).slice(2 * part, 2), llvm::ArrayRef<Value>(sum).slice(first, 4));
            std::copy(product.begin(), product.end(), sum.begin() + first);
          }
        }
      }
    }
  }

  /// One row for all: a product with ones gives each row's sum of weights in every column of a tile, exactly as the products sum.
  void addRow(Emitter &e, tile::BufferType type, Value row, const Fragment &weights, const Fragment &result, mlir::ValueRange registers,
              llvm::SmallVectorImpl<Value> &sum) const {
    mlir::Type element = type.getElementType();
    Value one = e.i32(element.isBF16() ? 0x3f803f80 : 0x3c003c00);
    llvm::SmallVector<std::array<Value, 4>> sums;
    for (int slab = 0; slab < result.slabCount(); ++slab) {
      std::array<Value, 4> total{e.f32(0.0), e.f32(0.0), e.f32(0.0), e.f32(0.0)};
      for (int tile = 0; tile < weights.columnTileCount(); tile += 2) {
        llvm::SmallVector<Value> left;
        for (int part : {0, 1})
          for (int half : {0, 1})
            left.push_back(registers[weights.registerOf(slab, tile + part, half, 0)]);
        auto product = e.mma(element, left, {one, one}, total);
        std::copy(product.begin(), product.end(), total.begin());
      }
      sums.push_back(total);
    }
    for (int tile = 0; tile < result.columnTileCount(); ++tile) {
      Value pair = e.load(e.i32Type(), atChunk(kernel, e, type, row, LanePattern::Pairs, 0, tile), 4);
      for (int column : {0, 1}) {
        Value number = e.unpack(element, pair, column);
        for (int slab = 0; slab < result.slabCount(); ++slab)
          for (int half : {0, 1}) {
            Value &acc = sum[result.registerOf(slab, tile, half, column)];
            acc = e.fma(sums[slab][2 * half], number, acc);
          }
      }
    }
  }

  /// f32: a k8 step takes the columns of a tile in the order 0 2 4 6 1 3 5 7 (DotTf32.cpp), and sums a block from 0.
  void addFloats(Emitter &e, const Diagonals &diagonals, const Fragment &weights, const Fragment &result, int slab, mlir::ValueRange registers,
                 llvm::SmallVectorImpl<Value> &sum) const {
    llvm::SmallVector<llvm::SmallVector<Tf32Parts, 4>> lefts;
    moveFloats(e, e.f32(0.0), weights, slab, registers, [&](llvm::ArrayRef<Value> words) { lefts.push_back(splitWords(kernel, e, words)); });
    for (int tile = 0; tile < result.columnTileCount(); ++tile) {
      llvm::SmallVector<Value> fresh(4, e.f32(0.0));
      for (auto [step, left] : llvm::enumerate(lefts)) {
        llvm::SmallVector<Value> words;
        for (int row : {0, 1}) {
          int diagonal = kTileColumns * static_cast<int>(step) + row;
          words.push_back(e.load(e.f32Type(), diagonals.pointer(e, LanePattern::DiagonalQuadRows, slab, diagonal, 2 * tile), 4));
        }
        auto right = splitWords(kernel, e, words);
        for (Tf32Product part : tf32Products(kernel))
          fresh = multiplyTf32(e, part, left, right, fresh);
      }
      int first = result.registerOf(slab, tile, 0, 0);
      for (int i = 0; i < 4; ++i)
        sum[first + i] = e.fadd(sum[first + i], fresh[i]);
    }
  }

  /// f64: the same order (DotDouble.cpp), onto the sums.
  void addDoubles(Emitter &e, const Diagonals &diagonals, const Fragment &weights, const Fragment &result, int slab, mlir::ValueRange registers,
                  llvm::SmallVectorImpl<Value> &sum) const {
    constexpr int kBytes = 8, kChunksOfTile = kTileColumns * kBytes / 16, kTilesAhead = 4;
    int diagonal = 0;
    moveFloats(e, e.f64(0.0), weights, slab, registers, [&](llvm::ArrayRef<Value> left) {
      for (int tile = 0; tile < result.columnTileCount(); ++tile) {
        if (tile % kTilesAhead == 0)
          e.syncWarp(); // ptxas fetches no operands further ahead, for which it would spill
        llvm::SmallVector<Value> right;
        for (int row : {0, 1}) {
          Value place = diagonals.pointer(e, LanePattern::EvenQuadRowsLong, slab, diagonal + row, kChunksOfTile * tile);
          right.push_back(e.load(e.f64Type(), place, kBytes));
        }
        int first = result.registerOf(slab, tile, 0, 0);
        auto product = e.mmaDouble(left, right, llvm::ArrayRef<Value>(sum).slice(first, 4), kernel.hasTallDoubleProducts());
        std::copy(product.begin(), product.end(), sum.begin() + first);
      }
      diagonal += kTileColumns;
    });
  }

  /// As moveRows, an element a register; a tile of 8 columns after the other goes to `take`.
  void moveFloats(Emitter &e, Value zero, const Fragment &weights, int slab, mlir::ValueRange registers,
                  llvm::function_ref<void(llvm::ArrayRef<Value>)> take) const {
    QuadMove move(kernel, /*from=*/1, /*direction=*/1);
    Value odd = move.isOdd();
    auto at = [&](int tile, int half, int column) {
      bool isThere = tile >= 0 && tile < weights.columnTileCount();
      return isThere ? registers[weights.registerOf(slab, tile, half, column)] : zero;
    };
    for (int tile = 0; tile < weights.columnTileCount() + 2; ++tile) {
      llvm::SmallVector<Value> words;
      for (int column : {0, 1})
        for (int half : {0, 1}) {
          int source = tile - 2 + half;
          Value own = e.select(odd, at(source, half, 1 - column), at(source, half, column));
          Value next = e.select(odd, at(source + 1, half, 1 - column), at(source + 1, half, column));
          words.push_back(move.fetch(e, column, own, next));
        }
      take(words);
    }
  }

  /// Registers of a left operand of 16 columns more: column d of row r is column d - 15 + r of the weights, 0 beyond them. Counted
  /// from the tile before the last but one, that is a move by 1 + g columns: d - 15 + g + 8h = d - 8(2 - h) + (1 + g).
  llvm::SmallVector<Value> moveRows(Emitter &e, const Fragment &weights, int slab, mlir::ValueRange registers) const {
    QuadMove move(kernel, /*from=*/1, /*direction=*/1);
    Value odd = move.isOdd();
    auto pairOf = [&](int tile, int half) {
      bool isThere = tile >= 0 && tile < weights.columnTileCount();
      return isThere ? registers[weights.registerOf(slab, tile, half, 0)] : e.i32(0);
    };
    llvm::SmallVector<Value> moved;
    for (int tile = 0; tile < weights.columnTileCount() + 2; ++tile)
      for (int half : {0, 1}) {
        Value own = pairOf(tile - 2 + half, half), next = pairOf(tile - 1 + half, half);
        Value first = move.fetch(e, 0, own, next), second = move.fetch(e, 1, own, next);
        Value across = e.ior(e.lshr(first, e.i32(16)), e.shl(second, e.i32(16)));
        moved.push_back(e.select(odd, across, first));
      }
    return moved;
  }
};

} // namespace

void populateDiagonalSumPattern(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DiagonalSumPattern>(converter, kernel);
}

} // namespace attn::codegen
