// See ScalarOps.h.
#include "codegen/nvvm/ScalarOps.h"

#include "codegen/nvvm/MathDouble.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

namespace attn::codegen {

namespace arith = mlir::arith;
namespace mm = mlir::math;
using mlir::Value;

static Compare integerPredicate(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return Compare::Eq;
  case P::ne:
    return Compare::Ne;
  case P::slt:
    return Compare::Lt;
  case P::sle:
    return Compare::Le;
  case P::sgt:
    return Compare::Gt;
  case P::sge:
    return Compare::Ge;
  case P::ult:
    return Compare::UnsignedLt;
  case P::ule:
    return Compare::UnsignedLe;
  case P::ugt:
    return Compare::UnsignedGt;
  case P::uge:
    return Compare::UnsignedGe;
  }
  llvm_unreachable("ten predicates");
}

/// Ordered forms directly; unordered ones as the negation of the opposite ordered one.
static Value compareFloats(Emitter &e, arith::CmpFPredicate predicate, Value a, Value b) {
  using P = arith::CmpFPredicate;
  switch (predicate) {
  case P::AlwaysFalse:
    return e.boolean(false);
  case P::AlwaysTrue:
    return e.boolean(true);
  case P::OEQ:
    return e.fcmp(Compare::Eq, a, b);
  case P::OGT:
    return e.fcmp(Compare::Gt, a, b);
  case P::OGE:
    return e.fcmp(Compare::Ge, a, b);
  case P::OLT:
    return e.fcmp(Compare::Lt, a, b);
  case P::OLE:
    return e.fcmp(Compare::Le, a, b);
  case P::ONE:
    return e.lor(e.fcmp(Compare::Lt, a, b), e.fcmp(Compare::Gt, a, b));
  case P::ORD:
    return e.lnot(e.unordered(a, b));
  case P::UEQ:
    return e.lnot(e.lor(e.fcmp(Compare::Lt, a, b), e.fcmp(Compare::Gt, a, b)));
  case P::UGT:
    return e.lnot(e.fcmp(Compare::Le, a, b));
  case P::UGE:
    return e.lnot(e.fcmp(Compare::Lt, a, b));
  case P::ULT:
    return e.lnot(e.fcmp(Compare::Ge, a, b));
  case P::ULE:
    return e.lnot(e.fcmp(Compare::Gt, a, b));
  case P::UNE:
    return e.fcmp(Compare::Ne, a, b);
  case P::UNO:
    return e.unordered(a, b);
  }
  llvm_unreachable("sixteen predicates");
}

/// ⌊a / b⌋ (`up`: ⌈a / b⌉) from the quotient towards zero: one step where the remainder has the wrong sign.
static Value divideRounding(Emitter &e, Value a, Value b, bool up) {
  auto divisor = Emitter::constantOf(b);
  auto number = [&](std::int64_t value) { return a.getType().isInteger(64) ? e.i64(value) : e.i32(value); };
  if (divisor && *divisor > 0 && (*divisor & (*divisor - 1)) == 0) {
    Value quotient = e.ashr(a, number(__builtin_ctzll(*divisor)));
    return up ? e.iadd(quotient, e.umin(e.iand(a, number(*divisor - 1)), number(1))) : quotient;
  }
  Value quotient = e.sdiv(a, b), remainder = e.isub(a, e.imul(quotient, b));
  Value zero = e.zero(a.getType());
  if (divisor && *divisor > 0) { // the remainder has the dividend's sign
    Value step = e.zeroExtend(e.icmp(up ? Compare::Gt : Compare::Lt, remainder, zero), a.getType());
    return up ? e.iadd(quotient, step) : e.isub(quotient, step);
  }
  Value sameSign = e.icmp(Compare::Ge, e.ixor(remainder, b), zero);
  Value inexact = e.icmp(Compare::Ne, remainder, zero);
  Value step = e.zeroExtend(e.land(inexact, up ? sameSign : e.lnot(sameSign)), a.getType());
  return up ? e.iadd(quotient, step) : e.isub(quotient, step);
}

static Value emitConstant(Emitter &e, arith::ConstantOp op) {
  return e.pool.get(mlir::cast<mlir::TypedAttr>(op.getValue()));
}

static Value emitInteger(Emitter &e, mlir::Operation *op, llvm::ArrayRef<Value> v) {
  return llvm::TypeSwitch<mlir::Operation *, Value>(op)
      .Case([&](arith::ConstantOp constant) { return emitConstant(e, constant); })
      .Case([&](arith::AddIOp) { return e.iadd(v[0], v[1]); })
      .Case([&](arith::SubIOp) { return e.isub(v[0], v[1]); })
      .Case([&](arith::MulIOp) { return e.imul(v[0], v[1]); })
      .Case([&](arith::DivSIOp) { return e.sdiv(v[0], v[1]); })
      .Case([&](arith::DivUIOp) { return e.udiv(v[0], v[1]); })
      .Case([&](arith::RemSIOp) { return e.srem(v[0], v[1]); })
      .Case([&](arith::RemUIOp) { return e.urem(v[0], v[1]); })
      .Case([&](arith::FloorDivSIOp) { return divideRounding(e, v[0], v[1], /*up=*/false); })
      .Case([&](arith::CeilDivSIOp) { return divideRounding(e, v[0], v[1], /*up=*/true); })
      .Case([&](arith::AndIOp) { return e.iand(v[0], v[1]); })
      .Case([&](arith::OrIOp) { return e.ior(v[0], v[1]); })
      .Case([&](arith::XOrIOp) { return e.ixor(v[0], v[1]); })
      .Case([&](arith::ShLIOp) { return e.shl(v[0], v[1]); })
      .Case([&](arith::ShRSIOp) { return e.ashr(v[0], v[1]); })
      .Case([&](arith::ShRUIOp) { return e.lshr(v[0], v[1]); })
      .Case([&](arith::MinSIOp) { return e.smin(v[0], v[1]); })
      .Case([&](arith::MaxSIOp) { return e.smax(v[0], v[1]); })
      .Case([&](arith::MinUIOp) { return e.umin(v[0], v[1]); })
      .Case([&](arith::MaxUIOp) { return e.umax(v[0], v[1]); })
      .Case([&](mm::AbsIOp) { return e.absolute(v[0]); })
      .Case([&](mm::CtPopOp) { return e.countOnes(v[0]); })
      .Case([&](arith::CmpIOp cmp) { return e.icmp(integerPredicate(cmp.getPredicate()), v[0], v[1]); })
      .Case([&](arith::SelectOp) { return e.select(v[0], v[1], v[2]); })
      .Case([&](arith::ExtSIOp extend) { return e.signExtend(v[0], extend.getType()); })
      .Case([&](arith::ExtUIOp extend) { return e.zeroExtend(v[0], extend.getType()); })
      .Case([&](arith::TruncIOp truncate) { return e.truncateInt(v[0], truncate.getType()); })
      .Case([&](arith::BitcastOp cast) { return e.bitcast(v[0], cast.getType()); })
      .Default([](mlir::Operation *) { return Value(); });
}

/// By a constant whose reciprocal is a normal number: a product instead of a call an element.
static Value emitDivision(Emitter &e, Value a, Value b) {
  llvm::APFloat divisor(0.0);
  if (b.getType().isF32() && mlir::matchPattern(b, mlir::m_ConstantFloat(&divisor))) {
    double reciprocal = 1.0 / divisor.convertToDouble();
    if (std::isnormal(static_cast<float>(reciprocal)))
      return e.fmul(a, e.f32(reciprocal));
  }
  return e.fdiv(a, b);
}

static Value emitFloatArithmetic(Emitter &e, mlir::Operation *op, llvm::ArrayRef<Value> v) {
  return llvm::TypeSwitch<mlir::Operation *, Value>(op)
      .Case([&](arith::AddFOp) { return e.fadd(v[0], v[1]); })
      .Case([&](arith::SubFOp) { return e.fsub(v[0], v[1]); })
      .Case([&](arith::MulFOp) { return e.fmul(v[0], v[1]); })
      .Case([&](arith::DivFOp) { return emitDivision(e, v[0], v[1]); })
      .Case([&](arith::NegFOp) { return e.fneg(v[0]); })
      .Case([&](arith::MaxNumFOp) { return e.fmax(v[0], v[1]); })
      .Case([&](arith::MinNumFOp) { return e.fmin(v[0], v[1]); })
      .Case([&](arith::MaximumFOp) { return e.maximum(v[0], v[1]); })
      .Case([&](arith::MinimumFOp) { return e.minimum(v[0], v[1]); })
      .Case([&](arith::CmpFOp cmp) { return compareFloats(e, cmp.getPredicate(), v[0], v[1]); })
      .Case([&](arith::SIToFPOp cast) { return cast.getType().isF64() ? e.toDouble(v[0]) : e.toFloat(v[0]); })
      .Case([&](arith::UIToFPOp) { return e.unsignedToFloat(v[0]); })
      .Case([&](arith::FPToSIOp) { return e.toInt(v[0]); })
      .Case([&](arith::ExtFOp cast) {
        if (!cast.getType().isF64())
          return e.extendHalf(v[0]);
        return e.widen(v[0].getType().isF32() ? v[0] : e.extendHalf(v[0]));
      })
      .Case([&](arith::TruncFOp cast) {
        if (cast.getType().isF32())
          return e.narrow(v[0]);
        return e.unpackRaw(cast.getType(), e.pack(cast.getType(), v[0], v[0]), 0);
      })
      .Case([&](mm::FmaOp) { return e.fma(v[0], v[1], v[2]); })
      .Case([&](mm::AbsFOp) { return e.fabs(v[0]); })
      .Case([&](mm::SqrtOp) { return e.sqrt(v[0]); })
      .Case([&](mm::FloorOp) { return e.floor(v[0]); })
      .Case([&](mm::CeilOp) { return e.ceil(v[0]); })
      .Case([&](mm::RoundEvenOp) { return e.rint(v[0]); })
      .Case([&](mm::TruncOp) { return e.truncate(v[0]); })
      .Default([](mlir::Operation *) { return Value(); });
}

static Value emitSingleFunction(Emitter &e, mlir::Operation *op, llvm::ArrayRef<Value> v) {
  return llvm::TypeSwitch<mlir::Operation *, Value>(op)
      .Case([&](mm::Exp2Op) { return math::exp2(e, v[0]); })
      .Case([&](mm::ExpOp) { return math::exp(e, v[0]); })
      .Case([&](mm::Log2Op) { return math::log2(e, v[0]); })
      .Case([&](mm::LogOp) { return math::log(e, v[0]); })
      .Case([&](mm::TanhOp tanh) {
        bool isApproximate = mlir::arith::bitEnumContainsAll(tanh.getFastmath(), mlir::arith::FastMathFlags::afn);
        return isApproximate ? e.tanhApprox(v[0]) : math::tanh(e, v[0]);
      })
      .Case([&](mm::ErfOp) { return math::erf(e, v[0]); })
      .Case([&](mm::SinOp) { return math::sineCosine(e, v[0]).sine; })
      .Case([&](mm::CosOp) { return math::sineCosine(e, v[0]).cosine; })
      .Case([&](mm::RsqrtOp) { return e.rsqrtApprox(v[0]); })
      .Case([&](mm::PowFOp) { return e.narrow(math::powExact(e, e.widen(v[0]), e.widen(v[1]))); })
      .Default([](mlir::Operation *) { return Value(); });
}

static Value emitDoubleFunction(Emitter &e, mlir::Operation *op, llvm::ArrayRef<Value> v) {
  return llvm::TypeSwitch<mlir::Operation *, Value>(op)
      .Case([&](mm::Exp2Op) { return math::exp2Exact(e, v[0]); })
      .Case([&](mm::ExpOp) { return math::expDouble(e, v[0]); })
      .Case([&](mm::Log2Op) { return math::log2Exact(e, v[0]); })
      .Case([&](mm::LogOp) { return math::logExact(e, v[0]); })
      .Case([&](mm::PowFOp) { return math::powExact(e, v[0], v[1]); })
      .Case([&](mm::RsqrtOp) { return e.fdiv(e.f64(1.0), e.sqrt(v[0])); })
      .Case([&](mm::TanhOp) { return math::tanhDouble(e, v[0]); })
      .Case([&](mm::ErfOp) { return math::erfDouble(e, v[0]); })
      .Case([&](mm::SinOp) { return math::sineCosineDouble(e, v[0]).sine; })
      .Case([&](mm::CosOp) { return math::sineCosineDouble(e, v[0]).cosine; })
      .Default([](mlir::Operation *) { return Value(); });
}

bool isScalarOp(mlir::Operation *op) {
  llvm::StringRef dialect = op->getName().getDialectNamespace();
  if ((dialect != "arith" && dialect != "math") || op->getNumResults() != 1)
    return false;
  return op->getResult(0).getType().isIntOrFloat();
}

Value emitScalar(Emitter &e, mlir::Operation *op, llvm::ArrayRef<Value> operands) {
  if (Value value = emitInteger(e, op, operands))
    return value;
  if (Value value = emitFloatArithmetic(e, op, operands))
    return value;
  if (op->getNumResults() == 1 && op->getResult(0).getType().isF64())
    return emitDoubleFunction(e, op, operands);
  return emitSingleFunction(e, op, operands);
}

} // namespace attn::codegen
