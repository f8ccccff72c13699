// Roles become branches that whole warpgroups take together:
//
//     one thread: tensor maps prefetched, barriers of rings initialised; barrier of the block
//     if (warp in producer) { setmaxnreg.dec; if (first warp and elected lane) { … } }
//     else                  { setmaxnreg.inc; … }
//
// A role of nothing but copies by tensor maps is done by one lane: its other lanes and warps go to the end. Where it computes
// strips of few cheap numbers as well, one warp does all: what a role computes for its copies costs four times as much otherwise.
#include "codegen/nvvm/Roles.h"

#include "codegen/nvvm/KernelContext.h"
#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <utility>

namespace attn::codegen {

using mlir::Value;

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

bool isBuiltByOneWarp(tile::BuildOp op) {
  constexpr std::int64_t kMostElements = 512;
  constexpr int kMostOperations = 32;
  tile::RingType type = op.getRing().getType();
  if (type.getShape().size() != 1 || type.getShape().front() > kMostElements)
    return false;
  int operations = 0;
  for (mlir::Operation &inner : op.getBody().front()) {
    bool isFunction = mlir::isa<mlir::math::MathDialect>(inner.getDialect()) &&
                      !mlir::isa<mlir::math::AbsFOp, mlir::math::AbsIOp, mlir::math::FmaOp>(inner);
    if (isFunction || inner.getNumRegions() != 0 ||
        mlir::isa<mlir::arith::DivFOp, mlir::arith::DivSIOp, mlir::arith::FloorDivSIOp, mlir::arith::RemSIOp>(inner))
      return false;
    operations += !mlir::isa<mlir::arith::ConstantOp>(inner);
  }
  return operations <= kMostOperations;
}

/// Whether one lane can do all that the role does: scalars, waits and copies by tensor maps; or one warp, where short strips are built too.
static bool needsOneLane(tile::RoleOp role, bool orWarp) {
  bool copies = false;
  auto result = role.getBody().walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    if (!mlir::isa_and_present<tile::TileDialect>(op->getDialect()))
      return mlir::WalkResult::advance();
    if (auto build = mlir::dyn_cast<tile::BuildOp>(op); build && orWarp)
      return isBuiltByOneWarp(build) ? mlir::WalkResult::skip() : mlir::WalkResult::interrupt();
    if (auto fill = mlir::dyn_cast<tile::FillOp>(op)) {
      copies = true;
      return isTensorMapFill(fill) ? mlir::WalkResult::advance() : mlir::WalkResult::interrupt();
    }
    bool isScalar = mlir::isa<tile::ForeachWorkOp, tile::YieldOp, tile::AcquireOp, tile::SizeOp, tile::ParamOp>(op);
    return isScalar ? mlir::WalkResult::advance() : mlir::WalkResult::interrupt();
  });
  return copies && !result.wasInterrupted();
}

static unsigned countTurns(tile::RoleOp role) {
  unsigned turns = 0;
  role.getBody().walk([&](tile::TurnBeginOp begin) { turns = std::max(turns, begin.getTurn() + 1); });
  return turns;
}

/// A result staged in the ring's memory, which threads store: who hands the entry back says that it is read.
static bool holdsStoredResult(tile::RingOp ring) {
  auto kernel = ring->getParentOfType<mlir::func::FuncOp>();
  return llvm::any_of(kernel.getOps<tile::AllocOp>(), [&](tile::AllocOp buffer) {
    return buffer.getOffset() == ring.getOffset() && llvm::any_of(buffer.getResult().getUsers(), [](mlir::Operation *user) {
             auto store = mlir::dyn_cast<tile::StoreOp>(user);
             return store && !isTensorMapStore(store);
           });
  });
}

static bool isReadByThreads(tile::RingOp ring) {
  return holdsStoredResult(ring) || llvm::any_of(ring.getResult().getUsers(), [](mlir::Operation *user) {
    return mlir::isa<tile::AwaitOp>(user) &&
           llvm::any_of(user->getUsers(), [](mlir::Operation *reader) { // a keep_finite ends in a barrier of its own
             return !mlir::isa<tile::DotOp, tile::DotAsyncOp, tile::KeepFiniteOp>(reader);
           });
  });
}

/// Everyone who fills a ring arrives on the same count, and so does everyone who releases it.
static llvm::LogicalResult collectArrivals(tile::RingOp ring, const RoleFacts &facts, RingArrivals &arrivals) {
  std::optional<unsigned> full, empty;
  for (mlir::Operation *user : ring.getResult().getUsers()) {
    auto role = facts.roleOf.find(user);
    if (role == facts.roleOf.end())
      return user->emitOpError("uses a ring outside roles in a kernel that has some");
    const WarpRange &warps = facts.roles[role->second];
    std::optional<unsigned> *side = nullptr;
    unsigned count = 0;
    if (auto fill = mlir::dyn_cast<tile::FillOp>(user)) {
      side = &full;
      count = isTensorMapFill(fill) ? 1 : warps.threads();
    } else if (mlir::isa<tile::BuildOp>(user) || (mlir::isa<tile::WidenOp>(user) && user->getOperand(0) == ring.getResult())) {
      side = &full;
      count = warps.threads();
    } else if (mlir::isa<tile::ReleaseOp>(user)) {
      side = &empty;
      count = warps.count;
    } else {
      continue;
    }
    if (side->value_or(count) != count)
      return user->emitOpError("expects all that fill or release a ring to do so with the same threads");
    *side = count;
  }
  arrivals = {full.value_or(1), empty.value_or(1), isReadByThreads(ring)};
  return mlir::success();
}

llvm::FailureOr<RoleFacts> collectRoles(mlir::Operation *kernel) {
  RoleFacts facts;
  kernel->walk([&](tile::RoleOp role) {
    unsigned number = facts.roles.size();
    WarpRange warps;
    warps.first = role.getFirstWarp();
    warps.count = role.getEndWarp() - role.getFirstWarp();
    warps.role = number;
    warps.isOneLane = needsOneLane(role, /*orWarp=*/false);
    if (!warps.isOneLane && needsOneLane(role, /*orWarp=*/true))
      warps.idle = std::exchange(warps.count, 1u) - 1;
    warps.registers = role.getRegisters();
    warps.turns = countTurns(role);
    facts.roles.push_back(warps);
    role.getBody().walk([&](mlir::Operation *op) { facts.roleOf[op] = number; });
  });
  if (facts.roles.empty())
    return facts;
  facts.barriers = planBarriers(kernel);
  facts.younger = countYoungerProducts(kernel);
  facts.depths = measureDepths(kernel);
  facts.keptSteps = findKeptSteps(kernel);
  auto result = kernel->walk([&](tile::RingOp ring) {
    return mlir::failed(collectArrivals(ring, facts, facts.rings[ring.getResult()])) ? mlir::WalkResult::interrupt()
                                                                                     : mlir::WalkResult::advance();
  });
  if (result.wasInterrupted())
    return mlir::failure();
  return facts;
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

/// The roles that use `op`; none if something else does too.
static llvm::SmallVector<tile::RoleOp> rolesOfUsers(mlir::Operation &op) {
  llvm::SmallVector<tile::RoleOp> roles;
  for (mlir::Operation *user : op.getUsers()) {
    auto role = user->getParentOfType<tile::RoleOp>();
    if (!role)
      return {};
    if (!llvm::is_contained(roles, role))
      roles.push_back(role);
  }
  return roles;
}

void sinkIntoRoles(mlir::Operation *kernel) {
  mlir::Block &entry = kernel->getRegion(0).front();
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(entry))) { // users before what they use
    if (mlir::isa<tile::RoleOp>(op) || !mlir::isMemoryEffectFree(&op))
      continue;
    llvm::SmallVector<tile::RoleOp> roles = rolesOfUsers(op);
    for (tile::RoleOp role : roles) {
      auto builder = mlir::OpBuilder::atBlockBegin(&role.getBody().front());
      mlir::Operation *copy = builder.clone(op);
      op.replaceUsesWithIf(copy->getResults(), [&](mlir::OpOperand &use) { return role->isProperAncestor(use.getOwner()); });
    }
    if (!roles.empty())
      op.erase();
  }
}

/// By one thread, before any warp waits.
static void setUpBarriers(Emitter &e, KernelContext &kernel) {
  const RoleFacts &facts = kernel.roles();
  Value isFirst = e.ieq(kernel.thread(), e.i32(0));
  auto guard = mlir::scf::IfOp::create(e.builder, e.location, isFirst, /*withElseRegion=*/false);
  {
    mlir::OpBuilder::InsertionGuard restore(e.builder);
    e.builder.setInsertionPointToStart(guard.thenBlock());
    llvm::SmallVector<Value> maps;
    for (auto &[fill, map] : facts.maps)
      if (!llvm::is_contained(maps, map))
        maps.push_back(map);
    llvm::sort(maps, [](Value a, Value b) {
      return mlir::cast<mlir::BlockArgument>(a).getArgNumber() < mlir::cast<mlir::BlockArgument>(b).getArgNumber();
    });
    for (Value map : maps)
      e.prefetchTensorMap(map);
    for (auto &[ring, arrivals] : facts.rings) {
      RingBarriers place = facts.barriers.rings.lookup(ring);
      unsigned stages = mlir::cast<tile::RingType>(ring.getType()).getStages();
      for (unsigned slot = 0; slot < stages; ++slot) {
        e.initBarrier(e.offset(kernel.sharedBase(), place.full + kBarrierBytes * slot), arrivals.full);
        e.initBarrier(e.offset(kernel.sharedBase(), place.empty + kBarrierBytes * slot), arrivals.empty);
      }
    }
    e.fenceBarrierInit();
  }
  e.barrier();
}

/// The last warpgroup lets the first one pass its first turns.
static void armTurns(Emitter &e, KernelContext &kernel, const WarpRange &warps) {
  unsigned groups = warps.warpgroups();
  if (groups < 2)
    return;
  for (unsigned turn = 0; turn < warps.turns; ++turn) {
    Value isLast = e.ieq(kernel.warpgroup(), e.i32(groups - 1));
    e.arriveAtNamedBarrier(e.i32(turnBarrier(turn, groups)), 2 * kWarpgroupThreads, isLast);
  }
}

/// The role's code in a block that its warps alone reach. What it computes once stands behind the change of registers:
/// values that live across it would have to fit the smallest role.
static void emitRole(Emitter &e, KernelContext &kernel, tile::RoleOp role, const WarpRange &warps, unsigned atEntry) {
  kernel.enter(warps);
  if (warps.registers && *warps.registers != atEntry)
    e.setRegisters(*warps.registers, /*increase=*/*warps.registers > atEntry);
  kernel.setAnchor(mlir::LLVM::PoisonOp::create(e.builder, e.location, e.i32Type()));
  armTurns(e, kernel, warps);
  if (warps.isOneLane || warps.idle > 0) {
    Value isChosen = e.ieq(kernel.uniformWarp(), e.i32(0));
    if (warps.isOneLane)
      isChosen = e.land(isChosen, e.electLane());
    auto guard = mlir::scf::IfOp::create(e.builder, e.location, isChosen, /*withElseRegion=*/false);
    e.builder.setInsertionPointToStart(guard.thenBlock());
  }
  mlir::Block *body = &role.getBody().front();
  body->getTerminator()->erase();
  e.builder.getInsertionBlock()->getOperations().splice(e.builder.getInsertionPoint(), body->getOperations());
}

void dispatchRoles(mlir::Block *entry, KernelContext &kernel) {
  llvm::SmallVector<tile::RoleOp> roles(entry->getOps<tile::RoleOp>());
  // What stands between roles serves all of them; roles have no results, so it can stand before the first.
  for (mlir::Operation &op : llvm::make_early_inc_range(*entry))
    if (!mlir::isa<tile::RoleOp>(op) && !op.hasTrait<mlir::OpTrait::IsTerminator>() && roles.front()->isBeforeInBlock(&op))
      op.moveBefore(roles.front());
  mlir::OpBuilder builder(roles.front());
  Emitter e = kernel.emitter(builder, roles.front().getLoc());
  WarpRange block = kernel.range();
  setUpBarriers(e, kernel);
  unsigned unassigned = block.count;
  for (auto [role, warps] : llvm::zip(roles, kernel.roles().roles)) {
    unsigned all = warps.count + warps.idle;
    unassigned -= std::min(unassigned, all);
    if (unassigned == 0 && role == roles.back()) { // all other warps are in the branches before
      emitRole(e, kernel, role, warps, registersAtEntry(block.threads()));
      break;
    }
    kernel.enter(block);
    Value index = e.isub(kernel.uniformWarp(), e.i32(warps.first));
    Value isIn = e.icmp(Compare::UnsignedLt, index, e.i32(all));
    auto branch = mlir::scf::IfOp::create(builder, role.getLoc(), isIn, /*withElseRegion=*/true);
    builder.setInsertionPointToStart(branch.thenBlock());
    emitRole(e, kernel, role, warps, registersAtEntry(block.threads()));
    builder.setInsertionPointToStart(branch.elseBlock());
  }
  for (tile::RoleOp role : roles)
    role.erase();
  kernel.enter(block);
}

} // namespace attn::codegen
