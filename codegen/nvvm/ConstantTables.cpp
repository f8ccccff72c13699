// See ConstantTables.h.
#include "codegen/nvvm/ConstantTables.h"

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

namespace attn::codegen {

namespace arith = mlir::arith;
namespace LLVM = mlir::LLVM;
using mlir::Value;

static double floorDivide(double a, double b) { return std::floor(a / b); }

static std::optional<double> foldOp(mlir::Operation *op, llvm::ArrayRef<double> v) {
  using R = std::optional<double>;
  return llvm::TypeSwitch<mlir::Operation *, R>(op)
      .Case<arith::AddFOp, arith::AddIOp>([&](auto) -> R { return v[0] + v[1]; })
      .Case<arith::SubFOp, arith::SubIOp>([&](auto) -> R { return v[0] - v[1]; })
      .Case<arith::MulFOp, arith::MulIOp>([&](auto) -> R { return v[0] * v[1]; })
      .Case<arith::MaxNumFOp, arith::MaximumFOp, arith::MaxSIOp>([&](auto) -> R { return std::fmax(v[0], v[1]); })
      .Case<arith::MinNumFOp, arith::MinimumFOp, arith::MinSIOp>([&](auto) -> R { return std::fmin(v[0], v[1]); })
      .Case<arith::SIToFPOp, arith::ExtFOp, arith::TruncFOp>([&](auto) -> R { return v[0]; })
      .Case([&](arith::DivFOp) -> R { return v[0] / v[1]; })
      .Case([&](arith::DivSIOp) -> R { return v[1] == 0 ? R() : R(std::trunc(v[0] / v[1])); })
      .Case([&](arith::FloorDivSIOp) -> R { return v[1] == 0 ? R() : R(floorDivide(v[0], v[1])); })
      .Case([&](arith::RemSIOp) -> R { return v[1] == 0 ? R() : R(std::fmod(v[0], v[1])); })
      .Case([&](arith::FPToSIOp) -> R { return std::trunc(v[0]); })
      .Case([&](arith::NegFOp) -> R { return -v[0]; })
      .Case([&](arith::SelectOp) -> R { return v[0] != 0 ? v[1] : v[2]; })
      .Case([&](arith::AndIOp a) -> R { return a.getType().isInteger(1) ? R(v[0] != 0 && v[1] != 0) : R(); })
      .Case([&](arith::OrIOp o) -> R { return o.getType().isInteger(1) ? R(v[0] != 0 || v[1] != 0) : R(); })
      .Case([&](arith::CmpIOp cmp) -> R {
        using P = arith::CmpIPredicate;
        switch (cmp.getPredicate()) {
        case P::eq:
          return v[0] == v[1];
        case P::ne:
          return v[0] != v[1];
        case P::slt:
          return v[0] < v[1];
        case P::sle:
          return v[0] <= v[1];
        case P::sgt:
          return v[0] > v[1];
        case P::sge:
          return v[0] >= v[1];
        default:
          return std::nullopt;
        }
      })
      .Case([&](arith::CmpFOp cmp) -> R {
        using P = arith::CmpFPredicate;
        switch (cmp.getPredicate()) {
        case P::OEQ:
          return v[0] == v[1];
        case P::OLT:
          return v[0] < v[1];
        case P::OLE:
          return v[0] <= v[1];
        case P::OGT:
          return v[0] > v[1];
        case P::OGE:
          return v[0] >= v[1];
        default:
          return std::nullopt;
        }
      })
      .Case([&](mlir::math::AbsFOp) -> R { return std::fabs(v[0]); })
      .Case([&](mlir::math::AbsIOp) -> R { return std::fabs(v[0]); })
      .Case([&](mlir::math::FloorOp) -> R { return std::floor(v[0]); })
      .Case([&](mlir::math::CeilOp) -> R { return std::ceil(v[0]); })
      .Case([&](mlir::math::RoundEvenOp) -> R { return std::nearbyint(v[0]); })
      .Case([&](mlir::math::Exp2Op) -> R { return std::exp2(v[0]); })
      .Case([&](mlir::math::ExpOp) -> R { return std::exp(v[0]); })
      .Case([&](mlir::math::Log2Op) -> R { return std::log2(v[0]); })
      .Case([&](mlir::math::LogOp) -> R { return std::log(v[0]); })
      .Case([&](mlir::math::PowFOp) -> R { return std::pow(v[0], v[1]); })
      .Case([&](mlir::math::SqrtOp) -> R { return std::sqrt(v[0]); })
      .Case([&](mlir::math::RsqrtOp) -> R { return 1 / std::sqrt(v[0]); })
      .Case([&](mlir::math::SinOp) -> R { return std::sin(v[0]); })
      .Case([&](mlir::math::CosOp) -> R { return std::cos(v[0]); })
      .Case([&](mlir::math::TanhOp) -> R { return std::tanh(v[0]); })
      .Case([&](mlir::math::FmaOp) -> R { return v[0] * v[1] + v[2]; })
      .Default([](mlir::Operation *) -> R { return std::nullopt; });
}

std::optional<double> foldScalar(Value value, Value argument, double number) {
  if (value == argument)
    return number;
  mlir::FloatAttr real;
  if (mlir::matchPattern(value, mlir::m_Constant(&real)))
    return real.getValueAsDouble();
  if (auto constant = Emitter::constantOf(value))
    return static_cast<double>(value.getType().isInteger(1) ? *constant & 1 : *constant);
  mlir::Operation *op = value.getDefiningOp();
  if (auto lookup = value.getDefiningOp<tile::LookupOp>()) {
    auto place = foldScalar(lookup.getIndex(), argument, number);
    auto table = mlir::dyn_cast<mlir::DenseFPElementsAttr>(lookup.getTable());
    if (!place || !table || *place < 0 || *place >= static_cast<double>(table.getNumElements()))
      return std::nullopt;
    return table.getValues<llvm::APFloat>()[static_cast<std::size_t>(*place)].convertToDouble();
  }
  if (!op || op->getNumRegions() != 0 || op->getNumOperands() == 0)
    return std::nullopt;
  llvm::SmallVector<double, 3> operands;
  for (Value operand : op->getOperands()) {
    auto folded = foldScalar(operand, argument, number);
    if (!folded)
      return std::nullopt;
    operands.push_back(*folded);
  }
  return foldOp(op, operands);
}

static constexpr llvm::StringLiteral kTablePrefix = "constants_";

Value constantTable(Emitter &e, mlir::DenseElementsAttr contents) {
  mlir::OpBuilder::InsertionGuard restore(e.builder);
  auto module = e.builder.getInsertionBlock()->getParentOp()->getParentOfType<mlir::ModuleOp>();
  LLVM::GlobalOp table;
  int count = 0;
  for (auto global : module.getOps<LLVM::GlobalOp>()) {
    if (!global.getSymName().starts_with(kTablePrefix))
      continue;
    if (global.getValueAttr() == contents)
      table = global;
    ++count;
  }
  if (!table) {
    mlir::OpBuilder head(module.getBodyRegion());
    auto array = LLVM::LLVMArrayType::get(contents.getElementType(), contents.getNumElements());
    table = LLVM::GlobalOp::create(head, e.location, array, /*isConstant=*/true, LLVM::Linkage::Internal,
                                   (kTablePrefix + llvm::Twine(count)).str(), contents, /*alignment=*/16, /*addrSpace=*/1);
  }
  return LLVM::AddressOfOp::create(e.builder, e.location, e.globalPointer(), table.getSymName());
}

template <class Number> static Value tableOf(Emitter &e, mlir::Type type, llvm::ArrayRef<Number> contents) {
  auto shape = mlir::RankedTensorType::get({static_cast<std::int64_t>(contents.size())}, type);
  return constantTable(e, mlir::DenseElementsAttr::get(shape, contents));
}

std::optional<Value> makeFrequencyTable(Emitter &e, Value value, Value pair, int count, bool inDouble) {
  llvm::SmallVector<float> contents;
  llvm::SmallVector<double> inRadians;
  for (int i = 0; i < count; ++i) {
    auto radians = foldScalar(value, pair, i);
    if (!radians || !std::isfinite(*radians))
      return std::nullopt;
    inRadians.push_back(*radians);
    double quarters = *radians * 0.63661977236758134308;
    auto high = static_cast<float>(quarters);
    contents.push_back(high);
    contents.push_back(static_cast<float>(quarters - high));
  }
  if (inDouble)
    return tableOf<double>(e, e.f64Type(), inRadians);
  return tableOf<float>(e, e.f32Type(), contents);
}

} // namespace attn::codegen
