// Registration of the dialect `tile`, its attributes, and the check of attributes it puts on foreign ops.
#include "ir/tile/TileDialect.h"

#include "ir/tile/ColumnOps.h"
#include "ir/tile/ListOps.h"
#include "ir/tile/PartOps.h"
#include "ir/tile/RandomOps.h"
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/ScanOps.h"
#include "ir/tile/SoftmaxOps.h"
#include "ir/tile/TransposeOps.h"
#include "ir/tile/WidenOps.h"
#include "ir/tile/WorkOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace attn::tile;

#include "ir/tile/TileDialect.cpp.inc"
#include "ir/tile/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/tile/TileAttrs.cpp.inc"

namespace {
/// Types repeat on every line: print them by a name at the top that says the layout and the shape, `acc_128x64xf32`.
struct AliasInterface final : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;
  AliasResult getAlias(Type type, raw_ostream &stream) const override;
};
} // namespace

static void printShape(raw_ostream &stream, ArrayRef<int64_t> shape, Type element) {
  for (int64_t size : shape)
    stream << size << 'x';
  stream << element;
}

static StringRef layoutName(Attribute layout) {
  return llvm::TypeSwitch<Attribute, StringRef>(layout)
      .Case<AccAttr, LhsAttr, RowAttr, RowPartialAttr, LaneRowAttr>([](auto attribute) { return attribute.getMnemonic(); })
      .Default(StringRef("frag"));
}

AliasInterface::AliasResult AliasInterface::getAlias(Type type, raw_ostream &stream) const {
  return llvm::TypeSwitch<Type, AliasResult>(type)
      .Case([&](TileTensorType) {
        stream << "tensor";
        return AliasResult::OverridableAlias;
      })
      .Case([&](FragType fragment) {
        stream << (fragment.getLayout() ? layoutName(fragment.getLayout()) : "frag") << '_';
        printShape(stream, fragment.getShape(), fragment.getElementType());
        return AliasResult::OverridableAlias;
      })
      .Case([&](InflightType inflight) {
        stream << "inflight_";
        printShape(stream, inflight.getShape(), inflight.getElementType());
        return AliasResult::OverridableAlias;
      })
      .Case([&](BufferType buffer) {
        stream << "buffer_";
        printShape(stream, buffer.getShape(), buffer.getElementType());
        return AliasResult::OverridableAlias;
      })
      .Case([&](RingType ring) {
        stream << "ring" << ring.getStages() << '_';
        printShape(stream, ring.getShape(), ring.getElementType());
        return AliasResult::OverridableAlias;
      })
      .Default(AliasResult::NoAlias);
}

void TileDialect::initialize() {
  addInterfaces<AliasInterface>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/tile/TileAttrs.cpp.inc"
      >();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "ir/tile/AllTileOps.cpp.inc"
      >();
}

LogicalResult SmemAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, unsigned swizzle, unsigned pitch,
                                bool quads) {
  if (swizzle != 0 && swizzle != 64 && swizzle != 128)
    return emitError() << "expects a swizzle of 128, 64 or 0 bytes, but got " << swizzle;
  if (swizzle != 0 && pitch != 0)
    return emitError() << "expects a pitch with swizzle 0 only, but got pitch " << pitch << " with swizzle " << swizzle;
  if (quads && (swizzle != 0 || pitch != 0))
    return emitError() << "expects quads with swizzle 0 and without a pitch";
  return success();
}

static LogicalResult verifyKernel(Operation *op) {
  auto function = dyn_cast<func::FuncOp>(op);
  if (!function)
    return op->emitOpError("expects `tile.kernel` on a `func.func`");
  if (function.getNumResults() != 0)
    return op->emitOpError("expects a kernel without results, but got ") << function.getNumResults();
  for (Type type : function.getArgumentTypes())
    if (!isa<TileTensorType>(type) && !type.isInteger(32) && !type.isInteger(1) && !type.isF32())
      return op->emitOpError("expects kernel arguments `!tile.tensor`, i32, f32 or i1, but got ") << type;
  return success();
}

LogicalResult TileDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  if (name == kKernelAttr)
    return verifyKernel(op);
  if (name == kTargetAttr) {
    if (!isa<ModuleOp>(op) || !isa<TargetAttr>(attribute.getValue()))
      return op->emitOpError("expects `tile.target` as a `#tile.target` on the module");
    return success();
  }
  if (name == kWarpsAttr || name == kStagesAttr || name == kPartsAttr || name == kSharedBytesAttr) {
    auto number = dyn_cast<IntegerAttr>(attribute.getValue());
    if (!isa<func::FuncOp>(op) || !number || !number.getType().isInteger(32))
      return op->emitOpError("expects `") << name << "` as an i32 on a kernel function";
  }
  return success();
}

YieldOp attn::tile::yieldOf(Region &region) { return cast<YieldOp>(region.front().getTerminator()); }
