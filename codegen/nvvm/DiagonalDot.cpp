// Products with a row a diagonal, by mma.sync.m16n8k16 (DiagonalOps.td); of f32 and f64 by those of DotTf32.cpp and DotDouble.cpp. A warp multiplies its own 16 rows with the rows of
// the diagonals that they cross, 15 more than the tile's columns; then each element is fetched from its diagonal by a shuffle.
//
// Of a warp's 16 rows element (r, c) lies on the warp's diagonal d = c - r + 15, which is row R - 16 - 16w + d of the operand.
//
//   diagonal_dot           W = rows · Dᵀ, 16 x (C + 16);  X[r, c] = W[r, c - r + 15]: row r moves 15 - r columns to the left.
//                          With r = g + 8h a row lies in one quad, and the quad's own part of the move, s = 7 - g columns, is the
//                          same for its four lanes: 8(1 - h) columns are another register.
//   diagonal_dot columns   Z = D · columnsᵀ, 32 diagonals x 16 columns at a time;  X[r, c] = Z[c - r + 15, c]: columns keep
//                          their lanes t, rows come from another g.
//   alike                  The rows of all diagonals are one r: X[r, c] = rows · r, a tile of 8 columns, all the same. Of columns
//                          the product is columns · rᵀ, 16 of them at a time, and an element comes from their lane group.
// Its inverse, diagonal_sum, stands in DiagonalSum.cpp.
#include "codegen/nvvm/DiagonalOperands.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

namespace {

class DiagonalDotPattern : public TilePattern<tile::DiagonalDotOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DiagonalDotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Fragment result = fragmentOf(op.getType());
    auto operand = mlir::dyn_cast<tile::BufferType>(op.getOperand().getType());
    if (auto reason = whyNotByDiagonals(kernel, result, op.getDiagonals().getType()); reason || !operand)
      return op.emitOpError(reason.value_or("expects its operand in a buffer"));
    if (op.getAlike() && operand.getElementType().isF64())
      return op.emitOpError("of f64 is lowered without a row for all");
    auto type = mlir::cast<tile::BufferType>(op.getDiagonals().getType());
    Diagonals diagonals{kernel, type, adaptor.getDiagonals().front(), static_cast<int>(op.getType().getRows())};
    Product product{op.getColumns(), operand, adaptor.getOperand().front(), diagonals, static_cast<int>(type.getShape()[1]) / depthOf(type.getElementType()), type.getElementType(), {}};
    if (op.getAcc())
      product.acc.assign(adaptor.getAcc().begin(), adaptor.getAcc().end());
    if (!op.getAlike()) {
      rewriter.replaceOpWithMultiple(op, {multiplyAll(e, product, result)});
      return mlir::success();
    }
    auto row = mlir::dyn_cast<tile::BufferType>(op.getRow().getType());
    if (!row)
      return op.emitOpError("expects the row for all in a buffer");
    llvm::SmallVector<mlir::Type> types(result.registers(), e.f32Type());
    auto branch = mlir::scf::IfOp::create(rewriter, op.getLoc(), types, adaptor.getAlike().front(), /*withElseRegion=*/true);
    for (bool alike : {true, false}) {
      rewriter.setInsertionPointToEnd(alike ? branch.thenBlock() : branch.elseBlock());
      auto registers = alike ? multiplyAlike(e, product, result, row, adaptor.getRow().front()) : multiplyAll(e, product, result);
      mlir::scf::YieldOp::create(rewriter, op.getLoc(), registers);
    }
    rewriter.replaceOpWithMultiple(op, {llvm::SmallVector<Value>(branch.getResults())});
    return mlir::success();
  }

private:
  struct Product {
    bool ofColumns;
    tile::BufferType operandType;
    Value operand;
    const Diagonals &diagonals;
    int steps;
    mlir::Type element;
    llvm::SmallVector<Value> acc; ///< empty, or what the products are added to
  };
  using Accumulator = std::array<Value, 4>; ///< of an m16n8 product: (h, c)

  void multiply(Emitter &e, mlir::Type element, llvm::ArrayRef<Value> left, llvm::ArrayRef<Value> right, Accumulator &sum) const {
    if (element.isF32()) {
      auto a = splitWords(kernel, e, left), b = splitWords(kernel, e, right); // of the same words the same, once
      for (Tf32Product part : tf32Products(kernel)) {
        auto product = multiplyTf32(e, part, a, b, sum);
        std::copy(product.begin(), product.end(), sum.begin());
      }
      return;
    }
    auto product = element.isF64() ? e.mmaDouble(left, right, sum, kernel.hasTallDoubleProducts()) : e.mma(element, left, right, sum);
    std::copy(product.begin(), product.end(), sum.begin());
  }
  /// Of f64 a step at a time: two registers a number leave less room.
  void holdStep(Emitter &e, const Product &p) const {
    if (p.element.isF64())
      e.syncWarp();
  }
  static Value added(Emitter &e, const Product &p, int index, Value product) {
    return p.acc.empty() ? product : e.fadd(p.acc[index], product);
  }
  static Accumulator zeros(Emitter &e, mlir::Type element) {
    Value zero = element.isF64() ? e.f64(0.0) : e.f32(0.0);
    return {zero, zero, zero, zero};
  }

  /// A warp's barriers keep ptxas from fetching operands further ahead than they stand, for which it would spill; beside products of
  /// warpgroups it spills with them.
  void holdOperands(Emitter &e) const {
    if (!kernel.hasRoles())
      e.syncWarp();
  }

  llvm::SmallVector<Value> multiplyAll(Emitter &e, const Product &p, const Fragment &result) const {
    llvm::SmallVector<Value> registers(result.registers());
    for (int slab = 0; slab < result.slabCount(); ++slab)
      if (p.ofColumns)
        multiplyColumns(e, p, result, slab, registers);
      else
        multiplyRows(e, p, result, slab, registers);
    return registers;
  }

  /// All diagonals' rows are one, which stands in a buffer of its own: a tile of 8 columns of it gives what each row, or column,
  /// of the result has everywhere.
  llvm::SmallVector<Value> multiplyAlike(Emitter &e, const Product &p, const Fragment &result, tile::BufferType rowType, Value row) const {
    llvm::SmallVector<llvm::SmallVector<Value>> right;
    for (int step = 0; step < p.steps; ++step)
      right.push_back(e.ldmatrix(atChunk(kernel, e, rowType, row, LanePattern::MatrixColumns, 0, 2 * step), 2, /*transposed=*/false));
    llvm::SmallVector<Value> registers(result.registers());
    auto multiplySlab = [&](LanePattern pattern, int firstRow) {
      Accumulator sum = zeros(e, p.element);
      for (int step = 0; step < p.steps; ++step) {
        Value place = atChunk(kernel, e, p.operandType, p.operand, pattern, firstRow, 2 * step);
        multiply(e, p.element, e.ldmatrix(place, 4, /*transposed=*/false), right[step], sum);
      }
      return sum;
    };
    auto set = [&](int slab, int tile, int half, int column, Value product) {
      int index = result.registerOf(slab, tile, half, column);
      registers[index] = added(e, p, index, product);
    };
    if (!p.ofColumns) {
      for (int slab = 0; slab < result.slabCount(); ++slab) {
        Accumulator sum = multiplySlab(LanePattern::MatrixRowsOfWarp, kSlabRows * static_cast<int>(kernel.warps()) * slab);
        for (int tile = 0; tile < result.columnTileCount(); ++tile)
          for (int half : {0, 1})
            for (int column : {0, 1})
              set(slab, tile, half, column, sum[2 * half]);
      }
      return registers;
    }
    // Columns stand in rows: those of lane group 2t + e are wanted in column 2t + e.
    Value quad = kernel.quadLane();
    for (int tile = 0; tile < result.columnTileCount(); tile += 2) {
      Accumulator sum = multiplySlab(LanePattern::MatrixRows, kTileColumns * tile);
      for (int part : {0, 1})
        for (int column : {0, 1}) {
          Value lane = kernel.atEntry(fmt::format("column's row {}", column), [&](Emitter &entry) {
            Value group = entry.iadd(entry.shl(quad, entry.i32(1)), entry.i32(column));
            return entry.iadd(entry.shl(group, entry.i32(2)), quad);
          });
          Value product = e.shuffleFrom(sum[2 * part], lane);
          for (int slab = 0; slab < result.slabCount(); ++slab)
            for (int half : {0, 1})
              set(slab, tile + part, half, column, product);
        }
    }
    return registers;
  }

  void multiplyRows(Emitter &e, const Product &p, const Fragment &result, int slab, llvm::MutableArrayRef<Value> registers) const {
    int tiles = result.columnTileCount() + kSlabRows / kTileColumns;
    llvm::SmallVector<Accumulator> sums(tiles, zeros(e, p.element));
    holdOperands(e);
    for (int step = 0; step < p.steps; ++step) {
      holdStep(e, p);
      int row = kSlabRows * static_cast<int>(kernel.warps()) * slab;
      llvm::SmallVector<Value> left = operandRows(kernel, e, p.operandType, p.operand, LanePattern::MatrixRowsOfWarp, row, step);
      for (int tile = 0; tile < tiles; tile += 2) {
        llvm::SmallVector<Value> right = p.diagonals.operands(e, LanePattern::DiagonalColumns, slab, kTileColumns * tile, step);
        for (int part : {0, 1})
          multiply(e, p.element, left, llvm::ArrayRef<Value>(right).slice(2 * part, 2), sums[tile + part]);
      }
    }
    moveRows(e, p, result, slab, sums, registers);
  }

  /// X[r, c] = W[r, c - r + 15].
  void moveRows(Emitter &e, const Product &p, const Fragment &result, int slab, llvm::ArrayRef<Accumulator> sums,
                llvm::MutableArrayRef<Value> registers) const {
    QuadMove move(kernel, /*from=*/7, /*direction=*/-1);
    Value odd = move.isOdd();
    for (int half : {0, 1})
      for (int tile = 0; tile < result.columnTileCount(); ++tile) {
        const Accumulator &own = sums[tile + 1 - half], &next = sums[tile + 2 - half];
        for (int column : {0, 1}) {
          int same = 2 * half + column, other = 2 * half + 1 - column;
          Value here = e.select(odd, own[other], own[same]), behind = e.select(odd, next[other], next[same]);
          int index = result.registerOf(slab, tile, half, column);
          registers[index] = added(e, p, index, move.fetch(e, column, here, behind));
        }
      }
  }

  /// 32 diagonals a pair of tiles, of which the first 16 are the last of the pair before: operands of short rows stay in registers.
  void multiplyColumns(Emitter &e, const Product &p, const Fragment &result, int slab, llvm::MutableArrayRef<Value> registers) const {
    constexpr int kMostStepsKept = 4;
    auto diagonalsAt = [&](int diagonal, int step) {
      return p.diagonals.operands(e, LanePattern::DiagonalRows, slab, diagonal, step);
    };
    bool areKept = p.steps <= kMostStepsKept;
    llvm::SmallVector<llvm::SmallVector<Value>> kept;
    for (int step = 0; areKept && step < p.steps; ++step)
      kept.push_back(diagonalsAt(0, step));
    for (int tile = 0; tile < result.columnTileCount(); tile += 2) {
      holdOperands(e);
      Accumulator none = zeros(e, p.element), sums[2][2] = {{none, none}, {none, none}}; // 16 diagonals each, 8 columns each
      for (int step = 0; step < p.steps; ++step) {
        holdStep(e, p);
        llvm::SmallVector<Value> right = operandRows(kernel, e, p.operandType, p.operand, LanePattern::MatrixColumns, kTileColumns * tile, step);
        llvm::SmallVector<Value> first = areKept ? kept[step] : diagonalsAt(kTileColumns * tile, step);
        llvm::SmallVector<Value> second = diagonalsAt(kTileColumns * tile + kSlabRows, step);
        for (int column : {0, 1}) {
          auto columns = llvm::ArrayRef<Value>(right).slice(2 * column, 2);
          multiply(e, p.element, first, columns, sums[0][column]);
          multiply(e, p.element, second, columns, sums[1][column]);
        }
        if (areKept)
          kept[step] = std::move(second);
      }
      moveColumns(e, p, result, slab, tile, sums, registers);
    }
  }

  /// X[r, c] = Z[c - r + 15, c]. For a tile of 8 columns, 2t + e the column in it and r = g + 8h, diagonals are counted from its
  /// own first, 8 a block: d = 2t + e + 7 - g + 8(1 - h), so the element comes from lane group (2t + e + 7 - g) % 8, of block
  /// 1 - h where that is at least 2t + e and of the next where it is less.
  void moveColumns(Emitter &e, const Product &p, const Fragment &result, int slab, int firstTile, const Accumulator (&sums)[2][2],
                   llvm::MutableArrayRef<Value> registers) const {
    Value group = kernel.group(), quad = kernel.quadLane();
    for (int tile : {0, 1})
      for (int column : {0, 1}) {
        auto place = [&](Emitter &entry) { return entry.iadd(entry.shl(quad, entry.i32(1)), entry.i32(column)); };
        Value lane = kernel.atEntry(fmt::format("diagonal lane {}", column), [&](Emitter &entry) {
          Value from = entry.iand(entry.isub(entry.iadd(place(entry), entry.i32(7)), group), entry.i32(7));
          return entry.iadd(entry.shl(from, entry.i32(2)), quad);
        });
        Value isBehind = kernel.atEntry(fmt::format("diagonal behind {}", column),
                                        [&](Emitter &entry) { return entry.icmp(Compare::Lt, group, place(entry)); });
        auto block = [&](int index) { return sums[index / 2][tile][2 * (index % 2) + column]; };
        for (int half : {0, 1}) {
          int own = tile + 1 - half;
          Value source = e.select(isBehind, block(own + 1), block(own));
          int index = result.registerOf(slab, firstTile + tile, half, column);
          registers[index] = added(e, p, index, e.shuffleFrom(source, lane));
        }
      }
  }
};

} // namespace

void populateDiagonalPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DiagonalDotPattern>(converter, kernel);
  populateDiagonalSumPattern(kernel, converter, patterns);
}

} // namespace attn::codegen
