// The mathematical functions of generated code, once, without libdevice. Accuracy: docs/numerics.md.
//
// Each function is a template over `Ops`, the vocabulary of instructions: `Emitter` writes the LLVM dialect, the unit tests
// compute on the host. `Ops` names operations after instructions and is overloaded on the operand's type (f32, f64, i32, i64,
// bool); `ex2`, `rcp`, `rsqrtApprox` are the approximate instructions of the special function unit (f32, 1 to 2 ulp).
//
// f32 functions flush denormals, as the kernels do. The `…Exact` forms (f64) use no approximate instruction: they serve
// what feeds an integer, a mask, a position or an angle.
// Polynomials: interpolation in Chebyshev nodes, the bound in the comment being that of the polynomial.
#pragma once

#include <array>
#include <limits>

namespace attn::codegen::math {

inline constexpr double kLn2 = 0.69314718055994530942;
inline constexpr double kLog2E = 1.44269504088896340736;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// c[0] + x·(c[1] + x·(…)), coefficients made by `constant`.
template <class Ops, class V, class Constant, std::size_t N>
auto polynomial(Ops &o, V x, Constant constant, const std::array<double, N> &c) {
  auto sum = constant(c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;)
    sum = o.fma(sum, x, constant(c[i]));
  return sum;
}

template <class Ops> auto singles(Ops &o) {
  return [&o](double value) { return o.f32(value); };
}
template <class Ops> auto doubles(Ops &o) {
  return [&o](double value) { return o.f64(value); };
}

//===----------------------------------------------------------------------===//
// Exponentials, f32
//===----------------------------------------------------------------------===//

template <class Ops, class V> V exp2(Ops &o, V x) { return o.ex2(x); }

/// 2^x on the FMA units, for x ≤ 126; 0 below -126.5, NaN for NaN. Balances the special function unit (`emulate`). A number
/// beside 1.5 · 2^23 is rounded to an integer, whose low bits, 127 more than its own, then are an exponent.
template <class Ops, class V> V exp2OnFma(Ops &o, V x) {
  // (2^f - 1)/f on [-1/2, 1/2]; 2^f: 1.3e-7
  static constexpr std::array<double, 6> c = {1.0, 0.69314718055994530942, 0.2402218932624969213,
                                              0.055503652125207946596, 0.0096737138061573348088, 0.0013388569616435059224};
  static constexpr double beside = 0x1.8p23 + 127;
  V clamped = o.maximum(x, o.f32(-127.0));
  V integer = o.fadd(clamped, o.f32(beside));
  V f = o.fsub(clamped, o.fsub(integer, o.f32(beside)));
  return o.fmul(polynomial(o, f, singles(o), c), o.asFloat(o.shl(o.asInt(integer), o.i32(23))));
}

/// e^x: the rounding error of x·log2 e is put back to first order.
template <class Ops, class V> V exp(Ops &o, V x) {
  static constexpr double high = 1.44269502162933349609375;
  V t = o.fmul(x, o.f32(high));
  V power = o.ex2(t);
  V error = o.fma(x, o.f32(kLog2E - high), o.fma(x, o.f32(high), o.fneg(t)));
  V corrected = o.fma(power, o.fmul(error, o.f32(kLn2)), power);
  return o.select(o.land(o.flt(o.f32(0.0), power), o.flt(power, o.f32(kInfinity))), corrected, power);
}

template <class Ops, class V> V sigmoid(Ops &o, V x) { return o.rcp(o.fadd(exp(o, o.fneg(x)), o.f32(1.0))); }

/// -1/(1 + e), e ≥ 0, to 2^-24 of 1: `tanh` as 1 + 2 · this, where its absolute error counts.
template <class Ops, class V> V negatedLogistic(Ops &o, V e) { return o.rcp(o.fsub(o.f32(-1.0), e)); }

/// The same of four by one reciprocal: that of their product, which must be a number of f32. So what is beyond 2^30 counts as that;
/// a NaN spreads.
template <class Ops, class V> std::array<V, 4> negatedLogistics(Ops &o, std::array<V, 4> e) {
  for (V &each : e)
    each = o.minimum(each, o.f32(0x1p30));
  V a = o.fsub(o.f32(-1.0), e[0]), c = o.fsub(o.f32(-1.0), e[2]);
  V ab = o.fma(a, e[1], a), cd = o.fma(c, e[3], c); // each below 0, their product above
  V all = o.rcp(o.fmul(ab, cd));
  V ofAb = o.fmul(all, cd), ofCd = o.fmul(all, ab);
  return {o.fma(ofAb, e[1], ofAb), o.fma(ofAb, e[0], ofAb), o.fma(ofCd, e[3], ofCd), o.fma(ofCd, e[2], ofCd)};
}

/// Odd polynomial near 0, 1 - 2/(e^2x + 1) beyond.
template <class Ops, class V> V tanh(Ops &o, V x) {
  // (tanh(√z)/√z - 1)/z on [0, 0.36], 1.1e-9
  static constexpr std::array<double, 6> c = {-0.33333333231207925002, 0.13333312866861799196,   -0.05396155178134269078,
                                              0.02178832199710852028,  -0.0084100708015307336142, 0.0023707656404977850108};
  V magnitude = o.fabs(x);
  V z = o.fmul(x, x);
  V near = o.fma(o.fmul(polynomial(o, z, singles(o), c), z), x, x);
  V power = o.ex2(o.fmul(magnitude, o.f32(2 * kLog2E)));
  V far = o.fma(o.rcp(o.fadd(power, o.f32(1.0))), o.f32(-2.0), o.f32(1.0));
  V signedFar = o.select(o.flt(x, o.f32(0.0)), o.fneg(far), far);
  return o.select(o.flt(magnitude, o.f32(0.6)), near, signedFar);
}

/// Odd polynomial to 1, 1 - 2^(log2 erfc) to 4.1, then 1.
template <class Ops, class V> V erf(Ops &o, V x) {
  // erf(√z)/√z on [0, 1], 3.4e-11;  log2 erfc(x) on [1, 4.1], 1.5e-8
  static constexpr std::array<double, 8> c = {1.1283791670615434152,   -0.37612638468028710398,   0.1128378249523684454,
                                              -0.026865430727670242887, 0.0052210318078580227785, -0.00084840805354051060493,
                                              0.00011265959025606607342, -9.6670445714869920723e-6};
  static constexpr std::array<double, 10> d = {0.00062487332706248798266, -1.6313291860335685251,    -0.91005862424598355681,
                                               -0.16045499358736075573,   0.039259280367334938203,  -0.0073799148752200338925,
                                               0.0010105245087317257127,  -0.000093702231932435228782,
                                               5.1875143439574381543e-6,  -1.2715157983010267246e-7};
  V magnitude = o.fabs(x);
  V near = o.fmul(polynomial(o, o.fmul(x, x), singles(o), c), x);
  V bounded = o.select(o.flt(magnitude, o.f32(4.1)), magnitude, o.f32(4.1));
  V far = o.fsub(o.f32(1.0), o.ex2(polynomial(o, bounded, singles(o), d)));
  V signedFar = o.select(o.flt(x, o.f32(0.0)), o.fneg(far), far);
  V result = o.select(o.flt(magnitude, o.f32(1.0)), near, signedFar);
  return o.select(o.feq(x, x), result, x);
}

//===----------------------------------------------------------------------===//
// Logarithms, f32
//===----------------------------------------------------------------------===//

/// x = 2^exponent · (1 + r), 1 + r in [√½, √2), with ln(1 + r) = r + tail.
template <class V> struct SplitLogarithm {
  V exponent, r, tail;
};

template <class Ops, class V> SplitLogarithm<V> splitLogarithm(Ops &o, V x) {
  // (ln(1 + r) - r + r²/2)/r³ on [√½ - 1, √2 - 1], 3e-8
  static constexpr std::array<double, 9> c = {0.33333331180030048052,  -0.24999996957950882045, 0.20000715748892101743,
                                              -0.16667802319501254074, 0.14249057645697480404,  -0.12425687331451106113,
                                              0.11685419923486739308,  -0.11479733846637635556, 0.069716114714511778317};
  auto bits = o.asInt(x);
  auto exponent = o.ashr(o.isub(bits, o.i32(0x3f3504f3)), o.i32(23));
  V m = o.asFloat(o.isub(bits, o.shl(exponent, o.i32(23))));
  V r = o.fsub(m, o.f32(1.0));
  V square = o.fmul(r, r);
  V tail = o.fma(o.fmul(square, r), polynomial(o, r, singles(o), c), o.fmul(square, o.f32(-0.5)));
  return {o.toFloat(exponent), r, tail};
}

/// `result` where x is positive and finite; else what a logarithm gives for 0, ∞, negative numbers and NaN.
template <class Ops, class V, class Constant> V logarithmEdges(Ops &o, V x, V result, Constant constant) {
  V zero = constant(0.0), infinity = constant(kInfinity);
  V edge = o.select(o.feq(x, zero), constant(-kInfinity), o.select(o.feq(x, infinity), x, constant(kNaN)));
  return o.select(o.land(o.flt(zero, x), o.flt(x, infinity)), result, edge);
}

template <class Ops, class V> V log2(Ops &o, V x) {
  static constexpr double high = 1.44269502162933349609375;
  auto [exponent, r, tail] = splitLogarithm(o, x);
  V low = o.fma(tail, o.f32(kLog2E), o.fmul(r, o.f32(kLog2E - high)));
  return logarithmEdges(o, x, o.fadd(exponent, o.fma(r, o.f32(high), low)), singles(o));
}

template <class Ops, class V> V log(Ops &o, V x) {
  static constexpr double high = 0.693145751953125; // 16 bits: exponent · high is exact
  auto [exponent, r, tail] = splitLogarithm(o, x);
  V low = o.fma(exponent, o.f32(kLn2 - high), tail);
  return logarithmEdges(o, x, o.fma(exponent, o.f32(high), o.fadd(r, low)), singles(o));
}

//===----------------------------------------------------------------------===//
// Exact forms, f64
//===----------------------------------------------------------------------===//

template <class Ops, class V> V exp2Exact(Ops &o, V x) {
  // (2^f - 1)/f on [-1/2, 1/2], 1.7e-19
  static constexpr std::array<double, 12> c = {
      0.69314718055994530925,   0.24022650695910071233,     0.055504108664821627039,  0.0096181291076284794928,
      0.0013333558146406470697, 0.00015403530393370733411,  0.000015252733841556772589, 1.321548680870556279e-6,
      1.0178057087733941105e-7, 7.0548973041554992774e-9,   4.455817908336064493e-10, 2.5729324177362304214e-11};
  V bounded = o.select(o.flt(o.fabs(x), o.f64(1022.0)), x, o.f64(0.0));
  V n = o.rint(bounded);
  V f = o.fsub(bounded, n);
  V p = o.fma(polynomial(o, f, doubles(o), c), f, o.f64(1.0));
  V scaled = o.asDouble(o.iadd(o.asLong(p), o.shl(o.toLong(n), o.i64(52))));
  V edge = o.select(o.flt(x, o.f64(0.0)), o.f64(0.0), o.select(o.flt(o.f64(0.0), x), o.f64(kInfinity), x));
  return o.select(o.flt(o.fabs(x), o.f64(1022.0)), scaled, edge);
}

template <class Ops, class V> V expExact(Ops &o, V x) {
  // x·log2 e as integer plus remainder: the remainder from ln 2 in two parts
  V n = o.rint(o.fmul(x, o.f64(kLog2E)));
  V r = o.fma(n, o.f64(-1.9082149292705877e-10), o.fma(n, o.f64(-0.69314718036912381649), x));
  V t = o.fma(r, o.f64(kLog2E), n);
  V corrected = exp2Exact(o, t);
  // t lost the low bits of r·log2 e: put them back to first order
  V lost = o.fma(r, o.f64(kLog2E), o.fsub(n, t));
  V result = o.fma(corrected, o.fmul(lost, o.f64(kLn2)), corrected);
  return o.select(o.flt(o.fabs(x), o.f64(700.0)), result, corrected);
}

/// ln x in parts: exponent and ln of the significand.
template <class Ops, class V> std::pair<V, V> splitLogarithmExact(Ops &o, V x) {
  // (ln((1+√z)/(1-√z)) - 2√z)/z^1.5 on [0, 0.0295], 2.1e-18
  static constexpr std::array<double, 8> c = {0.66666666666666666465, 0.40000000000000876983, 0.28571428570803611811,
                                              0.22222222391713917442, 0.18181795640132906271, 0.15386239702814658418,
                                              0.13268773138656879976, 0.13086626147840149347};
  auto bits = o.asLong(x);
  auto exponent = o.ashr(o.isub(bits, o.i64(0x3fe6a09e667f3bcdLL)), o.i64(52));
  V m = o.asDouble(o.isub(bits, o.shl(exponent, o.i64(52))));
  V r = o.fsub(m, o.f64(1.0));
  V s = o.fdiv(r, o.fadd(m, o.f64(1.0)));
  V z = o.fmul(s, s);
  // ln m = r - s·(r - z·P(z)), accurate near m = 1
  V tail = o.fmul(s, o.fsub(r, o.fmul(z, polynomial(o, z, doubles(o), c))));
  return {o.toDouble(exponent), o.fsub(r, tail)};
}

template <class Ops, class V> V logExact(Ops &o, V x) {
  auto [exponent, tail] = splitLogarithmExact(o, x);
  V low = o.fma(exponent, o.f64(1.9082149292705877e-10), tail);
  return logarithmEdges(o, x, o.fma(exponent, o.f64(0.69314718036912381649), low), doubles(o));
}

template <class Ops, class V> V log2Exact(Ops &o, V x) {
  auto [exponent, tail] = splitLogarithmExact(o, x);
  return logarithmEdges(o, x, o.fma(tail, o.f64(kLog2E), exponent), doubles(o));
}

/// x^y in f64, to about 2^-44 where the result is within the range of f32.
template <class Ops, class V> V powExact(Ops &o, V x, V y) {
  V zero = o.f64(0.0), one = o.f64(1.0), half = o.f64(0.5);
  V power = exp2Exact(o, o.fmul(y, log2Exact(o, o.fabs(x))));
  V halved = o.fmul(y, half);
  auto isInteger = o.feq(o.rint(y), y);
  auto isEven = o.feq(o.rint(halved), halved);
  V signedPower = o.select(isInteger, o.select(isEven, power, o.fneg(power)), o.f64(kNaN));
  V result = o.select(o.flt(x, zero), signedPower, power);
  V atZero = o.select(o.flt(y, zero), o.f64(kInfinity), zero);
  result = o.select(o.feq(x, zero), atZero, result);
  return o.select(o.feq(y, zero), one, result);
}

//===----------------------------------------------------------------------===//
// Angles
//===----------------------------------------------------------------------===//

template <class V> struct SineCosine {
  V sine, cosine;
};

/// sin and cos of quadrant·π/2 + r, |r| ≤ π/4: polynomials, then the quadrant's exchange and signs.
template <class Ops, class V, class I> SineCosine<V> sineCosineReduced(Ops &o, I quadrant, V r) {
  // (sin(√z)/√z - 1)/z, 2.8e-11;  (cos √z - 1 + z/2)/z², 2.4e-12
  static constexpr std::array<double, 4> c = {-0.16666666663855289533, 0.0083333318747102087715, -0.00019840086735384840236,
                                              2.7249925803059295698e-6};
  static constexpr std::array<double, 4> d = {0.041666666664321203341, -0.0013888887672016790038, 0.000024800600377156723545,
                                              -2.7300959203901055598e-7};
  V z = o.fmul(r, r);
  V sine = o.fma(o.fmul(polynomial(o, z, singles(o), c), z), r, r);
  V cosine = o.fma(o.fmul(z, z), polynomial(o, z, singles(o), d), o.fma(z, o.f32(-0.5), o.f32(1.0)));
  auto odd = o.ieq(o.iand(quadrant, o.i32(1)), o.i32(1));
  V first = o.select(odd, cosine, sine), second = o.select(odd, sine, cosine);
  // sine is negative in quadrants 2, 3, cosine in 1, 2
  auto sineSign = o.shl(o.iand(quadrant, o.i32(2)), o.i32(30));
  auto cosineSign = o.shl(o.iand(o.iadd(quadrant, o.i32(1)), o.i32(2)), o.i32(30));
  return {o.asFloat(o.ixor(o.asInt(first), sineSign)), o.asFloat(o.ixor(o.asInt(second), cosineSign))};
}

/// sin and cos, in f32, of an f64 angle in radians. π/2 in two parts: exact enough for |x| < 2^31 quarter turns.
template <class Ops, class V> auto sineCosineOfWide(Ops &o, V x) {
  auto n = o.rint(o.fmul(x, o.f64(0.63661977236758134308)));
  auto r = o.fma(n, o.f64(-6.123233995736766036e-17), o.fma(n, o.f64(-1.5707963267948965580), x));
  return sineCosineReduced(o, o.longToInt(o.toLong(n)), o.narrow(r));
}

/// sin and cos of an f32 angle in radians.
template <class Ops, class V> SineCosine<V> sineCosine(Ops &o, V radians) {
  return sineCosineOfWide(o, o.widen(radians));
}

/// sin and cos of position · (high + low) quarter turns: exact reduction with two fma. With `rest`, what the position has
/// beyond f32, a third adds rest · high.
template <class Ops, class V> SineCosine<V> sineCosineOfProduct(Ops &o, V position, V high, V low, const V *rest = nullptr) {
  V n = o.rint(o.fmul(position, high));
  V f = o.fma(position, low, o.fma(position, high, o.fneg(n)));
  if (rest)
    f = o.fma(*rest, high, f);
  return sineCosineReduced(o, o.toInt(n), o.fmul(f, o.f32(1.57079632679489661923)));
}

} // namespace attn::codegen::math
