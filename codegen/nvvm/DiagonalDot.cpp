// Products with a row a diagonal, by mma.sync.m16n8k16 (DiagonalOps.td). A warp multiplies its own 16 rows with the rows of
// the diagonals that they cross, 15 more than the tile's columns; then each element is fetched from its diagonal by a shuffle.
//
// Of a warp's 16 rows element (r, c) lies on the warp's diagonal d = c - r + 15, which is row R - 16 - 16w + d of the operand.
//
//   diagonal_dot           W = rows · Dᵀ, 16 x (C + 16);  X[r, c] = W[r, c - r + 15]: row r moves 15 - r columns to the left.
//                          With r = g + 8h a row lies in one quad, and the quad's own part of the move, s = 7 - g columns, is the
//                          same for its four lanes: 8(1 - h) columns are another register.
//   diagonal_dot columns   Z = D · columnsᵀ, 32 diagonals x 16 columns at a time;  X[r, c] = Z[c - r + 15, c]: columns keep
//                          their lanes t, rows come from another g.
//   diagonal_sum           the first one's inverse: row r of the weights moves 15 - r columns to the right, zeros come in, and
//                          the product takes the rows of the warp's diagonals.
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/Tf32.h"

#include "ir/tile/DiagonalOps.h"
#include "ir/tile/TileLayouts.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

namespace {

constexpr int kSlabRows = 16, kTileColumns = 8;

/// Within a quad: elements of a row of tiles of 8 columns, two a lane (columns 2t and 2t + 1), that move by a number of columns
/// which is the quad's own, `from` + direction · g, 0 to 8: element n of the result is element n + move of the source.
class QuadMove {
public:
  QuadMove(KernelContext &kernel, int from, int direction) : kernel(kernel), from(from), direction(direction) {}

  /// Whether the move is odd: then the two elements of a lane come from the other halves of two lanes' pairs.
  Value isOdd() {
    kernel.group();
    return once("odd", [&](Emitter &e) { return e.icmp(Compare::Ne, e.iand(columns(e), e.i32(1)), e.i32(0)); });
  }
  /// The value for element `half` of a pair: `first` is the pair half it comes from of its own tile, `next` that of the next.
  Value fetch(Emitter &e, int half, Value own, Value next) {
    return e.shuffleFrom(e.select(isBehind(half), next, own), lane(half));
  }

private:
  Value once(const char *what, llvm::function_ref<Value(Emitter &)> make) {
    return kernel.atEntry(fmt::format("quad move {} {} {}", from, direction, what), make);
  }
  Value columns(Emitter &e) { return e.iadd(e.i32(from), e.imul(kernel.group(), e.i32(direction))); }
  /// By how many lanes the source of element `half` is away.
  Value lanes(Emitter &e, int half) { return e.lshr(e.iadd(columns(e), e.i32(half)), e.i32(1)); }
  /// Whether whoever fetches from this lane fetches of the next tile.
  Value isBehind(int half) {
    Value quad = kernel.quadLane();
    kernel.group();
    return once(half ? "behind 1" : "behind 0", [&](Emitter &e) { return e.icmp(Compare::Lt, quad, lanes(e, half)); });
  }
  Value lane(int half) {
    Value quad = kernel.quadLane(), group = kernel.group();
    return once(half ? "lane 1" : "lane 0", [&](Emitter &e) {
      Value within = e.iand(e.iadd(quad, lanes(e, half)), e.i32(3));
      return e.iadd(e.shl(group, e.i32(2)), within);
    });
  }

  KernelContext &kernel;
  int from, direction;
};

/// Address of diagonal `diagonal` of the warp's slab `slab` in an operand with a row for each of the tile's `rows` + columns
/// diagonals, as `pattern` takes it.
struct Diagonals {
  KernelContext &kernel;
  tile::BufferType type;
  Value buffer;
  int rows;

  Value pointer(Emitter &e, LanePattern pattern, int slab, int diagonal, int chunk) const {
    int first = rows - kSlabRows - kSlabRows * static_cast<int>(kernel.warps()) * slab;
    return kernel.sharedPointer(e, type, buffer, pattern, first + diagonal, chunk);
  }
};

/// Why the operation cannot be lowered, or nothing.
std::optional<std::string> whyNot(KernelContext &kernel, const Fragment &tile, mlir::Type diagonals) {
  if (!mlir::isa<tile::BufferType>(diagonals))
    return "expects its diagonals in a buffer";
  mlir::Type element = mlir::cast<tile::BufferType>(diagonals).getElementType();
  if (!isSmallFloat(element) && !element.isF32())
    return "multiplies f16, bf16 and f32 only";
  if (!tile.fillsAllWarps() || kernel.parts() != 1)
    return "expects each warp to have rows, and all columns of them";
  return std::nullopt;
}

/// Columns of operands a product takes: two chunks of 16 bytes.
int depthOf(mlir::Type element) { return element.isF32() ? 8 : 16; }

llvm::SmallVector<Tf32Parts, 4> split(const KernelContext &kernel, Emitter &e, llvm::ArrayRef<Value> words) {
  llvm::SmallVector<Tf32Parts, 4> parts;
  for (Value word : words)
    parts.push_back(splitToTf32(kernel, e, word));
  return parts;
}

//===----------------------------------------------------------------------===//
// diagonal_dot
//===----------------------------------------------------------------------===//

class DiagonalDotPattern : public TilePattern<tile::DiagonalDotOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DiagonalDotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Fragment result = fragmentOf(op.getType());
    auto operand = mlir::dyn_cast<tile::BufferType>(op.getOperand().getType());
    if (auto reason = whyNot(kernel, result, op.getDiagonals().getType()); reason || !operand)
      return op.emitOpError(reason.value_or("expects its operand in a buffer"));
    auto type = mlir::cast<tile::BufferType>(op.getDiagonals().getType());
    Diagonals diagonals{kernel, type, adaptor.getDiagonals().front(), static_cast<int>(op.getType().getRows())};
    Product product{op, operand, adaptor.getOperand().front(), diagonals, static_cast<int>(type.getShape()[1]) / depthOf(type.getElementType()), type.getElementType(), {}};
    llvm::SmallVector<Value> registers(result.registers());
    if (op.getAcc())
      product.acc.assign(adaptor.getAcc().begin(), adaptor.getAcc().end());
    // A warp's barriers keep ptxas from fetching operands further ahead than they stand: it would spill for them.
    for (int slab = 0; slab < result.slabCount(); ++slab)
      if (op.getColumns())
        multiplyColumns(e, product, result, slab, registers);
      else
        multiplyRows(e, product, result, slab, registers);
    rewriter.replaceOpWithMultiple(op, {registers});
    return mlir::success();
  }

private:
  struct Product {
    tile::DiagonalDotOp op;
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
      auto a = split(kernel, e, left), b = split(kernel, e, right); // of the same words the same, once
      for (Tf32Product part : tf32Products(kernel)) {
        auto product = multiplyTf32(e, part, a, b, sum);
        std::copy(product.begin(), product.end(), sum.begin());
      }
      return;
    }
    auto product = e.mma(element, left, right, sum);
    std::copy(product.begin(), product.end(), sum.begin());
  }
  static Value added(Emitter &e, const Product &p, int index, Value product) {
    return p.acc.empty() ? product : e.fadd(p.acc[index], product);
  }
  static Accumulator zeros(Emitter &e) {
    Value zero = e.f32(0.0);
    return {zero, zero, zero, zero};
  }

  void multiplyRows(Emitter &e, const Product &p, const Fragment &result, int slab, llvm::MutableArrayRef<Value> registers) const {
    int tiles = result.columnTileCount() + kSlabRows / kTileColumns;
    llvm::SmallVector<Accumulator> sums(tiles, zeros(e));
    e.syncWarp();
    for (int step = 0; step < p.steps; ++step) {
      int row = kSlabRows * static_cast<int>(kernel.warps()) * slab;
      Value place = kernel.sharedPointer(e, p.operandType, p.operand, LanePattern::MatrixRowsOfWarp, row, 2 * step);
      llvm::SmallVector<Value> left = e.ldmatrix(place, 4, /*transposed=*/false);
      for (int tile = 0; tile < tiles; tile += 2) {
        Value from = p.diagonals.pointer(e, LanePattern::DiagonalColumns, slab, kTileColumns * tile, 2 * step);
        llvm::SmallVector<Value> right = e.ldmatrix(from, 4, /*transposed=*/false);
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

  void multiplyColumns(Emitter &e, const Product &p, const Fragment &result, int slab, llvm::MutableArrayRef<Value> registers) const {
    for (int tile = 0; tile < result.columnTileCount(); tile += 2) {
      e.syncWarp();
      Accumulator sums[2][2] = {{zeros(e), zeros(e)}, {zeros(e), zeros(e)}}; // 16 diagonals each, 8 columns each
      for (int step = 0; step < p.steps; ++step) {
        Value place = kernel.sharedPointer(e, p.operandType, p.operand, LanePattern::MatrixColumns, kTileColumns * tile, 2 * step);
        llvm::SmallVector<Value> right = e.ldmatrix(place, 4, /*transposed=*/false);
        for (int part : {0, 1}) {
          Value from = p.diagonals.pointer(e, LanePattern::DiagonalRows, slab, kTileColumns * tile + kSlabRows * part, 2 * step);
          llvm::SmallVector<Value> left = e.ldmatrix(from, 4, /*transposed=*/false);
          for (int column : {0, 1})
            multiply(e, p.element, left, llvm::ArrayRef<Value>(right).slice(2 * column, 2), sums[part][column]);
        }
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

//===----------------------------------------------------------------------===//
// diagonal_sum
//===----------------------------------------------------------------------===//

class DiagonalSumPattern : public TilePattern<tile::DiagonalSumOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DiagonalSumOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    Fragment weights = fragmentOf(op.getWeights().getType()), result = fragmentOf(op.getType());
    if (auto reason = whyNot(kernel, result, op.getDiagonals().getType()))
      return op.emitOpError(*reason);
    if (!mlir::isa<tile::LhsAttr>(op.getWeights().getType().getLayout()))
      return op.emitOpError("expects its weights in layout `lhs`");
    auto type = mlir::cast<tile::BufferType>(op.getDiagonals().getType());
    Diagonals diagonals{kernel, type, adaptor.getDiagonals().front(), static_cast<int>(op.getType().getRows())};
    llvm::SmallVector<Value> sum(adaptor.getAcc());
    for (int slab = 0; slab < result.slabCount(); ++slab) {
      if (type.getElementType().isF32()) {
        addFloats(e, diagonals, weights, result, slab, adaptor.getWeights(), sum);
        continue;
      }
      llvm::SmallVector<Value> moved = moveRows(e, weights, slab, adaptor.getWeights());
      for (int step = 0; step < static_cast<int>(moved.size()) / 4; ++step) {
        auto left = llvm::ArrayRef<Value>(moved).slice(4 * step, 4);
        for (int tile = 0; tile < result.columnTileCount(); tile += 2) {
          int count = tile + 1 < result.columnTileCount() ? 2 : 1;
          Value from = diagonals.pointer(e, LanePattern::DiagonalRows, slab, kSlabRows * step, tile);
          llvm::SmallVector<Value> right = e.ldmatrix(from, 2 * count, /*transposed=*/true);
          for (int part = 0; part < count; ++part) {
            int first = result.registerOf(slab, tile + part, 0, 0);
            auto product = e.mma(type.getElementType(), left, llvm::ArrayRef<Value>(right).slice(2 * part, 2),
                                 llvm::ArrayRef<Value>(sum).slice(first, 4));
            std::copy(product.begin(), product.end(), sum.begin() + first);
          }
        }
      }
    }
    rewriter.replaceOpWithMultiple(op, {sum});
    return mlir::success();
  }

private:
  /// f32: a k8 step takes the columns of a tile in the order 0 2 4 6 1 3 5 7 (DotTf32.cpp), and sums a block from 0.
  void addFloats(Emitter &e, const Diagonals &diagonals, const Fragment &weights, const Fragment &result, int slab, mlir::ValueRange registers,
                 llvm::SmallVectorImpl<Value> &sum) const {
    auto lefts = moveFloats(e, weights, slab, registers);
    for (int tile = 0; tile < result.columnTileCount(); ++tile) {
      llvm::SmallVector<Value> fresh(4, e.f32(0.0));
      for (auto [step, left] : llvm::enumerate(lefts)) {
        llvm::SmallVector<Value> words;
        for (int row : {0, 1}) {
          int diagonal = kTileColumns * static_cast<int>(step) + row;
          words.push_back(e.load(e.f32Type(), diagonals.pointer(e, LanePattern::DiagonalQuadRows, slab, diagonal, 2 * tile), 4));
        }
        auto right = split(kernel, e, words);
        for (Tf32Product part : tf32Products(kernel))
          fresh = multiplyTf32(e, part, left, right, fresh);
      }
      int first = result.registerOf(slab, tile, 0, 0);
      for (int i = 0; i < 4; ++i)
        sum[first + i] = e.fadd(sum[first + i], fresh[i]);
    }
  }

  /// As moveRows, an element a register, split.
  llvm::SmallVector<llvm::SmallVector<Tf32Parts, 4>> moveFloats(Emitter &e, const Fragment &weights, int slab, mlir::ValueRange registers) const {
    QuadMove move(kernel, /*from=*/1, /*direction=*/1);
    Value odd = move.isOdd();
    auto at = [&](int tile, int half, int column) {
      bool isThere = tile >= 0 && tile < weights.columnTileCount();
      return isThere ? registers[weights.registerOf(slab, tile, half, column)] : e.f32(0.0);
    };
    llvm::SmallVector<llvm::SmallVector<Tf32Parts, 4>> tiles;
    for (int tile = 0; tile < weights.columnTileCount() + 2; ++tile) {
      llvm::SmallVector<Value> words;
      for (int column : {0, 1})
        for (int half : {0, 1}) {
          int source = tile - 2 + half;
          Value own = e.select(odd, at(source, half, 1 - column), at(source, half, column));
          Value next = e.select(odd, at(source + 1, half, 1 - column), at(source + 1, half, column));
          words.push_back(move.fetch(e, column, own, next));
        }
      tiles.push_back(split(kernel, e, words));
    }
    return tiles;
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

void populateDiagonalPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DiagonalDotPattern, DiagonalSumPattern>(converter, kernel);
}

} // namespace attn::codegen
