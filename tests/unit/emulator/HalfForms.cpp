// f16 and bf16 arithmetic, single and in pairs (PTX ISA 9.7.4): each half is one IEEE operation rounded once.
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"

#include <cmath>
#include <cstring>

namespace attn::emulator::testing {

using oracle::Format;
using oracle::Mode;

static const Format &formatOf(const std::string &type) { return type.starts_with("bf16") ? oracle::kBF16 : oracle::kF16; }

using Half = std::function<Word(const Opcode &, const Format &, const Word *)>;

/// `.ftz`, `.sat` and `.relu` on a rounded half.
static Word finish(const Opcode &op, const Format &format, Word bits) {
  if (op.has("ftz"))
    bits = oracle::flushed(format, bits);
  if (op.has("sat"))
    return oracle::saturated(format, bits);
  if (op.has("relu") && !format.isNan(bits) && (bits & format.sign()))
    return 0;
  return bits;
}

/// The oracle of one half, applied to both halves of a pair.
static Oracle halves(unsigned arity, Half half) {
  return [arity, half](const Opcode &op, const Word *s) -> Expected {
    const Format &format = formatOf(op.type());
    Word result = 0;
    for (unsigned part = 0; part < (op.type().ends_with("x2") ? 2u : 1u); ++part) {
      Word inputs[3] = {};
      for (unsigned i = 0; i < arity; ++i) {
        inputs[i] = s[i] >> (16 * part) & 0xFFFF;
        inputs[i] = op.has("ftz") ? oracle::flushed(format, inputs[i]) : inputs[i];
      }
      result |= half(op, format, inputs) << (16 * part);
    }
    return result;
  };
}

static Word extreme(const Opcode &op, const Format &format, const Word *s) {
  bool nanA = format.isNan(s[0]), nanB = format.isNan(s[1]);
  if ((nanA && nanB) || (op.has("NaN") && (nanA || nanB)))
    return format.nan();
  if (nanA || nanB)
    return nanA ? s[1] : s[0];
  auto rank = [&](Word bits) { return bits & format.sign() ? -1 - static_cast<int>(bits & ~format.sign()) : static_cast<int>(bits); };
  return (rank(s[0]) < rank(s[1])) == (op.root() == "min") ? s[0] : s[1];
}

static void addArithmetic(Forms &forms) {
  Oracle sum = halves(2, [](const Opcode &op, const Format &format, const Word *s) {
    Word b = op.root() == "sub" && !format.isNan(s[1]) ? s[1] ^ format.sign() : s[1];
    return finish(op, format, oracle::add(format, s[0], b, Mode::Nearest));
  });
  Oracle product = halves(2, [](const Opcode &op, const Format &format, const Word *s) {
    return finish(op, format, oracle::multiply(format, s[0], s[1], Mode::Nearest));
  });
  Oracle fused = halves(3, [](const Opcode &op, const Format &format, const Word *s) {
    return finish(op, format, oracle::fma(format, s[0], s[1], s[2], Mode::Nearest));
  });
  forms.add("half", "{add|sub}{.rn|}{.ftz|}{.sat|}.{f16|f16x2}", "T", {"T", "T"}, sum);
  forms.add("half", "mul{.rn|}{.ftz|}{.sat|}.{f16|f16x2}", "T", {"T", "T"}, product);
  forms.add("half", "fma.rn{.ftz|}{.sat|.relu|}.{f16|f16x2}", "T", {"T", "T", "T"}, fused);
  forms.add("half", "{add|sub}{.rn|}.{bf16|bf16x2}", "T", {"T", "T"}, sum);
  forms.add("half", "mul{.rn|}.{bf16|bf16x2}", "T", {"T", "T"}, product);
  forms.add("half", "fma.rn{.relu|}.{bf16|bf16x2}", "T", {"T", "T", "T"}, fused);
}

static void addExtremes(Forms &forms) {
  forms.add("half", "{min|max}{.ftz|}{.NaN|}.{f16|f16x2}", "T", {"T", "T"}, halves(2, extreme));
  forms.add("half", "{min|max}{.NaN|}.{bf16|bf16x2}", "T", {"T", "T"}, halves(2, extreme));
  auto sign = [](const Opcode &op, const Word *s) -> Expected { // a NaN's payload is open: its values are not looked at
    const Format &format = formatOf(op.type());
    bool isPair = op.type().ends_with("x2");
    Word low = s[0] & 0xFFFF, high = isPair ? s[0] >> 16 & 0xFFFF : 0;
    if (format.isNan(low) || format.isNan(high))
      return Expected::anything();
    auto one = [&](Word bits) {
      bits = op.has("ftz") ? oracle::flushed(format, bits) : bits;
      return op.root() == "neg" ? bits ^ format.sign() : bits & ~format.sign();
    };
    return one(low) | (isPair ? one(high) << 16 : 0);
  };
  forms.add("half", "{neg|abs}{.ftz|}.{f16|f16x2}", "T", {"T"}, sign);
  forms.add("half", "{neg|abs}.{bf16|bf16x2}", "T", {"T"}, sign);
}

/// ex2 and tanh: the emulator promises the correctly rounded value, which is inside the ISA's bounds (2^-9.9 and 2^-7).
static void addTranscendentals(Forms &forms) {
  auto rounded = [](auto function) {
    return halves(1, [function](const Opcode &op, const Format &format, const Word *s) -> Word {
      if (format.isNan(s[0]))
        return format.nan();
      double value = function(oracle::toDouble(format, s[0]));
      Word bits;
      std::memcpy(&bits, &value, sizeof(bits));
      return finish(op, format, oracle::convert(format, oracle::kF64, bits, Mode::Nearest));
    });
  };
  Oracle power = rounded([](double a) { return std::exp2(a); }), tangent = rounded([](double a) { return std::tanh(a); });
  forms.add("half", "ex2.approx.{f16|f16x2}", "T", {"T"}, power);
  forms.add("half", "ex2.approx.ftz.{bf16|bf16x2}", "T", {"T"}, power);
  forms.add("half", "tanh.approx.{f16|f16x2|bf16|bf16x2}", "T", {"T"}, tangent);
}

void addHalfForms(Forms &forms) {
  addArithmetic(forms);
  addExtremes(forms);
  addTranscendentals(forms);
}

} // namespace attn::emulator::testing
