// See KeyTail.h. A conjunct `a ≤ b` is read as the linear form a - b ≤ 0 over kv_idx, q_idx, kv_len and q_len; with
//
//   kv_idx - kv_len + 1 ≤ 0              and    kv_idx - q_idx + q_len - kv_len ≤ 0    (q_idx ≤ q_len - 1)
//
// the key exists. A smaller constant only says more.
#include "passes/convert/KeyTail.h"

#include "ir/attn/AttnDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include <optional>

using namespace mlir;

namespace attn {

namespace {
struct LinearForm {
  int64_t keyIndex = 0, queryIndex = 0, keyLength = 0, queryLength = 0, constant = 0;

  void add(const LinearForm &other, int64_t factor) {
    keyIndex += factor * other.keyIndex;
    queryIndex += factor * other.queryIndex;
    keyLength += factor * other.keyLength;
    queryLength += factor * other.queryLength;
    constant += factor * other.constant;
  }
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

static std::optional<LinearForm> linear(Value value) {
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
  auto a = linear(op->getOperand(0)), b = linear(op->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  a->add(*b, isa<arith::AddIOp>(op) ? 1 : -1);
  return a;
}

/// The form that is ≤ 0 where `compare` holds.
static std::optional<LinearForm> notPositive(arith::CmpIOp compare) {
  auto a = linear(compare.getLhs()), b = linear(compare.getRhs());
  if (!a || !b)
    return std::nullopt;
  using Predicate = arith::CmpIPredicate;
  Predicate predicate = compare.getPredicate();
  if (predicate == Predicate::sge || predicate == Predicate::sgt)
    std::swap(a, b);
  else if (predicate != Predicate::sle && predicate != Predicate::slt)
    return std::nullopt;
  a->add(*b, -1);
  if (predicate == Predicate::slt || predicate == Predicate::sgt)
    a->constant += 1;
  return a;
}

bool impliesKeyExists(Value visible) {
  Operation *op = visible.getDefiningOp();
  if (!op)
    return false;
  if (isa<arith::AndIOp>(op))
    return impliesKeyExists(op->getOperand(0)) || impliesKeyExists(op->getOperand(1));
  auto compare = dyn_cast<arith::CmpIOp>(op);
  auto form = compare ? notPositive(compare) : std::nullopt;
  if (!form || form->keyIndex != 1 || form->keyLength != -1)
    return false;
  bool byLength = form->queryIndex == 0 && form->queryLength == 0 && form->constant >= 1;
  bool byLastRow = form->queryIndex == -1 && form->queryLength == 1 && form->constant >= 0;
  return byLength || byLastRow;
}

} // namespace attn
