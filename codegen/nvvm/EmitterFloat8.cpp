// Conversions of e4m3 and e5m2, two numbers at a time, in instructions that every target has.
//
// Both formats are a sign, exponent and mantissa cut off earlier than those of f16 and bf16. Moved under the exponent of the
// wider format the bits are the number divided by a power of two, with which it is multiplied; that normalises subnormal
// numbers too. Only what has the largest exponent differs: of e4m3 one pattern, NaN; of e5m2 in bf16 infinities and NaN (in
// f16 it is the upper byte as it is). There the exponent of the product lacks some upper bits, which are set:
//
//   from, to      shift    times     all ones of the exponent come as   bits to set
//   e4m3, f16       1      2^8       480 = 0x5f80 (NaN)                 0x2000
//   e4m3, bf16      4      2^120     480 = 0x43f0 (NaN)                 0x3c00
//   e5m2, bf16      3      2^112     65536 = 0x4780 | mantissa          0x3800
#include "codegen/nvvm/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <fmt/format.h>

namespace attn::codegen {

namespace LLVM = mlir::LLVM;
using mlir::Value;

namespace {
/// Numbers of the table above, for both halves of a register.
struct Widening {
  int shift;
  std::int64_t magnitude; ///< the bits below the sign, moved
  std::int64_t factor;    ///< the power of two
  std::int64_t step;      ///< added to a magnitude without meaning as a number, sets the bit `carry` and no other magnitude does
  std::int64_t carry;     ///< that bit, moved right by one
  std::int64_t spread;    ///< times `carry` gives the bits to set
};

constexpr std::int64_t both(std::int64_t half) { return half << 16 | half; }
} // namespace

static Widening wideningOf(mlir::Type from, mlir::Type to) {
  if (to.isF16())
    return {1, both(0x3f80), both(0x5c00), both(0x0080), both(0x2000), 1};
  if (mlir::isa<mlir::Float8E4M3FNType>(from))
    return {4, both(0x07f0), both(0x7b80), both(0x0010), both(0x0400), 15};
  return {3, both(0x0fe0), both(0x7780), both(0x0080), both(0x0800), 7};
}

/// A register of results from an instruction without side effects. Spelled out where LLVM's own form would flush subnormals.
Value Emitter::pureAssembly(llvm::StringRef text, llvm::StringRef constraints, llvm::ArrayRef<Value> operands, mlir::Type result) {
  return LLVM::InlineAsmOp::create(builder, location, result, operands, text, constraints, /*has_side_effects=*/false,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT), mlir::ArrayAttr())
      .getRes();
}

/// Bytes 2·half and 2·half + 1 as the upper bytes of the two halves.
Value Emitter::placeFloat8(Value word, int half) {
  return intrinsic("llvm.nvvm.prmt", i32Type(), {word, i32(0), i32(half == 0 ? 0x1404 : 0x3424)});
}

Value Emitter::widenFiniteFloat8(mlir::Type from, mlir::Type to, Value word, int half) {
  Value placed = placeFloat8(word, half);
  if (mlir::isa<mlir::Float8E5M2Type>(from) && to.isF16())
    return placed;
  Widening form = wideningOf(from, to);
  Value magnitude = iand(lshr(placed, i32(form.shift)), i32(form.magnitude));
  Value moved = ior(iand(placed, i32(both(0x8000))), magnitude);
  if (to.isF16())
    return pureAssembly("mul.f16x2 $0, $1, $2;", "=r,r,r", {moved, i32(form.factor)}, i32Type());
  return pureAssembly("fma.rn.bf16x2 $0, $1, $2, $3;", "=r,r,r,r", {moved, i32(form.factor), i32(both(0x8000))}, i32Type());
}

Value Emitter::widenFloat8(mlir::Type from, mlir::Type to, Value word, int half) {
  Value number = widenFiniteFloat8(from, to, word, half);
  if (mlir::isa<mlir::Float8E5M2Type>(from) && to.isF16())
    return number;
  Widening form = wideningOf(from, to);
  Value magnitude = iand(lshr(placeFloat8(word, half), i32(form.shift)), i32(form.magnitude));
  Value carried = iand(lshr(iadd(magnitude, i32(form.step)), i32(1)), i32(form.carry));
  return ior(number, imul(carried, i32(form.spread)));
}

Value Emitter::convertFloat8(mlir::Type from, Value word, int half) {
  Value pair = truncateInt(half == 0 ? word : lshr(word, i32(16)), i16Type());
  const char *text = mlir::isa<mlir::Float8E4M3FNType>(from) ? "cvt.rn.f16x2.e4m3x2 $0, $1;" : "cvt.rn.f16x2.e5m2x2 $0, $1;";
  return pureAssembly(text, "=r,h", {pair}, i32Type());
}

/// From the least magnitude without meaning as a number on, adding what is missing to 128 carries into the sign's bit.
Value Emitter::notFiniteFloat8(mlir::Type from, Value word) {
  std::int64_t missing = mlir::isa<mlir::Float8E4M3FNType>(from) ? 0x01010101 : 0x04040404;
  return iand(iadd(iand(word, i32(0x7f7f7f7f)), i32(missing)), i32(0x80808080));
}

/// The magnitude of an f32 is rounded in its bits, to even; below the smallest normal number an addition rounds it to a
/// multiple of the distance of subnormal ones, whose count is left in the lowest bits of the sum.
Value Emitter::narrowToFloat8(mlir::Type element, Value number) {
  bool e5m2 = mlir::isa<mlir::Float8E5M2Type>(element);
  int cut = e5m2 ? 21 : 20;
  std::int64_t bias = e5m2 ? 112 << 2 : 120 << 3;
  double largest = e5m2 ? 57344 : 448, smallest = e5m2 ? 0x1p-14 : 0x1p-6, aligner = e5m2 ? 0x1p7 : 0x1p14;
  Value bits = asInt(number), magnitude = iand(bits, i32(0x7fffffff));
  Value isNan = icmp(Compare::UnsignedGt, magnitude, i32(0x7f800000));
  Value clamped = umin(magnitude, asInt(f32(largest)));
  Value odd = iand(lshr(clamped, i32(cut)), i32(1));
  Value rounded = iadd(iadd(clamped, i32((1 << (cut - 1)) - 1)), odd);
  Value normal = isub(lshr(rounded, i32(cut)), i32(bias));
  Value subnormal = isub(asInt(fadd(asFloat(clamped), f32(aligner))), asInt(f32(aligner)));
  Value code = select(icmp(Compare::UnsignedLt, clamped, asInt(f32(smallest))), subnormal, normal);
  return ior(select(isNan, i32(0x7f), code), iand(lshr(bits, i32(24)), i32(0x80)));
}

Value Emitter::packFloat8(mlir::Type element, Value low, Value high) {
  return ior(narrowToFloat8(element, low), shl(narrowToFloat8(element, high), i32(8)));
}

Value Emitter::packFloat8(mlir::Type element, llvm::ArrayRef<Value> four) {
  std::string convert = fmt::format("cvt.rn.satfinite.{}x2.f32", spellFloat8(element));
  std::string text = fmt::format("{{ .reg .b16 l, h; {0} l, $2, $1; {0} h, $4, $3; mov.b32 $0, {{l, h}}; }}", convert);
  return pureAssembly(text, "=r,f,f,f,f", four, i32Type());
}

Value Emitter::permuteBytes(Value low, Value high, Value selector) {
  return intrinsic("llvm.nvvm.prmt", i32Type(), {low, high, selector});
}

const char *spellFloat8(mlir::Type element) { return mlir::isa<mlir::Float8E4M3FNType>(element) ? "e4m3" : "e5m2"; }

llvm::SmallVector<Value> Emitter::mmaFloat8(mlir::Type left, mlir::Type right, llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b,
                                            llvm::ArrayRef<Value> c) {
  llvm::SmallVector<Value> operands(a);
  operands.append(b.begin(), b.end());
  operands.append(c.begin(), c.end());
  std::string text = fmt::format("mma.sync.aligned.m16n8k32.row.col.f32.{}.{}.f32 {{$0,$1,$2,$3}}, {{$4,$5,$6,$7}}, {{$8,$9}}, {{$10,$11,$12,$13}};",
                                 spellFloat8(left), spellFloat8(right));
  return assembly(text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", operands, llvm::SmallVector<mlir::Type>(4, f32Type()));
}

} // namespace attn::codegen
