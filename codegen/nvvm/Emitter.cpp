// How each instruction is spelled in the `llvm` and `nvvm` dialects: integers, floats, conversions. Memory, warp and matrix
// instructions are in EmitterMemory.cpp.
#include "codegen/nvvm/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
namespace NVVM = mlir::NVVM;
using mlir::Value;

Value ConstantPool::get(mlir::TypedAttr value) {
  Value &entry = values[value];
  if (!entry) {
    mlir::OpBuilder builder(anchor);
    entry = LLVM::ConstantOp::create(builder, anchor->getLoc(), value.getType(), value);
  }
  return entry;
}

//===----------------------------------------------------------------------===//
// Types and constants
//===----------------------------------------------------------------------===//

mlir::Type Emitter::i1Type() { return builder.getI1Type(); }
mlir::Type Emitter::i16Type() { return builder.getI16Type(); }
mlir::Type Emitter::i32Type() { return builder.getI32Type(); }
mlir::Type Emitter::i64Type() { return builder.getI64Type(); }
mlir::Type Emitter::f32Type() { return builder.getF32Type(); }
mlir::Type Emitter::f64Type() { return builder.getF64Type(); }
mlir::Type Emitter::globalPointer() { return LLVM::LLVMPointerType::get(builder.getContext(), 1); }
mlir::Type Emitter::sharedPointer() { return LLVM::LLVMPointerType::get(builder.getContext(), 3); }

Value Emitter::real(mlir::Type type, double value) { return type.isF64() ? f64(value) : f32(value); }
Value Emitter::f32(double value) { return pool.get(builder.getF32FloatAttr(static_cast<float>(value))); }
Value Emitter::f64(double value) { return pool.get(builder.getF64FloatAttr(value)); }
Value Emitter::i32(std::int64_t value) { return pool.get(builder.getI32IntegerAttr(static_cast<std::int32_t>(value))); }
Value Emitter::i64(std::int64_t value) { return pool.get(builder.getI64IntegerAttr(value)); }
Value Emitter::boolean(bool value) { return pool.get(builder.getIntegerAttr(builder.getI1Type(), value ? 1 : 0)); }
Value Emitter::zero(mlir::Type type) { return pool.get(mlir::cast<mlir::TypedAttr>(builder.getZeroAttr(type))); }

std::optional<std::int64_t> Emitter::constantOf(Value value) {
  llvm::APInt constant;
  if (mlir::matchPattern(value, mlir::m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Emitter::iadd(Value a, Value b) {
  if (constantOf(b) == 0)
    return a;
  if (constantOf(a) == 0)
    return b;
  return LLVM::AddOp::create(builder, location, a, b);
}
Value Emitter::isub(Value a, Value b) {
  if (constantOf(b) == 0)
    return a;
  return LLVM::SubOp::create(builder, location, a, b);
}
Value Emitter::imul(Value a, Value b) {
  if (constantOf(b) == 1)
    return a;
  return LLVM::MulOp::create(builder, location, a, b);
}
Value Emitter::sdiv(Value a, Value b) { return LLVM::SDivOp::create(builder, location, a, b); }
Value Emitter::srem(Value a, Value b) { return LLVM::SRemOp::create(builder, location, a, b); }
Value Emitter::udiv(Value a, Value b) { return LLVM::UDivOp::create(builder, location, a, b); }
Value Emitter::urem(Value a, Value b) { return LLVM::URemOp::create(builder, location, a, b); }
Value Emitter::iand(Value a, Value b) { return LLVM::AndOp::create(builder, location, a, b); }
Value Emitter::ior(Value a, Value b) { return LLVM::OrOp::create(builder, location, a, b); }
Value Emitter::ixor(Value a, Value b) {
  if (constantOf(b) == 0)
    return a;
  return LLVM::XOrOp::create(builder, location, a, b);
}
Value Emitter::shl(Value a, Value b) { return LLVM::ShlOp::create(builder, location, a, b); }
Value Emitter::lshr(Value a, Value b) { return LLVM::LShrOp::create(builder, location, a, b); }
Value Emitter::ashr(Value a, Value b) { return LLVM::AShrOp::create(builder, location, a, b); }
Value Emitter::smin(Value a, Value b) { return LLVM::SMinOp::create(builder, location, a, b); }
Value Emitter::smax(Value a, Value b) { return LLVM::SMaxOp::create(builder, location, a, b); }
Value Emitter::umin(Value a, Value b) { return LLVM::UMinOp::create(builder, location, a, b); }
Value Emitter::umax(Value a, Value b) { return LLVM::UMaxOp::create(builder, location, a, b); }
Value Emitter::absolute(Value a) {
  return LLVM::AbsOp::create(builder, location, a.getType(), a, builder.getBoolAttr(false));
}
Value Emitter::countOnes(Value a) { return LLVM::CtPopOp::create(builder, location, a); }

Value Emitter::icmp(Compare predicate, Value a, Value b) {
  using P = LLVM::ICmpPredicate;
  static constexpr P map[] = {P::eq, P::ne, P::slt, P::sle, P::sgt, P::sge, P::ult, P::ule, P::ugt, P::uge};
  return LLVM::ICmpOp::create(builder, location, map[static_cast<int>(predicate)], a, b);
}

Value Emitter::select(Value condition, Value a, Value b) { return LLVM::SelectOp::create(builder, location, condition, a, b); }

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value Emitter::fadd(Value a, Value b) { return LLVM::FAddOp::create(builder, location, a, b); }
Value Emitter::fsub(Value a, Value b) { return LLVM::FSubOp::create(builder, location, a, b); }
Value Emitter::fmul(Value a, Value b) { return LLVM::FMulOp::create(builder, location, a, b); }
Value Emitter::fdiv(Value a, Value b) { return LLVM::FDivOp::create(builder, location, a, b); }
Value Emitter::fma(Value a, Value b, Value c) { return LLVM::FMAOp::create(builder, location, a, b, c); }
Value Emitter::fneg(Value a) { return LLVM::FNegOp::create(builder, location, a); }
Value Emitter::fabs(Value a) { return LLVM::FAbsOp::create(builder, location, a); }
Value Emitter::sqrt(Value a) { return LLVM::SqrtOp::create(builder, location, a); }
Value Emitter::floor(Value a) { return LLVM::FFloorOp::create(builder, location, a); }
Value Emitter::ceil(Value a) { return LLVM::FCeilOp::create(builder, location, a); }
Value Emitter::rint(Value a) { return LLVM::RoundEvenOp::create(builder, location, a); }
Value Emitter::truncate(Value a) { return LLVM::FTruncOp::create(builder, location, a); }
Value Emitter::fmin(Value a, Value b) { return LLVM::MinNumOp::create(builder, location, a, b); }
Value Emitter::fmax(Value a, Value b) { return LLVM::MaxNumOp::create(builder, location, a, b); }
Value Emitter::minimum(Value a, Value b) { return LLVM::MinimumOp::create(builder, location, a, b); }
Value Emitter::maximum(Value a, Value b) { return LLVM::MaximumOp::create(builder, location, a, b); }

Value Emitter::fcmp(Compare predicate, Value a, Value b) {
  using P = LLVM::FCmpPredicate;
  static constexpr P map[] = {P::oeq, P::une, P::olt, P::ole, P::ogt, P::oge};
  assert(predicate <= Compare::Ge && "floats have no unsigned comparison");
  return LLVM::FCmpOp::create(builder, location, map[static_cast<int>(predicate)], a, b);
}
Value Emitter::unordered(Value a, Value b) {
  return LLVM::FCmpOp::create(builder, location, LLVM::FCmpPredicate::uno, a, b);
}

Value Emitter::intrinsic(llvm::StringRef name, mlir::Type result, llvm::ArrayRef<Value> operands) {
  return LLVM::CallIntrinsicOp::create(builder, location, result, builder.getStringAttr(name), operands).getResult(0);
}
Value Emitter::ex2(Value a) { return intrinsic("llvm.nvvm.ex2.approx.ftz.f", f32Type(), a); }
Value Emitter::rcp(Value a) { return NVVM::RcpApproxFtzF32Op::create(builder, location, f32Type(), a); }
Value Emitter::tanhApprox(Value a) {
  return LLVM::TanhOp::create(builder, location, f32Type(), a, LLVM::FastmathFlags::afn); // chosen by the flag
}
Value Emitter::rsqrtApprox(Value a) { return intrinsic("llvm.nvvm.rsqrt.approx.ftz.f", f32Type(), a); }

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

Value Emitter::bitcast(Value a, mlir::Type type) {
  if (a.getType() == type)
    return a;
  return LLVM::BitcastOp::create(builder, location, type, a);
}
Value Emitter::asInt(Value a) { return bitcast(a, i32Type()); }
Value Emitter::asFloat(Value a) { return bitcast(a, f32Type()); }
Value Emitter::asLong(Value a) { return bitcast(a, i64Type()); }
Value Emitter::asDouble(Value a) { return bitcast(a, f64Type()); }
/// What was rounded down or up before is so converted: one instruction instead of two, with the same result.
Value Emitter::toInt(Value a) {
  if (auto down = a.getDefiningOp<LLVM::FFloorOp>(); down && a.getType().isF32())
    return intrinsic("llvm.nvvm.f2i.rm.ftz", i32Type(), down.getIn());
  if (auto up = a.getDefiningOp<LLVM::FCeilOp>(); up && a.getType().isF32())
    return intrinsic("llvm.nvvm.f2i.rp.ftz", i32Type(), up.getIn());
  return LLVM::FPToSIOp::create(builder, location, i32Type(), a);
}
Value Emitter::toLong(Value a) { return LLVM::FPToSIOp::create(builder, location, i64Type(), a); }
Value Emitter::toFloat(Value a) { return LLVM::SIToFPOp::create(builder, location, f32Type(), a); }
Value Emitter::toDouble(Value a) { return LLVM::SIToFPOp::create(builder, location, f64Type(), a); }
Value Emitter::unsignedToFloat(Value a) { return LLVM::UIToFPOp::create(builder, location, f32Type(), a); }
Value Emitter::widen(Value a) { return LLVM::FPExtOp::create(builder, location, f64Type(), a); }
Value Emitter::narrow(Value a) { return LLVM::FPTruncOp::create(builder, location, f32Type(), a); }
Value Emitter::longToInt(Value a) { return truncateInt(a, i32Type()); }
Value Emitter::signExtend(Value a, mlir::Type type) {
  if (a.getType() == type)
    return a;
  return LLVM::SExtOp::create(builder, location, type, a);
}
Value Emitter::zeroExtend(Value a, mlir::Type type) {
  if (a.getType() == type)
    return a;
  return LLVM::ZExtOp::create(builder, location, type, a);
}
Value Emitter::truncateInt(Value a, mlir::Type type) {
  if (a.getType() == type)
    return a;
  return LLVM::TruncOp::create(builder, location, type, a);
}

Value Emitter::pack(mlir::Type element, Value low, Value high) {
  mlir::Type pair = mlir::VectorType::get({2}, element);
  auto nearest = NVVM::FPRoundingMode::RN;
  auto saturation = NVVM::SaturationMode::NONE;
  Value packed;
  if (element.isBF16())
    packed = NVVM::ConvertF32x2ToBF16x2Op::create(builder, location, pair, high, low, Value(), nearest, saturation, false);
  else
    packed = NVVM::ConvertF32x2ToF16x2Op::create(builder, location, pair, high, low, Value(), nearest, saturation, false);
  return bitcast(packed, i32Type());
}

Value Emitter::unpackRaw(mlir::Type element, Value packed, int part) {
  Value half = part == 0 ? packed : lshr(packed, i32(16));
  return bitcast(truncateInt(half, i16Type()), element);
}

Value Emitter::unpack(mlir::Type element, Value packed, int part) {
  if (element.isBF16()) // the upper half of the f32 of the same value
    return asFloat(part == 0 ? shl(packed, i32(16)) : iand(packed, i32(0xffff0000)));
  return extendHalf(unpackRaw(element, packed, part));
}

Value Emitter::fmaPacked(mlir::Type element, Value a, Value b, Value c) {
  auto halves = mlir::VectorType::get(2, element);
  return bitcast(fma(bitcast(a, halves), bitcast(b, halves), bitcast(c, halves)), i32Type());
}

Value Emitter::packRaw(Value low, Value high) {
  Value wideLow = zeroExtend(bitcast(low, i16Type()), i32Type());
  Value wideHigh = zeroExtend(bitcast(high, i16Type()), i32Type());
  return ior(wideLow, shl(wideHigh, i32(16)));
}

Value Emitter::extendHalf(Value a) {
  if (a.getType().isBF16())
    return asFloat(shl(zeroExtend(bitcast(a, i16Type()), i32Type()), i32(16)));
  return LLVM::FPExtOp::create(builder, location, f32Type(), a);
}

/// Both formats are cut-off halves: e5m2 is the upper byte of an f16; e4m3 has its exponent bias 8 lower, so its bits, moved
/// under f16's, are the value divided by 2^8. The one encoding that differs is e4m3's NaN, all exponent and mantissa bits set.
Value Emitter::decodeFloat8(Value bits, bool e5m2) {
  mlir::Type half = builder.getF16Type();
  Value wide = iand(bits, i32(0xff));
  if (e5m2)
    return extendHalf(bitcast(truncateInt(shl(wide, i32(8)), i16Type()), half));
  Value magnitude = iand(wide, i32(0x7f));
  Value moved = ior(shl(iand(wide, i32(0x80)), i32(8)), shl(magnitude, i32(7)));
  Value value = fmul(extendHalf(bitcast(truncateInt(moved, i16Type()), half)), f32(256.0));
  return select(ieq(magnitude, i32(0x7f)), f32(std::numeric_limits<double>::quiet_NaN()), value);
}

} // namespace attn::codegen
