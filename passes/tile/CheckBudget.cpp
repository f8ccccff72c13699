// Refuses a kernel whose fragments do not fit the registers of a thread, before ptxas would spill them.
//
// Counted are the registers of all fragments live at a point of the program; an operation whose input dies works in
// place, so a point lies between two operations, never inside one but a product of f32, which needs its left operand twice. A splat is a constant until a loop carries it. The
// limit leaves 30 registers for addresses, positions and row slots: 225 of 255; in a role 26 of its own. A product in
// flight holds its accumulator and its left operand's registers until it is waited for. Channels of the query that are kept in
// registers count throughout; those that do not fit are given up, for shared memory has them too.
// Requires: AssignLayouts. Changes `tile.kept` alone.
#include "ir/tile/DiagonalOps.h"
#include "ir/tile/PlanAttributes.h"
#include "ir/tile/TileDialect.h"
#include "ir/tile/TileLayouts.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_CHECKBUDGET
#include "passes/Passes.h.inc"

/// Registers a thread that are not for fragments: addresses, positions, row slots.
static constexpr int64_t kOtherRegisters = 30;
static constexpr int64_t kOtherRegistersOfRole = 26;
static constexpr int64_t kMostRegisters = 255;
static constexpr int64_t kRegisterFile = 65536;

/// Elements that only a sum along columns takes are added one by one as they are computed.
static bool isSummedAtOnce(Value value) {
  return value.getDefiningOp<tile::MapOp>() && value.hasOneUse() && isa<tile::ReduceOp>(*value.user_begin());
}

static int64_t registersOf(Value value) {
  if (value.getDefiningOp<tile::SplatOp>() || isSummedAtOnce(value))
    return 0;
  if (auto inflight = dyn_cast<tile::InflightType>(value.getType()))
    return tile::registersPerThread(inflight.getFragType());
  auto fragment = dyn_cast<tile::FragType>(value.getType());
  return fragment && fragment.getLayout() ? tile::registersPerThread(fragment) : 0;
}

/// A product of f32 operands writes what it takes from registers as two numbers each (codegen/nvvm/DotTf32.cpp). With a row a
/// diagonal (DiagonalDot.cpp), 16 more columns than the tile has stand in a warp's products and in its weights.
static int64_t registersWithin(Operation &op) {
  if (auto diagonal = dyn_cast<tile::DiagonalDotOp>(op)) {
    int64_t columns = diagonal.getType().getColumns(), all = registersOf(diagonal.getResult());
    return diagonal.getColumns() ? all : all * (columns + 16) / columns;
  }
  if (auto sum = dyn_cast<tile::DiagonalSumOp>(op)) {
    int64_t columns = sum.getWeights().getType().getColumns();
    return registersOf(sum.getWeights()) * (columns + 16) / columns;
  }
  auto dot = dyn_cast<tile::DotOp>(op);
  auto left = dot ? dyn_cast<tile::FragType>(dot.getLhs().getType()) : tile::FragType();
  return left && left.getElementType().isF32() ? registersOf(dot.getLhs()) : 0;
}

namespace {

using LiveSet = llvm::SetVector<Value>;

/// The point of the program at which most registers are live.
class Peak {
public:
  void visit(Block &block, LiveSet live);

  int64_t registers = 0;
  SmallVector<Value> values;
  Operation *at = nullptr;

private:
  void record(const LiveSet &live, Operation *op, int64_t more = 0);
};

} // namespace

void Peak::record(const LiveSet &live, Operation *op, int64_t more) {
  int64_t sum = more;
  for (Value value : live)
    sum += registersOf(value);
  if (sum <= registers)
    return;
  registers = sum;
  values.assign(live.begin(), live.end());
  at = op;
}

/// Goes backwards through `block`; `live` is what is needed behind it, whatever flows around it included.
void Peak::visit(Block &block, LiveSet live) {
  for (Operation &op : llvm::reverse(block)) {
    record(live, &op);
    for (Value result : op.getResults())
      live.remove(result);
    LiveSet captured;
    getUsedValuesDefinedAbove(op.getRegions(), captured);
    if (isa<scf::ForOp, scf::IfOp, tile::ForeachWorkOp, tile::RoleOp>(op)) {
      LiveSet around = live;
      if (isa<scf::ForOp>(op)) // needed again in the next iteration
        around.insert(captured.begin(), captured.end());
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          visit(inner, around);
    }
    live.insert(captured.begin(), captured.end());
    for (Value operand : op.getOperands())
      if (registersOf(operand) > 0)
        live.insert(operand);
    if (auto wait = dyn_cast<tile::WaitOp>(op))
      if (auto dot = wait.getInput().getDefiningOp<tile::DotAsyncOp>())
        live.insert(dot.getLhs());
    record(live, &op, registersWithin(op));
  }
}

/// `128 x 64 f32`.
static std::string describe(Type type) {
  auto inflight = dyn_cast<tile::InflightType>(type);
  auto fragment = inflight ? inflight.getFragType() : cast<tile::FragType>(type);
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::interleave(fragment.getShape(), stream, " x ");
  stream << " " << fragment.getElementType();
  return text;
}

/// Says how many registers are too many, and which places of the specification want most of them.
static void report(func::FuncOp kernel, Peak &peak, int64_t limit) {
  InFlightDiagnostic message = kernel.emitError()
                               << "`" << kernel.getName() << "` needs " << peak.registers
                               << " registers a thread for tiles, but " << limit
                               << " are there; a smaller `block_m` or `block_n`, or more `warps`, needs less";
  struct Place {
    Location location;
    std::string tile;
    int64_t tiles = 0, registers = 0;
  };
  SmallVector<Place> places;
  for (Value value : peak.values) {
    if (registersOf(value) == 0)
      continue;
    std::string tile = describe(value.getType());
    auto place = llvm::find_if(places, [&](const Place &other) { return other.location == value.getLoc() && other.tile == tile; });
    if (place == places.end())
      place = places.insert(places.end(), Place{value.getLoc(), tile});
    ++place->tiles;
    place->registers += registersOf(value);
  }
  llvm::stable_sort(places, [](const Place &a, const Place &b) { return a.registers > b.registers; });
  for (const Place &place : ArrayRef(places).take_front(4))
    message.attachNote(place.location) << place.registers << " of them for "
                                       << (place.tiles == 1 ? "a tile" : llvm::formatv("{0} tiles", place.tiles).str()) << " of " << place.tile;
}

/// Counts the channels that are kept beside a role's fragments, as many panels of them as there is room for.
static void addKept(func::FuncOp kernel, Peak &peak, int64_t limit) {
  constexpr int64_t kChannelsOfRegister = 4, kPanel = 64; // of a warp's 16 rows, two in a register
  auto kept = kernel->getAttrOfType<IntegerAttr>(tile::kKeptAttr);
  if (!kept || peak.registers == 0)
    return;
  int64_t channels = kept.getInt();
  while (channels > 0 && peak.registers + channels / kChannelsOfRegister > limit)
    channels = std::max<int64_t>(channels - kPanel, 0);
  peak.registers += channels / kChannelsOfRegister;
  kernel->setAttr(tile::kKeptAttr, Builder(kernel.getContext()).getI32IntegerAttr(static_cast<int32_t>(channels)));
}

namespace {
struct CheckBudget final : impl::CheckBudgetBase<CheckBudget> {
  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    auto warps = kernel->getAttrOfType<IntegerAttr>(tile::kWarpsAttr);
    if (!kernel->hasAttr(tile::kKernelAttr) || !warps)
      return;
    bool fits = true;
    for (auto role : kernel.getOps<tile::RoleOp>()) {
      Peak peak;
      peak.visit(role.getBody().front(), {});
      int64_t limit = role.getRegisters().value_or(kMostRegisters) - kOtherRegistersOfRole;
      addKept(kernel, peak, limit);
      if (peak.registers > std::max<int64_t>(limit, 0)) { // a producer has none
        report(kernel, peak, limit);
        fits = false;
      }
    }
    if (!fits)
      return signalPassFailure();
    if (!kernel.getOps<tile::RoleOp>().empty())
      return;
    int64_t share = kRegisterFile / (32 * warps.getInt()) / 8 * 8;
    int64_t limit = std::min(kMostRegisters, share) - kOtherRegisters;
    Peak peak;
    peak.visit(kernel.front(), {});
    if (peak.registers > limit) {
      report(kernel, peak, limit);
      signalPassFailure();
    }
  }
};
} // namespace

} // namespace attn
