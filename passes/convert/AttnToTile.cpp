// The conversion from what is computed to in which blocks: a plan becomes a kernel over `!tile.tensor`s, with the
// plan's arguments first and its results as further arguments behind them; names and promises stay on the arguments.
//
//   %s0 = attn.identity                          func.func @causal(%query, %key, %value, %out, %lse)
//   %s1 = attn.online_attention %s0 …     →        tile.foreach_work … { load query; scf.for { load key; dot; …;
//   %out, %lse = attn.finalize %s1                   softmax_step; load value; dot }; finish; store }
//
// Requires: ToOnlineAttention. Guarantees: no `attn` op is left; block sizes are the only facts of a target.
#include "ir/attn/AttnDialect.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/convert/AttentionKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_ATTNTOTILE
#include "passes/Passes.h.inc"

static Type convertType(Type type) {
  auto tensor = dyn_cast<ir::AttnTensorType>(type);
  if (!tensor)
    return type;
  return tile::TileTensorType::get(type.getContext(), tensor.getSizes(), tensor.getElementType(), tensor.getAscending());
}

namespace {
/// The operations of a plan that is one kernel.
struct PlanOps {
  ir::OnlineAttentionOp online;
  ir::FinalizeOp finalize;
};
} // namespace

static FailureOr<PlanOps> findOps(func::FuncOp plan) {
  PlanOps found;
  for (Operation &op : plan.front().without_terminator()) {
    if (auto online = dyn_cast<ir::OnlineAttentionOp>(op)) {
      if (found.online || !online.getState().getDefiningOp<ir::IdentityOp>())
        return op.emitOpError("is a second kernel of its plan, which is not supported yet");
      found.online = online;
    } else if (auto finalize = dyn_cast<ir::FinalizeOp>(op)) {
      found.finalize = finalize;
    } else if (isa<ir::AttnDialect>(op.getDialect()) && !isa<ir::IdentityOp, ir::SizeOp>(op)) {
      return op.emitOpError("is a kernel of its own, which is not supported yet");
    }
  }
  if (!found.online || !found.finalize || found.finalize.getState() != found.online.getResult())
    return plan.emitOpError("expects one online attention and its finalize");
  return found;
}

/// The kernel's head: arguments with their attributes, results behind them.
static func::FuncOp openKernel(func::FuncOp plan, ir::OnlineAttentionOp online) {
  SmallVector<Type> types;
  for (Type type : plan.getArgumentTypes())
    types.push_back(convertType(type));
  for (Type type : plan.getResultTypes())
    types.push_back(convertType(type));
  OpBuilder builder(plan);
  auto kernel = func::FuncOp::create(builder, plan.getLoc(), plan.getName(), builder.getFunctionType(types, {}));
  kernel->setAttr(tile::kKernelAttr, builder.getUnitAttr());
  if (Attribute layout = plan->getAttr(ir::AttnDialect::kLayout))
    kernel->setAttr(ir::AttnDialect::kLayout, layout);
  unsigned arguments = plan.getNumArguments();
  for (unsigned i = 0; i < arguments; ++i)
    if (DictionaryAttr attributes = plan.getArgAttrDict(i))
      kernel.setArgAttrs(i, attributes);
  for (unsigned i = 0; i < plan.getNumResults(); ++i) {
    if (DictionaryAttr attributes = plan.getResultAttrDict(i))
      kernel.setArgAttrs(arguments + i, attributes);
    kernel.setArgAttr(arguments + i, tile::kOutputAttr, builder.getUnitAttr());
  }
  for (auto [operand, name] : {std::pair<Value, StringRef>{online.getQuery(), "query"}, {online.getKey(), "key"}, {online.getValue(), "value"}})
    if (auto argument = dyn_cast<BlockArgument>(operand);
        argument && !kernel.getArgAttr(argument.getArgNumber(), ir::AttnDialect::kName))
      kernel.setArgAttr(argument.getArgNumber(), ir::AttnDialect::kName, builder.getStringAttr(name));
  Block *entry = kernel.addEntryBlock();
  for (auto [from, to] : llvm::zip(plan.getArguments(), entry->getArguments()))
    to.setLoc(from.getLoc());
  return kernel;
}

static LogicalResult convert(func::FuncOp plan) {
  FailureOr<PlanOps> ops = findOps(plan);
  if (failed(ops))
    return failure();
  func::FuncOp kernel = openKernel(plan, ops->online);
  llvm::StringMap<Value> outputs;
  OpBuilder builder(plan.getContext());
  for (auto [i, returned] : llvm::enumerate(plan.front().getTerminator()->getOperands())) {
    unsigned position = plan.getNumArguments() + static_cast<unsigned>(i);
    StringRef name;
    for (StringRef each : {"out", "lse", "max_score"})
      if (ops->finalize.getOutput(each) == returned)
        name = each;
    if (name.empty())
      return plan.emitOpError("returns something that is no output of its attention");
    outputs[name] = kernel.getArgument(position);
    if (!kernel.getArgAttr(position, ir::AttnDialect::kName))
      kernel.setArgAttr(position, ir::AttnDialect::kName, builder.getStringAttr(name));
  }
  if (failed(writeAttentionKernel(plan, kernel, ops->online, ops->finalize, outputs)))
    return failure();
  OpBuilder last = OpBuilder::atBlockEnd(&kernel.front());
  func::ReturnOp::create(last, plan.getLoc());
  plan.erase();
  return success();
}

namespace {
struct AttnToTile final : impl::AttnToTileBase<AttnToTile> {
  using AttnToTileBase::AttnToTileBase;

  void runOnOperation() override {
    getOperation()->setAttr(tile::kTargetAttr, tile::TargetAttr::get(&getContext(), target));
    SmallVector<func::FuncOp> plans;
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr(ir::AttnDialect::kPlan))
        plans.push_back(function);
    for (func::FuncOp plan : plans)
      if (failed(convert(plan)))
        return signalPassFailure();
  }
};
} // namespace

} // namespace attn
