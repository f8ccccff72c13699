// See ExactChains.h. `floor(log2(x))` in f32 is off by one for some x just below a power of two; in f64 no i32 comes near
// enough to a boundary without lying on it, and on it the functions of MathAlgorithms.h are exact.
#include "codegen/nvvm/ExactChains.h"

#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"

namespace attn::codegen {

namespace arith = mlir::arith;
namespace func = mlir::func;
namespace mm = mlir::math;
using mlir::Value;

static bool isFloatOp(mlir::Operation *op) {
  if (!op || op->getNumResults() != 1 || op->getNumRegions() != 0 || !op->getResult(0).getType().isF32())
    return false;
  if (mlir::isa<arith::SelectOp, arith::SIToFPOp>(op))
    return true;
  llvm::StringRef dialect = op->getName().getDialectNamespace();
  auto isSingle = [](mlir::Type type) { return type.isF32(); };
  return (dialect == "arith" || dialect == "math") && op->getNumOperands() > 0 && llvm::all_of(op->getOperandTypes(), isSingle);
}

static bool isInexact(mlir::Operation *op) {
  return mlir::isa<arith::DivFOp, mm::ExpOp, mm::Exp2Op, mm::LogOp, mm::Log2Op, mm::PowFOp, mm::SqrtOp, mm::RsqrtOp, mm::TanhOp,
                   mm::ErfOp, mm::SinOp, mm::CosOp>(op);
}

namespace {
class ChainWidener {
public:
  explicit ChainWidener(func::FuncOp kernel) : kernel(kernel) {}

  void run() {
    llvm::SmallVector<mlir::Operation *> roots;
    kernel.walk([&](mlir::Operation *op) {
      if (mlir::isa<arith::CmpFOp, arith::FPToSIOp, mm::FloorOp, mm::CeilOp, mm::RoundEvenOp>(op) &&
          op->getOperand(0).getType().isF32())
        roots.push_back(op);
    });
    for (mlir::Operation *op : roots)
      widenRoot(op);
    kernel.walk([&](tile::RotateOp op) {
      tile::YieldOp yield = tile::yieldOf(op.getBody());
      if (shouldWiden(yield.getValues().front()))
        yield->setOperand(0, narrow(yield, widen(yield.getValues().front())));
    });
  }

private:
  struct Chain {
    bool inexact = false, fromElement = false;
  };

  const Chain &chainOf(Value value) {
    if (auto found = chains.find(value); found != chains.end())
      return found->second;
    Chain chain;
    mlir::Operation *op = value.getDefiningOp();
    if (isFloatOp(op)) {
      chain.inexact = isInexact(op);
      for (Value operand : op->getOperands()) {
        if (!operand.getType().isF32())
          continue;
        Chain part = chainOf(operand);
        chain.inexact |= part.inexact;
        chain.fromElement |= part.fromElement;
      }
    } else if (auto argument = mlir::dyn_cast<mlir::BlockArgument>(value)) {
      chain.fromElement = mlir::isa<tile::MapOp>(argument.getOwner()->getParentOp());
    }
    return chains[value] = chain;
  }

  bool shouldWiden(Value value) {
    const Chain &chain = chainOf(value);
    return chain.inexact && !chain.fromElement;
  }

  Value narrow(mlir::Operation *before, Value wide) {
    mlir::OpBuilder builder(before);
    return arith::TruncFOp::create(builder, before->getLoc(), builder.getF32Type(), wide);
  }

  Value widen(Value value) {
    if (auto found = widened.find(value); found != widened.end())
      return found->second;
    mlir::OpBuilder builder(kernel.getContext());
    builder.setInsertionPointAfterValue(value);
    mlir::Type type = builder.getF64Type();
    mlir::Operation *op = value.getDefiningOp();
    mlir::FloatAttr constant;
    Value result;
    if (mlir::matchPattern(value, mlir::m_Constant(&constant))) {
      result = arith::ConstantOp::create(builder, value.getLoc(), builder.getF64FloatAttr(constant.getValueAsDouble()));
    } else if (isFloatOp(op)) {
      mlir::OperationState state(op->getLoc(), op->getName());
      for (Value operand : op->getOperands())
        state.operands.push_back(operand.getType().isF32() ? widen(operand) : operand);
      state.addTypes(type);
      state.addAttributes(op->getAttrs());
      result = builder.create(state)->getResult(0);
    } else {
      result = arith::ExtFOp::create(builder, value.getLoc(), type, value);
    }
    return widened[value] = result;
  }

  void widenRoot(mlir::Operation *op) {
    if (llvm::none_of(op->getOperands(), [&](Value operand) { return shouldWiden(operand); }))
      return;
    if (mlir::isa<arith::CmpFOp, arith::FPToSIOp>(op)) {
      for (mlir::OpOperand &operand : op->getOpOperands())
        operand.set(widen(operand.get()));
      return;
    }
    Value wide = widen(op->getResult(0));
    mlir::OpBuilder builder(kernel.getContext());
    builder.setInsertionPointAfterValue(wide);
    Value rounded = arith::TruncFOp::create(builder, op->getLoc(), builder.getF32Type(), wide);
    op->getResult(0).replaceUsesWithIf(rounded, [&](mlir::OpOperand &use) { return use.getOwner() != wide.getDefiningOp(); });
  }

  func::FuncOp kernel;
  llvm::DenseMap<Value, Chain> chains;
  llvm::DenseMap<Value, Value> widened;
};
} // namespace

void widenExactChains(func::FuncOp kernel) { ChainWidener(kernel).run(); }

} // namespace attn::codegen
