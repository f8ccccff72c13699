// Text and verification of the types: `[batch, 8, 64], f16` and `128x64xf16, #tile.acc<4>`.
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace attn::tile;
using EmitError = llvm::function_ref<InFlightDiagnostic()>;

#define GET_TYPEDEF_CLASSES
#include "ir/tile/TileTypes.cpp.inc"

void TileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/tile/TileTypes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// !tile.tensor
//===----------------------------------------------------------------------===//

static bool isBareName(StringRef text) {
  return !text.empty() && (llvm::isAlpha(text.front()) || text.front() == '_') &&
         llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

static ParseResult parseSize(AsmParser &parser, SmallVectorImpl<Attribute> &sizes) {
  int64_t number = 0;
  OptionalParseResult parsed = parser.parseOptionalInteger(number);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
    sizes.push_back(parser.getBuilder().getI64IntegerAttr(number));
    return success();
  }
  std::string text;
  if (succeeded(parser.parseOptionalString(&text)) || succeeded(parser.parseKeywordOrString(&text))) {
    sizes.push_back(parser.getBuilder().getStringAttr(text));
    return success();
  }
  return failure();
}

Type TileTensorType::parse(AsmParser &parser) {
  SmallVector<Attribute> sizes;
  Type element;
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] { return parseSize(parser, sizes); }) ||
      parser.parseComma() || parser.parseType(element))
    return {};
  bool ascending = false;
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("ascending"))
      return {};
    ascending = true;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<TileTensorType>(parser.getContext(), sizes, element, ascending);
}

void TileTensorType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getSizes(), printer, [&](Attribute size) {
    if (auto name = dyn_cast<StringAttr>(size)) {
      if (isBareName(name))
        printer << name.getValue();
      else
        printer << name;
      return;
    }
    printer << cast<IntegerAttr>(size).getInt();
  });
  printer << "], " << getElementType();
  if (getAscending())
    printer << ", ascending";
  printer << ">";
}

LogicalResult TileTensorType::verify(EmitError emitError, ArrayRef<Attribute> sizes, Type element, bool) {
  if (sizes.empty())
    return emitError() << "expects at least one dimension";
  for (Attribute size : sizes)
    if (auto number = dyn_cast_or_null<IntegerAttr>(size); number ? number.getInt() <= 0 : !isa_and_nonnull<StringAttr>(size))
      return emitError() << "expects a size that is a positive number, a name or a size expression, but got " << size;
  if (!element.isIntOrFloat())
    return emitError() << "expects an integer or float element, but got " << element;
  return success();
}

std::optional<int64_t> TileTensorType::getStaticSize(unsigned dim) const {
  if (auto number = dyn_cast<IntegerAttr>(getSizes()[dim]))
    return number.getInt();
  return std::nullopt;
}

std::string TileTensorType::getSizeText(unsigned dim) const {
  if (auto number = getStaticSize(dim))
    return std::to_string(*number);
  return cast<StringAttr>(getSizes()[dim]).str();
}

//===----------------------------------------------------------------------===//
// Shaped types: `SHAPExELEMENT (, LAYOUT)?`
//===----------------------------------------------------------------------===//

namespace {
struct ShapedText {
  SmallVector<int64_t> shape;
  Type element;
  Attribute layout;
};
} // namespace

static ParseResult parseShaped(AsmParser &parser, ShapedText &text) {
  if (parser.parseDimensionList(text.shape, /*allowDynamic=*/false) || parser.parseType(text.element))
    return failure();
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(text.layout))
    return failure();
  return parser.parseGreater();
}

static void printShaped(AsmPrinter &printer, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  for (int64_t extent : shape)
    printer << extent << "x";
  printer << element;
  if (layout)
    printer << ", " << layout;
  printer << ">";
}

static LogicalResult verifyShape(EmitError emitError, ArrayRef<int64_t> shape, Type element) {
  if (shape.empty() || shape.size() > 2)
    return emitError() << "expects one or two dimensions, but got " << shape.size();
  for (int64_t extent : shape)
    if (extent <= 0)
      return emitError() << "expects positive sizes, but got " << extent;
  if (!element.isIntOrFloat())
    return emitError() << "expects an integer or float element, but got " << element;
  return success();
}

static LogicalResult verifyFragment(EmitError emitError, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  if (failed(verifyShape(emitError, shape, element)))
    return failure();
  if (!layout)
    return success();
  bool rowLayout = isa<RowAttr, RowPartialAttr>(layout);
  if (!rowLayout && !isa<AccAttr, LhsAttr, LaneRowAttr>(layout))
    return emitError() << "expects a fragment layout, but got " << layout;
  if (rowLayout != (shape.size() == 1))
    return emitError() << "expects a layout of rank " << shape.size() << ", but got " << layout;
  if (warpsOf(layout) == 0)
    return emitError() << "expects at least one warp in " << layout;
  int64_t parts = partsOf(layout);
  if (parts == 0 || warpsOf(layout) % parts != 0)
    return emitError() << "expects parts that divide the warps in " << layout;
  if (shape[0] % 16 != 0)
    return emitError() << "expects a multiple of 16 rows in " << layout << ", but got " << shape[0];
  int64_t columnStep = parts * (isa<LhsAttr>(layout) ? 16 : isa<AccAttr>(layout) ? 8 : 1);
  if (shape.size() == 2 && shape[1] % columnStep != 0)
    return emitError() << "expects a multiple of " << columnStep << " columns in " << layout << ", but got " << shape[1];
  return success();
}

static LogicalResult verifyShared(EmitError emitError, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  if (failed(verifyShape(emitError, shape, element)))
    return failure();
  auto smem = dyn_cast_or_null<SmemAttr>(layout);
  if (!smem)
    return emitError() << "expects a layout `#tile.smem`, but got " << layout;
  if (smem.getSwizzle() != 0) {
    if (shape.size() != 2)
      return emitError() << "expects two dimensions in a swizzled buffer, but got " << shape.size();
    int64_t bytes = shape[1] * element.getIntOrFloatBitWidth() / 8;
    if (bytes % smem.getSwizzle() != 0)
      return emitError() << "expects rows of a multiple of " << smem.getSwizzle() << " bytes, but got " << bytes;
  }
  if (smem.getPitch() != 0 && int64_t(smem.getPitch()) < shape.back())
    return emitError() << "expects a pitch of at least " << shape.back() << ", but got " << smem.getPitch();
  if (smem.getQuads() && (shape.size() != 1 || element.getIntOrFloatBitWidth() != 32))
    return emitError() << "expects one dimension of 32-bit elements in quads";
  return success();
}

Type FragType::parse(AsmParser &parser) {
  ShapedText text;
  if (parser.parseLess() || parseShaped(parser, text))
    return {};
  return parser.getChecked<FragType>(parser.getContext(), text.shape, text.element, text.layout);
}

void FragType::print(AsmPrinter &printer) const {
  printer << "<";
  printShaped(printer, getShape(), getElementType(), getLayout());
}

LogicalResult FragType::verify(EmitError emitError, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  return verifyFragment(emitError, shape, element, layout);
}

Type InflightType::parse(AsmParser &parser) {
  ShapedText text;
  if (parser.parseLess() || parseShaped(parser, text))
    return {};
  return parser.getChecked<InflightType>(parser.getContext(), text.shape, text.element, text.layout);
}

void InflightType::print(AsmPrinter &printer) const {
  printer << "<";
  printShaped(printer, getShape(), getElementType(), getLayout());
}

LogicalResult InflightType::verify(EmitError emitError, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  return verifyFragment(emitError, shape, element, layout);
}

Type BufferType::parse(AsmParser &parser) {
  ShapedText text;
  if (parser.parseLess() || parseShaped(parser, text))
    return {};
  return parser.getChecked<BufferType>(parser.getContext(), text.shape, text.element, text.layout);
}

void BufferType::print(AsmPrinter &printer) const {
  printer << "<";
  printShaped(printer, getShape(), getElementType(), getLayout());
}

LogicalResult BufferType::verify(EmitError emitError, ArrayRef<int64_t> shape, Type element, Attribute layout) {
  return verifyShared(emitError, shape, element, layout);
}

Type RingType::parse(AsmParser &parser) {
  ShapedText text;
  unsigned stages = 0;
  if (parser.parseLess() || parser.parseInteger(stages) || parser.parseComma() || parseShaped(parser, text))
    return {};
  return parser.getChecked<RingType>(parser.getContext(), stages, text.shape, text.element, text.layout);
}

void RingType::print(AsmPrinter &printer) const {
  printer << "<" << getStages() << ", ";
  printShaped(printer, getShape(), getElementType(), getLayout());
}

LogicalResult RingType::verify(EmitError emitError, unsigned stages, ArrayRef<int64_t> shape, Type element,
                               Attribute layout) {
  if (stages == 0)
    return emitError() << "expects at least one stage";
  return verifyShared(emitError, shape, element, layout);
}
