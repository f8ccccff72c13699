// See LookupBudget.h.
#include "passes/attn/LookupBudget.h"

#include "ir/attn/ProductTypes.h"
#include "passes/IndexUses.h"
#include "passes/Lookups.h"
#include "passes/attn/DoubleRows.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace attn {

static unsigned queryFeatures(ir::AttentionOp op) { return static_cast<unsigned>(op.getQueryFeatureTypes().size()); }

bool isOfLookup(ir::AttentionOp op, Operation *inner) {
  return isa<ir::LoadOp>(inner) && !inner->use_empty() && llvm::all_of(inner->getUsers(), [&](Operation *user) {
    auto dot = dyn_cast<ir::DotOp>(user);
    return dot && findLookup(dot, queryFeatures(op));
  });
}

/// Whether the mask reads a number of each pair of a query and a key.
static bool readsPoints(Region &mask) {
  return mask.walk([](ir::LoadOp load) {
               bool isOfPoint = dependsOnIndex(load.getResult(), ir::IndexKind::q_idx) && dependsOnIndex(load.getResult(), ir::IndexKind::kv_idx);
               return isOfPoint ? WalkResult::interrupt() : WalkResult::advance();
             }).wasInterrupted();
}

int64_t lookupRegisters(ir::AttentionOp op, const ir::Schedule &schedule, bool isBesideProducts) {
  int64_t registers = 0;
  if (isBesideProducts && !findLookupTables(op.getScore(), queryFeatures(op)).empty())
    registers += schedule.warps > 8 ? 24 : 4;
  bool hasSums = false;
  op.getScore().walk([&](ir::SuffixSumOp) { // a number a point from the sums to the scores, and what the summands take
    hasSums = true;
    registers += schedule.blockN / 2 + (isBesideProducts ? 24 : 8);
  });
  if (hasSums && readsPoints(op.getMask())) // who is visible is kept as well
    registers += schedule.blockN / 2;
  return registers;
}

int64_t tableRegisters(ir::AttentionOp op, const ir::Schedule &schedule) {
  constexpr int64_t kForAddresses = 56; // of 16 rows, all of whose numbers are read at once
  const int64_t width = hasDoubleRows(op) ? 2 : 1;
  int64_t registers = 0;
  for (const Lookup &lookup : findLookupTables(op.getScore(), queryFeatures(op))) {
    int64_t channels = cast<VectorType>(ir::LoadOp(lookup.load).getType()).getNumElements();
    int64_t slabs = llvm::divideCeil(lookup.columns(), 16 * schedule.warps);
    if (!lookup.isCopied(ir::featureType(op)))
      registers = std::max(registers, slabs * (static_cast<int64_t>(llvm::alignTo(channels, 16)) / 2 * width + kForAddresses));
  }
  return registers;
}

int64_t lookupBytes(ir::AttentionOp op, const ir::Schedule &schedule) {
  int64_t bytes = 0, elementBytes = ir::featureType(op).getIntOrFloatBitWidth() / 8, productBytes = hasDoubleRows(op) ? 8 : 4;
  for (const Lookup &lookup : findLookupTables(op.getScore(), queryFeatures(op))) {
    int64_t channels = cast<VectorType>(ir::LoadOp(lookup.load).getType()).getNumElements();
    bytes += schedule.blockM * lookup.pitch() * productBytes + lookup.columns() * static_cast<int64_t>(llvm::alignTo(channels, 32)) * elementBytes;
  }
  return bytes;
}

} // namespace attn
