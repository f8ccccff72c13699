// cvt and mov (PTX ISA 9.7.9): integers, floats, every rounding and the clamping of results.
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"

#include "attn/Float.h"

#include <algorithm>
#include <cmath>

namespace attn::emulator::testing {

using oracle::Exact;
using oracle::Format;
using oracle::Mode;
using Wide = __int128;

static const Format &formatOf(const std::string &type) {
  return type.starts_with("bf16") ? oracle::kBF16 : type.starts_with("f16") ? oracle::kF16 : type == "f64" ? oracle::kF64 : oracle::kF32;
}

static Mode modeOf(const Opcode &op) {
  const std::string &name = op.parts[0];
  return name == "rna"                    ? Mode::Away
         : name.starts_with("rz")         ? Mode::Zero
         : name.starts_with("rm")         ? Mode::Down
         : name.starts_with("rp")         ? Mode::Up
                                          : Mode::Nearest;
}

static Wide number(const std::string &type, Word word) {
  unsigned bits = bitsOf(type);
  word = bits == 64 ? word : word & ((Word(1) << bits) - 1);
  return isSigned(type) && (word >> (bits - 1) & 1) ? static_cast<Wide>(word) - (static_cast<Wide>(1) << bits) : static_cast<Wide>(word);
}
static Wide lowest(const std::string &type) { return isSigned(type) ? -(static_cast<Wide>(1) << (bitsOf(type) - 1)) : 0; }
static Wide highest(const std::string &type) { return (static_cast<Wide>(1) << (bitsOf(type) - isSigned(type))) - 1; }

/// An integer as its register holds it: at least 16 bits, extended by its sign or zeros.
static Word held(const std::string &type, Wide value) {
  unsigned bits = std::max(bitsOf(type), 16u);
  Word word = static_cast<Word>(number(type, static_cast<Word>(value)));
  return bits == 64 ? word : word & ((Word(1) << bits) - 1);
}

static const std::string kIntegers = "{u8|u16|u32|u64|s8|s16|s32|s64}";

static void addIntegerConversions(Forms &forms) {
  forms.add("convert_integer", "cvt{.sat|}." + kIntegers + "." + kIntegers, "U", {"T"}, [](const Opcode &op, const Word *s) {
    const std::string &to = op.type(1);
    Wide value = number(op.type(), s[0]);
    return held(to, op.has("sat") ? std::clamp(value, lowest(to), highest(to)) : value);
  });
  forms.add("convert_integer", "cvt{.rn|.rz|.rm|.rp}{.sat|}.{f16|bf16|f32|f64}." + kIntegers, "U", {"T"},
            [](const Opcode &op, const Word *s) {
              const Format &to = formatOf(op.type(1));
              Wide value = number(op.type(), s[0]);
              Exact exact(value < 0, static_cast<unsigned __int128>(value < 0 ? -value : value), 0);
              Word bits = exact.round(to, modeOf(op));
              return op.has("sat") ? oracle::saturated(to, bits) : bits;
            });
}

/// Float to integer: clamped; NaN gives 0 for narrow results of f16 and f32, else the top bit alone (9.7.9.21).
static Expected toInteger(const Opcode &op, const Word *s) {
  const std::string &to = op.type(1), &from = op.type();
  const Format &format = formatOf(from);
  if (format.isNan(s[0]))
    return from == "f64" || bitsOf(to) == 64 ? held(to, static_cast<Wide>(1) << (bitsOf(to) - 1)) : Word(0);
  Word bits = op.has("ftz") && from == "f32" ? oracle::flushed(format, s[0]) : s[0];
  if ((bits & ~format.sign()) == format.infinity())
    return held(to, bits & format.sign() ? lowest(to) : highest(to));
  return held(to, oracle::valueOf(format, bits).toInteger(modeOf(op), lowest(to), highest(to)));
}

/// Rounds to an integral value of the same format.
static Word integral(const Format &format, Word bits, Mode mode) {
  if (format.isNan(bits) || (bits & ~format.sign()) == format.infinity())
    return bits;
  Exact value = oracle::valueOf(format, bits);
  Wide limit = static_cast<Wide>(1) << 120;
  Wide rounded = value.toInteger(mode, -limit, limit);
  if (rounded == limit || rounded == -limit)
    return bits; // so large that it is integral already
  return Exact(value.negative, static_cast<unsigned __int128>(rounded < 0 ? -rounded : rounded), 0)
      .round(format, Mode::Nearest, value.negative);
}

static Expected floatToFloat(const Opcode &op, const Word *s) {
  const Format &to = formatOf(op.type(1)), &from = formatOf(op.type());
  bool ftz = op.has("ftz"); // subnormal f32 inputs and results; those of f16 stay (as ptxas folds constants)
  Word bits = ftz && op.type() == "f32" ? oracle::flushed(from, s[0]) : s[0];
  bool isIntegral = op.parts[0].size() == 3 && op.parts[0].ends_with("i");
  if (from.isNan(bits) && !op.has("sat"))
    return op.type(1) == "f64" || op.type(1) == op.type() ? Expected::anyNan() : Expected(to.nan());
  if (isIntegral)
    bits = integral(from, bits, modeOf(op));
  Word result = oracle::convert(to, from, bits, isIntegral ? Mode::Nearest : modeOf(op));
  if (ftz && op.type(1) == "f32")
    result = oracle::flushed(to, result);
  if (op.has("sat"))
    result = oracle::saturated(to, result);
  if (op.has("relu") && (result & to.sign()))
    result = 0;
  return result;
}

static void addFloatConversions(Forms &forms) {
  const std::string roundings = "{.rn|.rz|.rm|.rp}", integrals = "{.rni|.rzi|.rmi|.rpi}";
  forms.add("convert_float", "cvt" + integrals + "{.ftz|}{.sat|}." + kIntegers + ".f32", "U", {"T"}, toInteger);
  forms.add("convert_float", "cvt" + integrals + "{.sat|}." + kIntegers + ".{f16|f64|bf16}", "U", {"T"}, toInteger);
  forms.add("convert_float", "cvt" + roundings + "{.ftz|}{.sat|}.{f16.f32|f32.f64}", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt" + roundings + "{.sat|}.f16.f64", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt{.rn|.rz|.rm|.rp}.bf16.{f32|f64}", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt{.rn|.rz}{.relu|}.{f16|bf16}.f32", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt{.rn|.rz|.rm|.rp}.{f16.bf16|bf16.f16}", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt{.ftz|}{.sat|}.{f32.f16|f64.f32|f32.f32}", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt{.sat|}.{f64.f16|f64.f64|f16.f16}", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt.{f32|f64|bf16}.bf16", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt" + integrals + ".bf16.bf16", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt" + integrals + "{.ftz|}{.sat|}.f32.f32", "U", {"T"}, floatToFloat);
  forms.add("convert_float", "cvt" + integrals + "{.sat|}.{f64.f64|f16.f16}", "U", {"T"}, floatToFloat);
}

static void addPacked(Forms &forms) {
  auto half = [](const Opcode &op, Word bits) {
    const Format &to = formatOf(op.type(1));
    Word result = oracle::convert(to, oracle::kF32, bits, modeOf(op));
    return op.has("relu") && !to.isNan(result) && (result & to.sign()) ? Word(0) : result;
  };
  forms.add("convert_packed", "cvt.{rn|rz}{.relu|}.{f16x2|bf16x2}.f32", "U", {"T", "T"},
            [half](const Opcode &op, const Word *s) { return half(op, s[0]) << 16 | half(op, s[1]); });
  forms.add("convert_packed", "cvt.{rna|rn|rz|rn.relu|rz.relu}.tf32.f32", "b32", {"T"}, [](const Opcode &op, const Word *s) {
    if (oracle::kF32.isNan(s[0]))
      return Expected(oracle::kF32.nan());
    Word result = oracle::convert(oracle::kTF32, oracle::kF32, s[0], modeOf(op)) << 13;
    return Expected(op.has("relu") && (result >> 31) ? 0 : result);
  });
}

/// To nearest even among all numbers of the format, the largest where there is none as large; ties by the lowest bit.
static Word nearestFloat8(bool e5m2, double value) {
  Word sign = std::signbit(value) ? 0x80 : 0, best = 0;
  value = std::clamp(value, e5m2 ? -57344.0 : -448.0, e5m2 ? 57344.0 : 448.0);
  double least = HUGE_VAL;
  for (Word code = 0; code <= (e5m2 ? 0x7BU : 0x7EU); ++code) {
    double distance = std::fabs(std::fabs(value) - (e5m2 ? widenE5M2(static_cast<std::uint8_t>(code)) : widenE4M3(static_cast<std::uint8_t>(code))));
    if (distance < least || (distance == least && code % 2 == 0))
      best = code, least = distance;
  }
  return sign | best;
}

static void addFloat8(Forms &forms) {
  auto narrow = [](const Opcode &op, const Format &from, Word bits) -> Word {
    if (from.isNan(bits))
      return 0x7F;
    bool e5m2 = op.has("e5m2x2"), isInfinite = (bits & ~from.sign()) == from.infinity();
    Word result = isInfinite ? (bits & from.sign() ? 0x80U : 0U) | (e5m2 ? 0x7BU : 0x7EU) : nearestFloat8(e5m2, oracle::toDouble(from, bits));
    return op.has("relu") && (result & 0x80) ? 0 : result;
  };
  forms.add("convert_float8", "cvt.rn.satfinite{.relu|}.{e4m3x2|e5m2x2}.f32", "b16", {"T", "T"},
            [narrow](const Opcode &op, const Word *s) { return narrow(op, oracle::kF32, s[0]) << 8 | narrow(op, oracle::kF32, s[1]); });
  forms.add("convert_float8", "cvt.rn.satfinite{.relu|}.{e4m3x2|e5m2x2}.f16x2", "b16", {"T"}, [narrow](const Opcode &op, const Word *s) {
    return narrow(op, oracle::kF16, s[0] >> 16 & 0xFFFF) << 8 | narrow(op, oracle::kF16, s[0] & 0xFFFF);
  });
  auto widen = [](const Opcode &op, Word code) -> Word {
    float value = op.has("e5m2x2") ? widenE5M2(static_cast<std::uint8_t>(code)) : widenE4M3(static_cast<std::uint8_t>(code));
    if (std::isnan(value))
      return 0x7FFF;
    return op.has("relu") && std::signbit(value) ? 0 : roundToF16(value);
  };
  forms.add("convert_float8", "cvt.rn{.relu|}.f16x2.{e4m3x2|e5m2x2}", "b32", {"b16:bytes"},
            [widen](const Opcode &op, const Word *s) { return widen(op, s[0] >> 8 & 0xFF) << 16 | widen(op, s[0] & 0xFF); });
}

static void addMoves(Forms &forms) {
  forms.add("move", "mov.{b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64}", "T", {"T"},
            [](const Opcode &, const Word *s) { return s[0]; });
  forms.add("move", "mov.b32", "b32", {"b16", "b16"}, [](const Opcode &, const Word *s) { return s[0] | s[1] << 16; }, "$d, {$0, $1}");
  forms.add("move", "mov.b64", "b64", {"b32", "b32"}, [](const Opcode &, const Word *s) { return s[0] | s[1] << 32; }, "$d, {$0, $1}");
  forms.add("move", "mov.b64", "b64", {"b16", "b16", "b16", "b16"},
            [](const Opcode &, const Word *s) { return s[0] | s[1] << 16 | s[2] << 32 | s[3] << 48; }, "$d, {$0, $1, $2, $3}");
  forms.add("move", "mov.b32", "b16", {"b32"}, [](const Opcode &, const Word *s) { return s[0] >> 16; }, "{_, $d}, $0");
  forms.add("move", "mov.b64", "b32", {"b64"}, [](const Opcode &, const Word *s) { return s[0] & 0xFFFFFFFF; }, "{$d, _}, $0");
  forms.add("move", "mov.b64", "b16", {"b64"}, [](const Opcode &, const Word *s) { return s[0] >> 32 & 0xFFFF; },
            "{%h1, %h2, $d, %h3}, $0");
}

bool isRefusedConversion(const Opcode &op) {
  if (op.root() != "cvt")
    return false;
  const std::string &to = op.type(1), &from = op.type();
  bool toInteger = to[0] == 'u' || to[0] == 's', fromInteger = from[0] == 'u' || from[0] == 's';
  if (toInteger && fromInteger)
    return op.has("sat") && lowest(to) <= lowest(from) && highest(from) <= highest(to);
  if ((fromInteger && to == "bf16") || (toInteger && from == "bf16"))
    return op.has("sat") || bitsOf(fromInteger ? from : to) == 8;
  return false;
}

void addConvertForms(Forms &forms) {
  addIntegerConversions(forms);
  addFloatConversions(forms);
  addPacked(forms);
  addFloat8(forms);
  addMoves(forms);
}

} // namespace attn::emulator::testing
