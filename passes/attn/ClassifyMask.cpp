// Finds which keys a tile of query rows must visit and on which of them no mask need be evaluated, from what the mask
// computes and not from its name: fills region `ranges`.
//
//   mask { kv_idx <= q_idx + d }     →     ranges { ^tile(%first, %last):
//                                            yield_ranges visit [0, last + d + 1) full [0, first + d + 1) }
//
// The analysis itself is in SolveMask.h; this pass runs it and says in remarks what came out. Of a window it also says where
// the comparisons of each edge hold by themselves (`facts`, MaskFacts.h). An attention that has
// `ranges` keeps them. Guarantees: every attention has `ranges`. A mask that provably hides every key is refused.
#include "ir/attn/AttnDialect.h"
#include "passes/Passes.h"
#include "passes/Remarks.h"
#include "passes/attn/EmitRanges.h"
#include "passes/attn/MaskFacts.h"
#include "passes/attn/PeriodicBounds.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace attn {
#define GEN_PASS_DEF_CLASSIFYMASK
#include "passes/Passes.h.inc"

/// "1 range", "3 ranges".
static std::string count(size_t number, StringRef noun) {
  return llvm::utostr(number) + " " + noun.str() + (number == 1 ? "" : "s");
}

/// Whether the only range is every key.
static bool isEverything(const mask::KeySet &set) {
  if (set.size() != 1 || set.front().guard->kind != mask::Predicate::Kind::True)
    return false;
  const mask::Atom *end = set.front().hi.asAtom();
  return set.front().lo == mask::Expressions::number(0) && end && end->kind == mask::Atom::Kind::Extent &&
         end->name == "kv_len";
}

/// What the reader of a remark calls `value`, and where it stands.
static std::string describe(Value value) {
  std::string text = "a condition";
  if (auto load = value.getDefiningOp<ir::LoadOp>())
    if (auto tensor = dyn_cast<BlockArgument>(load.getTensor()))
      if (auto plan = dyn_cast<func::FuncOp>(tensor.getOwner()->getParentOp()))
        if (auto name = plan.getArgAttrOfType<StringAttr>(tensor.getArgNumber(), ir::AttnDialect::kName))
          text = "`" + name.getValue().str() + "`";
  if (auto place = value.getLoc()->findInstanceOf<FileLineColLoc>())
    text += " (line " + llvm::utostr(place.getLine()) + ", column " + llvm::utostr(place.getColumn()) + ")";
  return text;
}

static void explain(ir::AttentionOp op, const mask::KeySets &sets, ArrayRef<Value> open) {
  auto say = [&](const Twine &text) { remark(op, RemarkCategory::Mask, text); };
  bool visitsAll = isEverything(sets.may);
  std::string visited = visitsAll ? "every key is visited" : "tiles visit " + count(sets.may.size(), "range") + " of keys";
  if (isEverything(sets.must))
    return say(visited + ", none needs the mask");
  if (sets.must.empty())
    say(visited + ", each needs the mask");
  else
    say(visited + ", the mask is not evaluated on " + count(sets.must.size(), "range") + " of them");
  for (Value value : open)
    emitRemark(value.getLoc()) << "mask: " << describe(value) << " is looked at for each row and key, not for a tile";
}

static LogicalResult classify(ir::AttentionOp op) {
  if (!op.getRanges().empty())
    return success();
  mask::Expressions expressions(op);
  mask::MaskSolver solver(expressions);
  mask::KeySets sets{solver.allKeys(), solver.allKeys()};
  if (!op.getMask().empty()) {
    Value visible = ir::yieldedBy(op.getMask()).front();
    sets = solver.solve(mask::tightenBounds(expressions, expressions.predicateOf(visible)));
    if (expressions.hasOverflowed())
      sets = {solver.allKeys(), {}};
    if (sets.may.empty())
      return emitError(visible.getLoc(), "the mask hides every key from every row");
  }
  mask::emitRanges(op.getRanges(), op.getLoc(), expressions, sets, mask::markFacts(op, expressions, solver));
  explain(op, sets, solver.openValues());
  return success();
}

namespace {
struct ClassifyMask final : impl::ClassifyMaskBase<ClassifyMask> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([](ir::AttentionOp op) {
      return succeeded(classify(op)) ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

} // namespace attn
