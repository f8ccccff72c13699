// Matrix products of f32 operands by mma.sync.m16n8k8 on tf32 numbers.
//
// tf32 has 11 significant bits where f32 has 24. So an operand is written as x = high + low: high is x rounded to tf32, low is
// the rest, of which the instruction takes the first 11 bits. A product is three:
//
//   a·b ≈ low(a)·high(b) + high(a)·low(b) + high(a)·high(b)        the small ones first
//
// What that leaves out is below 2^-21 |a·b| (docs/numerics.md). In kernels marked `tile.tf32` it is the last one alone.
//
// The instruction's operands, one 32-bit register an element (g = lane / 4, t = lane % 4):
//
//   left    row g + 8(r % 2), k = t + 4(r / 2)       right    k = t + 4r, column g
//
// A left operand in a buffer comes so by ldmatrix, and a right one stored N x K: a row of an 8x8 matrix of 16-bit elements is
// four f32. A left operand in registers has the accumulator's layout: columns 2t and 2t + 1 of a k8 step. It is multiplied as
// it is, with the right operand's k in the same order: k = t stands for column 2t, k = t + 4 for column 2t + 1.
//
// With the columns of the result in parts, each part's warps multiply for their own; probs then are in a buffer, for each part
// has computed some of them.
//
// A product of probs with values adds each block's sum to the accumulator by fadd, rounded
// to nearest: the tensor core truncates as it adds, and in one sum over all keys that would add up with their number.
#include "codegen/nvvm/Patterns.h"
#include "codegen/nvvm/PlainOperands.h"
#include "codegen/nvvm/Tf32.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/SmallVectorExtras.h"

namespace attn::codegen {

using mlir::Value;

llvm::ArrayRef<Tf32Product> tf32Products(const KernelContext &kernel) {
  static constexpr Tf32Product all[] = {Tf32Product::LowHigh, Tf32Product::HighLow, Tf32Product::HighHigh};
  return llvm::ArrayRef<Tf32Product>(all).drop_front(kernel.roundsToTf32() ? 2 : 0);
}

Tf32Parts splitToTf32(const KernelContext &kernel, Emitter &e, Value word) {
  if (kernel.roundsToTf32())
    return {e.roundToTf32(word), {}};
  // Half of high's last place is added, then what lies below it cut off. A NaN may become a number so: low is NaN then.
  Value high = e.iand(e.iadd(e.asInt(word), e.i32(0x1000)), e.i32(static_cast<std::int32_t>(0xffffe000)));
  return {high, e.asInt(e.fsub(e.asFloat(word), e.asFloat(high)))};
}

llvm::SmallVector<Value> multiplyTf32(Emitter &e, Tf32Product product, llvm::ArrayRef<Tf32Parts> a, llvm::ArrayRef<Tf32Parts> b,
                                      llvm::ArrayRef<Value> c) {
  auto partsOf = [](llvm::ArrayRef<Tf32Parts> operand, bool low) {
    return llvm::map_to_vector(operand, [&](const Tf32Parts &parts) { return low ? parts.low : parts.high; });
  };
  return e.mmaTf32(partsOf(a, product == Tf32Product::LowHigh), partsOf(b, product == Tf32Product::HighLow), c);
}

namespace {

constexpr int kDepth = 8;

/// The program of one product.
class Tf32Dot {
public:
  Tf32Dot(KernelContext &kernel, Emitter &e, tile::DotOp op, mlir::ValueRange left, Value right, mlir::ValueRange acc)
      : kernel(kernel), e(e), op(op), left(left), right(right), sum(acc), result(fragmentOf(op.getResult().getType())),
        leftInRegisters(mlir::isa<tile::FragType>(op.getLhs().getType())) {
    auto type = rightType();
    this->right = op.getTrans() ? kernel.atRowsOfPart(e, type, right, result.columnsOfPart()) : kernel.atColumnsOfPart(e, type, right, result.columnsOfPart());
    steps = static_cast<int>(op.getTrans() ? type.getShape()[1] : type.getShape()[0]) / kDepth;
    group = result.slabCount() == 1 ? 4 : 2; // column tiles whose sums are independent
  }

  llvm::SmallVector<Value> emit() {
    bool isOfParts = result.partCount() > 1 && !op.getTrans();
    if (leftInRegisters || isOfParts)
      addBlockSums();
    else
      accumulate();
    return std::move(sum);
  }

private:
  using Slabs = llvm::SmallVector<llvm::SmallVector<Tf32Parts, 4>>;
  using Columns = llvm::SmallVector<std::array<Tf32Parts, 2>>;

  tile::BufferType rightType() { return mlir::cast<tile::BufferType>(tile::DotOp(op).getRhs().getType()); }
  int tilesFrom(int first) const { return std::min(group, result.columnTileCount() - first); }

  /// Step by step into the accumulator: each step's left operand is read and split once.
  void accumulate() {
    for (int step = 0; step < steps; ++step) {
      Slabs slabs = leftOf(step);
      for (int first = 0; first < result.columnTileCount(); first += group)
        multiply(slabs, rightOf(step, first, tilesFrom(first)), first, sum);
    }
  }

  /// All steps for some columns, from 0; then onto the accumulator. Left operands are split once for all columns.
  void addBlockSums() {
    llvm::SmallVector<Slabs> lefts;
    for (int step = 0; step < steps; ++step)
      lefts.push_back(leftOf(step));
    llvm::SmallVector<Value> fresh(result.registers(), e.f32(0.0));
    for (int first = 0; first < result.columnTileCount(); first += group) {
      for (int step = 0; step < steps; ++step)
        multiply(lefts[step], rightOf(step, first, tilesFrom(first)), first, fresh);
      for (int slab = 0; slab < result.slabCount(); ++slab)
        for (int tile = first; tile < first + tilesFrom(first); ++tile)
          for (int part = 0; part < 4; ++part) {
            int index = result.registerOf(slab, tile, 0, 0) + part;
            sum[index] = addTo(sum[index], fresh[index]);
          }
    }
  }

  /// An accumulator that has just been scaled is scaled here, by one fma: scaled earlier it would take registers twice.
  Value addTo(Value accumulator, Value fresh) {
    if (auto scaled = accumulator.getDefiningOp<mlir::LLVM::FMulOp>())
      return e.fma(scaled.getLhs(), scaled.getRhs(), fresh);
    return e.fadd(accumulator, fresh);
  }

  /// One of the three for all sums, then the next: no product waits for the one before it.
  void multiply(const Slabs &slabs, const Columns &columns, int first, llvm::SmallVectorImpl<Value> &into) {
    for (Tf32Product part : tf32Products(kernel))
      for (auto [tile, column] : llvm::enumerate(columns))
        for (int slab = 0; slab < result.slabCount(); ++slab) {
          int index = result.registerOf(slab, first + static_cast<int>(tile), 0, 0);
          auto product = multiplyTf32(e, part, slabs[slab], column, llvm::ArrayRef<Value>(into).slice(index, 4));
          std::copy(product.begin(), product.end(), into.begin() + index);
        }
  }

  Tf32Parts split(Value word) { return splitToTf32(kernel, e, word); }

  Slabs leftOf(int step) {
    Slabs slabs;
    for (int slab = 0; slab < result.slabCount(); ++slab) {
      auto &registers = slabs.emplace_back();
      for (Value word : leftWords(slab, step))
        registers.push_back(split(word));
    }
    return slabs;
  }

  std::array<Value, 4> leftWords(int slab, int step) {
    if (auto type = mlir::dyn_cast<tile::FragType>(op.getLhs().getType())) {
      int first = fragmentOf(type).registerOf(slab, step, 0, 0); // (h, c) of the accumulator: 00 01 10 11
      return {left[first], left[first + 2], left[first + 1], left[first + 3]};
    }
    auto type = mlir::cast<tile::BufferType>(op.getLhs().getType());
    int row = 16 * static_cast<int>(kernel.rowWarps()) * slab;
    auto words = e.ldmatrix(kernel.sharedPointer(e, type, left.front(), LanePattern::MatrixRowsOfWarp, row, 2 * step), 4, /*transposed=*/false);
    return {words[0], words[1], words[2], words[3]};
  }

  /// The right operand of `count` column tiles from `first` on.
  Columns rightOf(int step, int first, int count) {
    Columns columns;
    if (op.getTrans() && !leftInRegisters) {
      for (int tile = first; tile < first + count; tile += 2) {
        int tiles = std::min(2, first + count - tile);
        Value pointer = kernel.sharedPointer(e, rightType(), right, LanePattern::MatrixColumns, 8 * tile, 2 * step);
        auto words = e.ldmatrix(pointer, 2 * tiles, /*transposed=*/false);
        for (int part = 0; part < tiles; ++part)
          columns.push_back({split(words[2 * part]), split(words[2 * part + 1])});
      }
      return columns;
    }
    for (int tile = first; tile < first + count; ++tile) {
      std::array<Value, 2> words = op.getTrans() ? rowPair(step, tile) : columnPair(step, tile);
      columns.push_back({split(words[0]), split(words[1])});
    }
    return columns;
  }

  /// Stored N x K, k in the order of registers: two neighbours.
  std::array<Value, 2> rowPair(int step, int tile) {
    auto words = e.loadWords(kernel.sharedPointer(e, rightType(), right, LanePattern::GroupRowPairs, 8 * tile, 2 * step), 2);
    return {words[0], words[1]};
  }

  /// Stored K x N: an element from each of two rows.
  std::array<Value, 2> columnPair(int step, int tile) {
    LanePattern pattern = leftInRegisters ? LanePattern::EvenQuadRows : LanePattern::QuadRows;
    int distance = leftInRegisters ? 1 : 4;
    auto word = [&](int row) { return e.load(e.f32Type(), kernel.sharedPointer(e, rightType(), right, pattern, row, 2 * tile), 4); };
    return {word(kDepth * step), word(kDepth * step + distance)};
  }

  KernelContext &kernel;
  Emitter &e;
  tile::DotOp op;
  mlir::ValueRange left;
  Value right;
  llvm::SmallVector<Value> sum;
  Fragment result;
  bool leftInRegisters;
  int steps = 0, group = 0;
};

class Tf32DotPattern : public TilePattern<tile::DotOp> {
public:
  using TilePattern::TilePattern;

  mlir::LogicalResult matchAndRewrite(tile::DotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    if (!multipliesBuffersOf(op, [](mlir::Type type) { return type.isF32(); }))
      return mlir::failure(); // Dot.cpp's
    if (mlir::failed(verifyPlainOperands(op)))
      return mlir::failure();
    auto leftFragment = mlir::dyn_cast<tile::FragType>(op.getLhs().getType());
    if (leftFragment && tile::partsOf(op.getResult().getType().getLayout()) != 1)
      return op.emitOpError("of columns in parts takes its left operand from a buffer, but got ") << leftFragment;
    Emitter e = emitter(rewriter, op);
    Tf32Dot dot(kernel, e, op, adaptor.getLhs(), adaptor.getRhs().front(), adaptor.getAcc());
    rewriter.replaceOpWithMultiple(op, {dot.emit()});
    return mlir::success();
  }
};
} // namespace

void populateTf32Patterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<Tf32DotPattern>(converter, kernel);
}

} // namespace attn::codegen
