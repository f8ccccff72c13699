// See KeyTail.h. A conjunct `a ≤ b` is read as the linear form a - b ≤ 0 over kv_idx, q_idx, kv_len and q_len; with
//
//   kv_idx - kv_len + 1 ≤ 0              and    kv_idx - q_idx + q_len - kv_len ≤ 0    (q_idx ≤ q_len - 1)
//
// the key exists. A smaller constant only says more.
#include "passes/convert/KeyTail.h"

#include "ir/attn/AttnDialect.h"
#include "passes/IndexUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

#include <optional>

using namespace mlir;

namespace attn {

namespace {
struct LinearForm {
  int64_t keyIndex = 0, queryIndex = 0, keyLength = 0, queryLength = 0, constant = 0;

  /// False where a coefficient leaves 64 bits.
  bool add(const LinearForm &other, int64_t factor) {
    bool fits = true;
    for (auto part : {&LinearForm::keyIndex, &LinearForm::queryIndex, &LinearForm::keyLength, &LinearForm::queryLength, &LinearForm::constant}) {
      int64_t product = 0;
      fits &= !llvm::MulOverflow(other.*part, factor, product) && !llvm::AddOverflow(this->*part, product, this->*part);
    }
    return fits;
  }
};

/// Reads integers of a mask, each once.
class LinearReader {
public:
  std::optional<LinearForm> read(Value value) {
    if (auto found = known.find(value); found != known.end())
      return found->second;
    std::optional<LinearForm> form = compute(value);
    return known[value] = form;
  }
  /// The form that is ≤ 0 where `compare` holds.
  std::optional<LinearForm> notPositive(arith::CmpIOp compare);

private:
  std::optional<LinearForm> compute(Value value);

  DenseMap<Value, std::optional<LinearForm>> known;
};
} // namespace

static std::optional<LinearForm> leaf(Operation *op) {
  LinearForm form;
  if (auto index = dyn_cast<ir::IndexOp>(op)) {
    if (index.getKind() == ir::IndexKind::kv_idx)
      form.keyIndex = 1;
    else if (index.getKind() == ir::IndexKind::q_idx)
      form.queryIndex = 1;
    else
      return std::nullopt;
    return form;
  }
  if (auto size = dyn_cast<ir::SizeOp>(op)) {
    if (size.getName() == "kv_len")
      form.keyLength = 1;
    else if (size.getName() == "q_len")
      form.queryLength = 1;
    else
      return std::nullopt;
    return form;
  }
  return std::nullopt;
}

std::optional<LinearForm> LinearReader::compute(Value value) {
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number))) {
    LinearForm form;
    form.constant = number.getSExtValue();
    return form;
  }
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (!isa<arith::AddIOp, arith::SubIOp>(op))
    return leaf(op);
  auto a = read(op->getOperand(0)), b = read(op->getOperand(1));
  return a && b && a->add(*b, isa<arith::AddIOp>(op) ? 1 : -1) ? a : std::nullopt;
}

std::optional<LinearForm> LinearReader::notPositive(arith::CmpIOp compare) {
  auto a = read(compare.getLhs()), b = read(compare.getRhs());
  if (!a || !b)
    return std::nullopt;
  using Predicate = arith::CmpIPredicate;
  Predicate predicate = compare.getPredicate();
  if (predicate == Predicate::sge || predicate == Predicate::sgt)
    std::swap(a, b);
  else if (predicate != Predicate::sle && predicate != Predicate::slt)
    return std::nullopt;
  if (!a->add(*b, -1))
    return std::nullopt;
  if (predicate == Predicate::slt || predicate == Predicate::sgt)
    a->constant += 1;
  return a;
}

/// Whether a condition `form` ≤ 0 on a key and a query that there is says that there is such a key.
static bool limitsKey(const LinearForm &form) {
  if (form.keyIndex != 1 || form.keyLength != -1)
    return false;
  bool byLength = form.queryIndex == 0 && form.queryLength == 0 && form.constant >= 1;
  bool byLastRow = form.queryIndex == -1 && form.queryLength == 1 && form.constant >= 0;
  return byLength || byLastRow;
}

bool impliesKeyExists(Value visible) {
  LinearReader reader;
  return findBehind(visible, [&](Value behind) { // one of the parts of a conjunction
    if (behind.getDefiningOp<arith::AndIOp>())
      return WalkBehind::Descend;
    auto compare = behind.getDefiningOp<arith::CmpIOp>();
    auto form = compare ? reader.notPositive(compare) : std::nullopt;
    return form && limitsKey(*form) ? WalkBehind::Found : WalkBehind::Skip;
  });
}

} // namespace attn
