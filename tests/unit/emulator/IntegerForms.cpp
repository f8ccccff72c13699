// Integer arithmetic (PTX ISA 9.7.1, 9.7.2), computed in 128 bits.
#include "tests/unit/emulator/Forms.h"

#include <algorithm>

namespace attn::emulator::testing {

using Wide = __int128;

/// The number that the low bits of `word` stand for.
static Wide number(std::string_view type, Word word, unsigned bits = 0) {
  bits = bits ? bits : bitsOf(type);
  Word masked = bits == 64 ? word : word & ((Word(1) << bits) - 1);
  bool negative = isSigned(type) && (masked >> (bits - 1) & 1);
  return negative ? static_cast<Wide>(masked) - (static_cast<Wide>(1) << bits) : static_cast<Wide>(masked);
}

static Word cut(Wide value, unsigned bits) {
  Word word = static_cast<Word>(value);
  return bits == 64 ? word : word & ((Word(1) << bits) - 1);
}

static Wide clamp32(Wide value) { return std::clamp<Wide>(value, INT32_MIN, INT32_MAX); }

/// The bits of a · b that `.lo`, `.hi` or `.wide` keep. A product of two u64 does not fit in a signed 128-bit number, but
/// its bits are the same modulo 2^128.
static Wide product(const Opcode &op, const std::string &type, const Word *s) {
  unsigned __int128 full = static_cast<unsigned __int128>(number(type, s[0])) * static_cast<unsigned __int128>(number(type, s[1]));
  if (!op.has("hi"))
    return static_cast<Wide>(full);
  return number(type, static_cast<Word>(full >> bitsOf(type)));
}

static Wide product24(const Opcode &op, const Word *s) {
  Wide full = number(op.type(), s[0], 24) * number(op.type(), s[1], 24);
  return op.has("hi") ? full >> 16 : full;
}

static void addProducts(Forms &forms) {
  forms.add("multiply", "mul.{lo|hi}.{u16|u32|u64|s16|s32|s64}", "T", {"T", "T"},
            [](const Opcode &op, const Word *s) { return cut(product(op, op.type(), s), bitsOf(op.type())); });
  forms.add("multiply", "mad.{lo|hi}.{u16|u32|u64|s16|s32|s64}", "T", {"T", "T", "T"}, [](const Opcode &op, const Word *s) {
    return cut(product(op, op.type(), s) + number(op.type(), s[2]), bitsOf(op.type()));
  });
  for (std::string sign : {"u", "s"})
    for (unsigned bits : {16u, 32u}) {
      std::string narrow = sign + std::to_string(bits), wide = sign + std::to_string(2 * bits);
      forms.add("multiply", "mul.wide." + narrow, wide, {"T", "T"},
                [bits](const Opcode &op, const Word *s) { return cut(product(op, op.type(), s), 2 * bits); });
      forms.add("multiply", "mad.wide." + narrow, wide, {"T", "T", wide}, [bits](const Opcode &op, const Word *s) {
        return cut(product(op, op.type(), s) + static_cast<Wide>(s[2]), 2 * bits);
      });
    }
  forms.add("multiply", "mad.hi.sat.s32", "T", {"T", "T", "T"}, [](const Opcode &op, const Word *s) {
    return cut(clamp32(product(op, "s32", s) + number("s32", s[2])), 32);
  });
  forms.add("multiply", "mul24.{lo|hi}.{u32|s32}", "T", {"T", "T"},
            [](const Opcode &op, const Word *s) { return cut(product24(op, s), 32); });
  forms.add("multiply", "mad24.{lo|hi}.{u32|s32}", "T", {"T", "T", "T"},
            [](const Opcode &op, const Word *s) { return cut(product24(op, s) + number(op.type(), s[2]), 32); });
}

/// What hardware gives where the ISA leaves division by zero open: all ones, and the dividend as remainder.
static Wide quotient(const std::string &type, Wide a, Wide b) {
  if (b == 0)
    return -1;
  (void)type;
  return a / b; // the one overflow, lowest / −1, wraps when cut
}

static void addDivisions(Forms &forms) {
  const std::string types = "{u16|u32|u64|s16|s32|s64}";
  forms.add("divide", "div." + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    return cut(quotient(op.type(), number(op.type(), s[0]), number(op.type(), s[1])), bitsOf(op.type()));
  });
  forms.add("divide", "rem." + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    Wide a = number(op.type(), s[0]), b = number(op.type(), s[1]);
    return cut(b == 0 ? a : a % b, bitsOf(op.type()));
  });
}

static void addSums(Forms &forms) {
  const std::string types = "{u16|u32|u64|s16|s32|s64}";
  forms.add("add", "add." + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    return cut(number(op.type(), s[0]) + number(op.type(), s[1]), bitsOf(op.type()));
  });
  forms.add("add", "sub." + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    return cut(number(op.type(), s[0]) - number(op.type(), s[1]), bitsOf(op.type()));
  });
  forms.add("add", "{add|sub}.sat.s32", "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    Wide a = number("s32", s[0]), b = number("s32", s[1]);
    return cut(clamp32(op.root() == "add" ? a + b : a - b), 32);
  });
  forms.add("add", "abs.{s16|s32|s64}", "T", {"T"}, [](const Opcode &op, const Word *s) {
    Wide a = number(op.type(), s[0]);
    return cut(a < 0 ? -a : a, bitsOf(op.type()));
  });
  forms.add("add", "neg.{s16|s32|s64}", "T", {"T"},
            [](const Opcode &op, const Word *s) { return cut(-number(op.type(), s[0]), bitsOf(op.type())); });
  forms.add("add", "{min|max}." + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    Wide a = number(op.type(), s[0]), b = number(op.type(), s[1]);
    return cut(op.root() == "min" ? std::min(a, b) : std::max(a, b), bitsOf(op.type()));
  });
  forms.add("add", "{min|max}.relu.s32", "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    Wide a = number("s32", s[0]), b = number("s32", s[1]);
    return cut(std::max<Wide>(op.root() == "min" ? std::min(a, b) : std::max(a, b), 0), 32);
  });
  forms.add("add", "sad." + types, "T", {"T", "T", "T"}, [](const Opcode &op, const Word *s) {
    Wide a = number(op.type(), s[0]), b = number(op.type(), s[1]);
    return cut(number(op.type(), s[2]) + (a < b ? b - a : a - b), bitsOf(op.type()));
  });
}

static Wide lane(std::string_view type, Word word, unsigned bits, unsigned index) {
  return number(type, word >> (bits * index) & ((Word(1) << bits) - 1), bits);
}

static void addDotProducts(Forms &forms) {
  forms.add("dot", "dp4a.{u32|s32}.{u32|s32}", "u32", {"b32", "b32", "b32"}, [](const Opcode &op, const Word *s) {
    Wide sum = s[2];
    for (unsigned i = 0; i < 4; ++i)
      sum += lane(op.type(1), s[0], 8, i) * lane(op.type(0), s[1], 8, i);
    return cut(sum, 32);
  });
  forms.add("dot", "dp2a.{lo|hi}.{u32|s32}.{u32|s32}", "u32", {"b32", "b32", "b32"}, [](const Opcode &op, const Word *s) {
    Wide sum = s[2];
    for (unsigned i = 0; i < 2; ++i)
      sum += lane(op.type(1), s[0], 16, i) * lane(op.type(0), s[1], 8, i + (op.has("hi") ? 2 : 0));
    return cut(sum, 32);
  });
}

void addIntegerForms(Forms &forms) {
  addSums(forms);
  addProducts(forms);
  addDivisions(forms);
  addDotProducts(forms);
}

} // namespace attn::emulator::testing
