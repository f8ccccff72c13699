// The frame of a kernel: its `llvm.func`, parameters and shared memory; then the two conversions that fill it.
//
//   1. `tile` → `llvm` + `nvvm`, fragments one value a register through `scf` (MLIR's 1:N conversion)
//   2. `scf` → branches, scalars → `llvm`
#include "codegen/nvvm/Entry.h"

#include "codegen/AsyncAbi.h"
#include "codegen/KernelAbi.h"
#include "codegen/arch/ArchLowering.h"
#include "codegen/nvvm/ElementExpander.h"
#include "codegen/nvvm/ExactChains.h"
#include "codegen/nvvm/Patterns.h"

#include "ir/attn/AttnDialect.h"
#include "ir/tile/ColumnOps.h"
#include "ir/tile/PlanAttributes.h"
#include "support/GpuTarget.h"

#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/IR/BuiltinOps.h"

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
namespace NVVM = mlir::NVVM;
namespace func = mlir::func;
using mlir::Value;

static constexpr llvm::StringLiteral kSharedSymbol = "shared_memory";

/// Dynamic shared memory: one external array without a size, aligned for 128-byte swizzles.
static LLVM::GlobalOp findOrMakeShared(mlir::ModuleOp module) {
  if (auto global = module.lookupSymbol<LLVM::GlobalOp>(kSharedSymbol))
    return global;
  mlir::OpBuilder builder(module.getBodyRegion());
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, module.getLoc(), type, /*isConstant=*/false, LLVM::Linkage::External, kSharedSymbol,
                                mlir::Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
}

namespace {
/// Builds the `llvm.func` and moves the kernel's body into it.
class KernelFrame {
public:
  KernelFrame(func::FuncOp source, unsigned warps)
      : source(source), builder(source), warps(warps), isSpecialized(hasRoles(source)), params(kernelParams(source)) {}

  void build() {
    createFunction();
    mlir::Block *entry = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    mlir::Location location = source.getLoc();
    mlir::Type marker = builder.getI32Type();
    constantAnchor = LLVM::PoisonOp::create(builder, location, marker);
    entryAnchor = LLVM::PoisonOp::create(builder, location, marker);
    mlir::OpBuilder atEntry(constantAnchor);
    auto shared = findOrMakeShared(source->getParentOfType<mlir::ModuleOp>());
    sharedBase = LLVM::AddressOfOp::create(atEntry, location, LLVM::LLVMPointerType::get(builder.getContext(), 3), kSharedSymbol);
    static_cast<void>(shared);
    bindArguments(atEntry);
    mlir::Block &body = source.getBody().front();
    mlir::Operation *end = body.getTerminator();
    entry->getOperations().splice(entry->end(), body.getOperations());
    builder.setInsertionPointToEnd(entry);
    LLVM::ReturnOp::create(builder, end->getLoc(), mlir::ValueRange());
    end->erase();
    source.erase();
  }

  LLVM::LLVMFuncOp function;
  mlir::Operation *constantAnchor = nullptr, *entryAnchor = nullptr;
  Value sharedBase;
  /// The parameter of every fill and store by a tensor map.
  llvm::DenseMap<mlir::Operation *, Value> maps;

private:
  mlir::Type typeOf(const KernelParam &param) {
    switch (param.kind) {
    case KernelParam::Kind::Pointer:
      return LLVM::LLVMPointerType::get(builder.getContext(), 1);
    case KernelParam::Kind::Stride:
      return builder.getI64Type();
    case KernelParam::Kind::Extent:
      return builder.getI32Type();
    case KernelParam::Kind::TensorMap:
      return LLVM::LLVMPointerType::get(builder.getContext());
    case KernelParam::Kind::Scalar: {
      mlir::Type type = argument(param.name).getType();
      return type.isInteger(1) ? builder.getI32Type() : type;
    }
    }
    llvm_unreachable("five kinds");
  }

  mlir::BlockArgument argument(llvm::StringRef name) {
    for (mlir::BlockArgument each : source.getArguments()) {
      auto attribute = source.getArgAttrOfType<mlir::StringAttr>(each.getArgNumber(), ir::AttnDialect::kName);
      if (attribute ? attribute.getValue() == name : name == "arg" + std::to_string(each.getArgNumber()))
        return each;
    }
    llvm_unreachable("parameters name arguments");
  }

  void createFunction() {
    llvm::SmallVector<mlir::Type> types;
    for (const KernelParam &param : params)
      types.push_back(typeOf(param));
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), types);
    function = LLVM::LLVMFuncOp::create(builder, source.getLoc(), source.getName(), type);
    function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
    function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(), builder.getDenseI32ArrayAttr({static_cast<int>(32 * warps)}));
    // One block a multiprocessor at least: ptxas would rather spill a little to fit two, but schedules are chosen by what
    // they hold in registers.
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder.getI32IntegerAttr(1));
    if (isSpecialized) { // roles move registers from one to another: their number at entry must be known
      function->setAttr(NVVM::NVVMDialect::getMaxnregAttrName(), builder.getI32IntegerAttr(registersAtEntry(32 * warps)));
    }
    for (auto [index, param] : llvm::enumerate(params)) {
      if (param.kind == KernelParam::Kind::Pointer)
        function.setArgAttr(static_cast<unsigned>(index), LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
      else if (param.kind == KernelParam::Kind::TensorMap)
        passByValue(static_cast<unsigned>(index));
    }
  }

  /// A tensor map is 128 bytes in parameter space, read where they are.
  void passByValue(unsigned index) {
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 128);
    function.setArgAttr(index, LLVM::LLVMDialect::getByValAttrName(), mlir::TypeAttr::get(bytes));
    function.setArgAttr(index, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(64));
    function.setArgAttr(index, NVVM::NVVMDialect::getGridConstantAttrName(), builder.getUnitAttr());
  }

  Value lookUp(KernelParam::Kind kind, llvm::StringRef name, unsigned dim = 0) {
    for (auto [index, param] : llvm::enumerate(params))
      if (param.kind == kind && param.name == name && param.dim == dim)
        return function.getBody().getArgument(static_cast<unsigned>(index));
    return Value();
  }

  /// What a kernel does not use has no parameter; poison stands in its place.
  static Value orPoison(mlir::OpBuilder &at, mlir::Location location, Value value, mlir::Type type) {
    return value ? value : LLVM::PoisonOp::create(at, location, type).getResult();
  }

  void bindArguments(mlir::OpBuilder &at) {
    using Kind = KernelParam::Kind;
    mlir::Location location = source.getLoc();
    for (mlir::BlockArgument each : source.getArguments()) {
      auto attribute = source.getArgAttrOfType<mlir::StringAttr>(each.getArgNumber(), ir::AttnDialect::kName);
      std::string name = attribute ? attribute.str() : "arg" + std::to_string(each.getArgNumber());
      auto type = mlir::dyn_cast<tile::TileTensorType>(each.getType());
      if (type) {
        bindMaps(name, each);
        each.replaceAllUsesWith(bindTensor(at, name, type));
        continue;
      }
      bool isExtent = static_cast<bool>(source.getArgAttr(each.getArgNumber(), tile::kExtentAttr));
      Value value = orPoison(at, location, lookUp(isExtent ? Kind::Extent : Kind::Scalar, name), each.getType());
      if (value.getType() != each.getType()) { // a bool comes as 0 or 1
        Value zero = LLVM::ConstantOp::create(at, location, value.getType(), at.getI32IntegerAttr(0));
        value = LLVM::ICmpOp::create(at, location, LLVM::ICmpPredicate::ne, value, zero);
      }
      each.replaceAllUsesWith(value);
    }
  }

  void bindMaps(llvm::StringRef name, mlir::BlockArgument tensor) {
    for (mlir::Operation *user : tensor.getUsers())
      if (auto map = tensorMapOf(user))
        for (auto [index, param] : llvm::enumerate(params))
          if (param.kind == KernelParam::Kind::TensorMap && param.name == name && param.map == *map)
            maps[user] = function.getBody().getArgument(static_cast<unsigned>(index));
  }

  Value bindTensor(mlir::OpBuilder &at, llvm::StringRef name, tile::TileTensorType type) {
    using Kind = KernelParam::Kind;
    mlir::Location location = source.getLoc();
    TensorView view;
    view.type = type;
    view.pointer = orPoison(at, location, lookUp(Kind::Pointer, name), LLVM::LLVMPointerType::get(at.getContext(), 1));
    for (unsigned dim = 0; dim < type.getRank(); ++dim) {
      if (dim + 1 < type.getRank())
        view.strides.push_back(orPoison(at, location, lookUp(Kind::Stride, name, dim), at.getI64Type()));
      if (auto size = type.getStaticSize(dim))
        view.sizes.push_back(LLVM::ConstantOp::create(at, location, at.getI32Type(), at.getI32IntegerAttr(static_cast<int>(*size))));
      else
        view.sizes.push_back(orPoison(at, location, lookUp(Kind::Extent, type.getSizeText(dim)), at.getI32Type()));
    }
    return TensorView::makeTensor(at, location, view);
  }

  func::FuncOp source;
  mlir::OpBuilder builder;
  unsigned warps;
  bool isSpecialized; ///< its warps have roles
  std::vector<KernelParam> params;
};
} // namespace

/// Some columns of a tensor's rows are the same tensor from another place on.
static void bindColumns(LLVM::LLVMFuncOp function) {
  function.walk([](tile::ColumnsOp op) {
    mlir::OpBuilder at(op);
    TensorView view = TensorView::of(op.getTensor());
    view.type = op.getType();
    std::int64_t bytes = op.getFirst() * view.elementBits() / 8;
    view.pointer = LLVM::GEPOp::create(at, op.getLoc(), view.pointer.getType(), at.getI8Type(), view.pointer,
                                       llvm::ArrayRef<LLVM::GEPArg>{static_cast<std::int32_t>(bytes)});
    auto columns = static_cast<int>(*view.type.getStaticSize(view.type.getRank() - 1));
    view.sizes.back() = LLVM::ConstantOp::create(at, op.getLoc(), at.getI32Type(), at.getI32IntegerAttr(columns));
    op.replaceAllUsesWith(TensorView::makeTensor(at, op.getLoc(), view));
    op.erase();
  });
}

/// Refuses what no pattern covers, at the operation, before anything is changed.
static llvm::LogicalResult checkKernel(func::FuncOp kernel, const ArchLowering &arch) {
  if (!kernel.getBody().hasOneBlock())
    return kernel.emitOpError("expects a body of one block");
  auto result = kernel.walk([&](mlir::Operation *op) {
    if (auto reason = arch.whyNot(op)) {
      op->emitOpError(*reason);
      return mlir::WalkResult::interrupt();
    }
    for (mlir::Type type : op->getResultTypes())
      if (auto fragment = mlir::dyn_cast<tile::FragType>(type))
        if (auto reason = whyNotLowerable(fragment)) {
          op->emitOpError("cannot be lowered: ") << *reason << " in " << type;
          return mlir::WalkResult::interrupt();
        }
    return mlir::WalkResult::advance();
  });
  return mlir::failure(result.wasInterrupted());
}

static llvm::LogicalResult convertTile(LLVM::LLVMFuncOp function, KernelContext &kernel, const ArchLowering &arch) {
  mlir::MLIRContext *context = function.getContext();
  mlir::TypeConverter converter;
  addTileTypeConversions(converter);
  mlir::RewritePatternSet patterns(context);
  mlir::ConversionTarget target(*context);
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addIllegalDialect<tile::TileDialect>();
  target.addLegalOp<mlir::UnrealizedConversionCastOp>();
  target.markUnknownOpDynamicallyLegal([](mlir::Operation *) { return true; }); // scalars: the second conversion
  mlir::scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
  populateWorkPatterns(kernel, converter, patterns);
  populateLoadStorePatterns(kernel, converter, patterns);
  populateElementwisePatterns(kernel, converter, patterns);
  populateReducePatterns(kernel, converter, patterns);
  populateScanPatterns(kernel, converter, patterns);
  populateListPatterns(kernel, converter, patterns);
  populateKeepFinitePatterns(kernel, converter, patterns);
  populateWidenPatterns(kernel, converter, patterns);
  populateSoftmaxPatterns(kernel, converter, patterns);
  populateScalarPatterns(kernel, converter, patterns);
  arch.populate(kernel, converter, patterns);
  return mlir::applyPartialConversion(function, target, std::move(patterns));
}

static llvm::LogicalResult convertControlFlow(LLVM::LLVMFuncOp function, KernelContext &kernel) {
  mlir::MLIRContext *context = function.getContext();
  mlir::LLVMTypeConverter converter(context);
  mlir::RewritePatternSet patterns(context);
  mlir::ConversionTarget target(*context);
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addLegalOp<mlir::UnrealizedConversionCastOp>();
  mlir::populateSCFToControlFlowConversionPatterns(patterns);
  mlir::cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  populateScalarPatterns(kernel, converter, patterns);
  return mlir::applyFullConversion(function, target, std::move(patterns));
}

/// From which PTX version on `cvt` takes 8-bit floats, times ten; on sm_89 a later one than that target's lowest.
static constexpr unsigned kPtxOfFloat8 = 80;

/// From which compute capability on, times ten, mma.sync multiplies f64 by 16 rows.
static constexpr unsigned kCapabilityOfTallDoubleProducts = 90;

llvm::LogicalResult lowerKernel(func::FuncOp kernel, const ArchLowering &arch) {
  auto warps = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kWarpsAttr);
  if (!warps)
    return kernel.emitOpError("has no `") << tile::kWarpsAttr << "`";
  if (mlir::failed(checkKernel(kernel, arch)))
    return mlir::failure();
  guardSkippedWork(kernel);
  widenExactChains(kernel);
  bool isSpecialized = hasRoles(kernel);
  if (isSpecialized)
    sinkIntoRoles(kernel);
  auto roles = collectRoles(kernel);
  if (mlir::failed(roles))
    return mlir::failure();
  unsigned blockWarps = warpsOfBlock(kernel);
  auto parts = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kPartsAttr);
  bool roundsToTf32 = kernel->hasAttr(tile::kTf32Attr), isChecked = kernel->hasAttr(tile::kCheckedAttr);
  auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
  const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
  bool convertsFloat8 = gpu && gpu->hasFp8 && gpu->ptxVersion >= kPtxOfFloat8;
  KernelFrame frame(kernel, blockWarps);
  frame.build();
  bindColumns(frame.function);
  if (isChecked) // until tiles are converted
    frame.function->setAttr(tile::kCheckedAttr, mlir::UnitAttr::get(frame.function->getContext()));
  KernelContext context(frame.constantAnchor, frame.entryAnchor, frame.sharedBase, blockWarps);
  context.setPositions(collectPositions(frame.function));
  context.setParts(parts ? static_cast<unsigned>(parts.getInt()) : 1);
  context.setRoundsToTf32(roundsToTf32);
  context.setConvertsFloat8(convertsFloat8);
  context.setHasTallDoubleProducts(gpu && gpu->computeCapability >= kCapabilityOfTallDoubleProducts);
  if (isSpecialized) {
    roles->maps = std::move(frame.maps);
    context.setRoles(std::move(*roles));
    dispatchRoles(&frame.function.getBody().front(), context);
  }
  if (mlir::failed(convertTile(frame.function, context, arch)))
    return mlir::failure();
  frame.function->removeAttr(tile::kCheckedAttr);
  sinkBehindLoops(frame.function.getBody().front());
  if (mlir::failed(convertControlFlow(frame.function, context)))
    return mlir::failure();
  for (auto cast : llvm::make_early_inc_range(frame.function.getOps<mlir::UnrealizedConversionCastOp>()))
    cast.erase();
  frame.constantAnchor->erase();
  frame.entryAnchor->erase();
  if (context.hasRoles())
    for (const WarpRange &role : context.roles().roles)
      role.anchor->erase();
  return mlir::success();
}

} // namespace attn::codegen
