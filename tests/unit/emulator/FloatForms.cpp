// f32 and f64 arithmetic (PTX ISA 9.7.3): exact where the ISA says IEEE 754, within its error bound where it says approximate.
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"

#include <cmath>

namespace attn::emulator::testing {

using oracle::Format;
using oracle::Mode;

static const Format &formatOf(const std::string &type) { return type == "f64" ? oracle::kF64 : oracle::kF32; }

static Mode modeOf(const Opcode &op) {
  return op.has("rz") ? Mode::Zero : op.has("rm") ? Mode::Down : op.has("rp") ? Mode::Up : Mode::Nearest;
}

static Word input(const Opcode &op, Word bits) { return op.has("ftz") ? oracle::flushed(formatOf(op.type()), bits) : bits; }

/// `.ftz` and `.sat` on a rounded result. NaNs of f32 are canonical, those of f64 may be any.
static Expected finish(const Opcode &op, Word bits) {
  const Format &format = formatOf(op.type());
  if (format.isNan(bits) && op.type() == "f64")
    return Expected::anyNan();
  bits = op.has("ftz") ? oracle::flushed(format, bits) : bits;
  return op.has("sat") ? oracle::saturated(format, bits) : bits;
}

static bool negative(const Format &format, Word bits) { return bits & format.sign(); }

static void addExactForms(Forms &forms) {
  const std::string endings = "{.ftz|}{.sat|}.f32";
  auto sum = [](const Opcode &op, const Word *s) {
    const Format &format = formatOf(op.type());
    Word b = input(op, s[1]) ^ (op.root() == "sub" ? format.sign() : 0);
    return finish(op, oracle::add(format, input(op, s[0]), b, modeOf(op)));
  };
  auto product = [](const Opcode &op, const Word *s) {
    return finish(op, oracle::multiply(formatOf(op.type()), input(op, s[0]), input(op, s[1]), modeOf(op)));
  };
  auto fused = [](const Opcode &op, const Word *s) {
    return finish(op, oracle::fma(formatOf(op.type()), input(op, s[0]), input(op, s[1]), input(op, s[2]), modeOf(op)));
  };
  auto quotient = [](const Opcode &op, const Word *s) {
    return finish(op, oracle::divide(formatOf(op.type()), input(op, s[0]), input(op, s[1]), modeOf(op)));
  };
  auto reciprocal = [](const Opcode &op, const Word *s) {
    const Format &format = formatOf(op.type());
    Word one = Word(format.bias()) << format.mantissaBits;
    return finish(op, oracle::divide(format, one, input(op, s[0]), modeOf(op)));
  };
  auto root = [](const Opcode &op, const Word *s) {
    return finish(op, oracle::squareRoot(formatOf(op.type()), input(op, s[0]), modeOf(op)));
  };
  forms.add("float_add", "{add|sub}{.rn|.rz|.rm|.rp|}" + endings, "T", {"T", "T"}, sum);
  forms.add("float_add", "{add|sub}{.rn|.rz|.rm|.rp|}.f64", "T", {"T", "T"}, sum);
  forms.add("float_mul", "mul{.rn|.rz|.rm|.rp|}" + endings, "T", {"T", "T"}, product);
  forms.add("float_mul", "mul{.rn|.rz|.rm|.rp|}.f64", "T", {"T", "T"}, product);
  forms.add("float_fma", "{fma|mad}{.rn|.rz|.rm|.rp}" + endings, "T", {"T", "T", "T"}, fused);
  forms.add("float_fma", "{fma|mad}{.rn|.rz|.rm|.rp}.f64", "T", {"T", "T", "T"}, fused);
  forms.add("float_div", "div{.rn|.rz|.rm|.rp}{.ftz.f32|.f32|.f64}", "T", {"T", "T"}, quotient);
  forms.add("float_div", "rcp{.rn|.rz|.rm|.rp}{.ftz.f32|.f32|.f64}", "T", {"T"}, reciprocal);
  forms.add("float_div", "sqrt{.rn|.rz|.rm|.rp}{.ftz.f32|.f32|.f64}", "T", {"T"}, root);
}

/// The smaller or larger; −0 is below +0, and a NaN yields to the other operand unless `.NaN`.
static Expected extreme(const Opcode &op, const Word *s) {
  const Format &format = formatOf(op.type());
  Word a = input(op, s[0]), b = input(op, s[1]), sign = (a ^ b) & format.sign();
  bool flips = op.has("xorsign"), isMax = op.root() == "max";
  if (flips)
    a &= ~format.sign(), b &= ~format.sign();
  bool nanA = format.isNan(a), nanB = format.isNan(b);
  if ((nanA && nanB) || (op.has("NaN") && (nanA || nanB)))
    return op.type() == "f64" ? Expected::anyNan() : Expected(format.nan());
  Word result = nanA ? b : a;
  if (!nanA && !nanB) {
    auto rank = [&](Word bits) { // the order of sign and magnitude
      return negative(format, bits) ? -1 - static_cast<__int128>(bits & ~format.sign()) : static_cast<__int128>(bits);
    };
    result = (rank(a) < rank(b)) != isMax ? a : b;
  }
  return flips ? result | sign : result;
}

static void addSigns(Forms &forms) {
  forms.add("float_sign", "{min|max}{.ftz|}{.NaN|}{.xorsign.abs|}.f32", "T", {"T", "T"}, extreme);
  forms.add("float_sign", "{min|max}.f64", "T", {"T", "T"}, extreme);
  forms.add("float_sign", "{neg|abs}{.ftz.f32|.f32|.f64}", "T", {"T"}, [](const Opcode &op, const Word *s) {
    const Format &format = formatOf(op.type());
    Word a = input(op, s[0]);
    if (format.isNan(a))
      return Expected::anyNan();
    return Expected(op.root() == "neg" ? a ^ format.sign() : a & ~format.sign());
  });
  forms.add("float_sign", "copysign.{f32|f64}", "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    Word sign = formatOf(op.type()).sign();
    return (s[0] & sign) | (s[1] & ~sign);
  });
  forms.add("float_sign", "testp.{finite|infinite|number|notanumber|normal|subnormal}.{f32|f64}", "pred", {"T"},
            [](const Opcode &op, const Word *s) {
              const Format &format = formatOf(op.type());
              Word magnitude = s[0] & ~format.sign();
              bool nan = format.isNan(s[0]), infinite = magnitude == format.infinity(), subnormal = format.isSubnormal(s[0]);
              const std::string &test = op.type(1);
              return Word(test == "finite"       ? !nan && !infinite
                          : test == "infinite"   ? infinite
                          : test == "number"     ? !nan
                          : test == "notanumber" ? nan
                          : test == "normal"     ? !nan && !infinite && !subnormal && magnitude != 0
                                                 : subnormal);
            });
}

/// An approximation of `value` computed in double; `.ftz` flushes a subnormal result.
static Expected approximate(const Opcode &op, double value, double relative, double absolute = 0) {
  if (std::isnan(value))
    return op.type() == "f64" ? Expected::anyNan() : Expected(oracle::kF32.nan());
  double smallest = op.type() == "f64" ? 0x1p-1022 : 0x1p-126, largest = op.type() == "f64" ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
  if (std::abs(value) > largest)
    return Expected::near(std::copysign(INFINITY, value), 0);
  if (value != 0 && std::abs(value) < smallest) // rounding of a subnormal, or zero in its place
    return Expected::near(value, 1, op.has("ftz") ? smallest : relative * smallest + 0x1p-149);
  return Expected::near(value, relative, absolute);
}

/// The argument as a double. Where the ISA leaves subnormal arguments open without `.ftz`, callers skip them.
static double argument(const Opcode &op, Word bits) { return oracle::toDouble(formatOf(op.type()), input(op, bits)); }
static bool isOpenSubnormal(const Opcode &op, Word bits) { return !op.has("ftz") && formatOf(op.type()).isSubnormal(bits); }

/// {rcp,rsqrt}.approx.ftz.f64 look at the high half of their argument only.
static Expected coarse(const Opcode &op, Word bits, double (*function)(double)) {
  Word high = bits & ~Word(0xFFFFFFFF);
  if (oracle::kF64.isNan(bits) && !oracle::kF64.isNan(high))
    return Expected::anything();
  return approximate(op, function(argument(op, high)), 0x1p-19);
}

static void addApproximations(Forms &forms) {
  forms.add("approximate", "div.{approx|full}{.ftz|}.f32", "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    double a = argument(op, s[0]), b = argument(op, s[1]);
    if (op.has("approx") && std::abs(b) > 0x1p126 && !std::isinf(b)) // the range the ISA gives up
      return std::isnan(a) || std::isinf(a) ? Expected(oracle::kF32.nan()) : Expected::near(0, 0, 0x1p-149);
    return isOpenSubnormal(op, s[1]) ? Expected::anything() : approximate(op, a / b, 0x1p-22);
  });
  forms.add("approximate", "rcp.approx{.ftz|}.f32", "T", {"T"}, [](const Opcode &op, const Word *s) {
    return isOpenSubnormal(op, s[0]) ? Expected::anything() : approximate(op, 1 / argument(op, s[0]), 0x1p-23);
  });
  forms.add("approximate", "sqrt.approx{.ftz|}.f32", "T", {"T"},
            [](const Opcode &op, const Word *s) { return approximate(op, std::sqrt(argument(op, s[0])), 0x1p-22); });
  forms.add("approximate", "rsqrt.approx{.ftz|}{.f32|.f64}", "T", {"T"}, [](const Opcode &op, const Word *s) {
    if (op.type() == "f64" && op.has("ftz"))
      return coarse(op, s[0], [](double a) { return 1 / std::sqrt(a); });
    return approximate(op, 1 / std::sqrt(argument(op, s[0])), 0x1p-22);
  });
  forms.add("approximate", "rcp.approx.ftz.f64", "T", {"T"}, [](const Opcode &op, const Word *s) {
    return coarse(op, s[0], [](double a) { return 1 / a; });
  });
  forms.add("approximate", "ex2.approx{.ftz|}.f32", "T", {"T"},
            [](const Opcode &op, const Word *s) { return approximate(op, std::exp2(argument(op, s[0])), 0x1p-22); });
  forms.add("approximate", "lg2.approx{.ftz|}.f32", "T", {"T"}, [](const Opcode &op, const Word *s) {
    double a = argument(op, s[0]);
    return approximate(op, std::log2(a), 0x1p-22, a > 0.5 && a < 2 ? 0x1p-22 : 0);
  });
  forms.add("approximate", "{sin|cos}.approx{.ftz|}.f32", "T", {"T"}, [](const Opcode &op, const Word *s) {
    double a = argument(op, s[0]);
    if (std::abs(a) > 3.15 && !std::isinf(a))
      return Expected::anything(); // no bound outside [−π, π]
    return approximate(op, op.root() == "sin" ? std::sin(a) : std::cos(a), 0x1p-20, 0x1p-20);
  });
  forms.add("approximate", "tanh.approx.f32", "T", {"T"},
            [](const Opcode &op, const Word *s) { return approximate(op, std::tanh(argument(op, s[0])), 0x1p-11); });
}

void addFloatForms(Forms &forms) {
  addExactForms(forms);
  addSigns(forms);
  addApproximations(forms);
}

} // namespace attn::emulator::testing
