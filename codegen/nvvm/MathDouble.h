// Algorithms of functions on f64, in the manner of MathAlgorithms.h, beside the `…Exact` forms there. No approximate
// instruction. Polynomials: interpolation in Chebyshev nodes, the bound in the comment being that of the polynomial; errors of
// the whole in docs/numerics.md.
#pragma once

#include "codegen/nvvm/MathAlgorithms.h"

namespace attn::codegen::math {

/// 2^x for x ≤ 1023; 0 below -1023, NaN for NaN. A number beside 1.5 · 2^52 is rounded to an integer, whose low bits are then
/// added to an exponent; of -1023 itself nothing but zeros is left.
template <class Ops, class V> V exp2OfWeight(Ops &o, V x) {
  // (2^f - 1)/f on [-1/2, 1/2], 1.7e-19
  static constexpr std::array<double, 12> c = {
      0.69314718055994530925,   0.24022650695910071233,     0.055504108664821627039,  0.0096181291076284794928,
      0.0013333558146406470697, 0.00015403530393370733411,  0.000015252733841556772589, 1.321548680870556279e-6,
      1.0178057087733941105e-7, 7.0548973041554992774e-9,   4.455817908336064493e-10, 2.5729324177362304214e-11};
  static constexpr double beside = 0x1.8p52;
  V clamped = o.select(o.flt(x, o.f64(-1023.0)), o.f64(-1023.0), x);
  V integer = o.fadd(clamped, o.f64(beside));
  V f = o.fsub(clamped, o.fsub(integer, o.f64(beside)));
  V p = o.fma(polynomial(o, f, doubles(o), c), f, o.f64(1.0));
  return o.asDouble(o.iadd(o.asLong(p), o.shl(o.asLong(integer), o.i64(52))));
}

/// e^x where |x| < 708; 0 below, ∞ above. x as n ln 2 + r, the exponent as in `exp2OfWeight`.
template <class Ops, class V> V expDouble(Ops &o, V x) {
  // (e^r - 1 - r)/r² on [-ln 2 / 2, ln 2 / 2], 1.8e-20
  static constexpr std::array<double, 12> c = {
      0.49999999999999999998,   0.16666666666666666667,     0.041666666666666676774,   0.008333333333333334007,
      0.0013888888888879073994, 0.00019841269841263299129,  0.000024801587336442237861, 2.7557319247218730776e-6,
      2.7557263279088496905e-7, 2.5052071094293546753e-8,   2.0918137737642736429e-9,  1.6086627956780368844e-10};
  static constexpr double beside = 0x1.8p52, most = 708.0;
  V zero = o.f64(0.0);
  V integer = o.fma(x, o.f64(kLog2E), o.f64(beside));
  V n = o.fsub(integer, o.f64(beside));
  V r = o.fma(n, o.f64(-1.9082149292705877e-10), o.fma(n, o.f64(-0.69314718036912381649), x));
  V p = o.fadd(o.fma(o.fmul(r, r), polynomial(o, r, doubles(o), c), r), o.f64(1.0));
  V power = o.asDouble(o.iadd(o.asLong(p), o.shl(o.asLong(integer), o.i64(52))));
  V edge = o.select(o.flt(x, zero), zero, o.select(o.flt(zero, x), o.f64(kInfinity), x));
  return o.select(o.flt(o.fabs(x), o.f64(most)), power, edge);
}

/// Odd polynomial near 0, 1 - 2/(e^2x + 1) beyond.
template <class Ops, class V> V tanhDouble(Ops &o, V x) {
  // (tanh(√z)/√z - 1)/z on [0, 0.3025], 6.5e-21
  static constexpr std::array<double, 13> c = {
      -0.33333333333333333333,  0.13333333333333332612,    -0.053968253968252629996,  0.021869488536057545266,   -0.0088632355261935669705,
      0.0035921279525916010399, -0.0014558331632523268668, 0.00059001544820398743354, -0.00023904824216813198676, 0.000096537711954963359023,
      -0.000038069134199441373872, 0.000013343110444710785341, -3.0095084486657237046e-6};
  V magnitude = o.fabs(x);
  V z = o.fmul(x, x);
  V near = o.fma(o.fmul(polynomial(o, z, doubles(o), c), z), x, x);
  V power = expDouble(o, o.fmul(magnitude, o.f64(2.0)));
  V far = o.fsub(o.f64(1.0), o.fdiv(o.f64(2.0), o.fadd(power, o.f64(1.0))));
  V signedFar = o.select(o.flt(x, o.f64(0.0)), o.fneg(far), far);
  return o.select(o.flt(magnitude, o.f64(0.55)), near, signedFar);
}

/// Odd polynomial to 1, 1 - 2^(log2 erfc) to 6, then 1.
template <class Ops, class V> V erfDouble(Ops &o, V x) {
  // erf(√z)/√z on [0, 1], 3.4e-23;  log2 erfc(3.5 + 2.5 t) on [-1, 1], 3e-17
  static constexpr std::array<double, 15> c = {
      1.1283791670955125739,     -0.37612638903183752462, 0.11283791670955125626,     -0.026866170645131218518,  0.0052239776254416740139,
      -0.00085483270234030006089, 0.00012055332978879483867, -0.000014925650236967501742, 1.6462110782018636387e-6, -1.6365768648832072118e-7,
      1.4806027146128751663e-8,  -1.2277734486795523848e-9, 9.3237235181530266337e-11,  -6.1967364287876999834e-12, 2.8067128195611262471e-13};
  static constexpr std::array<double, 26> d = {
      -20.359943454935096069,    -26.206914606849498174,    -8.7170614865054476522,    -0.11779736253394144211,   0.049236889418015089258,
      -0.020752516542040414034,  0.0085893799263183650249,  -0.0034249540973246990802, 0.0012891584666871965078,  -0.0004440898032718295158,
      0.00013114257143529689345, -0.000026652848663751335296, -2.1328755254686503846e-6, 6.5864675147797252568e-6, -4.9335079608233531356e-6,
      2.7687433095036369531e-6,  -1.3241019497843259804e-6, 5.5185258660907580979e-7,  -1.8564330685766304573e-7, 4.0346949435605484354e-8,
      -4.3879264679400404595e-9, -1.3926083054341399518e-9, 7.0130835690561622273e-9,  -7.4950326341086928293e-9, 3.1597684476128319514e-9,
      -4.6828467172122765857e-10};
  V magnitude = o.fabs(x);
  V near = o.fmul(polynomial(o, o.fmul(x, x), doubles(o), c), x);
  V bounded = o.select(o.flt(magnitude, o.f64(6.0)), magnitude, o.f64(6.0));
  V t = o.fma(bounded, o.f64(0.4), o.f64(-1.4));
  V far = o.fsub(o.f64(1.0), exp2OfWeight(o, polynomial(o, t, doubles(o), d)));
  V signedFar = o.select(o.flt(x, o.f64(0.0)), o.fneg(far), far);
  V result = o.select(o.flt(magnitude, o.f64(1.0)), near, signedFar);
  return o.select(o.feq(x, x), result, x);
}

/// sin and cos of an angle in radians, for less than 2^31 quarter turns: π/2 in three parts, then polynomials and the
/// quadrant's exchange and signs.
template <class Ops, class V> SineCosine<V> sineCosineDouble(Ops &o, V x) {
  // (sin(√z)/√z - 1)/z, 1.3e-20;  (cos √z - 1 + z/2)/z², 7.4e-22
  static constexpr std::array<double, 7> c = {-0.16666666666666666665,   0.00833333333333333126,     -0.00019841269841264568477, 2.7557319218956731749e-6,
                                              -2.5052106100926673184e-8, 1.6058510979535350536e-10, -7.5854925078212397552e-13};
  static constexpr std::array<double, 7> d = {0.041666666666666666666,  -0.0013888888888888887736,  0.000024801587301584370404, -2.75573192211901992e-7,
                                              2.0876755717957294132e-9, -1.1470449412409709722e-11, 4.7452021557023590291e-14};
  V n = o.rint(o.fmul(x, o.f64(0.63661977236758134308)));
  V r = o.fma(n, o.f64(-6.123233995736766036e-17), o.fma(n, o.f64(-1.5707963267948965580), x));
  r = o.fma(n, o.f64(1.4973849048591698e-33), r);
  auto quadrant = o.toInt(n);
  V z = o.fmul(r, r);
  V sine = o.fma(o.fmul(polynomial(o, z, doubles(o), c), z), r, r);
  V cosine = o.fma(o.fmul(z, z), polynomial(o, z, doubles(o), d), o.fma(z, o.f64(-0.5), o.f64(1.0)));
  auto odd = o.ieq(o.iand(quadrant, o.i32(1)), o.i32(1));
  V first = o.select(odd, cosine, sine), second = o.select(odd, sine, cosine);
  // sine is negative in quadrants 2, 3, cosine in 1, 2
  auto isSineNegative = o.ieq(o.iand(quadrant, o.i32(2)), o.i32(2));
  auto isCosineNegative = o.ieq(o.iand(o.iadd(quadrant, o.i32(1)), o.i32(2)), o.i32(2));
  return {o.select(isSineNegative, o.fneg(first), first), o.select(isCosineNegative, o.fneg(second), second)};
}

} // namespace attn::codegen::math
