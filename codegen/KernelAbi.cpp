// See KernelAbi.h.
#include "codegen/KernelAbi.h"

#include "codegen/AsyncAbi.h"
#include "ir/attn/AttnDialect.h"
#include "ir/attn/LayoutAttributes.h"
#include "ir/tile/ColumnOps.h"
#include "ir/tile/ListOps.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileDialect.h"
#include "runtime/manifest/ManifestNames.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace attn::codegen {

namespace arith = mlir::arith;
namespace func = mlir::func;
using ir::AttnDialect;
using mlir::Value;

/// PTX limits of grid dimensions y and z.
static constexpr std::int64_t kMaxGridYZ = 65535;

static std::string argumentName(func::FuncOp kernel, unsigned index) {
  if (auto name = kernel.getArgAttrOfType<mlir::StringAttr>(index, AttnDialect::kName))
    return name.str();
  return fmt::format("arg{}", index);
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

namespace {
/// What the kernel reads of a tensor's description.
struct TensorUse {
  bool pointer = false;
  bool wholeRows = false;
  bool inChunks = false;   ///< rows are copied 16 bytes at a time
  std::set<unsigned> strides;
  std::set<unsigned> sizes;
  std::vector<TensorMapLayout> maps;
};
} // namespace

static bool isZero(Value index) { return mlir::matchPattern(index, mlir::m_Zero()); }

static void useRows(TensorUse &use, tile::TileTensorType type, mlir::ValueRange indices, unsigned dim) {
  use.pointer = true;
  for (auto [i, index] : llvm::enumerate(indices))
    if (i + 1 < type.getRank() && (i == dim || !isZero(index)))
      use.strides.insert(static_cast<unsigned>(i));
  use.sizes.insert(dim);
  if (indices.size() + 1 == type.getRank()) {
    use.wholeRows = true;
    use.sizes.insert(type.getRank() - 1);
  }
}

static bool isPageTable(tile::StoreOp, Value) { return false; }
template <class OpType> static bool isPageTable(OpType op, Value tensor) { return op.getPages() == tensor; }

/// Whether the pages of the tensor that `op` reads are compared with how many there are.
static bool testsPages(tile::StoreOp) { return false; }
template <class OpType> static bool testsPages(OpType op) {
  return op.getPages() && op->template getParentOfType<func::FuncOp>()->hasAttr(tile::kCheckedAttr);
}

static TensorUse useOf(Value tensor);

/// Some columns of rows are read where the rows are.
static void useColumns(TensorUse &use, tile::ColumnsOp columns) {
  TensorUse part = useOf(columns.getResult());
  use.pointer |= part.pointer;
  use.wholeRows |= part.wholeRows;
  use.inChunks |= part.inChunks;
  use.strides.merge(part.strides);
  use.sizes.merge(part.sizes);
}

static TensorUse useOf(Value tensor) {
  TensorUse use;
  auto type = mlir::cast<tile::TileTensorType>(tensor.getType());
  for (mlir::Operation *user : tensor.getUsers())
    llvm::TypeSwitch<mlir::Operation *>(user)
        .Case([&](tile::SizeOp op) {
          if (!op->use_empty())
            use.sizes.insert(op.getDim());
        })
        .Case([&](tile::ParamOp op) {
          use.pointer = true;
          for (auto [i, index] : llvm::enumerate(op.getIndices()))
            if (i + 1 < type.getRank() && !isZero(index))
              use.strides.insert(static_cast<unsigned>(i));
        })
        .Case([&](tile::ListMarkedOp op) {
          use.pointer = true;
          for (auto [i, index] : llvm::enumerate(op.getPlace()))
            if (!isZero(index))
              use.strides.insert(static_cast<unsigned>(i));
        })
        .Case([&](tile::ColumnsOp op) { useColumns(use, op); })
        .Case([&](tile::StoreColumnsOp op) { useRows(use, type, op.getIndices(), op.getDim()); })
        .Case<tile::LoadOp, tile::StoreOp, tile::FillOp>([&](auto op) {
          if (isPageTable(op, tensor)) {
            use.pointer = true;
            use.strides.insert(0);
            return;
          }
          if (testsPages(op))
            use.sizes.insert(0);
          auto map = tensorMapOf(op.getOperation());
          auto fill = mlir::dyn_cast<tile::FillOp>(op.getOperation());
          use.inChunks |= map || (fill && fill.getVia() != "plain");
          if (!map)
            return useRows(use, type, op.getIndices(), op.getDim());
          use.wholeRows = true;
          if (!llvm::is_contained(use.maps, *map))
            use.maps.push_back(std::move(*map));
        });
  return use;
}

std::vector<KernelParam> kernelParams(func::FuncOp kernel) {
  using Kind = KernelParam::Kind;
  std::vector<KernelParam> params, pointers, strides, extents, scalars;
  std::set<std::string> seen;
  for (mlir::BlockArgument argument : kernel.getArguments()) {
    std::string name = argumentName(kernel, argument.getArgNumber());
    auto type = mlir::dyn_cast<tile::TileTensorType>(argument.getType());
    if (!type) {
      bool isExtent = static_cast<bool>(kernel.getArgAttr(argument.getArgNumber(), tile::kExtentAttr));
      if (isExtent && !argument.use_empty() && seen.insert(name).second)
        extents.push_back({Kind::Extent, name});
      else if (!isExtent && !argument.use_empty())
        scalars.push_back({Kind::Scalar, name});
      continue;
    }
    TensorUse use = useOf(argument);
    for (TensorMapLayout &map : use.maps)
      params.push_back({Kind::TensorMap, name, 0, std::move(map)});
    if (use.pointer)
      pointers.push_back({Kind::Pointer, name});
    for (unsigned dim : use.strides)
      strides.push_back({Kind::Stride, name, dim});
    for (unsigned dim : use.sizes)
      if (!type.getStaticSize(dim) && seen.insert(type.getSizeText(dim)).second)
        extents.push_back({Kind::Extent, type.getSizeText(dim)});
  }
  for (auto *part : {&pointers, &strides, &extents, &scalars})
    params.insert(params.end(), part->begin(), part->end());
  return params;
}

//===----------------------------------------------------------------------===//
// Grid
//===----------------------------------------------------------------------===//

unsigned gridDimension(unsigned index, unsigned count) { return std::min(count - 1 - index, 2u); }

static std::optional<SizeExpr> sizeExpr(Value value);

static std::optional<SizeExpr> binary(SizeExpr::Kind kind, mlir::Operation *op) {
  auto lhs = sizeExpr(op->getOperand(0)), rhs = sizeExpr(op->getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  return SizeExpr::binary(kind, *lhs, *rhs);
}

/// An extent that is an argument of the kernel itself.
static std::optional<SizeExpr> extentOf(mlir::BlockArgument argument) {
  auto kernel = mlir::dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!kernel || !kernel.getArgAttr(argument.getArgNumber(), tile::kExtentAttr))
    return std::nullopt;
  return SizeExpr::name(argumentName(kernel, argument.getArgNumber()));
}

/// A scalar of the kernel as an expression over extents. Sizes are not negative, so signed division rounds down.
static std::optional<SizeExpr> sizeExpr(Value value) {
  llvm::APInt constant;
  if (mlir::matchPattern(value, mlir::m_ConstantInt(&constant)))
    return SizeExpr::number(constant.getSExtValue());
  mlir::Operation *op = value.getDefiningOp();
  if (!op)
    return extentOf(mlir::cast<mlir::BlockArgument>(value));
  using K = SizeExpr::Kind;
  return llvm::TypeSwitch<mlir::Operation *, std::optional<SizeExpr>>(op)
      .Case([](tile::SizeOp size) {
        return SizeExpr::parse(size.getTensor().getType().getSizeText(size.getDim()));
      })
      .Case([](arith::AddIOp add) { return binary(K::Add, add); })
      .Case([](arith::SubIOp sub) { return binary(K::Sub, sub); })
      .Case([](arith::MulIOp mul) { return binary(K::Mul, mul); })
      .Case<arith::FloorDivSIOp, arith::DivSIOp, arith::DivUIOp>([](auto div) { return binary(K::FloorDiv, div); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>([](auto div) { return binary(K::CeilDiv, div); })
      .Case<arith::MinSIOp, arith::MinUIOp>([](auto min) { return binary(K::Min, min); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>([](auto max) { return binary(K::Max, max); })
      .Default([](mlir::Operation *) { return std::nullopt; });
}

static void checkGrid(const KernelManifest &manifest, std::vector<ExtentCheck> &checks) {
  for (int dimension : {1, 2}) {
    const SizeExpr &size = manifest.grid[dimension];
    if (size.constant() && *size.constant() <= kMaxGridYZ)
      continue;
    auto excess = SizeExpr::binary(SizeExpr::Kind::Sub, size, SizeExpr::number(kMaxGridYZ));
    ExtentCheck check{SizeExpr::binary(SizeExpr::Kind::Max, excess, SizeExpr::number(0)), {}};
    check.message = fmt::format("`{}` is more than {}, the limit of a launch", size.text(), kMaxGridYZ);
    checks.push_back(std::move(check));
  }
}

/// Kernels with roles count work tiles along x alone, whatever their extents, and their blocks do one after the other: as
/// many as there are multiprocessors, for each block takes all registers of one.
static bool buildGrid(func::FuncOp kernel, KernelManifest &manifest, std::vector<ExtentCheck> &checks, std::string *error) {
  tile::ForeachWorkOp work;
  kernel.walk([&](tile::ForeachWorkOp op) { work = op; });
  if (!work) {
    *error = fmt::format("kernel `{}` has no `tile.foreach_work`", manifest.name);
    return false;
  }
  manifest.grid.assign(3, SizeExpr::number(1));
  unsigned count = work.getExtents().size();
  bool isLinear = hasRoles(kernel);
  for (auto [i, extent] : llvm::enumerate(work.getExtents())) {
    auto expr = sizeExpr(extent);
    if (!expr) {
      *error = fmt::format("kernel `{}`: a work extent is not an expression over sizes", manifest.name);
      return false;
    }
    SizeExpr &dimension = manifest.grid[isLinear ? 0 : gridDimension(static_cast<unsigned>(i), count)];
    dimension = dimension.constant() == 1 ? *expr : SizeExpr::binary(SizeExpr::Kind::Mul, dimension, *expr);
  }
  manifest.blocksPerMultiprocessor = isLinear ? 1 : 0;
  checkGrid(manifest, checks);
  return true;
}

//===----------------------------------------------------------------------===//
// Manifest
//===----------------------------------------------------------------------===//

static std::optional<ElementType> elementType(mlir::Type type, bool isBool) {
  if (isBool && (type.isInteger(8) || type.isInteger(1)))
    return ElementType::Bool;
  if (type.isInteger(1))
    return ElementType::Bit;
  return llvm::TypeSwitch<mlir::Type, std::optional<ElementType>>(type)
      .Case([](mlir::Float64Type) { return ElementType::F64; })
      .Case([](mlir::Float32Type) { return ElementType::F32; })
      .Case([](mlir::BFloat16Type) { return ElementType::BF16; })
      .Case([](mlir::Float16Type) { return ElementType::F16; })
      .Case([](mlir::Float8E4M3FNType) { return ElementType::E4M3; })
      .Case([](mlir::Float8E5M2Type) { return ElementType::E5M2; })
      .Case([](mlir::IntegerType integer) -> std::optional<ElementType> {
        switch (integer.getWidth()) {
        case 32:
          return ElementType::I32;
        case 16:
          return ElementType::I16;
        case 8:
          return ElementType::I8;
        default:
          return std::nullopt;
        }
      })
      .Default([](mlir::Type) { return std::nullopt; });
}

/// In the order in which callers of layout `bhsd` pass dimensions, heads stand before rows. Concerns the four tensors whose
/// layout the specification names; self-inverse.
static unsigned callersDimension(func::FuncOp kernel, llvm::StringRef tensor, unsigned dim) {
  auto layout = kernel->getAttrOfType<mlir::StringAttr>(AttnDialect::kLayout);
  bool isOfLayout = tensor == "query" || tensor == "key" || tensor == "value" || tensor == "out";
  if (!layout || layout.getValue() != "bhsd" || !isOfLayout || (dim != 1 && dim != 2))
    return dim;
  return 3 - dim;
}

static std::optional<ValueRange> valueRange(func::FuncOp kernel, unsigned index) {
  auto bounds = kernel.getArgAttrOfType<mlir::ArrayAttr>(index, AttnDialect::kIn);
  if (!bounds || bounds.size() != 2)
    return std::nullopt;
  auto bound = [&](unsigned i) { return SizeExpr::parse(mlir::cast<mlir::StringAttr>(bounds[i]).str()); };
  auto lo = bound(0), hi = bound(1);
  if (!lo || !hi)
    return std::nullopt;
  return ValueRange{*lo, *hi};
}

/// Whole rows are copied in chunks of 16 bytes.
static std::uint32_t alignmentOf(mlir::BlockArgument argument, ElementType element) {
  TensorUse use = useOf(argument);
  if (use.wholeRows) // of 8-bit elements those that threads widen or store lie in chunks of 8
    return storageBits(element) == 8 && !use.inChunks ? 8 : 16;
  return std::max({8u, storageBits(element), element == ElementType::Bit ? 32u : 8u}) / 8;
}

static bool describeTensor(func::FuncOp kernel, mlir::BlockArgument argument, TensorArgument &tensor, std::string *error) {
  unsigned index = argument.getArgNumber();
  auto type = mlir::cast<tile::TileTensorType>(argument.getType());
  auto element = elementType(type.getElementType(), static_cast<bool>(kernel.getArgAttr(index, AttnDialect::kBool)));
  if (!element) {
    *error = fmt::format("`{}` has an element type that no caller can pass", tensor.name);
    return false;
  }
  tensor.type = *element;
  tensor.role = kernel.getArgAttr(index, tile::kWorkspaceAttr) ? ArgumentRole::Workspace
                : kernel.getArgAttr(index, tile::kOutputAttr)  ? ArgumentRole::Output
                                                               : ArgumentRole::Input;
  tensor.range = valueRange(kernel, index);
  tensor.ascending = type.getAscending();
  if (auto step = kernel.getArgAttrOfType<mlir::StringAttr>(index, ir::kMostStepAttr))
    tensor.mostStep = SizeExpr::parse(step.str());
  if (auto counted = kernel.getArgAttrOfType<mlir::ArrayAttr>(index, ir::kCountedByAttr)) {
    tensor.countedBy = mlir::cast<mlir::StringAttr>(counted[0]).str();
    tensor.countUnit = static_cast<std::uint32_t>(mlir::cast<mlir::IntegerAttr>(counted[1]).getInt());
  }
  tensor.alignment = alignmentOf(argument, *element);
  tensor.dims.assign(type.getRank(), SizeExpr::number(0));
  for (unsigned dim = 0; dim < type.getRank(); ++dim) {
    auto size = SizeExpr::parse(type.getSizeText(dim), error);
    if (!size)
      return false;
    tensor.dims[callersDimension(kernel, tensor.name, dim)] = *size;
  }
  return true;
}

static bool describeScalar(func::FuncOp kernel, mlir::BlockArgument argument, ScalarArgument &scalar, std::string *error) {
  unsigned index = argument.getArgNumber();
  auto element = elementType(argument.getType(), /*isBool=*/argument.getType().isInteger(1));
  if (!element) {
    *error = fmt::format("`{}` has a type that no caller can pass", scalar.name);
    return false;
  }
  scalar.type = *element;
  scalar.range = valueRange(kernel, index);
  scalar.positive = static_cast<bool>(kernel.getArgAttr(index, AttnDialect::kPositive));
  mlir::Attribute value = kernel.getArgAttr(index, AttnDialect::kDefault);
  if (auto integer = mlir::dyn_cast_or_null<mlir::IntegerAttr>(value))
    scalar.defaultValue = integer.getType().isInteger(1) ? static_cast<double>(integer.getValue().getZExtValue())
                                                         : static_cast<double>(integer.getInt());
  else if (auto real = mlir::dyn_cast_or_null<mlir::FloatAttr>(value))
    scalar.defaultValue = real.getValueAsDouble();
  return true;
}

static bool describeArguments(func::FuncOp kernel, PlanManifest &manifest, std::string *error) {
  auto find = [](auto &list, const std::string &name) {
    return std::find_if(list.begin(), list.end(), [&](const auto &each) { return each.name == name; });
  };
  for (mlir::BlockArgument argument : kernel.getArguments()) {
    if (kernel.getArgAttr(argument.getArgNumber(), tile::kExtentAttr))
      continue; // a number that the caller passes where no shape gives it
    std::string name = argumentName(kernel, argument.getArgNumber());
    if (auto known = find(manifest.tensors, name); known != manifest.tensors.end()) { // of an earlier kernel
      known->alignment = std::max(known->alignment, alignmentOf(argument, known->type));
      continue;
    }
    if (find(manifest.scalars, name) != manifest.scalars.end())
      continue;
    if (mlir::isa<tile::TileTensorType>(argument.getType())) {
      TensorArgument tensor;
      tensor.name = name;
      if (!describeTensor(kernel, argument, tensor, error))
        return false;
      manifest.tensors.push_back(std::move(tensor));
    } else {
      ScalarArgument scalar;
      scalar.name = name;
      if (!describeScalar(kernel, argument, scalar, error))
        return false;
      manifest.scalars.push_back(std::move(scalar));
    }
  }
  return true;
}

/// Heads that are bound at launch must still divide.
static void checkHeads(func::FuncOp kernel, PlanManifest &manifest) {
  const TensorArgument *query = manifest.tensor("query"), *key = manifest.tensor("key");
  if (!query || !key || query->dims.size() < 3 || key->dims.size() < 3)
    return;
  auto headsOf = [&](const TensorArgument &tensor) -> const SizeExpr & {
    return tensor.dims[callersDimension(kernel, tensor.name, static_cast<unsigned>(tensor.dims.size()) - 2)];
  };
  const SizeExpr &queryHeads = headsOf(*query), &keyHeads = headsOf(*key);
  if (queryHeads == keyHeads || (queryHeads.constant() && keyHeads.constant()))
    return;
  ExtentCheck check{SizeExpr::binary(SizeExpr::Kind::Mod, queryHeads, keyHeads), {}};
  check.message = "`q_heads` is not a multiple of `kv_heads`";
  manifest.checks.push_back(std::move(check));
}

/// When a kernel is launched, and how it cuts attention up.
static bool describeUse(func::FuncOp kernel, KernelManifest &entry, PlanManifest &manifest, std::string *error) {
  auto use = kernel->getAttrOfType<mlir::StringAttr>(tile::kUseAttr);
  if (!use)
    return true;
  auto word = std::find_if(manifest::kUses.begin(), manifest::kUses.end(), [&](const auto &each) { return use.getValue() == llvm::StringRef(each.first); });
  if (word == manifest::kUses.end()) {
    *error = fmt::format("kernel `{}`: `{}` is no use of a kernel", entry.name, use.str());
    return false;
  }
  entry.use = word->second;
  if (auto keys = kernel->getAttrOfType<mlir::StringAttr>(tile::kKeysAttr))
    manifest.keys = SizeExpr::parse(keys.str(), error);
  auto cut = kernel->getAttrOfType<mlir::DenseI64ArrayAttr>(tile::kTileAttr);
  const GpuTarget *target = findGpuTarget(manifest.target);
  if (!cut || !target)
    return true;
  constexpr std::uint32_t kReserved = 1024, kRegisters = 256; // of shared memory a block; a thread at most
  SizeExpr tiles = SizeExpr::number(1);
  for (const SizeExpr &size : entry.grid)
    tiles = SizeExpr::binary(SizeExpr::Kind::Mul, tiles, size);
  auto one = [](std::string_view name) { return name == kSplitsExtent ? std::optional<std::int64_t>(1) : std::nullopt; };
  std::uint32_t fit = std::min(target->sharedBytesPerMultiprocessor / (entry.sharedBytes + kReserved),
                               target->registersPerMultiprocessor / (entry.threads * kRegisters));
  entry.work = {static_cast<std::uint32_t>(cut[0]), static_cast<std::uint32_t>(cut[1]), tiles.substitute(one),
                entry.blocksPerMultiprocessor > 0 ? entry.blocksPerMultiprocessor : std::max(fit, 1u), std::nullopt};
  if (auto visible = kernel->getAttrOfType<mlir::StringAttr>(tile::kVisibleAttr))
    entry.work->visible = SizeExpr::parse(visible.str(), error);
  if (auto bytes = kernel->getAttrOfType<mlir::DenseI64ArrayAttr>(tile::kBytesAttr)) {
    entry.work->blockBytes = static_cast<std::uint32_t>(bytes[0]);
    entry.work->sumBytes = static_cast<std::uint32_t>(bytes[1]);
  }
  return true;
}

std::optional<PlanManifest> buildManifest(mlir::ModuleOp module, llvm::StringRef target, std::string *error) {
  PlanManifest manifest;
  manifest.target = target.str();
  for (func::FuncOp kernel : module.getOps<func::FuncOp>()) {
    if (!kernel->hasAttr(tile::kKernelAttr))
      continue;
    KernelManifest entry;
    entry.name = kernel.getName().str();
    if (manifest.name.empty()) {
      auto plan = kernel->getAttrOfType<mlir::StringAttr>(tile::kPlanAttr);
      manifest.name = plan ? plan.str() : entry.name;
    }
    auto warps = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kWarpsAttr);
    auto shared = kernel->getAttrOfType<mlir::IntegerAttr>(tile::kSharedBytesAttr);
    if (!warps || !shared) {
      *error = fmt::format("kernel `{}` has no `{}`", entry.name, warps ? tile::kSharedBytesAttr.str() : tile::kWarpsAttr.str());
      return std::nullopt;
    }
    entry.threads = 32 * warpsOfBlock(kernel);
    entry.sharedBytes = static_cast<std::uint32_t>(planBarriers(kernel).sharedBytes);
    entry.params = kernelParams(kernel);
    for (KernelParam &param : entry.params) {
      if (param.kind == KernelParam::Kind::Stride)
        param.dim = callersDimension(kernel, param.name, param.dim);
      for (std::uint32_t &dim : param.map.dims)
        dim = callersDimension(kernel, param.name, dim);
    }
    if (!describeArguments(kernel, manifest, error) || !buildGrid(kernel, entry, manifest.checks, error) ||
        !describeUse(kernel, entry, manifest, error))
      return std::nullopt;
    if (manifest.kernels.empty())
      checkHeads(kernel, manifest);
    manifest.kernels.push_back(std::move(entry));
    manifest.tf32 |= kernel->hasAttr(tile::kTf32Attr);
    kernel.walk([&](mlir::math::TanhOp tanh) {
      manifest.approximateTanh |= mlir::arith::bitEnumContainsAll(tanh.getFastmath(), mlir::arith::FastMathFlags::afn);
    });
    manifest.float8Scores |= kernel->hasAttr(tile::kFloat8ScoresAttr);
    manifest.float8Probs |= kernel->hasAttr(tile::kFloat8ProbsAttr);
  }
  if (manifest.kernels.empty()) {
    *error = "the module holds no kernel";
    return std::nullopt;
  }
  return manifest;
}

} // namespace attn::codegen
