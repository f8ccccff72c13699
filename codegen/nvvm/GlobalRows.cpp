// See GlobalRows.h. Addresses are 64-bit: row offsets of large tensors exceed 32 bits.
#include "codegen/nvvm/GlobalRows.h"

#include "codegen/AsyncAbi.h"
#include "ir/tile/PlanAttributes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include "llvm/Support/MathExtras.h"

#include <numeric>

namespace attn::codegen {

using mlir::Value;

GlobalRows::GlobalRows(TensorView view, llvm::ArrayRef<mlir::ValueRange> indices, unsigned dim, Value limit, int pack)
    : view(std::move(view)), dim(dim), limit(limit), pack(pack) {
  for (mlir::ValueRange index : indices)
    this->indices.push_back(index.front());
}

bool GlobalRows::hasWholeChunks(tile::BufferType buffer) const {
  if (buffer.getElementType() != view.type.getElementType()) // widened
    return buffer.getRank() == 2 && hasWholeRows() && columns() > 0 && columns() % 8 == 0 && buffer.getShape()[1] % 8 == 0;
  return buffer.getRank() == 2 && hasWholeRows() && view.elementBits() >= 8 && columns() > 0 &&
         columns() * elementBytes() % 16 == 0 && buffer.getShape()[1] * elementBytes() % 16 == 0;
}

Value GlobalRows::stride(Emitter &e, unsigned dimension) const {
  return dimension + 1 < view.type.getRank() ? view.strides[dimension] : e.i64(1);
}

Value GlobalRows::strideBytes(Emitter &e, unsigned dimension) const { return e.imul(stride(e, dimension), e.i64(elementBytes())); }

/// What row `row` adds to the index of dimension `dim`.
Value GlobalRows::place(Emitter &e, Value row) const { return pack > 1 ? e.udiv(row, e.i32(pack)) : row; }

Value GlobalRows::pointerBehind(Emitter &e, Value pointer, int rows, Value row, Value bytes) const {
  if (rows % pack != 0)
    return this->pointer(e, row, bytes);
  return e.offset(pointer, e.imul(strideBytes(e, dim), e.i64(rows / pack)));
}

std::int64_t GlobalRows::rowsTogether(std::int64_t rows) const {
  return table ? std::gcd(rows, *view.type.getStaticSize(1)) : rows;
}

/// Whether indices that are out of range stop the kernel.
static bool isChecked(Emitter &e) {
  for (mlir::Operation *op = e.builder.getInsertionBlock()->getParentOp(); op; op = op->getParentOp())
    if (op->hasAttr(tile::kCheckedAttr))
      return true;
  return false;
}

Value GlobalRows::page(Emitter &e, Value index, Value inside, int otherwise) const {
  auto rows = static_cast<std::uint64_t>(*view.type.getStaticSize(1));
  Value column = e.lshr(index, e.i32(llvm::Log2_64(rows)));
  Value entry = e.iadd(e.imul(e.signExtend(indices[0], e.i64Type()), table->strides[0]), e.signExtend(column, e.i64Type()));
  Value found = e.loadIf(inside, e.i32Type(), e.offset(table->pointer, e.imul(entry, e.i64(4))));
  if (isChecked(e)) // what is not read counts as page 0, which is there even where there are no pages
    e.trapUnless(e.icmp(Compare::UnsignedLt, e.select(inside, found, e.i32(0)), e.smax(view.sizes[0], e.i32(1))));
  return otherwise == 0 ? found : e.select(inside, found, e.i32(otherwise));
}

Value GlobalRows::rowInPage(Emitter &e, Value index) const { return e.iand(index, e.i32(*view.type.getStaticSize(1) - 1)); }

Value GlobalRows::pagedPointer(Emitter &e, Value row, Value bytes) const {
  Value index = e.iadd(indices[1], row);
  llvm::SmallVector<Value> places(indices);
  places[0] = page(e, index, isInside(e, row), /*otherwise=*/0);
  places[1] = rowInPage(e, index);
  Value base = view.pointer;
  for (auto [dimension, place] : llvm::enumerate(places))
    if (dimension < 2 || Emitter::constantOf(place) != 0)
      base = e.offset(base, e.imul(e.signExtend(place, e.i64Type()), strideBytes(e, static_cast<unsigned>(dimension))));
  return bytes ? e.offset(base, e.signExtend(bytes, e.i64Type())) : base;
}

Value GlobalRows::pointer(Emitter &e, Value row, Value bytes) const {
  if (table)
    return pagedPointer(e, row, bytes);
  mlir::Type wide = e.i64Type();
  Value elements;
  for (unsigned i = 0; i < indices.size(); ++i) {
    Value index = e.signExtend(indices[i], wide);
    if (Emitter::constantOf(indices[i]) == 0)
      continue;
    Value term = e.imul(index, stride(e, i));
    elements = elements ? e.iadd(elements, term) : term;
  }
  Value base = view.pointer;
  if (elements)
    base = e.offset(base, e.imul(elements, e.i64(elementBytes())));
  if (row)
    base = e.offset(base, e.imul(e.signExtend(place(e, row), wide), strideBytes(e, dim)));
  if (row && pack > 1) {
    Value head = e.signExtend(e.urem(row, e.i32(pack)), wide);
    base = e.offset(base, e.imul(head, strideBytes(e, packedDimension(static_cast<unsigned>(indices.size()), dim))));
  }
  return bytes ? e.offset(base, e.signExtend(bytes, wide)) : base;
}

Value GlobalRows::isInside(Emitter &e, Value row) const {
  if (table) // the limit counts rows of the request
    return e.icmp(Compare::Lt, e.iadd(row, indices[dim]), limit);
  Value end = limit ? e.smin(limit, view.sizes[dim]) : view.sizes[dim];
  return e.icmp(Compare::Lt, e.iadd(place(e, row), indices[dim]), end);
}

namespace {
/// The body of copyElements for element `index` of the buffer.
class ElementCopy {
public:
  ElementCopy(KernelContext &kernel, tile::BufferType type, Value buffer, const GlobalRows &source)
      : kernel(kernel), type(type), buffer(buffer), source(source), columns(type.getRank() == 2 ? static_cast<int>(type.getShape()[1]) : 1) {}

  void emit(Emitter &e, Value index) {
    Value row = columns == 1 ? index : e.udiv(index, e.i32(columns));
    Value column = columns == 1 ? e.i32(0) : e.urem(index, e.i32(columns));
    Value inside = source.isInside(e, row);
    if (source.hasWholeRows()) {
      Value width = source.tensor().sizes.back();
      inside = e.land(inside, e.icmp(Compare::Lt, column, width));
    }
    Value pointer = source.pointer(e, row, e.imul(column, e.i32(source.elementBytes())));
    Value value = e.loadIf(inside, type.getElementType(), pointer);
    if (type.getElementType().isInteger())
      value = e.truncateInt(value, type.getElementType());
    llvm::SmallVector<Value, 2> place = type.getRank() == 2 ? llvm::SmallVector<Value, 2>{row, column} : llvm::SmallVector<Value, 2>{row};
    Value offset = e.iadd(kernel.elementOffset(e, type, place), buffer);
    e.store(value, kernel.sharedPointer(e, offset), source.elementBytes());
  }

private:
  KernelContext &kernel;
  tile::BufferType type;
  Value buffer;
  const GlobalRows &source;
  int columns;
};
} // namespace

void copyElements(KernelContext &kernel, Emitter &e, tile::BufferType type, Value buffer, const GlobalRows &source) {
  int threads = static_cast<int>(kernel.threads()), total = 1;
  for (std::int64_t size : type.getShape())
    total *= static_cast<int>(size);
  Value thread = kernel.thread();
  ElementCopy copy(kernel, type, buffer, source);
  auto loop = mlir::scf::ForOp::create(e.builder, e.location, thread, e.i32(total), e.i32(threads));
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  copy.emit(e, loop.getInductionVar());
}

} // namespace attn::codegen
