// Matrix products of warpgroups: dot_async, wait, dot.
//
// A product is one piece of inline assembly: fence, all its steps along the depth, commit. Its accumulators are outputs tied
// to inputs, so that no copy can come between, or outputs alone where a `splat 0` says that nothing is added: then the first
// step does not accumulate. `wait` takes the accumulators and gives them back when the tensor cores are done with them;
// nothing can touch them before it.
//
//     row tile of the block:  warpgroup g has rows 64(g + G·i) … + 63, i = 0, 1, … (layout `acc` of 4·G warps)
//     columns:                up to 256 an instruction; of a result in parts those of the warpgroup's, g and G counted in it
//     depth:                  16 a step, of 8-bit floats 32, which lie along the rows of both operands
//
// A result of two parts and twice as many columns as the right operand has rows is cut along the depth (ir/tile/PartOps.td): part p
// takes steps p, p + 2, p + 4, …, which lie 32 bytes behind part 0's, so that all warpgroups run the same text.
//
// Of a left operand in a buffer, which is the same in all rounds of a loop, the first steps may be in registers (`tile.kept`):
// read once in front of the loop, and by the matrix units no more. With parts of few columns that is most of what they read.
//
// A wait names how many younger products may still be in flight; they complete in order, so that is what was issued since.
#include "codegen/nvvm/MatrixDescriptor.h"
#include "codegen/nvvm/Patterns.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include "mlir/IR/Matchers.h"

#include "llvm/ADT/TypeSwitch.h"

#include <fmt/format.h>

#include <iterator>

namespace attn::codegen {

using mlir::Value;

static constexpr int kRows = 64, kMaxColumns = 256, kDepth = 16;

static int depthOfStep(mlir::Type element) { return isFloat8(element) ? 2 * kDepth : kDepth; }

/// Bytes of a step along the rows of a buffer, whatever the elements.
static constexpr int kStepBytes = 32;

/// How many steps of the depth a part's next one is further.
static int strideOfSteps(mlir::Type acc, mlir::Type right, bool transposed) {
  auto fragment = mlir::cast<tile::FragType>(acc);
  bool isCut = transposed && tile::partsOf(fragment.getLayout()) == 2 && fragment.getColumns() == 2 * mlir::cast<tile::BufferType>(right).getShape()[0];
  return isCut ? 2 : 1;
}

static const char *spell(mlir::Type element) { return isFloat8(element) ? spellFloat8(element) : element.isBF16() ? "bf16" : "f16"; }

/// Products issued after `product` and before `wait`; none may be left in flight if that cannot be counted.
static unsigned countYounger(tile::WaitOp wait) {
  mlir::Operation *product = wait.getInput().getDefiningOp();
  if (!product || product->getBlock() != wait->getBlock())
    return 0;
  auto isProduct = [](mlir::Operation *op) { return mlir::isa<tile::DotOp, tile::DotAsyncOp>(op); };
  unsigned count = 0;
  for (mlir::Operation *op = product->getNextNode(); op && op != wait; op = op->getNextNode()) {
    if (isProduct(op))
      ++count;
    else if (op->walk([&](mlir::Operation *inner) { return isProduct(inner) ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance(); })
                 .wasInterrupted())
      return 0; // under a branch or in a loop
  }
  return count;
}

namespace {
/// The text and operands of one product of a warpgroup.
class ProductAssembly {
public:
  ProductAssembly(KernelContext &kernel, Emitter &e, const Fragment &result, mlir::Type left, mlir::Type right, int strideOfSteps)
      : kernel(kernel), e(e), result(result), leftType(left), rightType(right), strideOfSteps(strideOfSteps) {}

  /// The accumulators: numbered first, as outputs; as inputs too if the product adds to them.
  void addAccumulators(mlir::ValueRange registers) {
    accumulates = !llvm::all_of(registers, [](Value value) { return mlir::matchPattern(value, mlir::m_PosZeroFloat()); });
    count = registers.size();
    for (int i = 0; i < count; ++i)
      constraints += i == 0 ? "=f" : ",=f";
    if (!accumulates)
      return;
    for (int i = 0; i < count; ++i)
      constraints += fmt::format(",{}", i);
    operands.append(registers.begin(), registers.end());
  }

  void setLeft(mlir::ValueRange registers, const Fragment &fragment) {
    leftFragment = &fragment;
    left = addOperands(registers, "r");
  }
  void setLeft(tile::BufferType buffer, Value offset) {
    leftDescriptor.emplace(buffer, /*depthAlongRows=*/true);
    Value base = descriptor(*leftDescriptor, atFirstStep(offset));
    Value group = kernel.warpgroup();
    unsigned groups = kernel.rowWarps() / 4;
    Value rows = kernel.atEntry(fmt::format("rows of warpgroup {}", leftDescriptor->offset(kRows, 0)), [&](Emitter &entry) {
      Value ofPart = kernel.parts() > 1 ? entry.urem(group, entry.i32(groups)) : group;
      return entry.zeroExtend(entry.imul(ofPart, entry.i32(leftDescriptor->offset(kRows, 0))), entry.i64Type());
    });
    left = addOperands(groups > 1 || kernel.parts() == 1 ? e.iadd(base, rows) : base, "l");
  }
  /// The first steps' part of a left operand in a buffer: four registers each.
  void setKept(llvm::ArrayRef<Value> registers) {
    keptSteps = static_cast<int>(registers.size()) / 4;
    kept = addOperands(registers, "r");
  }
  void setRight(tile::BufferType buffer, Value offset, bool transposed) {
    rightDescriptor.emplace(buffer, /*depthAlongRows=*/transposed);
    rightIsMnMajor = !transposed;
    int columns = result.columnsOfPart();
    if (strideOfSteps > 1)
      offset = atFirstStep(offset);
    else
      offset = transposed ? kernel.atRowsOfPart(e, buffer, offset, columns) : kernel.atColumnsOfPart(e, buffer, offset, columns);
    right = addOperands(descriptor(*rightDescriptor, offset), "l");
  }

  llvm::SmallVector<Value> emit(int columns, int depth) {
    std::string text = "{ .reg .b64 a, b; .reg .pred add, set; setp.eq.b32 add, 0, 0; setp.ne.b32 set, 0, 0;\n"
                       "wgmma.fence.sync.aligned;\n";
    for (int slab = 0; slab < result.slabCount(); ++slab)
      for (int first = 0; first < columns; first += kMaxColumns)
        for (int step = 0; step < depth / depthOfStep(rightType) / strideOfSteps; ++step)
          appendStep(text, slab, first, std::min(kMaxColumns, columns - first), step);
    text += "wgmma.commit_group.sync.aligned; }";
    llvm::SmallVector<mlir::Type> types(count, e.f32Type());
    return e.assembly(text, constraints + ",~{memory}", operands, types);
  }

private:
  /// Adds inputs behind all others and gives the number of the first; the tied inputs of accumulators count.
  int addOperands(mlir::ValueRange values, llvm::StringRef constraint) {
    int first = count + static_cast<int>(operands.size());
    for (Value value : values) {
      constraints += fmt::format(",{}", constraint.str());
      operands.push_back(value);
    }
    return first;
  }

  /// Where the part's first step begins.
  Value atFirstStep(Value offset) {
    if (strideOfSteps == 1)
      return offset;
    Value part = kernel.part();
    return e.iadd(offset, kernel.atEntry("first step of part", [&](Emitter &entry) { return entry.imul(part, entry.i32(kStepBytes)); }));
  }

  /// The descriptor of the buffer at `offset` in shared memory.
  Value descriptor(const MatrixDescriptor &form, Value offset) {
    Value shared = kernel.sharedBase();
    Value base = kernel.atEntry("shared address", [&](Emitter &entry) { return entry.addressOf(shared); });
    Value units = e.lshr(e.iadd(base, offset), e.i32(4));
    return e.ior(e.zeroExtend(units, e.i64Type()), e.i64(static_cast<std::int64_t>(form.constantBits())));
  }

  void appendStep(std::string &text, int slab, int first, int columns, int step) const {
    std::string sums, leftText = "a";
    int start = result.registerOf(slab, first / 8, 0, 0);
    for (int i = 0; i < columns / 2; ++i)
      fmt::format_to(std::back_inserter(sums), "{}${}", i == 0 ? "" : ",", start + i);
    auto fourFrom = [](int at) { return fmt::format("{{${},${},${},${}}}", at, at + 1, at + 2, at + 3); };
    bool isInShared = leftDescriptor && step >= keptSteps;
    if (isInShared) {
      // rows of slab i lie one row tile of all warpgroups below those of slab i - 1
      int row = 16 * static_cast<int>(kernel.rowWarps()) * slab;
      fmt::format_to(std::back_inserter(text), "add.s64 a, ${}, {};\n", left, leftDescriptor->offset(row, strideOfSteps * step));
    } else {
      leftText = fourFrom(leftDescriptor ? kept + 4 * step : left + leftFragment->registerOf(slab, depthOfStep(rightType) / 8 * step, 0, 0));
    }
    fmt::format_to(std::back_inserter(text), "add.s64 b, ${}, {};\n", right, rightDescriptor->offset(first, strideOfSteps * step));
    std::string transpositions = isFloat8(rightType) ? "" : fmt::format(", {}{}", isInShared ? "0, " : "", rightIsMnMajor ? 1 : 0);
    fmt::format_to(std::back_inserter(text), "wgmma.mma_async.sync.aligned.m64n{}k{}.f32.{}.{} {{{}}}, {}, b, {}, 1, 1{};\n", columns,
                   depthOfStep(rightType), spell(leftType), spell(rightType), sums, leftText, accumulates || step > 0 ? "add" : "set",
                   transpositions);
  }

  KernelContext &kernel;
  Emitter &e;
  const Fragment &result;
  mlir::Type leftType, rightType; ///< of elements
  std::string constraints;
  llvm::SmallVector<Value> operands;
  int count = 0, left = 0, right = 0, kept = 0; ///< accumulators; numbers of the first operands
  int keptSteps = 0, strideOfSteps = 1;
  bool accumulates = true, rightIsMnMajor = false;
  const Fragment *leftFragment = nullptr;
  std::optional<MatrixDescriptor> leftDescriptor, rightDescriptor;
};

/// Where a lane's row of an `ldmatrix` stands, of the part's step `step`, where every other one is the part's.
Value placeOfPart(KernelContext &kernel, Emitter &e, tile::BufferType buffer, Value offset, int step) {
  int columns = static_cast<int>(tile::rowPitch(buffer.getShape(), buffer.getElementType(), buffer.getSmem()));
  int steps = columns / kDepth / 2, within = step % steps; // of a part in a panel of the swizzle
  Value lane = kernel.lane(), warp = kernel.rowWarp(), part = kernel.part();
  Value place = kernel.atEntry(fmt::format("rows of part {} {}", columns, within), [&](Emitter &entry) {
    Value row = entry.iadd(entry.shl(warp, entry.i32(4)), entry.iand(lane, entry.i32(15)));
    Value half = entry.shl(entry.lshr(lane, entry.i32(4)), entry.i32(3));
    Value column = entry.iadd(entry.imul(part, entry.i32(kDepth)), entry.iadd(half, entry.i32(2 * kDepth * within)));
    return kernel.elementOffset(entry, buffer, {row, column});
  });
  return kernel.sharedPointer(e, e.iadd(place, offset), tile::byteOffset(buffer, 0, step / steps * columns));
}

/// The registers of the left operand's first `steps`, read in front of the loop around the product.
llvm::SmallVector<Value> keptRegisters(KernelContext &kernel, Emitter &e, mlir::Operation *product, tile::BufferType buffer, Value offset,
                                       unsigned steps, int strideOfSteps) {
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  e.builder.setInsertionPoint(product->getParentOfType<mlir::scf::ForOp>());
  llvm::SmallVector<Value> registers;
  for (int step = 0; step < static_cast<int>(steps); ++step) {
    Value pointer = strideOfSteps > 1 ? placeOfPart(kernel, e, buffer, offset, step)
                                      : kernel.sharedPointer(e, buffer, offset, LanePattern::MatrixRowsOfWarp, 0, 2 * step);
    registers.append(e.ldmatrix(pointer, 4, /*transposed=*/false));
  }
  return registers;
}

/// Emits the product; its registers are in flight.
template <class OpType, class Adaptor>
llvm::SmallVector<Value> emitProduct(KernelContext &kernel, Emitter &e, OpType op, Adaptor adaptor) {
  auto right = mlir::cast<tile::BufferType>(op.getRhs().getType());
  Fragment result = fragmentOf(op.getAcc().getType());
  std::optional<Fragment> left;
  auto elementOf = [](auto type) { return type.getElementType(); };
  mlir::Type leftElement = llvm::TypeSwitch<mlir::Type, mlir::Type>(op.getLhs().getType()).template Case<tile::BufferType, tile::FragType>(elementOf);
  int stride = strideOfSteps(op.getAcc().getType(), right, op.getTrans());
  ProductAssembly product(kernel, e, result, leftElement, right.getElementType(), stride);
  product.addAccumulators(adaptor.getAcc());
  if (auto buffer = mlir::dyn_cast<tile::BufferType>(op.getLhs().getType())) {
    product.setLeft(buffer, adaptor.getLhs().front());
    if (auto steps = kernel.roles().keptSteps.find(op); steps != kernel.roles().keptSteps.end())
      product.setKept(keptRegisters(kernel, e, op, buffer, adaptor.getLhs().front(), steps->second, stride));
  } else {
    left = fragmentOf(mlir::cast<tile::FragType>(op.getLhs().getType()));
    product.setLeft(adaptor.getLhs(), *left);
  }
  product.setRight(right, adaptor.getRhs().front(), op.getTrans());
  std::int64_t depth = op.getTrans() ? right.getShape()[1] : right.getShape()[0];
  if (auto known = kernel.roles().depths.find(op); known != kernel.roles().depths.end())
    depth = known->second;
  return product.emit(result.columnsOfPart(), static_cast<int>(depth));
}

llvm::SmallVector<Value> emitWait(Emitter &e, mlir::ValueRange registers, unsigned younger) {
  std::string constraints;
  for (std::size_t i = 0; i < registers.size(); ++i)
    constraints += i == 0 ? "=f" : ",=f";
  for (std::size_t i = 0; i < registers.size(); ++i)
    constraints += fmt::format(",{}", i);
  llvm::SmallVector<mlir::Type> types(registers.size(), e.f32Type());
  return e.assembly(fmt::format("wgmma.wait_group.sync.aligned {};", younger), constraints + ",~{memory}",
                    llvm::SmallVector<Value>(registers), types);
}

class DotAsyncPattern : public TilePattern<tile::DotAsyncOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::DotAsyncOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    rewriter.replaceOpWithMultiple(op, {emitProduct(kernel, e, op, adaptor)});
    return mlir::success();
  }
};

class DotPattern : public TilePattern<tile::DotOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::DotOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    rewriter.replaceOpWithMultiple(op, {emitWait(e, emitProduct(kernel, e, op, adaptor), 0)});
    return mlir::success();
  }
};

class WaitPattern : public TilePattern<tile::WaitOp> {
public:
  using TilePattern::TilePattern;
  mlir::LogicalResult matchAndRewrite(tile::WaitOp op, Adaptor adaptor, Rewriter &rewriter) const override {
    Emitter e = emitter(rewriter, op);
    rewriter.replaceOpWithMultiple(op, {emitWait(e, adaptor.getInput(), kernel.roles().younger.lookup(op))});
    return mlir::success();
  }
};
} // namespace

/// Whether so many rows are whole periods of the swizzle, or so many columns whole panels.
static bool isWholeRows(tile::BufferType, std::int64_t rows) { return rows % 8 == 0; }
static bool isWholePanels(tile::BufferType buffer, std::int64_t columns) {
  return columns % tile::rowPitch(buffer.getShape(), buffer.getElementType(), buffer.getSmem()) == 0;
}

template <class OpType> static std::optional<std::string> whyNoProduct(OpType op) {
  auto role = op->template getParentOfType<tile::RoleOp>();
  auto right = mlir::dyn_cast<tile::BufferType>(op.getRhs().getType());
  auto leftBuffer = mlir::dyn_cast<tile::BufferType>(op.getLhs().getType());
  auto left = mlir::dyn_cast<tile::FragType>(op.getLhs().getType());
  if (!role || !right || (left && !mlir::isa_and_present<tile::LhsAttr>(left.getLayout())))
    return "expects to be in a role, its left operand in a buffer or in layout `lhs`, and its right one in a buffer";
  if (!isSmallFloat(right.getElementType()) && !(isFloat8(right.getElementType()) && op.getTrans()))
    return "multiplies 16-bit floats, and 8-bit ones along their rows";
  if (right.getSmem().getSwizzle() == 0 || (leftBuffer && leftBuffer.getSmem().getSwizzle() == 0))
    return "expects operands in swizzled buffers";
  unsigned warps = role.getEndWarp() - role.getFirstWarp();
  auto acc = op.getAcc().getType();
  unsigned parts = tile::partsOf(acc.getLayout());
  if (warps % (4 * parts) != 0 || tile::warpsOf(acc.getLayout()) != warps)
    return fmt::format("expects layouts over the {} warps of its role, in whole warpgroups", warps);
  if (acc.getRows() % (16 * warps / parts) != 0)
    return fmt::format("expects a multiple of {} rows, 64 for each of the role's warpgroups, but has {}", 16 * warps / parts, acc.getRows());
  if (strideOfSteps(acc, right, op.getTrans()) > 1) {
    std::int64_t steps = right.getShape()[1] / depthOfStep(right.getElementType());
    return steps % 2 == 0 ? std::nullopt : std::optional(fmt::format("expects an even number of steps of the depth for two parts, but has {}", steps));
  }
  if (parts > 1 && (op.getTrans() ? !isWholeRows(right, acc.getColumns() / parts) : !isWholePanels(right, acc.getColumns() / parts)))
    return fmt::format("expects parts of {} columns to begin with the swizzle of the right operand", acc.getColumns() / parts);
  return std::nullopt;
}

std::optional<std::string> whyNoWarpgroupProduct(mlir::Operation *op) {
  if (auto dot = mlir::dyn_cast<tile::DotOp>(op))
    return whyNoProduct(dot);
  if (auto dot = mlir::dyn_cast<tile::DotAsyncOp>(op))
    return whyNoProduct(dot);
  return std::nullopt;
}

llvm::DenseMap<mlir::Operation *, unsigned> countYoungerProducts(mlir::Operation *kernel) {
  llvm::DenseMap<mlir::Operation *, unsigned> counts;
  kernel->walk([&](tile::WaitOp wait) { counts[wait] = countYounger(wait); });
  return counts;
}

/// Columns of an awaited buffer that its copies bring, the others being 0; all of one that threads write as well.
static std::int64_t copiedColumns(Value buffer) {
  std::int64_t all = mlir::cast<tile::BufferType>(buffer.getType()).getShape()[1];
  auto await = buffer.getDefiningOp<tile::AwaitOp>();
  if (!await)
    return all;
  std::int64_t columns = 0;
  for (mlir::Operation *user : await.getRing().getUsers()) {
    if (auto fill = mlir::dyn_cast<tile::FillOp>(user)) {
      auto tensor = fill.getTensor().getType();
      columns = std::max(columns, tensor.getStaticSize(tensor.getRank() - 1).value_or(all));
    } else if (auto widen = mlir::dyn_cast<tile::WidenOp>(user)) {
      columns = std::max(columns, copiedColumns(widen.getSource()));
    } else if (mlir::isa<tile::BuildOp>(user)) {
      return all;
    } else if (auto other = mlir::dyn_cast<tile::AwaitOp>(user)) {
      if (llvm::any_of(other->getUsers(), [](mlir::Operation *reader) { return mlir::isa<tile::WriteOp>(reader); }))
        return all;
    }
  }
  return std::min(columns, all);
}

llvm::DenseMap<mlir::Operation *, unsigned> measureDepths(mlir::Operation *kernel) {
  llvm::DenseMap<mlir::Operation *, unsigned> depths;
  kernel->walk([&](mlir::Operation *op) {
    bool alongRows = false;
    if (auto dot = mlir::dyn_cast<tile::DotOp>(op))
      alongRows = dot.getTrans();
    else if (auto async = mlir::dyn_cast<tile::DotAsyncOp>(op))
      alongRows = async.getTrans();
    if (!alongRows || !mlir::isa<tile::BufferType>(op->getOperand(0).getType()) || !mlir::isa<tile::BufferType>(op->getOperand(1).getType()))
      return;
    std::int64_t columns = std::min(copiedColumns(op->getOperand(0)), copiedColumns(op->getOperand(1)));
    auto right = mlir::cast<tile::BufferType>(op->getOperand(1).getType());
    int stride = strideOfSteps(op->getOperand(2).getType(), right, /*transposed=*/true);
    depths[op] = static_cast<unsigned>(llvm::alignTo(columns, stride * depthOfStep(right.getElementType())));
  });
  return depths;
}

llvm::DenseMap<mlir::Operation *, unsigned> findKeptSteps(mlir::Operation *kernel) {
  llvm::DenseMap<mlir::Operation *, unsigned> steps;
  auto channels = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kKeptAttr);
  if (!channels)
    return steps;
  auto find = [&](auto dot, bool transposed) {
    auto left = dot.getLhs().template getDefiningOp<tile::AwaitOp>();
    auto loop = dot->template getParentOfType<mlir::scf::ForOp>();
    bool isOneSlab = fragmentOf(dot.getAcc().getType()).slabCount() == 1;
    if (!left || !loop || loop->isAncestor(left) || !isOneSlab)
      return;
    std::int64_t ofPart = left.getType().getShape()[1] / strideOfSteps(dot.getAcc().getType(), dot.getRhs().getType(), transposed);
    steps[dot] = static_cast<unsigned>(std::min(channels.getInt(), ofPart) / kDepth);
  };
  kernel->walk([&](tile::DotOp dot) { find(dot, dot.getTrans()); });
  kernel->walk([&](tile::DotAsyncOp dot) { find(dot, dot.getTrans()); });
  return steps;
}

void populateWgmmaPatterns(KernelContext &kernel, const mlir::TypeConverter &converter, mlir::RewritePatternSet &patterns) {
  patterns.add<DotAsyncPattern, DotPattern, WaitPattern>(converter, kernel);
}

} // namespace attn::codegen
