// The conversion from what is computed to in which blocks: a plan becomes kernels over `!tile.tensor`s, with the plan's
// arguments first and its results as further arguments behind them; names and promises stay on the arguments. Each
// `attn.transform` is a kernel in front of the attention's; what it gives is workspace.
//
//   %s0 = attn.identity                          func.func @causal(%query, %key, %value, %out, %lse)
//   %s1 = attn.online_attention %s0 …     →        tile.foreach_work … { load query; scf.for { load key; dot; …;
//   %out, %lse = attn.finalize %s1                   softmax_step; load value; dot }; finish; store }
//
// Requires: ToOnlineAttention. Guarantees: no `attn` op is left; block sizes are the only facts of a target.
#include "ir/attn/AttnDialect.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/convert/AttentionKernel.h"
#include "passes/convert/TransformKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
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

/// The operations of a plan: kernels in front of the attention, and the attention.
struct PlanOps {
  SmallVector<ir::TransformOp> transforms;
  ir::OnlineAttentionOp online;
  ir::FinalizeOp finalize;
};

/// Writes the kernels of one plan. All have the same arguments: the plan's, its results, then workspace; a launch passes
/// to each what it uses.
class PlanConversion {
public:
  PlanConversion(func::FuncOp plan, PlanOps &ops, bool checked) : plan(plan), ops(ops), checked(checked), builder(plan) {}

  LogicalResult convert();

private:
  func::FuncOp openKernel(const Twine &name);
  void closeKernel(func::FuncOp kernel);
  LogicalResult nameOutputs(func::FuncOp kernel, llvm::StringMap<Value> &outputs);
  Value argumentFor(func::FuncOp kernel, Value planTensor);

  func::FuncOp plan;
  PlanOps &ops;
  bool checked;
  OpBuilder builder;
};

} // namespace

static FailureOr<PlanOps> findOps(func::FuncOp plan) {
  PlanOps found;
  for (Operation &op : plan.front().without_terminator()) {
    if (auto online = dyn_cast<ir::OnlineAttentionOp>(op)) {
      if (found.online || !online.getState().getDefiningOp<ir::IdentityOp>())
        return op.emitOpError("is a second attention of its plan, which is not supported yet");
      found.online = online;
    } else if (auto finalize = dyn_cast<ir::FinalizeOp>(op)) {
      found.finalize = finalize;
    } else if (auto transform = dyn_cast<ir::TransformOp>(op)) {
      found.transforms.push_back(transform);
    } else if (isa<ir::AttnDialect>(op.getDialect()) && !isa<ir::IdentityOp, ir::SizeOp>(op)) {
      return op.emitOpError("is a kernel of its own, which is not supported yet");
    }
  }
  if (!found.online || !found.finalize || found.finalize.getState() != found.online.getResult())
    return plan.emitOpError("expects one online attention and its finalize");
  return found;
}

/// What a transform's result is called: no name of the language, so that no parameter has it.
static std::string workspaceName(ir::TransformOp transform, unsigned number) {
  return (Twine(transform.getOver() == ir::RowSide::query ? "query" : "key") + "_rows." + Twine(number)).str();
}

/// The kernel's head: arguments with their attributes, results behind them, then workspace.
func::FuncOp PlanConversion::openKernel(const Twine &name) {
  SmallVector<Type> types;
  for (Type type : plan.getArgumentTypes())
    types.push_back(convertType(type));
  for (Type type : plan.getResultTypes())
    types.push_back(convertType(type));
  for (ir::TransformOp transform : ops.transforms)
    types.push_back(convertType(transform.getResult().getType()));
  auto kernel = func::FuncOp::create(builder, plan.getLoc(), name.str(), builder.getFunctionType(types, {}));
  kernel->setAttr(tile::kKernelAttr, builder.getUnitAttr());
  if (checked)
    kernel->setAttr(tile::kCheckedAttr, builder.getUnitAttr());
  if (kernel.getName() != plan.getName())
    kernel->setAttr(tile::kPlanAttr, builder.getStringAttr(plan.getName()));
  if (Attribute layout = plan->getAttr(ir::AttnDialect::kLayout))
    kernel->setAttr(ir::AttnDialect::kLayout, layout);
  unsigned position = 0;
  for (; position < plan.getNumArguments(); ++position)
    if (DictionaryAttr attributes = plan.getArgAttrDict(position))
      kernel.setArgAttrs(position, attributes);
  for (unsigned i = 0; i < plan.getNumResults(); ++i, ++position) {
    if (DictionaryAttr attributes = plan.getResultAttrDict(i))
      kernel.setArgAttrs(position, attributes);
    kernel.setArgAttr(position, tile::kOutputAttr, builder.getUnitAttr());
  }
  for (auto [number, transform] : llvm::enumerate(ops.transforms)) {
    std::string tensor = workspaceName(transform, static_cast<unsigned>(number));
    kernel.setArgAttr(position, ir::AttnDialect::kName, builder.getStringAttr(tensor));
    kernel.setArgAttr(position++, tile::kWorkspaceAttr, builder.getUnitAttr());
  }
  for (auto [operand, tensor] : {std::pair<Value, StringRef>{ops.online.getQuery(), "query"},
                                 {ops.online.getKey(), "key"},
                                 {ops.online.getValue(), "value"}})
    if (auto argument = dyn_cast<BlockArgument>(operand);
        argument && !kernel.getArgAttr(argument.getArgNumber(), ir::AttnDialect::kName))
      kernel.setArgAttr(argument.getArgNumber(), ir::AttnDialect::kName, builder.getStringAttr(tensor));
  Block *entry = kernel.addEntryBlock();
  for (auto [from, to] : llvm::zip(plan.getArguments(), entry->getArguments()))
    to.setLoc(from.getLoc());
  return kernel;
}

void PlanConversion::closeKernel(func::FuncOp kernel) {
  OpBuilder last = OpBuilder::atBlockEnd(&kernel.front());
  func::ReturnOp::create(last, plan.getLoc());
}

/// The kernel's argument for a tensor that the plan takes or makes.
Value PlanConversion::argumentFor(func::FuncOp kernel, Value planTensor) {
  if (auto argument = dyn_cast<BlockArgument>(planTensor))
    return kernel.getArgument(argument.getArgNumber());
  for (auto [number, transform] : llvm::enumerate(ops.transforms))
    if (transform->getResult(0) == planTensor)
      return kernel.getArgument(plan.getNumArguments() + plan.getNumResults() + static_cast<unsigned>(number));
  return {};
}

LogicalResult PlanConversion::nameOutputs(func::FuncOp kernel, llvm::StringMap<Value> &outputs) {
  for (auto [i, returned] : llvm::enumerate(plan.front().getTerminator()->getOperands())) {
    unsigned position = plan.getNumArguments() + static_cast<unsigned>(i);
    StringRef name;
    for (StringRef each : {"out", "lse", "max_score"})
      if (ops.finalize.getOutput(each) == returned)
        name = each;
    if (name.empty())
      return plan.emitOpError("returns something that is no output of its attention");
    outputs[name] = kernel.getArgument(position);
    if (!kernel.getArgAttr(position, ir::AttnDialect::kName))
      kernel.setArgAttr(position, ir::AttnDialect::kName, builder.getStringAttr(name));
  }
  return success();
}

LogicalResult PlanConversion::convert() {
  llvm::StringMap<Value> outputs;
  for (auto [number, transform] : llvm::enumerate(ops.transforms)) {
    bool ofQuery = transform.getOver() == ir::RowSide::query;
    func::FuncOp kernel = openKernel(plan.getName() + (ofQuery ? "_query_rows_" : "_key_rows_") + Twine(number));
    Value source = argumentFor(kernel, transform->getOperand(0)), result = argumentFor(kernel, transform->getResult(0));
    if (failed(nameOutputs(kernel, outputs)) || failed(writeTransformKernel(plan, kernel, transform, source, result)))
      return failure();
    closeKernel(kernel);
  }
  func::FuncOp kernel = openKernel(plan.getName());
  SmallVector<std::pair<Value, Value>> workspace;
  for (ir::TransformOp transform : ops.transforms)
    workspace.push_back({transform.getResult(), argumentFor(kernel, transform.getResult())});
  outputs.clear();
  if (failed(nameOutputs(kernel, outputs)) ||
      failed(writeAttentionKernel(plan, kernel, ops.online, ops.finalize, outputs, workspace)))
    return failure();
  closeKernel(kernel);
  plan.erase();
  return success();
}

static LogicalResult convert(func::FuncOp plan, bool checked) {
  FailureOr<PlanOps> ops = findOps(plan);
  return failed(ops) ? failure() : PlanConversion(plan, *ops, checked).convert();
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
      if (failed(convert(plan, checked)))
        return signalPassFailure();
  }
};
} // namespace

} // namespace attn
