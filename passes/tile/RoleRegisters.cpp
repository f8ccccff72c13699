// See RoleRegisters.h. From what ptxas 13.0 was seen to spill with the kernels of tests/conformance.
#include "passes/tile/RoleRegisters.h"

#include "ir/tile/TileLayouts.h"
#include "ir/tile/WidenOps.h"
#include "passes/tile/LoopFacts.h"
#include "passes/tile/WidenedFills.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace attn {

static constexpr int32_t kWarpsOfGroup = 4;
static constexpr int64_t kFewPages = 4;   ///< of a block, whose copies take no more registers than others; twice as many, some
static constexpr int64_t kFewNumbers = 6; ///< that a producer holds through its loop: the ends of two ranges of keys
static constexpr int64_t kFewBesideSearches = 3; ///< where it searches tables for them: both ends of one range, and a head

template <typename Predicate> static bool hasOp(func::FuncOp kernel, Predicate predicate) {
  return kernel.walk([&](Operation *op) { return predicate(op) ? WalkResult::interrupt() : WalkResult::advance(); }).wasInterrupted();
}

/// Whether the producer's threads compute entries, or copy them row by row.
static bool isByThreads(Operation *op) {
  auto fill = dyn_cast<tile::FillOp>(op);
  return isa<tile::BuildOp, tile::WidenOp>(op) ||
         (fill && (isWidened(fill) || !fill.getRows().empty() || (fill.getPages() && !isCopiedByMap(fill))));
}

/// Whether it takes more than a few instructions to say which rows of a table to copy (logarithmic buckets).
static bool isSearched(Operation *op) {
  auto fill = dyn_cast<tile::FillOp>(op);
  return fill && llvm::any_of(fill.getRows().getOps(),
                              [](Operation &each) { return isa<math::MathDialect>(each.getDialect()) && isExpensive(&each); });
}

RoleRegisters roleRegisters(func::FuncOp kernel, int32_t consumerWarps) {
  bool computes = hasOp(kernel, isByThreads), searches = hasOp(kernel, isSearched);
  bool widens = hasOp(kernel, [](Operation *op) {
    auto fill = dyn_cast<tile::FillOp>(op);
    return isa<tile::WidenOp>(op) || (fill && isWidened(fill));
  });
  int64_t pages = 1; // of a block
  kernel.walk([&](tile::FillOp fill) {
    if (fill.getPages())
      pages = std::max(pages, fill.getRing().getType().getShape()[0] / rowsOfPagePiece(fill));
  });
  bool isInParts = kernel->hasAttr(tile::kPartsAttr); // more stages, whose numbers are no powers of two
  bool looksUp = pages > (isInParts ? 1 : kFewPages), looksUpMany = pages > 2 * kFewPages;
  if (consumerWarps == kWarpsOfGroup)
    return {looksUpMany ? 104 : searches ? 72 : 56, 256};
  if (consumerWarps > 2 * kWarpsOfGroup)
    return computes || looksUp ? RoleRegisters{56, 152} : RoleRegisters{32, 160};
  if ((widens && (looksUp || isInParts)) || searches)
    return {72, 216};
  return computes || looksUpMany ? RoleRegisters{56, 224} : looksUp ? RoleRegisters{40, 232} : RoleRegisters{24, 240};
}

/// Whether it looks for both ends of a range in tables.
static bool searchesTwice(tile::RoleOp producer) {
  int64_t searches = 0;
  producer.walk([&](scf::ForOp loop) { searches += !loop.getOps<tile::ParamOp>().empty(); });
  return searches > 1;
}

RoleRegisters registersForHeldNumbers(RoleRegisters registers, tile::RoleOp producer, int32_t consumerWarps) {
  int64_t held = 0;
  producer.walk([&](scf::ForOp loop) {
    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(loop->getRegions(), captured);
    held = std::max<int64_t>(held, llvm::count_if(captured, [&](Value value) {
      Operation *op = value.getDefiningOp();
      return op && producer->isProperAncestor(op) && !op->hasTrait<OpTrait::ConstantLike>();
    }));
  });
  constexpr RoleRegisters kMore{56, 224};
  bool holdsMany = held > (searchesTwice(producer) ? kFewBesideSearches : kFewNumbers);
  return consumerWarps == 2 * kWarpsOfGroup && registers.producer < kMore.producer && holdsMany ? kMore : registers;
}

} // namespace attn
