// See ListedBlocks.h. Lists are made where the mask holds, in a condition that its analysis leaves to the points,
//
//   a remainder of the key with a period of more keys than a block has, and of more rows than a tile has if rows take part:
//     else each block that the ranges visit has a key of each remainder;
//   an element of a table as long as the keys are, or an element for a run of keys: what it hides is data. Not so of tables as
//     long as the queries, which say what new tokens see of each other;
//   what has no form in the analysis at all, as bits of indices.
#include "passes/attn/ListedBlocks.h"

#include "passes/IndexRuns.h"
#include "passes/IndexUses.h"
#include "passes/Remarks.h"
#include "passes/attn/PeriodicBounds.h"
#include "passes/attn/SolveMask.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace attn {

std::string whyNotListed(ir::AttentionOp op, const ir::Schedule &schedule) {
  if (op.getMask().empty())
    return "there is no mask";
  if (schedule.chunked)
    return "keys come as sums";
  bool hasOwn = op.getMask().walk([](Operation *inner) {
                  return isa<ir::DotOp, ir::RandomOp, ir::SuffixSumOp>(inner) ? WalkResult::interrupt() : WalkResult::advance();
                }).wasInterrupted();
  return hasOwn ? "the mask depends on rows of query or key, or on chance" : "";
}

//===----------------------------------------------------------------------===//
// Periods
//===----------------------------------------------------------------------===//

namespace {

/// Looks through conditions for remainders of the key that leave blocks empty within the ranges.
class LongPeriods {
public:
  LongPeriods(mask::Expressions &expressions, const ir::Schedule &schedule) : expressions(expressions), schedule(schedule) {}

  bool areIn(const mask::Predicate *predicate);

private:
  bool areIn(const mask::Linear &linear, bool onRow);
  int64_t keysOfUnit(const mask::Linear &linear);
  int64_t times(int64_t a, int64_t b) const { return a == 0 || b <= mask::kMaxExtent / a ? a * b : mask::kMaxExtent; }

  mask::Expressions &expressions;
  const ir::Schedule &schedule;
  // What is used twice is looked at once.
  llvm::SmallPtrSet<const mask::Predicate *, 16> seen;
  llvm::SmallDenseSet<std::pair<const mask::Atom *, unsigned>, 16> seenAtoms;
  llvm::DenseMap<const mask::Atom *, int64_t> units;
};

} // namespace

/// For how many keys at most a value stays as it is: (kv_idx // 16) % 8 for 16.
int64_t LongPeriods::keysOfUnit(const mask::Linear &linear) {
  int64_t most = 1;
  for (auto [atom, coefficient] : linear.terms) {
    if (!atom->onKey || atom->operands.empty())
      continue;
    auto known = units.find(atom);
    if (known == units.end()) {
      int64_t keys = keysOfUnit(atom->operands[0]);
      if (atom->kind == mask::Atom::Kind::FloorDiv)
        keys = times(keys, std::max<int64_t>(expressions.rangeOf(atom->operands[1]).hi, 1));
      known = units.try_emplace(atom, keys).first;
    }
    most = std::max(most, known->second);
  }
  return most;
}

bool LongPeriods::areIn(const mask::Linear &linear, bool onRow) {
  for (auto [atom, coefficient] : linear.terms) {
    if (!atom->onKey || !seenAtoms.insert({atom, onRow ? 1u : 0u}).second)
      continue;
    if (atom->kind == mask::Atom::Kind::Mod) {
      int64_t period = times(keysOfUnit(atom->operands[0]), std::max<int64_t>(expressions.rangeOf(atom->operands[1]).hi, 1));
      if (period > schedule.blockN && (!onRow || period > schedule.queries()))
        return true;
    }
    if (llvm::any_of(atom->operands, [&](const mask::Linear &operand) { return areIn(operand, onRow); }))
      return true;
  }
  return false;
}

bool LongPeriods::areIn(const mask::Predicate *predicate) {
  if (!seen.insert(predicate).second)
    return false;
  if (predicate->kind == mask::Predicate::Kind::NonPositive)
    return areIn(predicate->linear, predicate->linear.onRow());
  return llvm::any_of(predicate->operands, [&](const mask::Predicate *operand) { return areIn(operand); });
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

/// Whether a table says of all keys which are hidden, and not of a few new ones.
static bool saysOfAllKeys(ir::LoadOp load) {
  auto type = cast<ir::AttnTensorType>(load.getTensor().getType());
  for (auto [dim, index] : llvm::enumerate(load.getIndices())) {
    if (!dependsOnIndex(index, ir::IndexKind::kv_idx))
      continue;
    auto names = type.getSize(dim).names();
    if (runLength(index, ir::IndexKind::kv_idx) > 1 || llvm::is_contained(names, "kv_len") || llvm::is_contained(names, "kv_rows"))
      return true;
  }
  return false;
}

/// Whether a condition that the analysis has left open may hide whole blocks.
static bool isOpenToAllKeys(Value condition) {
  bool reads = false;
  for (Operation *op : operationsBehind(condition))
    if (auto load = dyn_cast<ir::LoadOp>(op)) {
      reads = true;
      if (saysOfAllKeys(load))
        return true;
    }
  return !reads && dependsOnIndex(condition, ir::IndexKind::kv_idx);
}

std::string whyListed(ir::AttentionOp op, const ir::Schedule &schedule) {
  if (!whyNotListed(op, schedule).empty())
    return {};
  mask::Expressions expressions(op);
  const mask::Predicate *visible = expressions.predicateOf(ir::yieldedBy(op.getMask()).front());
  if (LongPeriods(expressions, schedule).areIn(visible))
    return llvm::formatv("keys show in periods that may be longer than {0}, the keys of a block", schedule.blockN).str();
  mask::MaskSolver solver(expressions);
  solver.solve(mask::tightenBounds(expressions, visible));
  return llvm::any_of(solver.openValues(), isOpenToAllKeys) ? "what keys show depends on data or has no form in the analysis of the mask" : "";
}

void remarkListed(ir::AttentionOp op, const ir::Schedule &schedule) {
  if (!schedule.listed)
    return;
  std::string reason = whyListed(op, schedule);
  remark(op, RemarkCategory::Mask,
         llvm::formatv("two kernels in front look at each point that is not decided by the ranges and list the blocks that a tile visits: {0}",
                       reason.empty() ? "as asked for" : reason).str());
}

} // namespace attn
