// See LoopFacts.h.
#include "passes/tile/LoopFacts.h"

#include "ir/tile/DiagonalOps.h"
#include "ir/tile/PlanAttributes.h"
#include "passes/DiagonalLimits.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <numeric>

using namespace mlir;

namespace attn {

bool isAtLeast(Value value, int64_t bound) {
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number)))
    return number.getSExtValue() >= bound;
  auto maximum = value.getDefiningOp<arith::MaxSIOp>();
  return maximum && (isAtLeast(maximum.getLhs(), bound) || isAtLeast(maximum.getRhs(), bound));
}

bool countsFromZero(scf::ForOp loop) {
  APInt lower, step;
  return matchPattern(loop.getLowerBound(), m_ConstantInt(&lower)) && lower.isZero() &&
         matchPattern(loop.getStep(), m_ConstantInt(&step)) && step.isOne();
}

/// Whether the last maximum is used to finish the sums only, be it after a shift.
static bool finishesSums(Value rowMax) {
  return llvm::all_of(rowMax.getUsers(), [](Operation *user) {
    return isa<tile::FinishOp>(user) || (isa<tile::MapOp>(user) && finishesSums(user->getResult(0)));
  });
}

bool maximumServesSumsAlone(tile::SoftmaxStepOp step, scf::ForOp loop) {
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  for (auto [yielded, result] : llvm::zip(yield.getOperands(), loop.getResults()))
    if (yielded == step.getNewRowMax() && !finishesSums(result))
      return false;
  return llvm::all_of(step.getNewRowMax().getUsers(), [&](Operation *user) { return user == yield; });
}

/// Whether warps multiply with rows of diagonals themselves beside products of warpgroups (passes/DiagonalLimits.h).
static bool areBesideRoles(func::FuncOp kernel) {
  llvm::SmallPtrSet<Operation *, 4> tables;
  auto fits = [&](Value diagonals) {
    auto rows = diagonals.getDefiningOp<tile::AwaitOp>();
    if (!rows)
      return false;
    tables.insert(rows.getRing().getDefiningOp());
    return rows.getType().getShape()[1] <= kMostChannelsBesideRoles && rows.getType().getElementType().getIntOrFloatBitWidth() < 32;
  };
  bool fit = !kernel.walk([&](Operation *op) {
                      auto product = dyn_cast<tile::DiagonalDotOp>(op);
                      auto sum = dyn_cast<tile::DiagonalSumOp>(op);
                      bool isFar = (product && !fits(product.getDiagonals())) || (sum && !fits(sum.getDiagonals()));
                      return isFar ? WalkResult::interrupt() : WalkResult::advance();
                    }).wasInterrupted();
  return fit && tables.size() <= kMostTablesBesideRoles;
}

bool multipliesByWarpgroups(func::FuncOp kernel) {
  auto target = kernel->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
  const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
  if (!gpu || gpu->mmaFamily != MmaFamily::Wgmma || kernel->hasAttr(tile::kMmaSyncAttr))
    return false;
  return areBesideRoles(kernel) && !kernel.walk([](tile::DotOp dot) {
                  Type right = dot.getRhs().getType();
                  auto buffer = dyn_cast<tile::BufferType>(right);
                  Type element = buffer ? buffer.getElementType() : cast<tile::FragType>(right).getElementType();
                  return element.getIntOrFloatBitWidth() >= 32 ? WalkResult::interrupt() : WalkResult::advance();
                }).wasInterrupted();
}

int64_t rowsOfPagePiece(tile::FillOp fill) {
  return std::gcd(fill.getRing().getType().getShape()[0], *fill.getTensor().getType().getStaticSize(1));
}

bool copiesPagesByMap(tile::FillOp fill) {
  tile::BufferType buffer = fill.getRing().getType().getBufferType();
  bool isWidened = buffer.getElementType() != fill.getTensor().getType().getElementType();
  constexpr int64_t kPattern = 8; // rows of the swizzle's
  return !isWidened && buffer.getSmem().getSwizzle() != 0 && rowsOfPagePiece(fill) % kPattern == 0;
}

/// Whether a row of the ring's entries is nothing but a column of scores, be it changed before: masks hide it where there is
/// no such key.
static bool givesScoresAlone(Value ring) {
  llvm::SetVector<Value> open;
  for (Operation *user : ring.getUsers())
    if (auto await = dyn_cast<tile::AwaitOp>(user))
      open.insert(await.getResult());
  for (unsigned i = 0; i < open.size(); ++i)
    for (Operation *user : open[i].getUsers()) {
      auto isColumns = [&](auto dot) { return dot.getTrans() && dot.getRhs() == open[i]; };
      auto dot = dyn_cast<tile::DotOp>(user);
      auto async = dyn_cast<tile::DotAsyncOp>(user);
      if ((dot && isColumns(dot)) || (async && isColumns(async)))
        continue;
      if (auto write = dyn_cast<tile::WriteOp>(user))
        open.insert(write.getBuffer());
      else if (isa<tile::ReadOp, tile::ConvertOp, tile::MapOp, tile::RotateOp>(user))
        open.insert(user->getResult(0));
      else
        return false;
    }
  return true;
}

bool isCopiedByMap(tile::FillOp fill) {
  return copiesPagesByMap(fill) && (fill.getVia() == "tma" || givesScoresAlone(fill.getRing()));
}

bool isExpensive(Operation *op) {
  if (isa<tile::ParamOp, arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::FloorDivSIOp,
          arith::CeilDivSIOp>(op))
    return true;
  return isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::FloorOp, math::CeilOp>(op);
}

Value cloneForIteration(OpBuilder &builder, scf::ForOp loop, Value value, IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || !loop->isProperAncestor(op))
    return value;
  for (Value operand : op->getOperands())
    cloneForIteration(builder, loop, operand, mapping);
  return builder.clone(*op, mapping)->getResult(cast<OpResult>(value).getResultNumber());
}

IRMapping operandsForIteration(OpBuilder &builder, scf::ForOp loop, Operation *op, Value number) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), number);
  llvm::SetVector<Value> needed(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), needed);
  for (Value value : needed)
    cloneForIteration(builder, loop, value, mapping);
  return mapping;
}

Value copyOutOf(OpBuilder &builder, Region &from, Value value, IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || op->getParentRegion() != &from)
    return value;
  for (Value operand : op->getOperands())
    copyOutOf(builder, from, operand, mapping);
  builder.clone(*op, mapping);
  return mapping.lookup(value);
}

} // namespace attn
