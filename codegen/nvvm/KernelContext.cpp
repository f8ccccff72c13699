// See KernelContext.h.
#include "codegen/nvvm/KernelContext.h"

#include "ir/tile/TileLayouts.h"

#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/Transforms/DialectConversion.h"

#include <fmt/format.h>

namespace attn::codegen {

using mlir::Value;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

bool isSmallFloat(mlir::Type type) { return type.isF16() || type.isBF16(); }
bool isFloat8(mlir::Type type) { return mlir::isa<mlir::Float8E4M3FNType, mlir::Float8E5M2Type>(type); }

static std::optional<FragmentLayout> layoutOf(mlir::Attribute attribute) {
  if (mlir::isa<tile::AccAttr>(attribute))
    return FragmentLayout::Acc;
  if (mlir::isa<tile::LhsAttr>(attribute))
    return FragmentLayout::Lhs;
  if (mlir::isa<tile::RowAttr>(attribute))
    return FragmentLayout::Row;
  if (mlir::isa<tile::RowPartialAttr>(attribute))
    return FragmentLayout::RowPartial;
  return std::nullopt;
}

static std::optional<Fragment> makeFragment(tile::FragType type, std::string *error) {
  if (!type.getLayout()) {
    *error = "a fragment without a layout";
    return std::nullopt;
  }
  auto layout = layoutOf(type.getLayout());
  if (!layout) {
    *error = "a fragment layout of another target";
    return std::nullopt;
  }
  int columns = type.getRank() == 2 ? static_cast<int>(type.getColumns()) : 1;
  return Fragment::make(*layout, static_cast<int>(tile::warpsOf(type.getLayout())), static_cast<int>(type.getRows()), columns,
                        static_cast<int>(type.getElementType().getIntOrFloatBitWidth()), error, static_cast<int>(tile::partsOf(type.getLayout())));
}

Fragment fragmentOf(tile::FragType type) {
  std::string error;
  auto fragment = makeFragment(type, &error);
  assert(fragment && "fragment types are checked before conversion");
  return *fragment;
}

std::optional<std::string> whyNotLowerable(tile::FragType type) {
  std::string error;
  if (!makeFragment(type, &error))
    return error;
  mlir::Type element = type.getElementType();
  if (element.isF32() || element.isF64() || element.isInteger(32) || element.isInteger(1) || ((isSmallFloat(element) || isFloat8(element)) && type.getRank() == 2))
    return std::nullopt;
  return "a fragment of elements other than f32, f64, i32, i1, or in two dimensions floats of 8 and 16 bits";
}

mlir::Type registerType(tile::FragType type) {
  mlir::Type element = type.getElementType();
  return isSmallFloat(element) || isFloat8(element) ? mlir::IntegerType::get(type.getContext(), 32) : element;
}

void addTileTypeConversions(mlir::TypeConverter &converter) {
  converter.addConversion([](mlir::Type type) { return type; });
  converter.addConversion([](tile::FragType type, llvm::SmallVectorImpl<mlir::Type> &results) {
    results.append(fragmentOf(type).registers(), registerType(type));
    return mlir::success();
  });
  converter.addConversion([](tile::InflightType type, llvm::SmallVectorImpl<mlir::Type> &results) {
    results.append(fragmentOf(type.getFragType()).registers(), registerType(type.getFragType()));
    return mlir::success();
  });
  converter.addConversion([](tile::BufferType type) -> mlir::Type { return mlir::IntegerType::get(type.getContext(), 32); });
  converter.addConversion([](tile::RingType type) -> mlir::Type { return mlir::IntegerType::get(type.getContext(), 32); });
}

Value TensorView::makeTensor(mlir::OpBuilder &builder, mlir::Location location, const TensorView &view) {
  llvm::SmallVector<Value> parts{view.pointer};
  parts.append(view.strides);
  parts.append(view.sizes);
  return mlir::UnrealizedConversionCastOp::create(builder, location, view.type, parts).getResult(0);
}

TensorView TensorView::of(Value tensor) {
  auto cast = tensor.getDefiningOp<mlir::UnrealizedConversionCastOp>();
  assert(cast && "tensors are made at entry");
  mlir::ValueRange parts = cast.getInputs();
  TensorView view;
  view.type = mlir::cast<tile::TileTensorType>(tensor.getType());
  unsigned rank = view.type.getRank();
  assert(parts.size() == 2 * rank && "a tensor is a pointer, rank - 1 strides, rank sizes");
  view.pointer = parts[0];
  view.strides.assign(parts.begin() + 1, parts.begin() + rank);
  view.sizes.assign(parts.begin() + rank, parts.end());
  return view;
}

unsigned TensorView::elementBits() const { return type.getElementType().getIntOrFloatBitWidth(); }

//===----------------------------------------------------------------------===//
// Entry values
//===----------------------------------------------------------------------===//

KernelContext::KernelContext(mlir::Operation *constantAnchor, mlir::Operation *entryAnchor, Value sharedBase, unsigned warps)
    : constants(constantAnchor), entryAnchor(entryAnchor), shared(sharedBase) {
  current.count = warps;
}

void KernelContext::setAnchor(mlir::Operation *anchor) {
  current.anchor = roleFacts->roles[current.role].anchor = anchor;
}

void KernelContext::enter(mlir::Operation *op) {
  if (!roleFacts)
    return;
  if (auto role = roleFacts->roleOf.find(op); role != roleFacts->roleOf.end())
    current = roleFacts->roles[role->second];
}

Value KernelContext::atEntry(const std::string &name, const std::function<Value(Emitter &)> &make) {
  std::string key = fmt::format("{} {} {}", current.first, current.count, name); // a role's coordinates are its own
  if (auto found = entryValues.find(key); found != entryValues.end())
    return found->second;
  mlir::Operation *anchor = current.anchor ? current.anchor : entryAnchor;
  mlir::OpBuilder builder(anchor);
  Emitter e = emitter(builder, anchor->getLoc());
  Value value = make(e);
  entryValues.emplace(key, value);
  return value;
}

Value KernelContext::thread() {
  return atEntry("thread", [&](Emitter &e) { return e.iadd(e.threadIndex(), e.i32(-32 * static_cast<int>(current.first))); });
}
Value KernelContext::lane() {
  Value index = thread();
  return atEntry("lane", [&](Emitter &e) { return e.iand(index, e.i32(31)); });
}
Value KernelContext::warp() {
  Value index = thread();
  return atEntry("warp", [&](Emitter &e) { return e.lshr(index, e.i32(5)); });
}
Value KernelContext::uniformWarp() {
  Value index = warp();
  return atEntry("uniform warp", [&](Emitter &e) { return e.shuffleFrom(index, e.i32(0)); });
}
Value KernelContext::warpgroup() {
  Value index = uniformWarp();
  return atEntry("warpgroup", [&](Emitter &e) { return e.lshr(index, e.i32(2)); });
}
Value KernelContext::part() {
  if (partCount == 1)
    return atEntry("part", [](Emitter &e) { return e.i32(0); });
  Value index = uniformWarp();
  return atEntry("part", [&](Emitter &e) { return e.udiv(index, e.i32(rowWarps())); });
}
Value KernelContext::rowWarp() {
  Value index = warp();
  return partCount == 1 ? index : atEntry("row warp", [&](Emitter &e) { return e.urem(index, e.i32(rowWarps())); });
}
Value KernelContext::uniformRowWarp() {
  Value index = uniformWarp();
  return partCount == 1 ? index : atEntry("uniform row warp", [&](Emitter &e) { return e.urem(index, e.i32(rowWarps())); });
}
Value KernelContext::group() {
  Value index = lane();
  return atEntry("group", [&](Emitter &e) { return e.lshr(index, e.i32(2)); });
}
Value KernelContext::quadLane() {
  Value index = thread();
  return atEntry("quad lane", [&](Emitter &e) { return e.iand(index, e.i32(3)); });
}

Value KernelContext::threadPart(const ThreadForm &form) {
  if (form.warp == 0 && form.group == 0 && form.thread == 0 && form.part == 0)
    return Value();
  std::string key = fmt::format("form {} {} {} {}", form.warp, form.group, form.thread, form.part);
  Value terms[] = {rowWarp(), group(), quadLane(), part()};
  int factors[] = {form.warp, form.group, form.thread, form.part};
  return atEntry(key, [&](Emitter &e) {
    Value sum;
    for (int i = 0; i < 4; ++i) {
      if (factors[i] == 0)
        continue;
      Value term = e.imul(terms[i], e.i32(factors[i]));
      sum = sum ? e.iadd(sum, term) : term;
    }
    return sum;
  });
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

static std::int64_t elementBytes(mlir::Type type) { return (type.getIntOrFloatBitWidth() + 7) / 8; }

Value KernelContext::sharedPointer(Emitter &e, Value bufferOffset, std::int64_t bytes) {
  if (auto constant = Emitter::constantOf(bufferOffset))
    return e.offset(shared, *constant + bytes);
  return e.offset(e.offset(shared, bufferOffset), bytes);
}

/// The lane's address in a buffer at offset 0, its chunk exchanged with `exchangedChunk` by XOR: within a swizzled row the
/// chunk bits of the thread's part can only be met that way, and it is one address for each of a row's chunks.
Value KernelContext::lanePointer(tile::BufferType type, LanePattern pattern, int exchangedChunk) {
  int swizzle = static_cast<int>(type.getSmem().getSwizzle());
  std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes(type.getElementType());
  bool ofWarp = pattern == LanePattern::MatrixRowsOfWarp || pattern == LanePattern::Pairs || pattern == LanePattern::WidePairs ||
                pattern == LanePattern::LongPairs;
  std::int64_t rows = type.getShape()[0];
  std::string key = fmt::format("lanes {} {} {} {} {}", swizzle, pitch, static_cast<int>(pattern), ofWarp ? rows : 0, exchangedChunk);
  Value laneIndex = lane(), warpIndex = rowWarp(), groupIndex = group(), quad = quadLane();
  return atEntry(key, [&](Emitter &e) {
    Value row, chunk = e.i32(0), bytes = e.i32(0);
    switch (pattern) {
    case LanePattern::MatrixRows:
    case LanePattern::MatrixRowsOfWarp:
    case LanePattern::DiagonalRows:
      row = e.iand(laneIndex, e.i32(15));
      chunk = e.lshr(laneIndex, e.i32(4));
      break;
    case LanePattern::MatrixColumns:
    case LanePattern::DiagonalColumns:
      row = e.iadd(e.iand(laneIndex, e.i32(7)), e.shl(e.lshr(laneIndex, e.i32(4)), e.i32(3)));
      chunk = e.iand(e.lshr(laneIndex, e.i32(3)), e.i32(1));
      break;
    case LanePattern::Pairs:
      row = groupIndex;
      bytes = e.shl(quad, e.i32(2));
      break;
    case LanePattern::WidePairs:
    case LanePattern::GroupRowPairs:
      row = groupIndex;
      chunk = e.lshr(quad, e.i32(1));
      bytes = e.shl(e.iand(quad, e.i32(1)), e.i32(3));
      break;
    case LanePattern::LongPairs:
    case LanePattern::GroupRowLongPairs:
      row = groupIndex;
      chunk = quad;
      break;
    case LanePattern::EvenQuadRowsLong:
      row = e.shl(quad, e.i32(1));
      chunk = e.lshr(groupIndex, e.i32(1));
      bytes = e.shl(e.iand(groupIndex, e.i32(1)), e.i32(3));
      break;
    case LanePattern::QuadRows:
    case LanePattern::EvenQuadRows:
    case LanePattern::DiagonalQuadRows:
      row = pattern == LanePattern::QuadRows ? quad : e.shl(quad, e.i32(1));
      chunk = e.lshr(groupIndex, e.i32(2));
      bytes = e.shl(e.iand(groupIndex, e.i32(3)), e.i32(2));
      break;
    }
    if (pattern == LanePattern::DiagonalRows || pattern == LanePattern::DiagonalColumns || pattern == LanePattern::DiagonalQuadRows)
      row = e.isub(row, e.shl(warpIndex, e.i32(4)));
    if (ofWarp) {
      Value first = e.shl(warpIndex, e.i32(4));
      if (rows < 16 * static_cast<std::int64_t>(rowWarps())) // warps without rows read the last ones
        first = e.umin(first, e.i32(rows - 16));
      row = e.iadd(row, first);
    }
    if (swizzle != 0) {
      Value turn = swizzle == 128 ? e.iand(row, e.i32(7)) : e.iand(e.lshr(row, e.i32(1)), e.i32(3));
      chunk = e.ixor(chunk, turn);
    }
    Value place = e.iadd(e.iadd(e.imul(row, e.i32(pitch)), e.shl(chunk, e.i32(4))), bytes);
    return e.offset(shared, e.ixor(place, e.i32(16 * exchangedChunk)));
  });
}

Value KernelContext::sharedPointer(Emitter &e, tile::BufferType type, Value bufferOffset, LanePattern pattern, int row, int chunk) {
  int swizzle = static_cast<int>(type.getSmem().getSwizzle());
  std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * elementBytes(type.getElementType());
  std::int64_t constant = row * pitch;
  int exchanged = 0;
  if (swizzle == 0) {
    constant += 16 * chunk;
  } else {
    int chunksPerRow = swizzle / 16;
    constant += static_cast<std::int64_t>(chunk / chunksPerRow) * type.getShape()[0] * swizzle;
    exchanged = chunk % chunksPerRow;
  }
  Value base = lanePointer(type, pattern, exchanged);
  if (auto known = Emitter::constantOf(bufferOffset))
    return e.offset(base, *known + constant);
  return e.offset(e.offset(base, bufferOffset), constant);
}

Value KernelContext::atPart(Emitter &e, Value bufferOffset, std::int64_t bytes) {
  if (partCount == 1)
    return bufferOffset;
  Value index = part();
  Value own = atEntry(fmt::format("bytes of part {}", bytes), [&](Emitter &entry) { return entry.imul(index, entry.i32(bytes)); });
  return e.iadd(bufferOffset, own);
}

Value KernelContext::atColumnsOfPart(Emitter &e, tile::BufferType type, Value bufferOffset, std::int64_t count) {
  return atPart(e, bufferOffset, tile::byteOffset(type, 0, count));
}

Value KernelContext::atRowsOfPart(Emitter &e, tile::BufferType type, Value bufferOffset, std::int64_t count) {
  return atPart(e, bufferOffset, tile::byteOffset(type, count, 0));
}

Value KernelContext::elementOffset(Emitter &e, tile::BufferType type, llvm::ArrayRef<Value> indices) {
  std::int64_t bytes = elementBytes(type.getElementType());
  if (indices.size() == 1)
    return e.imul(indices[0], e.i32(bytes));
  std::int64_t pitch = tile::rowPitch(type.getShape(), type.getElementType(), type.getSmem()) * bytes;
  int swizzle = static_cast<int>(type.getSmem().getSwizzle());
  Value row = indices[0], column = e.imul(indices[1], e.i32(bytes));
  Value start = e.imul(row, e.i32(pitch));
  if (swizzle == 0)
    return e.iadd(start, column);
  Value panel = e.imul(e.lshr(column, e.i32(swizzle == 128 ? 7 : 6)), e.i32(type.getShape()[0] * swizzle));
  Value turn = swizzle == 128 ? e.iand(row, e.i32(7)) : e.iand(e.lshr(row, e.i32(1)), e.i32(3));
  Value within = e.ixor(e.iand(column, e.i32(swizzle - 1)), e.shl(turn, e.i32(4)));
  return e.iadd(e.iadd(panel, start), within);
}

} // namespace attn::codegen
