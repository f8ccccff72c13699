// Chooses block sizes, pipeline depth and warps: attribute `schedule` on each attention, by ScheduleTable.def or as the
// caller says (`block_m=64,warps=4`, entries not named keep the table's value), and checked against what the target has.
// What a kernel needs in the end is CheckBudget's business; this is the prediction that makes the choice.
//
// With `split=1` the schedule has another in it, `few_rows`, for a kernel of few rows of queries whose keys may be split.
// Requires: CheckSupport. Guarantees: `schedule` is present and valid. An attention that has one keeps it.
#include "ir/attn/AttnDialect.h"
#include "ir/attn/ProductTypes.h"
#include "ir/attn/Schedule.h"
#include "passes/Float8Products.h"
#include "passes/IndexUses.h"
#include "passes/Lookups.h"
#include "passes/Passes.h"
#include "passes/RelativeRows.h"
#include "passes/Remarks.h"
#include "passes/attn/ChunkedForm.h"
#include "passes/attn/DiagonalBudget.h"
#include "passes/attn/HeldNumbers.h"
#include "passes/attn/DoubleRows.h"
#include "passes/attn/BalanceUnits.h"
#include "passes/attn/ListedBlocks.h"
#include "passes/attn/LookupBudget.h"
#include "passes/attn/PointBudget.h"
#include "passes/attn/RawEntries.h"
#include "passes/attn/RowNumbers.h"
#include "passes/attn/SharedBudget.h"
#include "passes/attn/SplitForm.h"
#include "passes/attn/WeightBudget.h"
#include "passes/attn/WideHeads.h"
#include "support/GpuTarget.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include <numeric>

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_SELECTSCHEDULE
#include "passes/Passes.h.inc"

namespace {
enum class MaskClass { Any, None };
enum class ValuePlace { Own, InKey };

struct TableRow {
  MmaFamily family;
  int64_t maxHeadDim, maxHeadDimV;
  MaskClass mask;
  ir::Schedule schedule;
  StringRef reason;
  unsigned plainBits = 0;                  ///< for rows of f32 or f64, which lie plain; 0: for shorter elements
  bool isWide = false;                     ///< for rows with more than 256 channels (WideHeads.h)
  ValuePlace values = ValuePlace::Own;     ///< of these
};
} // namespace

static constexpr ir::Schedule inParts(ir::Schedule schedule, int64_t parts) {
  schedule.parts = parts;
  return schedule;
}

static constexpr int64_t kLongestRow = std::numeric_limits<int64_t>::max(); ///< slices: WideHeads.h knows

static constexpr TableRow kTable[] = {
#define ATTN_SCHEDULE(family, max_head_dim, max_head_dim_v, mask, block_m, block_n, stages, warps, reason)             \
  {MmaFamily::family, max_head_dim, max_head_dim_v, MaskClass::mask, {block_m, block_n, stages, warps}, reason},
#define ATTN_SCHEDULE_F32(max_head_dim, max_head_dim_v, block_m, block_n, stages, warps, reason)                       \
  {MmaFamily::MmaSync, max_head_dim, max_head_dim_v, MaskClass::Any, {block_m, block_n, stages, warps}, reason, 32},
#define ATTN_SCHEDULE_F64(max_head_dim, max_head_dim_v, block_m, block_n, stages, warps, reason)                       \
  {MmaFamily::MmaSync, max_head_dim, max_head_dim_v, MaskClass::Any, {block_m, block_n, stages, warps}, reason, 64},
#define ATTN_SCHEDULE_WIDE(family, max_head_dim, max_head_dim_v, values, block_m, block_n, stages, warps, parts, reason) \
  {MmaFamily::family, max_head_dim, max_head_dim_v, MaskClass::Any, inParts({block_m, block_n, stages, warps}, parts), reason, \
   0, true, ValuePlace::values},
#define ATTN_SCHEDULE_WIDE_F32(max_head_dim, max_head_dim_v, values, block_m, block_n, stages, warps, parts, reason)   \
  {MmaFamily::MmaSync, max_head_dim, max_head_dim_v, MaskClass::Any, inParts({block_m, block_n, stages, warps}, parts), reason, \
   32, true, ValuePlace::values},
#define ATTN_SCHEDULE_SLICES(bits, block_m, block_n, stages, warps, reason)                                            \
  {MmaFamily::MmaSync, kLongestRow, kLongestRow, MaskClass::Any, {block_m, block_n, stages, warps}, reason, bits, true},
#include "passes/attn/ScheduleTable.def"
#undef ATTN_SCHEDULE_SLICES
#undef ATTN_SCHEDULE_WIDE_F32
#undef ATTN_SCHEDULE_WIDE
#undef ATTN_SCHEDULE_F64
#undef ATTN_SCHEDULE_F32
#undef ATTN_SCHEDULE
};

/// Registers a thread that are for fragments: CheckBudget has the last word. With wgmma ptxas 13.0 was seen to spill none of
/// tests/conformance/Cases.def up to these, of 240 with two warpgroups and 160 with three.
static int64_t fragmentRegisters(MmaFamily family, const ir::Schedule &schedule) {
  if (family == MmaFamily::MmaSync)
    return 225;
  return schedule.warps > 8 ? 128 : 196;
}

static bool isFloat32(ir::AttentionOp op) { return ir::featureType(op).isF32(); }
/// Bits of elements whose rows lie plain, without a swizzle; 0 for shorter ones.
static unsigned plainBits(ir::AttentionOp op) { return isFloat32(op) || hasDoubleRows(op) ? ir::featureType(op).getIntOrFloatBitWidth() : 0; }

/// Whether threads copy rows out of pages, where that matters: pages of few rows, and values that are changed in the kernel,
/// lie in their keys' rows or beside wide ones (SpecializeWarps).
static bool copiesPagesByThreads(ir::AttentionOp op) {
  constexpr int64_t kPattern = 8;
  bool isOwnTensor = op.getValue() != op.getKey();
  return !op.getPaged().empty() && (static_cast<int64_t>(*op.getPageSize()) < kPattern || !op.getValueRegion().empty() || !isOwnTensor || isWide(op));
}

/// Registers of a consumer thread that a producer takes which widens entries from 8-bit floats, or copies row by row
/// (SpecializeWarps); or that consumers take which do so themselves.
static int64_t producerRegisters(ir::AttentionOp op, MmaFamily family, const ir::Schedule &schedule) {
  ScoreProducts products = scoreProductsOf(op);
  bool areScoresNarrow = family == MmaFamily::Wgmma && areFloat8(products) && whyWidenedScores(products).empty();
  bool widensScores = !areScoresNarrow && (ir::isFloat8(products.query.getElementType()) || ir::isFloat8(products.key.getElementType()));
  bool widens = widensScores || ir::isFloat8(op.getValueType().getElementType());
  constexpr int64_t kFewPages = 4;
  int64_t pages = op.getPaged().empty() ? 1 : schedule.blockN / std::gcd(schedule.blockN, static_cast<int64_t>(*op.getPageSize()));
  bool looksUp = pages > kFewPages;
  if (family == MmaFamily::MmaSync) // all threads widen: where rows lie in both buffers stays in registers through the loop
    return widens ? 2 : 0;
  if (family == MmaFamily::Wgmma && (widens || copiesPagesByThreads(op) || pages > 2 * kFewPages) && schedule.warps > 4)
    return schedule.warps == 8 ? (widens && looksUp ? 24 : 16) : 8;
  return family == MmaFamily::Wgmma && looksUp && schedule.warps > 4 ? 8 : 0;
}

/// Products of f32 and f64 operands, those with a row a diagonal, and with slices of values are mma.sync's on every target
/// (passes/tile/LoopFacts.h).
static MmaFamily familyFor(ir::AttentionOp op, const GpuTarget &target) {
  return plainBits(op) > 0 || needsSlices(op) || (hasRelativeRows(op) && !areDiagonalsBesideRoles(op)) ? MmaFamily::MmaSync : target.mmaFamily;
}

static unsigned queryFeatures(ir::AttentionOp op) { return static_cast<unsigned>(op.getQueryFeatureTypes().size()); }

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

/// Whether a value is a number of the lengths alone (`dynamic_ntk`).
static bool dependsOnLengths(Value value) {
  return llvm::any_of(operationsBehind(value), [](Operation *each) { return isa<ir::SizeOp>(each); }) &&
         llvm::none_of(operationsBehind(value), [](Operation *each) { return isa<ir::IndexOp>(each); });
}

/// Registers of 16 rows of queries that their own mathematics takes beside them: f64 of angles not known when compiling.
static int64_t rowRegisters(Region &region) {
  bool computes = region.walk([](Operation *inner) {
                          bool isMath = isa<math::MathDialect>(inner->getDialect()) &&
                                        (dependsOnLaunch(inner->getResult(0)) || dependsOnLengths(inner->getResult(0)));
                          return isMath ? WalkResult::interrupt() : WalkResult::advance();
                        }).wasInterrupted();
  return computes ? 96 : 0;
}

/// Products of queries and keys beside the first: scores of their own.
static int64_t furtherProducts(ir::AttentionOp op) {
  int64_t products = 0;
  op.getScore().walk([&](ir::DotOp dot) { products += !findLookup(dot, queryFeatures(op)) && !findRelativeProduct(dot, queryFeatures(op)) && !isOfOneRow(dot, queryFeatures(op)); });
  int64_t weights = op.getScore().empty() ? 1 : ir::yieldedBy(op.getScore()).size(); // and the number of each key whose sum divides
  return std::max<int64_t>(products - 1, weights - 1);
}

/// Registers while a block of keys or values that the kernel changes is in them, beside acc; 0 where it changes none.
static int64_t changedRowRegisters(ir::AttentionOp op, Region &region, int64_t length, const ir::Schedule &schedule) {
  if (region.empty() || isWide(op)) // of wide rows the kernel computes none
    return 0;
  int64_t acc = schedule.blockM / schedule.warps / 16 * op.getValueRowLength() / 2, width = hasDoubleRows(op) ? 2 : 1;
  return (acc + llvm::divideCeil(schedule.blockN, 16 * schedule.warps) * length / 2) * width + 8; // and numbers of the rows
}

/// Registers through the loop for 16 rows of a result that is stored wider than the operands, where no mask divides the loop:
/// ptxas 13.0 was seen to spill without them.
static int64_t storeRegisters(ir::AttentionOp op, MmaFamily family) {
  Value out = op.getOutput("out");
  bool isWider = out && cast<ir::AttnTensorType>(out.getType()).getElementType().isF32() && plainBits(op) == 0;
  return family == MmaFamily::MmaSync && isWider && op.getMask().empty() ? 1 : 0;
}

/// Whether a table over the keys of all requests is read at each key.
static bool readsAllKeys(Region &region) {
  return region.walk([](ir::SizeOp size) { return size.getName() == "kv_start" ? WalkResult::interrupt() : WalkResult::advance(); }).wasInterrupted();
}

/// Where threads copy beside their products: addresses of pages, strides and the row of the table; of ragged rows the
/// request's first, which only the widening of 8-bit floats leaves no room for, and places of a block's keys in tables.
static int64_t requestRegisters(ir::AttentionOp op, MmaFamily family) {
  if (family != MmaFamily::MmaSync || op.getPaged().size() + op.getRagged().size() == 0)
    return 0;
  if (!op.getPaged().empty())
    return 16;
  bool widens = ir::isFloat8(op.getKeyType().getElementType()) || ir::isFloat8(op.getValueType().getElementType());
  return (widens ? 2 : 0) + (readsAllKeys(op.getMask()) || readsAllKeys(op.getScore()) ? 40 : 0);
}

static bool areValuesFloat8(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  return multipliesValuesInFloat8(weightedProductsOf(op), scoreProductsOf(op), schedule, family);
}

/// Registers a thread that scores, probs and acc take, or the rows of queries before.
static int64_t predictRegisters(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  int64_t rowSlots = schedule.slabs(), width = hasDoubleRows(op) ? 2 : 1; // registers of a number
  auto half = [&](int64_t length) { return static_cast<int64_t>(llvm::alignTo(length, 16)) / 2 * width; };
  bool isInParts = isWide(op) && !hasSlices(op, schedule);
  int64_t loop = isInParts ? wideLoopRegisters(op, schedule, family)
                           : schedule.blockN / 2 + schedule.blockN / 4 + half(sumChannels(op, schedule));
  loop += diagonalRegisters(op, schedule, family == MmaFamily::Wgmma) + lookupRegisters(op, schedule, family == MmaFamily::Wgmma);
  if (hasDoubleRows(op))
    loop = doubleLoopRegisters(op, schedule, sumChannels(op, schedule));
  if (areValuesFloat8(op, schedule, family))
    loop += registersOfFloat8Values(weightedProductsOf(op), schedule);
  if (isFloat32(op)) // probs as two numbers each, a block's sums and operands for some columns of values
    loop += schedule.blockN / 4 + 24;
  loop += furtherProducts(op) * (schedule.blockN / 2 * width + 8) + pointRegisters(op, family, schedule);
  if (family == MmaFamily::Wgmma && schedule.warps > 8)
    loop += scoreRegisters(op);
  if (family == MmaFamily::Wgmma)
    loop += rangeRegisters(op);
  loop += storeRegisters(op, family);
  if (family == MmaFamily::MmaSync)
    loop += outputSumRegisters(op) + schedule.chunked; // where a tile's state lies
  int64_t before = op.getQueryRegion().empty() || isWide(op) ? 0 : half(op.getHeadDim()) * fragmentsOfRow(op.getQueryRegion()) +
                                                          std::max(rowRegisters(op.getQueryRegion()), angleRegisters(op.getQueryRegion()));
  for (Type feature : op.getQueryFeatureTypes())
    before = std::max(before, op.getQueryRegion().empty() || isWide(op) ? 0 : half(cast<VectorType>(feature).getNumElements()));
  int64_t diagonals = diagonalOperandRegisters(op, family == MmaFamily::Wgmma) + (family == MmaFamily::Wgmma ? keyNumberRegisters(op) : 0);
  int64_t keys = changedRowRegisters(op, op.getKeyRegion(), op.getHeadDim(), schedule);
  if (family == MmaFamily::Wgmma && keys > 0) // beside the probs of the block before, and numbers that are read for the rows
    keys += rowSlots * schedule.blockN / 4 + half(op.getHeadDim());
  constexpr int64_t kOfList = 10; // where it stands and how long it is
  return producerRegisters(op, family, schedule) + requestRegisters(op, family) + (schedule.listed ? kOfList : 0) +
         std::max({rowSlots * std::max(loop, before) + diagonals, tableRegisters(op, schedule), keys,
                   changedRowRegisters(op, op.getValueRegion(), op.getValueRowLength(), schedule) + rowSlots * schedule.blockN / 4});
}

static int64_t predictShared(ir::AttentionOp op, const ir::Schedule &schedule, const GpuTarget &target) {
  return predictedSharedBytes(op, schedule, target, familyFor(op, target));
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
                            << "` is none of `block_m`, `block_n`, `stages`, `warps`, `pack`, `chunked`, `split`, `listed`";
    int64_t value = 0;
    bool isSwitch = entry == &schedule.chunked || entry == &schedule.split || entry == &schedule.listed;
    if (isSwitch && (number.trim().getAsInteger(10, value) || value < 0 || value > 1))
      return op.emitError() << "schedule: `" << name.trim() << "` is `" << number.trim() << "`, but must be 0 or 1";
    if (!isSwitch && (number.trim().getAsInteger(10, value) || value < 1 || value > 1024))
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
  ir::AttnTensorType query = op.getQueryType(), key = op.getKeyType();
  auto queryHeads = query.getConstantSize(query.getRank() - 2), keyHeads = key.getConstantSize(key.getRank() - 2);
  return queryHeads && keyHeads && *keyHeads > 0 ? *queryHeads / *keyHeads : 0;
}

static bool usesHead(Region &region) {
  return region.walk([](ir::IndexOp index) {
                 return index.getKind() == ir::IndexKind::h ? WalkResult::interrupt() : WalkResult::advance();
               }).wasInterrupted();
}

/// Whether the right operand of a product of tiles would be another for each query head.
static bool hasRowsOfHead(ir::AttentionOp op, ir::DotOp dot) {
  auto usesHead = [](Value value) { return dependsOnIndex(value, ir::IndexKind::h); };
  if (auto lookup = findLookup(dot, queryFeatures(op))) { // rows that points choose, of a table that all share
    OperandRange indices = lookup->load.getIndices();
    return llvm::any_of(llvm::enumerate(indices), [&](auto index) { return index.index() != lookup->dim && usesHead(index.value()); });
  }
  return llvm::any_of(dot->getOperands(), [&](Value rows) { return usesHead(rows) && dependsOnIndex(rows, ir::IndexKind::kv_idx); });
}

/// Why the rows of several query heads cannot share a tile; empty if they can.
static std::string whyNotPacked(ir::AttentionOp op) {
  if (queryHeadsPerKeyHead(op) == 0)
    return "the number of query heads of a key head is not known when compiling";
  if (usesHead(op.getMask()))
    return "the mask depends on the query head";
  if (usesHead(op.getKeyRegion()) || usesHead(op.getValueRegion()))
    return "keys or values depend on the query head";
  bool rowsOfKeys = op.getScore().walk([&](ir::DotOp dot) {
                                  return hasRowsOfHead(op, dot) ? WalkResult::interrupt() : WalkResult::advance();
                                }).wasInterrupted();
  if (hasRelativeRows(op))
    return "rows of a table are chosen by the distance of query and key";
  return rowsOfKeys ? "rows of a table depend on the query head and the key" : "";
}

/// Nothing where it is not known when compiling: requests of their own lengths are as long as they are.
static std::optional<int64_t> queriesOfRequest(ir::AttentionOp op) {
  return op.getQueryType().getRank() == 4 ? op.getQueryType().getConstantSize(1) : std::nullopt;
}

static constexpr int64_t kFewRows = 64; ///< of the smallest tiles, which both families have

/// The query heads of a key head share tiles, and so each read of keys and values, where queries are known to be few, or rows
/// are wide.
static int64_t packByDefault(ir::AttentionOp op) {
  auto queries = queriesOfRequest(op);
  int64_t group = queryHeadsPerKeyHead(op);
  if (isWide(op))
    return group > 0 && whyNotPacked(op).empty() ? group : 1;
  bool isFew = queries && *queries < kFewRows && group > 0 && kFewRows % group == 0;
  return isFew && whyNotPacked(op).empty() ? group : 1;
}

/// A tile has no more rows than there are.
static bool fitRows(ir::AttentionOp op, ir::Schedule &schedule) {
  auto queries = queriesOfRequest(op);
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
  bool hasRoles = familyFor(op, target) == MmaFamily::Wgmma;
  bool isKnown = hasRoles ? llvm::is_contained({4, 8, 12}, schedule.warps) : llvm::is_contained({1, 2, 4, 8, 16}, schedule.warps);
  if (!isKnown)
    return op.emitError() << "schedule: `warps` is " << schedule.warps << ", but must be "
                          << (hasRoles ? "4, 8 or 12: whole warpgroups" : "1, 2, 4, 8 or 16");
  int64_t ofParts = (hasRoles ? 4 : 1) * schedule.parts;
  if (schedule.warps % ofParts != 0)
    return op.emitError() << "schedule: `warps` is " << schedule.warps << ", but must be a multiple of " << ofParts << ", as many for each of "
                          << schedule.parts << " parts of the columns";
  int64_t rows = 16 * schedule.warps / schedule.parts;
  if (schedule.blockM % rows != 0)
    return op.emitError() << "schedule: `block_m` is " << schedule.blockM << ", but must be a multiple of "
                          << rows << ", 16 rows a warp";
  int64_t keys = schedule.parts == 1 ? 16 : granuleOfWideKeys(op, schedule, familyFor(op, target));
  if (schedule.blockN % keys != 0 || schedule.blockN > 256)
    return op.emitError() << "schedule: `block_n` is " << schedule.blockN
                          << ", but must be a multiple of " << keys << " up to 256";
  if (schedule.stages > 8)
    return op.emitError() << "schedule: `stages` is " << schedule.stages << ", but must be 8 at most";
  if (schedule.pack != 1) {
    if (std::string reason = whyNotPacked(op); !reason.empty())
      return op.emitError() << "schedule: `pack` is " << schedule.pack << ", but " << reason;
    if (queryHeadsPerKeyHead(op) % schedule.pack != 0 || schedule.blockM % schedule.pack != 0)
      return op.emitError() << "schedule: `pack` is " << schedule.pack << ", but must divide " << queryHeadsPerKeyHead(op)
                            << ", the query heads of a key head, and `block_m`, " << schedule.blockM;
  }
  if (schedule.chunked != 0 && !whyNotChunked(op).empty())
    return op.emitError() << "schedule: `chunked` is " << schedule.chunked << ", but " << whyNotChunked(op);
  if (schedule.listed != 0 && !whyNotListed(op, schedule).empty())
    return op.emitOpError() << "schedule: `listed` is " << schedule.listed << ", but " << whyNotListed(op, schedule);
  int64_t bytes = predictShared(op, schedule, target);
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

/// Whether blocks of keys are cut into pieces smaller than their pages and than 64 rows: each is a copy of its own.
static bool cutsPages(ir::AttentionOp op, const TableRow &row) {
  return !op.getPaged().empty() && row.family == MmaFamily::Wgmma &&
         row.schedule.blockN % std::min<int64_t>(static_cast<int64_t>(*op.getPageSize()), 64) != 0;
}

/// How rows come out of pages.
static std::string pageRemark(ir::AttentionOp op, const ir::Schedule &schedule, MmaFamily family) {
  int64_t pageRows = static_cast<int64_t>(*op.getPageSize()), piece = std::gcd(schedule.blockN, pageRows);
  if (family == MmaFamily::MmaSync || copiesPagesByThreads(op))
    return llvm::formatv("rows are copied out of pages of {0} by threads, which look pages up{1}", pageRows,
                         family == MmaFamily::MmaSync ? "" : ": tensor maps copy 8 rows of a page at least, and values by themselves").str();
  return llvm::formatv("blocks are copied out of pages of {0} by tensor maps, {1} rows at a time", pageRows, piece).str();
}

static constexpr int64_t kKeysInFlight = 256; ///< of blocks in 8 bits, which are copied in less time than latency takes

/// `listed` is null where it is not asked for. The first row that fits, of those in which values are multiplied in 8 bits where that is asked for; if the registers predicted for a point's mathematics fit none, the one that leaves it most.
static std::optional<TableRow> lookUp(ir::AttentionOp op, const GpuTarget &target, int64_t pack, int64_t chunked, const int64_t *listed,
                                      bool isForFewRows = false) {
  std::optional<TableRow> leanest, cutting, widening;
  bool isFloat8 = familyFor(op, target) == MmaFamily::Wgmma && areFloat8(weightedProductsOf(op)) &&
                  whyWidenedValues(weightedProductsOf(op), scoreProductsOf(op)).empty();
  for (TableRow row : kTable) {
    if (isForFewRows)
      shrinkToFewRows(op, row.schedule);
    row.schedule.pack = isForFewRows ? packOfFewRows(pack, row.schedule.blockM) : row.isWide ? packOfWide(pack, row.schedule.blockM) : pack;
    row.schedule.chunked = chunked;
    if (fitRows(op, row.schedule))
      row.reason = "no more rows than there are queries, of all heads that share a tile";
    if (isFloat8 && areValuesFloat8(op, row.schedule, row.family)) { // short blocks of few bytes
      row.schedule.stages = std::max(row.schedule.stages, kKeysInFlight / row.schedule.blockN);
      row.reason = "sums of a block have registers of their own beside those of all keys; short blocks are copied further ahead";
    }
    constexpr int64_t kBarriers = 256; // of rings, where warps have roles (AllocateShared)
    int64_t left = target.sharedBytesPerBlock - (row.family == MmaFamily::Wgmma ? kBarriers : 0);
    bool fits = predictShared(op, row.schedule, target) <= left;
    bool isFor = row.family == familyFor(op, target) && row.plainBits == plainBits(op) && op.getHeadDim() <= row.maxHeadDim && op.getValueRowLength() <= row.maxHeadDimV &&
                 (row.mask == MaskClass::Any || op.getMask().empty()) && row.isWide == isWide(op) &&
                 (row.values == ValuePlace::Own || isValueInKey(op)) && (hasSlices(op, row.schedule) ? fitsSlices(op) : !needsSlices(op));
    bool isForPartsElse = hasSlices(op, row.schedule) && !needsSlices(op); // where nothing in parts fits
    if (!isFor || !fits || (isForPartsElse && (isForFewRows || leanest || cutting)))
      continue;
    if (cutsPages(op, row)) {
      cutting = cutting.value_or(row);
      continue;
    }
    row.schedule.listed = listed ? *listed : !whyListed(op, row.schedule).empty();
    int64_t registers = predictRegisters(op, row.schedule, row.family);
    if (registers + packedRowRegisters(op, pack) <= fragmentRegisters(row.family, row.schedule)) {
      if (!isFloat8 || areValuesFloat8(op, row.schedule, row.family))
        return row;
      widening = widening.value_or(row);
      continue;
    }
    if (!leanest || registers < predictRegisters(op, leanest->schedule, row.family))
      leanest = row;
  }
  if (widening)
    return *widening;
  return leanest ? leanest : cutting;
}

static LogicalResult refuseSchedule(ir::AttentionOp op, const GpuTarget &target) {
  return emitError(op.getLoc()) << "no schedule for head_dim " << op.getHeadDim() << " and head_dim_v "
                                 << op.getValueRowLength() << " on " << StringRef(target.name) << ": the smallest tiles do not fit "
                                 << target.sharedBytesPerBlock << " bytes of shared memory";
}

/// Adds the schedule of the kernel for few rows, where one is asked for.
static LogicalResult addFewRows(ir::AttentionOp op, const GpuTarget &target, const ir::Schedule &whole) {
  std::string reason = hasSlices(op, whole) ? "a kernel after the other has some channels of values" : whyNotSplit(op);
  if (!reason.empty()) {
    warnUnsplit(op, reason);
    return success();
  }
  bool isPacked = queryHeadsPerKeyHead(op) > 0 && whyNotPacked(op).empty();
  static constexpr int64_t kNone = 0;
  std::optional<TableRow> row = lookUp(op, target, isPacked ? queryHeadsPerKeyHead(op) : 1, 0, &kNone, /*isForFewRows=*/true);
  if (!row)
    return refuseSchedule(op, target);
  if (failed(check(op, row->schedule, target)))
    return failure();
  keepQueryChannels(op, row->family, predictRegisters(op, row->schedule, row->family), row->schedule);
  op.setScheduleAttr(withFewRows(op, whole, row->schedule));
  remarkSplit(op, row->schedule);
  return success();
}

static LogicalResult select(ir::AttentionOp op, const GpuTarget &target, StringRef overrides) {
  if (DictionaryAttr given = op.getScheduleAttr()) {
    FailureOr<ir::Schedule> schedule = ir::Schedule::fromAttr(given, [&] { return op.emitError(); });
    return failed(schedule) ? failure() : check(op, *schedule, target);
  }
  ir::Schedule asked;
  asked.pack = packByDefault(op);
  asked.chunked = isLinearAttention(op) && whyNotChunked(op).empty();
  if (failed(applyOverride(op, overrides, asked)))
    return failure();
  const int64_t *listed = overrides.contains("listed") ? &asked.listed : nullptr;
  std::optional<TableRow> row = lookUp(op, target, asked.pack, asked.chunked, listed);
  bool asksForChunks = overrides.contains("chunked");
  if (!row && asked.chunked && !asksForChunks) // a state takes shared memory
    row = lookUp(op, target, asked.pack, 0, listed);
  if (!row)
    return refuseSchedule(op, target);
  ir::Schedule schedule = row->schedule;
  if (failed(applyOverride(op, overrides, schedule)) || failed(check(op, schedule, target)))
    return failure();
  if (!overrides.contains("listed"))
    schedule.listed = !whyListed(op, schedule).empty();
  balanceUnits(op, familyFor(op, target), schedule);
  keepQueryChannels(op, familyFor(op, target), predictRegisters(op, schedule, familyFor(op, target)), schedule);
  op.setScheduleAttr(schedule.toAttr(op.getContext()));
  int64_t bytes = predictShared(op, schedule, target);
  remark(op, RemarkCategory::Schedule,
         llvm::formatv("block_m {0}, block_n {1}, stages {2}, warps {3}: {4} (predicted: {5} registers, {6} bytes of "
                       "shared memory)",
                       schedule.blockM, schedule.blockN, schedule.stages, schedule.warps,
                       overrides.empty() || overrides == "split=1" ? row->reason : StringRef("as asked for"),
                       predictRegisters(op, schedule, familyFor(op, target)), bytes)
             .str());
  remarkFloat8Scores(op, scoreProductsOf(op), target);
  remarkFloat8Values(op, weightedProductsOf(op), scoreProductsOf(op), schedule, target);
  if (hasRelativeRows(op))
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("rows of tables that the distance of key and query chooses come one a diagonal, {0} a block, and are multiplied by "
                         "tensor cores{1}",
                         schedule.blockM + schedule.blockN - 1,
                         familyFor(op, target) == target.mmaFamily ? "" : ": so all products are mma.sync's, without warp roles").str());
  for (const Lookup &lookup : findLookupTables(op.getScore(), queryFeatures(op)))
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("products with the {0} rows of a table are made once a tile of queries: each point looks up its own", lookup.rows).str());
  if (schedule.pack > 1)
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("{0}{1} query heads of a key head share tiles, {2} queries each: keys and values are read once for them",
                         schedule.pack == queryHeadsPerKeyHead(op) ? "the " : "", schedule.pack, schedule.queries()).str());
  remarkLinearForm(op, schedule, asksForChunks);
  remarkListed(op, schedule);
  if (schedule.split && failed(addFewRows(op, target, schedule)))
    return failure();
  if (!op.getPaged().empty())
    remark(op, RemarkCategory::Schedule, pageRemark(op, schedule, familyFor(op, target)));
  if (hasSlices(op, schedule))
    remark(op, RemarkCategory::Schedule,
           llvm::formatv("{0} of {1} channels of values at a time, by kernels one after the other, each of which computes all scores",
                         sumChannels(op, schedule), op.getValueRowLength()).str());
  remarkParts(op, schedule, familyFor(op, target));
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
