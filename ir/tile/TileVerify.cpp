// Constraints of the operations, by the labels of their descriptions.
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace attn::tile;

//===----------------------------------------------------------------------===//
// Shared checks
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Type type) {
  return TypeSwitch<Type, ArrayRef<int64_t>>(type)
      .Case<FragType, BufferType, InflightType, RingType>([](auto shaped) { return shaped.getShape(); })
      .Default(ArrayRef<int64_t>());
}

static Type elementOf(Type type) {
  return TypeSwitch<Type, Type>(type)
      .Case<FragType, BufferType, InflightType, RingType, TileTensorType>([](auto shaped) { return shaped.getElementType(); })
      .Default(Type());
}

static LogicalResult expectArguments(Operation *op, Region &region, TypeRange expected) {
  if (region.front().getArgumentTypes() == expected)
    return success();
  return op->emitOpError("expects region arguments (") << expected << "), but got ("
                                                       << region.front().getArgumentTypes() << ")";
}

static LogicalResult expectYields(Operation *op, Region &region, TypeRange expected) {
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield)
    return op->emitOpError("expects a region that ends in `tile.yield`");
  if (yield.getValues().getTypes() == expected)
    return success();
  return op->emitOpError("expects its region to yield (") << expected << "), but got ("
                                                          << yield.getValues().getTypes() << ")";
}

static bool isFloat8(Type type) { return isa<Float8E4M3FNType, Float8E5M2Type>(type); }
/// What is computed in.
static bool isReal(Type type) { return type.isF32() || type.isF64(); }

/// Whether rows of 8-bit floats come as what the products of tiles take.
static bool isWidened(Type rows, TileTensorType tensor) {
  Type element = elementOf(rows);
  return shapeOf(rows).size() == 2 && isFloat8(tensor.getElementType()) && (element.isF16() || element.isBF16());
}

/// (C1) to (C3) of `load`, for a value of type `rows`.
static LogicalResult verifyRows(Operation *op, Type rows, TileTensorType tensor, OperandRange indices, uint32_t dim,
                                bool mayWiden = false) {
  unsigned rank = shapeOf(rows).size();
  unsigned expected = tensor.getRank() + 1 - rank;
  if (indices.size() != expected)
    return op->emitOpError("expects ") << expected << " indices for a value of rank " << rank << ", but got "
                                       << indices.size();
  if (dim >= indices.size())
    return op->emitOpError("expects `along` below ") << indices.size() << ", but got " << dim;
  if (elementOf(rows) != tensor.getElementType() && !(mayWiden && isWidened(rows, tensor)))
    return op->emitOpError("expects element type ") << tensor.getElementType() << ", but got " << elementOf(rows);
  return success();
}

static LogicalResult verifyDot(Operation *op, Type lhs, Type rhs, FragType acc, bool trans) {
  ArrayRef<int64_t> a = shapeOf(lhs), b = shapeOf(rhs);
  if (a.size() != 2 || b.size() != 2 || acc.getRank() != 2)
    return op->emitOpError("expects operands of two dimensions");
  int64_t k = trans ? b[1] : b[0], n = trans ? b[0] : b[1];
  bool isCutInDepth = trans && partsOf(acc.getLayout()) == 2 && acc.getColumns() == 2 * n; // PartOps.td
  bool takesColumns = n == acc.getColumns() || (!trans && n > acc.getColumns()) || isCutInDepth;
  if (a[1] != k || a[0] != acc.getRows() || !takesColumns) // (C1)
    return op->emitOpError("expects M x K, ") << (trans ? "N x K" : "K x N") << " and M x N, but got " << lhs << ", "
                                              << rhs << " and " << acc;
  bool areFloat8 = isFloat8(elementOf(lhs)) && isFloat8(elementOf(rhs));
  Type sum = acc.getElementType();
  bool isSum = elementOf(lhs).isF64() ? sum.isF64() : sum.isF32();
  if ((elementOf(lhs) != elementOf(rhs) && !areFloat8) || !isSum) // (C2)
    return op->emitOpError("expects operands of one element type and an f32 accumulator (f64 of f64 operands), but got ")
           << elementOf(lhs) << ", " << elementOf(rhs) << " and " << acc.getElementType();
  int64_t granule = areFloat8 ? 32 : 16;
  if (k % granule != 0 || n % 8 != 0) // (C3)
    return op->emitOpError("expects K a multiple of ") << granule << " and N of 8, but got " << k << " and " << n;
  return success();
}

static bool isRowsOf(FragType row, ArrayRef<int64_t> shape) {
  return row.getRank() == 1 && row.getRows() == shape[0];
}

//===----------------------------------------------------------------------===//
// Work and roles
//===----------------------------------------------------------------------===//

LogicalResult ForeachWorkOp::verify() {
  SmallVector<Type> expected(getExtents().size(), IntegerType::get(getContext(), 32));
  llvm::append_range(expected, getInits().getTypes());
  if (failed(expectArguments(*this, getBody(), expected))) // (C1)
    return failure();
  if (getResultTypes() != getInits().getTypes())
    return emitOpError("expects results of the carried types (") << getInits().getTypes() << ")";
  return expectYields(*this, getBody(), getInits().getTypes()); // (C2)
}

LogicalResult RoleOp::verify() {
  if (getFirstWarp() >= getEndWarp()) // (C1)
    return emitOpError("expects at least one warp, but got [") << getFirstWarp() << " to " << getEndWarp() << "]";
  if (getRegisters() && (getFirstWarp() % 4 != 0 || getEndWarp() % 4 != 0))
    return emitOpError("expects whole warpgroups (multiples of 4 warps) where `registers` is given");
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult SizeOp::verify() {
  unsigned rank = getTensor().getType().getRank();
  return getDim() < rank ? success() : emitOpError("expects a dimension below ") << rank << ", but got " << getDim();
}

LogicalResult ParamOp::verify() {
  TileTensorType tensor = getTensor().getType();
  if (getIndices().size() != tensor.getRank()) // (C1)
    return emitOpError("expects ") << tensor.getRank() << " indices, but got " << getIndices().size();
  Type element = tensor.getElementType(), result = getType();
  bool agrees = isa<FloatType>(element) ? isa<FloatType>(result)
                : element.isInteger(1)  ? result.isInteger(1)
                : element.isInteger(8)  ? result.isInteger(1) || result.isInteger(32)
                                        : result.isInteger(32);
  return agrees ? success() : emitOpError("cannot read element ") << element << " as " << result; // (C2)
}

/// (C6) of `load`.
static LogicalResult verifyRowRegion(Operation *op, Region &rows, Type value, bool isPlain) {
  if (rows.empty())
    return success();
  Type i32 = IntegerType::get(op->getContext(), 32);
  if (failed(expectArguments(op, rows, i32)) || failed(expectYields(op, rows, i32)))
    return failure();
  if (shapeOf(value).size() != 2 || !isPlain)
    return op->emitOpError("expects a 2-D value without `limit` and `pack` beside region `rows`");
  return success();
}

/// (C7) of `load`.
template <class OpType> static LogicalResult verifyPages(OpType op, Type value) {
  if (!op.getPages())
    return success();
  TileTensorType pages = op.getPages().getType(), tensor = op.getTensor().getType();
  if (pages.getRank() != 2 || !pages.getElementType().isInteger(32))
    return op.emitOpError("expects `pages` of i32 and rank 2, but got ") << pages;
  auto pageRows = tensor.getRank() > 2 ? tensor.getStaticSize(1) : std::nullopt;
  if (!pageRows || !llvm::isPowerOf2_64(static_cast<uint64_t>(*pageRows)))
    return op.emitOpError("expects pages of a power of two of rows beside `pages`, but got ") << tensor;
  if (shapeOf(value).size() != 2 || op.getDim() != 1 || !op.getLimit() || op.getPack() || !op.getRows().empty())
    return op.emitOpError("expects a 2-D value along 1 with `limit` alone beside `pages`");
  return success();
}

LogicalResult LoadOp::verify() {
  if (failed(verifyRows(*this, getType(), getTensor().getType(), getIndices(), getDim(), /*mayWiden=*/true)) ||
      failed(verifyPages(*this, getType())))
    return failure();
  return verifyRowRegion(*this, getRows(), getType(), !getLimit() && !getPack());
}

LogicalResult StoreOp::verify() {
  if (failed(verifyRows(*this, getValue().getType(), getTensor().getType(), getIndices(), getDim())))
    return failure();
  if (!getVia())
    return success();
  if (*getVia() != "tma")
    return emitOpError("expects `via` to be tma, but got ") << *getVia();
  auto buffer = dyn_cast<BufferType>(getValue().getType());
  if (!buffer || buffer.getRank() != 2 || getLimit()) // (C5)
    return emitOpError("expects a 2-D buffer and no `limit` with `via`");
  return success();
}

LogicalResult FillOp::verify() {
  if (failed(verifyRows(*this, getRing().getType(), getTensor().getType(), getIndices(), getDim(), /*mayWiden=*/true)) ||
      failed(verifyPages(*this, getRing().getType())))
    return failure();
  if (auto via = getVia(); via && *via != "tma" && *via != "cp_async" && *via != "plain") // (C4)
    return emitOpError("expects `via` to be tma, cp_async or plain, but got ") << *via;
  if (auto via = getVia(); via && *via != "plain" && elementOf(getRing().getType()) != getTensor().getType().getElementType())
    return emitOpError("expects `via` to be plain where element types differ, but got ") << *via;
  return verifyRowRegion(*this, getRows(), getRing().getType(), !getLimit() && !getPack());
}

LogicalResult BuildOp::verify() {
  RingType ring = getRing().getType();
  SmallVector<Type> positions(ring.getShape().size(), IntegerType::get(getContext(), 32));
  if (failed(expectArguments(*this, getBody(), positions))) // (C1)
    return failure();
  Type element = ring.getElementType();
  bool narrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
  return expectYields(*this, getBody(), narrow ? Float32Type::get(getContext()) : element); // (C2)
}

LogicalResult AwaitOp::verify() {
  BufferType expected = getRing().getType().getBufferType();
  return getType() == expected ? success() : emitOpError("expects result ") << expected << ", but got " << getType();
}

static LogicalResult verifyCopy(Operation *op, FragType fragment, BufferType buffer, bool trans) {
  SmallVector<int64_t> shape(buffer.getShape());
  if (trans)
    std::reverse(shape.begin(), shape.end());
  else if (isa<WriteOp>(op) && shape.size() == 2 && shape[1] > fragment.getColumns())
    shape[1] = fragment.getColumns();
  if (fragment.getShape() != ArrayRef(shape) || fragment.getElementType() != buffer.getElementType())
    return op->emitOpError("expects fragment and buffer to agree, but got ") << fragment << " and " << buffer;
  return success();
}

LogicalResult KeepFiniteOp::verify() {
  auto buffer = dyn_cast<BufferType>(getInput().getType());
  Type element = buffer ? buffer.getElementType() : cast<FragType>(getInput().getType()).getElementType();
  if (!element.isF16() && !element.isBF16() && !element.isF32() && !element.isF64() && !isFloat8(element))
    return emitOpError("expects a float, but got ") << element;
  if (buffer ? static_cast<bool>(getResult()) : !getResult() || getResult().getType() != getInput().getType())
    return emitOpError("expects a result of a fragment's type for it, and none for a buffer");
  return success();
}

LogicalResult ReadOp::verify() { return verifyCopy(*this, getType(), getBuffer().getType(), getTrans()); }
LogicalResult WriteOp::verify() {
  return verifyCopy(*this, getValue().getType(), getBuffer().getType(), getTrans());
}

LogicalResult AtOp::verify() {
  BufferType buffer = getBuffer().getType();
  if (getIndices().size() != buffer.getRank()) // (C1)
    return emitOpError("expects ") << buffer.getRank() << " indices, but got " << getIndices().size();
  if (isa<FloatType>(buffer.getElementType()) != isa<FloatType>(getType())) // (C2)
    return emitOpError("cannot read element ") << buffer.getElementType() << " as " << getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

LogicalResult MapOp::verify() {
  FragType result = getType();
  SmallVector<Type> elements;
  for (Value input : getInputs()) {
    auto fragment = cast<FragType>(input.getType());
    elements.push_back(fragment.getElementType());
    if (fragment.getShape() != result.getShape() && !isRowsOf(fragment, result.getShape())) // (C2)
      return emitOpError("expects inputs of the result's rows and columns, but got ") << fragment << " for " << result;
  }
  if (failed(expectArguments(*this, getBody(), elements))) // (C1)
    return failure();
  return expectYields(*this, getBody(), result.getElementType()); // (C3)
}

LogicalResult RotateOp::verify() {
  FragType type = getType();
  if (type.getRank() != 2 || !isReal(type.getElementType())) // (C4)
    return emitOpError("expects a 2-D fragment of f32 or f64, but got ") << type;
  int64_t start = getStart(), width = getWidth();
  if (width <= 0 || width % 2 != 0 || start < 0 || start % 2 != 0 || start + width > type.getColumns()) // (C1)
    return emitOpError("expects an even range of columns below ") << type.getColumns() << ", but got start " << start
                                                                  << " width " << width;
  if (!getInterleaved() && width % 4 != 0) // (C3)
    return emitOpError("expects a width that 4 divides unless interleaved, but got ") << width;
  Type i32 = IntegerType::get(getContext(), 32);
  if (failed(expectArguments(*this, getBody(), {i32, i32}))) // (C2)
    return failure();
  return expectYields(*this, getBody(), type.getElementType());
}

LogicalResult RowOp::verify() {
  return (*this)->getParentOfType<MapOp>() ? success() : emitOpError("expects to be in the region of `tile.map`");
}

LogicalResult ColOp::verify() {
  auto map = (*this)->getParentOfType<MapOp>();
  if (!map || map.getType().getRank() != 2)
    return emitOpError("expects to be in the region of a `tile.map` with a 2-D result");
  return success();
}

LogicalResult LookupOp::verify() {
  ShapedType table = getTable().getShapedType();
  if (table.getRank() == 1 && table.getElementType() == getType())
    return success();
  return emitOpError("expects a 1-D table of ") << getType() << ", but got " << table;
}

LogicalResult ConvertOp::verify() {
  if (getInput().getType().getShape() == getType().getShape())
    return success();
  return emitOpError("expects equal shapes, but got ") << getInput().getType() << " and " << getType();
}

LogicalResult ReduceOp::verify() {
  FragType input = getInput().getType(), init = getInit().getType();
  if (input.getRank() == 2 && isRowsOf(init, input.getShape()) && input.getElementType() == init.getElementType())
    return success();
  return emitOpError("expects a 2-D fragment and a start value a row, but got ") << input << " and " << init;
}

LogicalResult SoftmaxStepOp::verify() {
  FragType scores = getScores().getType();
  for (FragType type : {getRowMax().getType(), getRowSum().getType()})
    if (scores.getRank() != 2 || !isRowsOf(type, scores.getShape()) || type.getElementType() != scores.getElementType() ||
        !isReal(scores.getElementType()))
      return emitOpError("expects scores of f32 or f64 and a value a row of the same type, but got ") << scores << " and " << type;
  if (Value blockMax = getBlockMax(); blockMax && blockMax.getType() != getRowMax().getType()) // (C2)
    return emitOpError("expects `block_max` of type ") << getRowMax().getType() << ", but got " << blockMax.getType();
  if (!getBlockMax() && partsOf(scores.getLayout()) > 1)
    return emitOpError("expects `block_max` beside scores in parts, but got ") << scores;
  return success();
}

LogicalResult ScaleOp::verify() {
  FragType input = getInput().getType(), factor = getFactor().getType();
  if (input.getRank() == 2 && isRowsOf(factor, input.getShape()))
    return success();
  return emitOpError("expects a 2-D fragment and a factor a row, but got ") << input << " and " << factor;
}

LogicalResult FinishOp::verify() {
  for (Type type : {getRowSum().getType(), getInverse().getType(), getLse().getType()})
    if (cast<FragType>(type).getRank() != 1 || shapeOf(type) != getRowMax().getType().getShape())
      return emitOpError("expects 1-D fragments of one length, but got ") << getRowMax().getType() << " and " << type;
  return success();
}

LogicalResult CombineOp::verify() {
  FragType input = getInput().getType(), result = getResult().getType();
  auto partial = dyn_cast_or_null<RowPartialAttr>(input.getLayout());
  auto row = dyn_cast_or_null<RowAttr>(result.getLayout());
  if (!partial || !row || input.getShape() != result.getShape() || !input.getElementType().isF32() || !result.getElementType().isF32() ||
      partial.getWarps() != row.getWarps() || partial.getParts() != row.getParts()) // (C1)
    return emitOpError("expects f32 values in layout `row_partial` and a result in `row`, but got ") << input << " and " << result;
  BufferType scratch = getScratch().getType();
  if (scratch.getShape() != ArrayRef<int64_t>{row.getParts(), input.getRows()} || !scratch.getElementType().isF32() ||
      scratch.getSmem().getSwizzle() != 0) // (C2)
    return emitOpError("expects a plain scratch of ") << row.getParts() << "x" << input.getRows() << "xf32, but got " << scratch;
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

LogicalResult DotOp::verify() {
  return verifyDot(*this, getLhs().getType(), getRhs().getType(), getAcc().getType(), getTrans());
}

LogicalResult DotAsyncOp::verify() {
  if (getType().getFragType() != getAcc().getType()) // (C4)
    return emitOpError("expects a result in flight of type ") << getAcc().getType() << ", but got " << getType();
  return verifyDot(*this, getLhs().getType(), getRhs().getType(), getAcc().getType(), getTrans());
}

LogicalResult WaitOp::verify() {
  if (getInput().getType().getFragType() == getType())
    return success();
  return emitOpError("expects result ") << getInput().getType().getFragType() << ", but got " << getType();
}
