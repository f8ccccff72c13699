// The dialect itself: its types with their text form, and the checks of the attributes it puts on plans.
#include "ir/attn/AttnDialect.h"

#include "ir/attn/LayoutAttributes.h"
#include "ir/attn/PlanOptions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/TypeSwitch.h"

#include <string>

using namespace mlir;

// mlir-tblgen writes parameters it does not use.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "ir/attn/AttnDialect.cpp.inc"
#include "ir/attn/AttnEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/attn/AttnAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/attn/AttnTypes.cpp.inc"

#pragma GCC diagnostic pop

namespace attn::ir {

namespace {
/// Types with sizes are long and repeat: print them by a name at the top.
struct AliasInterface final : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;
  AliasResult getAlias(Type type, raw_ostream &stream) const override {
    if (isa<AttnTensorType>(type))
      stream << "tensor";
    else if (isa<AttnStateType>(type))
      stream << "state";
    else
      return AliasResult::NoAlias;
    return AliasResult::OverridableAlias;
  }
};
} // namespace

void AttnDialect::initialize() {
  addInterfaces<AliasInterface>();
  addOperations<
#define GET_OP_LIST
#include "ir/attn/AttnOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/attn/AttnTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/attn/AttnAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

SizeExpr sizeExprOf(Attribute size) {
  if (auto number = dyn_cast<IntegerAttr>(size))
    return SizeExpr::number(number.getInt());
  std::optional<SizeExpr> expr = SizeExpr::parse(cast<StringAttr>(size).getValue());
  assert(expr && "the type's verifier has parsed this size");
  return *expr;
}

Attribute sizeAttr(MLIRContext *context, const SizeExpr &size) {
  if (std::optional<int64_t> number = size.constant())
    return IntegerAttr::get(IntegerType::get(context, 64), *number);
  return StringAttr::get(context, size.text());
}

/// `[batch, 8, "2 * q_len"]` up to the closing bracket.
static ParseResult parseSizes(AsmParser &parser, SmallVectorImpl<Attribute> &sizes) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
    Builder &builder = parser.getBuilder();
    int64_t number = 0;
    std::string text;
    StringRef name;
    if (OptionalParseResult result = parser.parseOptionalInteger(number); result.has_value()) {
      sizes.push_back(builder.getI64IntegerAttr(number));
      return *result;
    }
    if (succeeded(parser.parseOptionalString(&text))) {
      std::string error;
      std::optional<SizeExpr> size = SizeExpr::parse(text, &error);
      if (!size)
        return parser.emitError(parser.getCurrentLocation(), "size expression: ") << error;
      sizes.push_back(sizeAttr(builder.getContext(), *size));
      return success();
    }
    if (failed(parser.parseOptionalKeyword(&name)))
      return parser.emitError(parser.getCurrentLocation(), "expects a number, a name or an expression in quotes");
    sizes.push_back(builder.getStringAttr(name));
    return success();
  });
}

static void printSizes(AsmPrinter &printer, ArrayRef<Attribute> sizes) {
  printer << '[';
  llvm::interleaveComma(sizes, printer, [&](Attribute size) {
    if (auto number = dyn_cast<IntegerAttr>(size))
      printer << number.getInt();
    else if (StringRef text = cast<StringAttr>(size).getValue(); sizeExprOf(size).asName())
      printer << text;
    else
      printer.printString(text);
  });
  printer << ']';
}

static LogicalResult verifySizes(function_ref<InFlightDiagnostic()> emitError, ArrayRef<Attribute> sizes) {
  for (Attribute size : sizes) {
    if (auto number = dyn_cast<IntegerAttr>(size)) {
      if (number.getInt() < 1)
        return emitError() << "expects sizes of 1 and above, but got " << number.getInt();
      continue;
    }
    auto text = dyn_cast<StringAttr>(size);
    std::string error;
    if (!text || !SizeExpr::parse(text.getValue(), &error))
      return emitError() << "expects a number or a size expression as size, but got " << size << " " << error;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// !attn.tensor
//===----------------------------------------------------------------------===//

std::optional<int64_t> AttnTensorType::getConstantSize(unsigned dim) const {
  if (auto number = dyn_cast<IntegerAttr>(getSizes()[dim]))
    return number.getInt();
  return std::nullopt;
}

Type AttnTensorType::getLoadedType() const {
  Builder builder(getContext());
  if (isa<FloatType>(getElementType()))
    return builder.getF32Type();
  return getElementType().isInteger(1) ? builder.getI1Type() : builder.getI32Type();
}

LogicalResult AttnTensorType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<Attribute> sizes,
                                     Type elementType, bool ascending) {
  if (failed(verifySizes(emitError, sizes)))
    return failure();
  bool isKnown = isa<Float64Type, Float32Type, BFloat16Type, Float16Type, Float8E4M3FNType, Float8E5M2Type>(elementType) ||
                 elementType.isSignlessInteger(32) || elementType.isSignlessInteger(16) ||
                 elementType.isSignlessInteger(8) || elementType.isSignlessInteger(1);
  if (!isKnown)
    return emitError() << "expects f64, f32, bf16, f16, f8E4M3FN, f8E5M2, i32, i16, i8 or i1 elements, but got "
                       << elementType;
  if (ascending && sizes.empty())
    return emitError() << "expects a dimension to ascend along, but got a tensor of rank 0";
  return success();
}

Type AttnTensorType::parse(AsmParser &parser) {
  SmallVector<Attribute> sizes;
  Type elementType;
  bool ascending = false;
  if (parser.parseLess() || parseSizes(parser, sizes) || parser.parseComma() || parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("ascending"))
      return {};
    ascending = true;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<AttnTensorType>(parser.getContext(), sizes, elementType, ascending);
}

void AttnTensorType::print(AsmPrinter &printer) const {
  printer << '<';
  printSizes(printer, getSizes());
  printer << ", " << getElementType() << (getAscending() ? ", ascending>" : ">");
}

//===----------------------------------------------------------------------===//
// !attn.state
//===----------------------------------------------------------------------===//

LogicalResult AttnStateType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<Attribute> sizes,
                                    int64_t rowLength, ArrayRef<int64_t> bins) {
  if (failed(verifySizes(emitError, sizes)))
    return failure();
  if (rowLength < 1 || llvm::any_of(bins, [](int64_t count) { return count < 1; }))
    return emitError() << "expects a row length and bins of 1 and above";
  return success();
}

Type AttnStateType::parse(AsmParser &parser) {
  SmallVector<Attribute> sizes;
  SmallVector<int64_t> bins;
  int64_t rowLength = 0;
  if (parser.parseLess() || parseSizes(parser, sizes) || parser.parseComma() || parser.parseInteger(rowLength))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    auto parseBin = [&] { return parser.parseInteger(bins.emplace_back()); };
    if (parser.parseKeyword("bins") || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseBin))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<AttnStateType>(parser.getContext(), sizes, rowLength, bins);
}

void AttnStateType::print(AsmPrinter &printer) const {
  printer << '<';
  printSizes(printer, getSizes());
  printer << ", " << getRowLength();
  if (!getBins().empty()) {
    printer << ", bins [";
    llvm::interleaveComma(getBins(), printer);
    printer << ']';
  }
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Attributes of plans
//===----------------------------------------------------------------------===//

LogicalResult AttnDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  if (name == kFact) {
    if (!isa<arith::CmpIOp>(op) || !isa<IntegerAttr>(attribute.getValue()))
      return op->emitOpError("expects `attn.fact` as an integer on a comparison of integers");
    return success();
  }
  if (name == ir::kWeightsAboveAttr) {
    auto online = dyn_cast<OnlineAttentionOp>(op);
    if (online && online.getWeights() == Weights::softmax && isa<FloatAttr>(attribute.getValue()))
      return success();
    return op->emitOpError() << "expects `" << name << "` as a number on a softmax of `attn.online_attention`";
  }
  auto plan = dyn_cast<func::FuncOp>(op);
  if (!plan)
    return op->emitOpError() << "expects no attribute `" << name << "` here";
  if (name == kPlan || name == ir::kApproximateTanhAttr)
    return isa<UnitAttr>(attribute.getValue()) ? success() : plan.emitOpError() << "expects `" << name << "` as a unit attribute";
  if (name == kLayout) {
    auto layout = dyn_cast<StringAttr>(attribute.getValue());
    if (layout && (layout.getValue() == "bshd" || layout.getValue() == "bhsd"))
      return success();
    return plan.emitOpError() << "expects `attn.layout` to be \"bshd\" or \"bhsd\", but got " << attribute.getValue();
  }
  return plan.emitOpError() << "expects no attribute `" << name << "` on a function";
}

static LogicalResult verifyBounds(Operation *op, Attribute attribute) {
  auto bounds = dyn_cast<ArrayAttr>(attribute);
  if (!bounds || bounds.size() != 2 || !llvm::all_of(bounds, [](Attribute bound) { return isa<StringAttr>(bound); }))
    return op->emitOpError() << "expects `attn.in` as two size expressions in quotes, but got " << attribute;
  for (Attribute bound : bounds) {
    std::string error;
    if (!SizeExpr::parse(cast<StringAttr>(bound).getValue(), &error))
      return op->emitOpError() << "expects size expressions in `attn.in`, but got " << bound << ": " << error;
  }
  return success();
}

LogicalResult AttnDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  auto plan = dyn_cast<func::FuncOp>(op);
  if (!plan)
    return op->emitOpError() << "expects no attribute `" << name << "` on an argument";
  Type type = plan.getArgumentTypes()[index];
  auto tensor = dyn_cast<AttnTensorType>(type);
  if (name == kName)
    return isa<StringAttr>(attribute.getValue()) ? success() : op->emitOpError("expects `attn.name` as a string");
  if (name == kIn)
    return verifyBounds(op, attribute.getValue());
  if (name == kAscending) {
    if (tensor ? tensor.getAscending() : !type.isIntOrFloat())       // kernels keep it on their own tensor types
      return success();
    return op->emitOpError("expects `attn.ascending` on a tensor whose type says `ascending`");
  }
  if (name == kBool) {
    if (tensor ? tensor.getElementType().isInteger(8) : !type.isIntOrFloat())
      return success();
    return op->emitOpError("expects `attn.bool` on a tensor of i8");
  }
  if (name == kPositive) {
    if (!tensor)
      return success();
    return op->emitOpError("expects `attn.positive` on a scalar");
  }
  if (name == kDefault) {
    auto value = dyn_cast<TypedAttr>(attribute.getValue());
    if (value && value.getType() == type)
      return success();
    return op->emitOpError() << "expects `attn.default` of type " << type << ", but got " << attribute.getValue();
  }
  if (name == kMostStepAttr)
    return isa<StringAttr>(attribute.getValue()) ? success() : op->emitOpError("expects `attn.most_step` as a size expression");
  if (name == kCountedByAttr) {
    auto pair = dyn_cast<ArrayAttr>(attribute.getValue());
    if (pair && pair.size() == 2 && isa<StringAttr>(pair[0]) && isa<IntegerAttr>(pair[1]))
      return success();
    return op->emitOpError("expects `attn.counted_by` as a name and a number");
  }
  return op->emitOpError() << "expects no attribute `" << name << "` on an argument";
}

LogicalResult AttnDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned, NamedAttribute attribute) {
  if (isa<func::FuncOp>(op) && attribute.getName() == kName && isa<StringAttr>(attribute.getValue()))
    return success();
  return op->emitOpError() << "expects `attn.name` as a string and nothing else on a result, but got `"
                           << attribute.getName() << "`";
}

} // namespace attn::ir
