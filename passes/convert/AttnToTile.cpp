// The conversion from what is computed to in which blocks: a plan becomes kernels over `!tile.tensor`s, with the plan's
// arguments first and its results as further arguments behind them; names and promises stay on the arguments. Each
// `attn.transform` is a kernel in front of the attention's, as are the states of linear attention in chunks and those that list
// blocks (BlockLists.h); what they give is workspace. Where the schedule has one for few rows, two kernels follow: for those rows and shares of their keys, and to merge
// the shares (SplitKeys.h).
//
//   %s0 = attn.identity                          func.func @causal(%query, %key, %value, %out, %lse)
//   %s1 = attn.online_attention %s0 …     →        tile.foreach_work … { load query; scf.for { load key; dot; …;
//   %out, %lse = attn.finalize %s1                   softmax_step; load value; dot }; finish; store }
//
// Requires: ToOnlineAttention. Guarantees: no `attn` op is left; block sizes are the only facts of a target.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/LayoutAttributes.h"
#include "ir/attn/ProductTypes.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileDialect.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/convert/AttentionKernel.h"
#include "passes/convert/BlockLists.h"
#include "passes/convert/DistanceTable.h"
#include "passes/convert/LinearStates.h"
#include "passes/convert/MergeKernel.h"
#include "passes/convert/TransformKernel.h"
#include "passes/convert/ValueSlice.h"
#include "support/GpuTarget.h"

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
  std::optional<LinearStates> states;
  std::optional<SplitPlan> split;
  std::optional<BlockLists> lists;
};

/// Writes the kernels of one plan. All have the same arguments: the plan's, its results, then workspace; a launch passes
/// to each what it uses.
class PlanConversion {
public:
  PlanConversion(func::FuncOp plan, PlanOps &ops, bool checked, bool tf32)
      : plan(plan), ops(ops), checked(checked), tf32(tf32), builder(plan) {}

  LogicalResult convert();

private:
  func::FuncOp openKernel(const Twine &name);
  void closeKernel(func::FuncOp kernel);
  LogicalResult nameOutputs(func::FuncOp kernel, llvm::StringMap<Value> &outputs);
  Value argumentFor(func::FuncOp kernel, Value planTensor);
  void addExtents(func::FuncOp kernel);
  void promisePaddedKeys(func::FuncOp kernel);
  ValueRange statesOf(func::FuncOp kernel);
  ValueRange sharesOf(func::FuncOp kernel);
  std::string workspaceName(unsigned number) const;
  SmallVector<std::pair<Value, Value>> transformedRows(func::FuncOp kernel);
  LogicalResult convertStates();
  LogicalResult convertSplit();
  FailureOr<func::FuncOp> convertWhole(const ValueSlice *slice);
  LogicalResult convertLists();
  LogicalResult convertDistances();
  void noteUse(func::FuncOp kernel, StringRef use) { kernel->setAttr(tile::kUseAttr, builder.getStringAttr(use)); }
  void noteTiles(func::FuncOp kernel, const ir::Schedule &schedule, DictionaryAttr attr);
  void notePrecision();

  func::FuncOp plan;
  PlanOps &ops;
  bool checked, tf32;
  bool hasDistances = false;   ///< a kernel in front makes a table of them
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
  found.states = LinearStates::of(found.online);
  found.split = SplitPlan::of(found.online);
  found.lists = BlockLists::of(found.online);
  return found;
}

/// What a transform's result is called: no name of the language, so that no parameter has it.
static std::string rowsName(ir::TransformOp transform, unsigned number) {
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
  if (ops.states)
    llvm::append_range(types, ops.states->workspaceTypes());
  if (ops.split)
    llvm::append_range(types, ops.split->workspaceTypes());
  if (ops.lists)
    llvm::append_range(types, ops.lists->workspaceTypes());
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
    std::string tensor = rowsName(transform, static_cast<unsigned>(number));
    kernel.setArgAttr(position, ir::AttnDialect::kName, builder.getStringAttr(tensor));
    kernel.setArgAttr(position++, tile::kWorkspaceAttr, builder.getUnitAttr());
  }
  for (unsigned first = position; position < types.size(); ++position) {
    kernel.setArgAttr(position, ir::AttnDialect::kName, builder.getStringAttr(workspaceName(position - first)));
    kernel.setArgAttr(position, tile::kWorkspaceAttr, builder.getUnitAttr());
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
  addExtents(kernel);
  return kernel;
}

/// Extents that regions read, but no tensor has as a size by itself: `span` of a table with `2 * span` rows.
static void addExtentsInNoShape(func::FuncOp plan, func::FuncOp kernel, SmallVectorImpl<StringRef> &extents) {
  auto isSize = [&](StringRef name) {
    return llvm::any_of(kernel.getArgumentTypes(), [&](Type type) {
      auto tensor = dyn_cast<tile::TileTensorType>(type);
      return tensor && llvm::any_of(llvm::seq<unsigned>(0, static_cast<unsigned>(tensor.getRank())), [&](auto dim) { return tensor.getSizeText(dim) == name; });
    });
  };
  plan.walk([&](ir::SizeOp size) {
    StringRef name = size.getName();
    bool isOfRequest = name == "q_start" || name == "kv_start";
    if (!isOfRequest && !isSize(name) && !llvm::is_contained(extents, name))
      extents.push_back(name);
  });
}

/// Behind all tensors the extents that the shape of none gives: how many requests with lengths of their own there are, the most
/// rows of one, and into how many shares keys are split.
void PlanConversion::addExtents(func::FuncOp kernel) {
  bool isInSequence = !ops.online.getRagged().empty() || !ops.online.getPaged().empty();
  SmallVector<StringRef> extents;
  if (isInSequence)
    extents = {"batch", "q_len", "kv_len"};
  if (ops.split)
    extents.push_back(tile::kSplitsExtent);
  addExtentsInNoShape(plan, kernel, extents);
  for (StringRef extent : extents) {
    NamedAttribute attributes[] = {builder.getNamedAttr(ir::AttnDialect::kName, builder.getStringAttr(extent)),
                                   builder.getNamedAttr(tile::kExtentAttr, builder.getUnitAttr())};
    [[maybe_unused]] LogicalResult inserted = kernel.insertArgument(kernel.getNumArguments(), builder.getI32Type(),
                                                                    builder.getDictionaryAttr(attributes), plan.getLoc());
    assert(succeeded(inserted));
  }
  if (isInSequence)
    promisePaddedKeys(kernel);
}

/// Where an earlier kernel changes keys or values, sums them, lists their blocks, or goes through their distances, its grid and what it makes have room for `kv_len` rows of each request.
void PlanConversion::promisePaddedKeys(func::FuncOp kernel) {
  if (!ops.states && !ops.lists && !hasDistances && llvm::none_of(ops.transforms, [](ir::TransformOp transform) { return transform.getOver() == ir::RowSide::key; }))
    return;
  bool isPaged = !ops.online.getPaged().empty();
  auto lengths = dyn_cast<BlockArgument>(isPaged ? ops.online.getPaged()[2] : ops.online.getRagged()[1]);
  if (!lengths)
    return;
  if (!isPaged)
    return kernel.setArgAttr(lengths.getArgNumber(), ir::kMostStepAttr, builder.getStringAttr("kv_len"));
  auto bounds = kernel.getArgAttrOfType<ArrayAttr>(lengths.getArgNumber(), ir::AttnDialect::kIn);
  if (bounds && bounds.size() == 2)
    kernel.setArgAttr(lengths.getArgNumber(), ir::AttnDialect::kIn,
                      builder.getStrArrayAttr({"0", ("min(kv_len, " + cast<StringAttr>(bounds[1]).getValue() + ")").str()}));
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

/// The states of linear attention, and behind them what shares of keys leave, among the kernel's arguments.
ValueRange PlanConversion::statesOf(func::FuncOp kernel) {
  return kernel.getArguments().drop_front(plan.getNumArguments() + plan.getNumResults() + ops.transforms.size());
}
ValueRange PlanConversion::sharesOf(func::FuncOp kernel) { return statesOf(kernel).drop_front(ops.states ? ops.states->workspaceTypes().size() : 0); }

/// Of the tensors behind the transforms'.
std::string PlanConversion::workspaceName(unsigned number) const {
  auto states = static_cast<unsigned>(ops.states ? ops.states->workspaceTypes().size() : 0);
  auto shares = static_cast<unsigned>(ops.split ? ops.split->workspaceTypes().size() : 0);
  if (number >= states + shares)
    return BlockLists::workspaceName(number - states - shares).str();
  return number < states ? LinearStates::workspaceName(number).str() : ops.split->workspaceName(number - states);
}

/// Arguments for what transforms have made.
SmallVector<std::pair<Value, Value>> PlanConversion::transformedRows(func::FuncOp kernel) {
  SmallVector<std::pair<Value, Value>> rows;
  for (ir::TransformOp transform : ops.transforms)
    rows.push_back({transform.getResult(), argumentFor(kernel, transform.getResult())});
  return rows;
}

LogicalResult PlanConversion::convertStates() {
  func::FuncOp kernel = openKernel(plan.getName() + "_states");
  llvm::StringMap<Value> outputs;
  if (failed(nameOutputs(kernel, outputs)) ||
      failed(ops.states->writeKernel(plan, kernel, statesOf(kernel), transformedRows(kernel))))
    return failure();
  closeKernel(kernel);
  if (ops.split) // few rows need none
    noteUse(kernel, "whole");
  return success();
}

/// The kernels that list the blocks of keys which tiles visit.
LogicalResult PlanConversion::convertLists() {
  for (bool marks : {true, false}) {
    func::FuncOp kernel = openKernel(plan.getName() + (marks ? "_marks" : "_lists"));
    llvm::StringMap<Value> outputs;
    ValueRange workspace = sharesOf(kernel).drop_front(ops.split ? ops.split->workspaceTypes().size() : 0);
    if (failed(nameOutputs(kernel, outputs)) ||
        failed(marks ? ops.lists->writeMarks(plan, kernel, workspace) : ops.lists->writeLists(plan, kernel, workspace)))
      return failure();
    closeKernel(kernel);
    if (ops.split) // few rows go by ranges
      noteUse(kernel, "whole");
  }
  return success();
}

/// The kernel that computes a costly number of the distance, which the score reads from then on: its table is one more argument.
LogicalResult PlanConversion::convertDistances() {
  auto table = DistanceTable::of(ops.online);
  if (!table)
    return success();
  hasDistances = true;
  unsigned position = plan.getNumArguments();
  NamedAttribute attributes[] = {builder.getNamedAttr(ir::AttnDialect::kName, builder.getStringAttr(DistanceTable::workspaceName())),
                                 builder.getNamedAttr(tile::kWorkspaceAttr, builder.getUnitAttr())};
  if (failed(plan.insertArgument(position, table->type(), builder.getDictionaryAttr(attributes), plan.getLoc())))
    return failure();
  func::FuncOp kernel = openKernel(plan.getName() + "_distances");
  llvm::StringMap<Value> outputs;
  if (failed(nameOutputs(kernel, outputs)) || failed(table->writeKernel(plan, kernel, kernel.getArgument(position))))
    return failure();
  closeKernel(kernel);
  table->readIn(plan.getArgument(position));
  table->remark();
  return success();
}

/// What a product of f32 operands is made of is never silent.
void PlanConversion::notePrecision() {
  remark(ops.online, RemarkCategory::Schedule,
         tf32 ? "operands of matrix products are rounded from f32 to tf32, 11 significant bits, as was asked for"
              : "matrix products of f32 are three of tf32 each: of each product less than 2^-21 is left out");
  auto target = plan->getParentOp()->getAttrOfType<tile::TargetAttr>(tile::kTargetAttr);
  const GpuTarget *gpu = target ? findGpuTarget(target.getName().str()) : nullptr;
  if (gpu && gpu->mmaFamily == MmaFamily::Wgmma)
    remark(ops.online, RemarkCategory::Schedule, "matrix products of f32 are mma.sync's: wgmma takes tf32 values only transposed");
}

/// How a kernel cuts attention up, for the launch's choice; `attr` is its schedule as it came.
void PlanConversion::noteTiles(func::FuncOp kernel, const ir::Schedule &schedule, DictionaryAttr attr) {
  kernel->setAttr(tile::kTileAttr, builder.getDenseI64ArrayAttr({schedule.blockM, schedule.blockN}));
  if (Attribute visible = attr.get(tile::kVisibleKeys))
    kernel->setAttr(tile::kVisibleAttr, visible);
}

/// The kernel for few rows, the one ahead of it if scores look along keys, and the one that merges its shares, behind the kernel for
/// all.
LogicalResult PlanConversion::convertSplit() {
  const SplitPlan &split = *ops.split;
  llvm::StringMap<Value> outputs;
  if (split.carryCount() > 0) {
    func::FuncOp ahead = openKernel(plan.getName() + "_carries");
    SplitKeys keys(split, SplitArguments::of(split, ahead, sharesOf(ahead)), /*ahead=*/true);
    if (failed(nameOutputs(ahead, outputs)) ||
        failed(writeAttentionKernel(plan, ahead, ops.online, ops.finalize, outputs, transformedRows(ahead), {}, &keys)))
      return failure();
    if (tf32)
      ahead->setAttr(tile::kTf32Attr, builder.getUnitAttr());
    closeKernel(ahead);
    noteUse(ahead, "ahead");
    outputs.clear();
  }
  func::FuncOp few = openKernel(plan.getName() + "_few_rows");
  SplitKeys keys(split, SplitArguments::of(split, few, sharesOf(few)));
  if (failed(nameOutputs(few, outputs)) ||
      failed(writeAttentionKernel(plan, few, ops.online, ops.finalize, outputs, transformedRows(few), {}, &keys)))
    return failure();
  if (tf32)
    few->setAttr(tile::kTf32Attr, builder.getUnitAttr());
  closeKernel(few);
  noteUse(few, "few_rows");
  noteTiles(few, split.schedule(), ops.online.getScheduleAttr().getAs<DictionaryAttr>(ir::kFewRows));
  few->setAttr(tile::kKeysAttr, builder.getStringAttr(split.keys()));
  few->setAttr(tile::kBytesAttr, builder.getDenseI64ArrayAttr({split.blockBytes(), split.sumBytes()}));
  func::FuncOp merge = openKernel(plan.getName() + "_merge");
  outputs.clear();
  if (failed(nameOutputs(merge, outputs)) ||
      failed(writeMergeKernel(plan, merge, ops.online, ops.finalize, outputs, transformedRows(merge), split, SplitArguments::of(split, merge, sharesOf(merge)))))
    return failure();
  closeKernel(merge);
  noteUse(merge, "merge");
  return success();
}

/// The kernel for all rows; of wide rows that which has some channels of the values. The first one writes numbers of rows.
FailureOr<func::FuncOp> PlanConversion::convertWhole(const ValueSlice *slice) {
  bool isFirst = !slice || slice->first == 0;
  func::FuncOp kernel = openKernel(isFirst ? plan.getName().str() : (plan.getName() + "_channels_" + Twine(slice->first)).str());
  llvm::StringMap<Value> outputs;
  if (failed(nameOutputs(kernel, outputs)))
    return failure();
  OpBuilder entry = OpBuilder::atBlockEnd(&kernel.front());
  if (Value out = outputs.lookup("out"); out && slice)
    outputs["out"] = columnsOf(entry, out, *slice);
  if (!isFirst)
    for (StringRef name : {"lse", "max_score"})
      outputs.erase(name);
  if (failed(writeAttentionKernel(plan, kernel, ops.online, ops.finalize, outputs, transformedRows(kernel), statesOf(kernel), nullptr, slice)))
    return failure();
  if (tf32 && ir::featureType(ops.online).isF32())
    kernel->setAttr(tile::kTf32Attr, builder.getUnitAttr());
  closeKernel(kernel);
  return kernel;
}

LogicalResult PlanConversion::convert() {
  llvm::StringMap<Value> outputs;
  if (failed(convertDistances()))
    return failure();
  for (auto [number, transform] : llvm::enumerate(ops.transforms)) {
    bool ofQuery = transform.getOver() == ir::RowSide::query;
    func::FuncOp kernel = openKernel(plan.getName() + (ofQuery ? "_query_rows_" : "_key_rows_") + Twine(number));
    Value source = argumentFor(kernel, transform->getOperand(0)), result = argumentFor(kernel, transform->getResult(0));
    if (failed(nameOutputs(kernel, outputs)) || failed(writeTransformKernel(plan, kernel, transform, source, result)))
      return failure();
    closeKernel(kernel);
  }
  if (ops.states && failed(convertStates()))
    return failure();
  if (ops.lists && failed(convertLists()))
    return failure();
  auto schedule = ir::Schedule::fromAttr(ops.online.getScheduleAttr(), [&] { return ops.online.emitOpError(); });
  if (failed(schedule))
    return failure();
  SmallVector<ValueSlice> slices = valueSlices(ops.online, *schedule);
  auto kernel = convertWhole(slices.empty() ? nullptr : slices.begin());
  for (unsigned i = 1; succeeded(kernel) && i < slices.size(); ++i)
    if (failed(convertWhole(&slices[i])))
      return failure();
  if (failed(kernel))
    return failure();
  if (ir::featureType(ops.online).isF32())
    notePrecision();
  else if (ir::featureType(ops.online).isF64())
    remark(ops.online, RemarkCategory::Schedule, "matrix products of f64 are mma.sync's, without warp roles; they round as f64 does");
  if (ops.split) {
    if (failed(convertSplit()))
      return failure();
    noteUse(*kernel, "whole");
    noteTiles(*kernel, *schedule, ops.online.getScheduleAttr());
  }
  plan.erase();
  return success();
}

static LogicalResult convert(func::FuncOp plan, bool checked, bool tf32) {
  FailureOr<PlanOps> ops = findOps(plan);
  if (succeeded(ops) && tf32 && !ir::featureType(ops->online).isF32())
    plan.emitWarning("--tf32 changes nothing: no operand of a matrix product is f32");
  return failed(ops) ? failure() : PlanConversion(plan, *ops, checked, tf32).convert();
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
      if (failed(convert(plan, checked, tf32)))
        return signalPassFailure();
  }
};
} // namespace

} // namespace attn
