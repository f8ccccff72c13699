// Chooses block sizes, pipeline depth and warps: attribute `schedule` on each attention, by ScheduleTable.def or as the
// caller says (`block_m=64,warps=4`, entries not named keep the table's value), and checked against what the target has.
// What a kernel needs in the end is CheckBudget's business; this is the prediction that makes the choice.
//
// Requires: CheckSupport. Guarantees: `schedule` is present and valid. An attention that has one keeps it.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/Schedule.h"
#include "passes/Distances.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/attn/IndexUses.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_SELECTSCHEDULE
#include "passes/Passes.h.inc"

namespace {
enum class MaskClass { Any, None };

struct TableRow {
  MmaFamily family;
  int64_t maxHeadDim, maxHeadDimV;
  MaskClass mask;
  ir::Schedule schedule;
  StringRef reason;
};
} // namespace

static constexpr TableRow kTable[] = {
#define ATTN_SCHEDULE(family, max_head_dim, max_head_dim_v, mask, block_m, block_n, stages, warps, reason)             \
  {MmaFamily::family, max_head_dim, max_head_dim_v, MaskClass::mask, {block_m, block_n, stages, warps}, reason},
#include "passes/attn/ScheduleTable.def"
#undef ATTN_SCHEDULE
};

/// Registers a thread that are for fragments: CheckBudget has the last word. With wgmma ptxas 13.0 was seen to spill none of
/// tests/conformance/Cases.def up to these, of 240 with two warpgroups and 160 with three.
static int64_t fragmentRegisters(MmaFamily family, const ir::Schedule &schedule) {
  if (family == MmaFamily::MmaSync)
    return 225;
  return schedule.warps > 8 ? 128 : 196;
}

static bool isFunction(Operation *op) { return isa<math::MathDialect>(op->getDialect()) && !isa<math::AbsFOp, math::AbsIOp>(op); }

/// What a score is computed from, itself included.
static SmallVector<Operation *> operationsBehind(Value value) {
  SmallVector<Value> open{value};
  llvm::SetVector<Operation *> found;
  while (!open.empty())
    if (Operation *op = open.pop_back_val().getDefiningOp(); op && found.insert(op))
      llvm::append_range(open, op->getOperands());
  return found.takeVector();
}

/// With 160 registers a thread (three warpgroups): those of elements on the way, where the score is more than a scaled
/// product. With 240 they are there.
static int64_t scoreRegisters(ir::AttentionOp op) {
  int64_t steps = 0;
  bool hasFunction = false;
  for (Operation *inner : op.getScore().empty() ? SmallVector<Operation *>() : operationsBehind(ir::yieldedBy(op.getScore())[0])) {
    bool onProduct = !isa<ir::DotOp>(inner) &&
                     llvm::any_of(operationsBehind(inner->getResult(0)), [](Operation *each) { return isa<ir::DotOp>(each); });
    steps += onProduct;
    hasFunction |= onProduct && isFunction(inner);
  }
  return hasFunction ? 32 : steps > 1 ? 8 : 0;
}

/// Registers for 16 rows of queries that the mathematics of a point takes beside its scores: addresses and words of tables
/// in flight, and what divisions and comparisons of numbers keep. From what ptxas 13.0 was seen to spill with
/// tests/conformance/Cases.def.
static int64_t pointRegisters(ir::AttentionOp op, MmaFamily family, const ir::Schedule &schedule) {
  int64_t registers = 0;
  bool isBesideProducts = family == MmaFamily::Wgmma, hasStrip = false;
  bool factorOfLaunch = false; // a number of the tile, computed from what is known at launch, kept through the loop
  Distances distances(op.getScore(), [](Operation *inner) -> std::optional<PointSteps> {
    auto index = dyn_cast<ir::IndexOp>(inner);
    if (!index || (index.getKind() != ir::IndexKind::q_idx && index.getKind() != ir::IndexKind::kv_idx))
      return std::nullopt;
    return index.getKind() == ir::IndexKind::q_idx ? PointSteps{1, 0} : PointSteps{0, 1};
  });
  auto add = [&](Operation *inner) {
    if (inner->getNumResults() != 1)
      return;
    bool onKey = dependsOnIndex(inner->getResult(0), ir::IndexKind::kv_idx);
    bool onQuery = dependsOnIndex(inner->getResult(0), ir::IndexKind::q_idx);
    // What depends on the distance alone will be read from a strip (BuildStrips), where rows are consecutive queries.
    bool onDistance = schedule.pack == 1 && inner->getParentRegion() == &op.getScore() &&
                      distances.kindOf(inner->getResult(0)) == PointKind::Distance;
    bool isDivision = isa<arith::DivSIOp, arith::FloorDivSIOp, arith::RemSIOp, arith::DivUIOp, arith::RemUIOp>(inner);
    factorOfLaunch |= isFunction(inner) && inner->getParentRegion() == &op.getScore() &&
                      distances.kindOf(inner->getResult(0)) == PointKind::Shared &&
                      llvm::any_of(operationsBehind(inner->getResult(0)), [](Operation *each) { return isa<ir::SizeOp, ir::LoadOp>(each); });
    if (onDistance)
      hasStrip |= isDivision || isa<ir::LoadOp>(inner) || isFunction(inner);
    else if (onKey && isa<ir::LoadOp>(inner))
      registers += onQuery ? 40 : 12;
    else if (onKey && (isDivision || isa<arith::CmpFOp>(inner) || (isBesideProducts && isFunction(inner))))
      registers += 12;
    else if (onQuery && (isDivision || isa<ir::LoadOp>(inner) || (isBesideProducts && isFunction(inner))))
      registers += 2; // held through the loop
  };
  for (Region *region : {&op.getScore(), &op.getMask()})
    region->walk(add);
  if (isBesideProducts && registers > 0) // what is kept from key to key, once there is any
    registers += 20;
  if (hasStrip) // with roles the producer builds it with registers of the consumers
    registers += isBesideProducts && schedule.warps == 8 ? 16 : 8;
  if (!isBesideProducts && factorOfLaunch)
    registers += 4;
  return registers;
}

/// Whether a value is computed from what is known at launch only: a scalar parameter or an element of a tensor.
static bool dependsOnLaunch(Value value) {
  SmallVector<Value> open{value};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!open.empty()) {
    Value next = open.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op && isa<func::FuncOp>(cast<BlockArgument>(next).getOwner()->getParentOp()) && !isa<ir::AttnTensorType>(next.getType()))
      return true;
    if (isa_and_present<ir::LoadOp>(op))
      return true;
    if (op && seen.insert(op).second)
      llvm::append_range(open, op->getOperands());
  }
  return false;
}

/// Registers of 16 rows of queries that their own mathematics takes beside them: f64 of angles not known when compiling.
static int64_t rowRegisters(Region &region) {
  bool computes = region.walk([](Operation *inner) {
                          bool isMath = isa<math::MathDialect>(inner->getDialect()) && dependsOnLaunch(inner->getResult(0));
                          return isMath ? WalkResult::interrupt() : WalkResult::advance();
                        }).wasInterrupted();
  return computes ? 96 : 0;
}

/// Products of queries and keys beside the first: scores of their own.
static int64_t furtherProducts(ir::AttentionOp op) {
  int64_t products = 0;
  op.getScore().walk([&](ir::DotOp) { ++products; });
  return std::max<int64_t>(products - 1, 0);
}

/// Registers a thread that scores, probs and acc take, or the rows of queries before.
static int64_t predictRegisters(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  int64_t rowSlots = schedule.blockM / schedule.warps / 16;
  auto half = [](int64_t length) { return static_cast<int64_t>(llvm::alignTo(length, 16)) / 2; };
  int64_t loop = schedule.blockN / 2 + schedule.blockN / 4 + half(op.getValueRowLength());
  loop += furtherProducts(op) * (schedule.blockN / 2 + 8) + pointRegisters(op, family, schedule);
  if (family == MmaFamily::Wgmma && schedule.warps > 8)
    loop += scoreRegisters(op);
  int64_t before = op.getQueryRegion().empty() ? 0 : half(op.getHeadDim()) + rowRegisters(op.getQueryRegion());
  for (Type feature : op.getQueryFeatureTypes())
    before = std::max(before, op.getQueryRegion().empty() ? 0 : half(cast<VectorType>(feature).getNumElements()));
  return rowSlots * std::max(loop, before);
}

/// Bytes of shared memory that query, keys and values take, rows padded to the panels of the swizzle.
static int64_t predictShared(const ir::Schedule &schedule, int64_t headDim, int64_t valueLength, int64_t elementBytes) {
  auto padded = [](int64_t length) { return static_cast<int64_t>(llvm::alignTo(length, 32)); };
  return elementBytes * (schedule.blockM * padded(headDim) +
                         schedule.stages * schedule.blockN * (padded(headDim) + padded(valueLength)));
}

/// Applies `block_m=64,warps=4` to `schedule`.
static LogicalResult applyOverride(ir::AttentionOp op, StringRef text, ir::Schedule &schedule) {
  SmallVector<StringRef> items;
  text.split(items, ',', -1, /*KeepEmpty=*/false);
  for (StringRef item : items) {
    auto [name, number] = item.split('=');
    int64_t *entry = schedule.entry(name.trim().str());
    if (!entry)
      return op.emitError() << "schedule: `" << name.trim()
                            << "` is none of `block_m`, `block_n`, `stages`, `warps`, `pack`";
    int64_t value = 0;
    if (number.trim().getAsInteger(10, value) || value < 1 || value > 1024)
      return op.emitError() << "schedule: `" << name.trim() << "` is `" << number.trim()
                            << "`, but must be a number from 1 to 1024";
    *entry = value;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Short queries
//===----------------------------------------------------------------------===//

/// 0 where it is not known when compiling.
static int64_t queryHeadsPerKeyHead(ir::AttentionOp op) {
  auto queryHeads = op.getQueryType().getConstantSize(2), keyHeads = op.getKeyType().getConstantSize(2);
  return queryHeads && keyHeads && *keyHeads > 0 ? *queryHeads / *keyHeads : 0;
}

static bool usesHead(Region &region) {
  return region.walk([](ir::IndexOp index) {
                 return index.getKind() == ir::IndexKind::h ? WalkResult::interrupt() : WalkResult::advance();
               }).wasInterrupted();
}

/// Why the rows of several query heads cannot share a tile; empty if they can.
static std::string whyNotPacked(ir::AttentionOp op) {
  if (queryHeadsPerKeyHead(op) == 0)
    return "the number of query heads of a key head is not known when compiling";
  if (usesHead(op.getMask()))
    return "the mask depends on the query head";
  if (usesHead(op.getKeyRegion()) || usesHead(op.getValueRegion()))
    return "keys or values depend on the query head";
  bool rowsOfKeys = op.getScore().walk([](ir::DotOp dot) {
                                  auto depends = [](Value rows) {
                                    return dependsOnIndex(rows, ir::IndexKind::h) && dependsOnIndex(rows, ir::IndexKind::kv_idx);
                                  };
                                  return depends(dot.getLhs()) || depends(dot.getRhs()) ? WalkResult::interrupt() : WalkResult::advance();
                                }).wasInterrupted();
  return rowsOfKeys ? "rows of a table depend on the query head and the key" : "";
}

static constexpr int64_t kFewRows = 64; ///< of the smallest tiles, which both families have

/// The query heads of a key head share tiles, and so each read of keys and values, where queries are known to be few.
static int64_t packByDefault(ir::AttentionOp op) {
  auto queries = op.getQueryType().getConstantSize(1);
  int64_t group = queryHeadsPerKeyHead(op);
  bool isFew = queries && *queries < kFewRows && group > 0 && kFewRows % group == 0;
  return isFew && whyNotPacked(op).empty() ? group : 1;
}

/// A tile has no more rows than there are.
static bool fitRows(ir::AttentionOp op, ir::Schedule &schedule) {
  auto queries = op.getQueryType().getConstantSize(1);
  if (!queries || *queries * schedule.pack > kFewRows || schedule.blockM <= kFewRows || kFewRows % schedule.pack != 0)
    return false;
  schedule.blockM = kFewRows;
  schedule.warps = 4;
  return true;
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

static LogicalResult check(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target) {
  bool hasRoles = target.mmaFamily == MmaFamily::Wgmma;
  bool isKnown = hasRoles ? llvm::is_contained({4, 8, 12}, schedule.warps) : llvm::is_contained({1, 2, 4, 8, 16}, schedule.warps);
  if (!isKnown)
    return op.emitError() << "schedule: `warps` is " << schedule.warps << ", but must be "
                          << (hasRoles ? "4, 8 or 12: whole warpgroups" : "1, 2, 4, 8 or 16");
  if (schedule.blockM % (16 * schedule.warps) != 0)
    return op.emitError() << "schedule: `block_m` is " << schedule.blockM << ", but must be a multiple of "
                          << 16 * schedule.warps << ", 16 rows a warp";
  if (schedule.blockN % 16 != 0 || schedule.blockN > 256)
    return op.emitError() << "schedule: `block_n` is " << schedule.blockN
                          << ", but must be a multiple of 16 up to 256";
  if (schedule.stages > 8)
    return op.emitError() << "schedule: `stages` is " << schedule.stages << ", but must be 8 at most";
  if (schedule.pack != 1) {
    if (std::string reason = whyNotPacked(op); !reason.empty())
      return op.emitError() << "schedule: `pack` is " << schedule.pack << ", but " << reason;
    if (schedule.pack != queryHeadsPerKeyHead(op) || schedule.blockM % schedule.pack != 0)
      return op.emitError() << "schedule: `pack` is " << schedule.pack << ", but must be 1, or " << queryHeadsPerKeyHead(op)
                            << ", the query heads of a key head, and divide `block_m`";
  }
  int64_t bytes = predictShared(schedule, op.getHeadDim(), op.getStoredValueLength(),
                                op.getQueryType().getElementType().getIntOrFloatBitWidth() / 8);
  if (bytes > target.sharedBytesPerBlock)
    return op.emitError() << "schedule: query, key and value tiles take " << bytes << " bytes of shared memory, but "
                          << StringRef(target.name) << " has " << target.sharedBytesPerBlock;
  return success();
}

/// Registers for a query and a head of each row, where heads share tiles: what a score makes of them is a row's, too.
static int64_t packedRowRegisters(ir::AttentionOp op, int64_t pack) {
  if (pack == 1)
    return 0;
  return scoreRegisters(op) > 0 ? 48 : 12;
}

/// The first row that fits; if the registers predicted for a point's mathematics fit none, the one that leaves it most.
static FailureOr<TableRow> lookUp(ir::AttentionOp op, const GpuTarget &target, int64_t pack) {
  std::optional<TableRow> leanest;
  for (TableRow row : kTable) {
    row.schedule.pack = pack;
    if (fitRows(op, row.schedule))
      row.reason = "no more rows than there are queries, of all heads that share a tile";
    bool fits =
        predictShared(row.schedule, op.getHeadDim(), op.getStoredValueLength(), 2) <= target.sharedBytesPerBlock;
    bool isFor = row.family == target.mmaFamily && op.getHeadDim() <= row.maxHeadDim && op.getValueRowLength() <= row.maxHeadDimV &&
                 (row.mask == MaskClass::Any || op.getMask().empty());
    if (!isFor || !fits)
      continue;
    int64_t registers = predictRegisters(op, row.schedule, row.family);
    if (registers + packedRowRegisters(op, pack) <= fragmentRegisters(row.family, row.schedule))
      return row;
    if (!leanest || registers < predictRegisters(op, leanest->schedule, row.family))
      leanest = row;
  }
  if (leanest)
    return *leanest;
  return op.emitOpError() << "no schedule for head_dim " << op.getHeadDim() << " and head_dim_v "
                        << op.getValueRowLength() << " on " << StringRef(target.name);
}

static LogicalResult select(ir::AttentionOp op, const GpuTarget &target, StringRef overrides) {
  if (DictionaryAttr given = op.getScheduleAttr()) {
    FailureOr<ir::Schedule> schedule = ir::Schedule::fromAttr(given, [&] { return op.emitError(); });
    return failed(schedule) ? failure() : check(op, *schedule, target);
  }
  ir::Schedule asked;
  asked.pack = packByDefault(op);
  if (failed(applyOverride(op, overrides, asked)))
    return failure();
  FailureOr<TableRow> row = lookUp(op, target, asked.pack);
  if (failed(row))
    return failure();
  ir::Schedule schedule = row->schedule;
  if (failed(applyOverride(op, overrides, schedule)) || failed(check(op, schedule, target)))
    return failure();
  op.setScheduleAttr(schedule.toAttr(op.getContext()));
  int64_t bytes = predictShared(schedule, op.getHeadDim(), op.getStoredValueLength(), 2);
  remark(op, RemarkCategory::Schedule,
         llvm::formatv("block_m {0}, block_n {1}, stages {2}, warps {3}: {4} (predicted: {5} registers, {6} bytes of "
                       "shared memory)",
                       schedule.blockM, schedule.blockN, schedule.stages, schedule.warps,
                       overrides.empty() ? row->reason : StringRef("as asked for"),
                       predictRegisters(op, schedule, target.mmaFamily), bytes)
             .str());
  if (schedule.pack > 1)
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("the {0} query heads of a key head share tiles, {1} queries each: keys and values are read once for them",
                         schedule.pack, schedule.queries()).str());
  return success();
}

namespace {
struct SelectSchedule final : impl::SelectScheduleBase<SelectSchedule> {
  using SelectScheduleBase::SelectScheduleBase;

  void runOnOperation() override {
    const GpuTarget *gpu = findGpuTarget(target.getValue());
    if (!gpu) {
      getOperation().emitError() << "unknown target `" << target.getValue() << "`";
      return signalPassFailure();
    }
    WalkResult result = getOperation()->walk([&](ir::AttentionOp op) {
      return succeeded(select(op, *gpu, schedule)) ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
