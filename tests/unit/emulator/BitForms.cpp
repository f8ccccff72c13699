// Logic, shifts, bit fields, permutation and predicates (PTX ISA 9.7.1, 9.7.8), bit by bit as the ISA's pseudocode has them.
#include "tests/unit/emulator/Forms.h"

#include <algorithm>
#include <array>
#include <bit>

namespace attn::emulator::testing {

static Word ones(unsigned bits) { return bits >= 64 ? ~Word(0) : (Word(1) << bits) - 1; }
static bool bitAt(Word word, unsigned index) { return index < 64 && (word >> index & 1); }

static void addLogic(Forms &forms) {
  const std::string types = ".{b16|b32|b64}";
  forms.add("logic", "{and|or|xor}" + types, "T", {"T", "T"}, [](const Opcode &op, const Word *s) {
    return op.root() == "and" ? s[0] & s[1] : op.root() == "or" ? s[0] | s[1] : s[0] ^ s[1];
  });
  forms.add("logic", "not" + types, "T", {"T"}, [](const Opcode &op, const Word *s) { return ~s[0] & ones(bitsOf(op.type())); });
  forms.add("logic", "cnot" + types, "T", {"T"}, [](const Opcode &, const Word *s) { return Word(s[0] == 0); });
  for (unsigned table : {0x00u, 0x80u, 0xFEu, 0x96u, 0xE8u, 0x1Bu, 0xC5u, 0xFFu})
    forms.add(
        "logic", "lop3.b32", "T", {"T", "T", "T"},
        [table](const Opcode &, const Word *s) {
          Word result = 0;
          for (unsigned i = 0; i < 32; ++i) // the table's index is a·4 + b·2 + c
            result |= Word(table >> (bitAt(s[0], i) * 4 + bitAt(s[1], i) * 2 + bitAt(s[2], i)) & 1) << i;
          return result;
        },
        "$d, $0, $1, $2, " + std::to_string(table));
  forms.add("predicates", "{and|or|xor}.pred", "pred", {"pred", "pred"}, [](const Opcode &op, const Word *s) {
    return op.root() == "and" ? s[0] & s[1] : op.root() == "or" ? s[0] | s[1] : s[0] ^ s[1];
  });
  forms.add("predicates", "and.pred", "pred", {"pred", "pred"}, [](const Opcode &, const Word *s) { return Word(s[0] && !s[1]); },
            "$d, $0, !$1");
  forms.add("predicates", "not.pred", "pred", {"pred"}, [](const Opcode &, const Word *s) { return Word(!s[0]); });
  forms.add("predicates", "mov.pred", "pred", {"pred"}, [](const Opcode &, const Word *s) { return s[0]; });
}

/// One bit of a shifted value; `fill` beyond the end.
static Word shiftRight(Word a, unsigned bits, Word amount, bool fill) {
  Word result = 0;
  for (unsigned i = 0; i < bits; ++i)
    result |= Word(i + amount < bits ? bitAt(a, static_cast<unsigned>(i + amount)) : fill) << i;
  return result;
}

static void addShifts(Forms &forms) {
  forms.add("shift", "shl.{b16|b32|b64}", "T", {"T", "u32:shift"}, [](const Opcode &op, const Word *s) {
    Word result = 0;
    for (unsigned i = 0, bits = bitsOf(op.type()); i < bits; ++i)
      result |= Word(i >= s[1] && bitAt(s[0], static_cast<unsigned>(i - s[1]))) << i;
    return result;
  });
  forms.add("shift", "shr.{b16|b32|b64|u16|u32|u64|s16|s32|s64}", "T", {"T", "u32:shift"}, [](const Opcode &op, const Word *s) {
    unsigned bits = bitsOf(op.type());
    return shiftRight(s[0], bits, s[1], isSigned(op.type()) && bitAt(s[0], bits - 1));
  });
  forms.add("shift", "shf.{l|r}.{clamp|wrap}.b32", "b32", {"b32", "b32", "u32:shift"}, [](const Opcode &op, const Word *s) {
    Word n = op.has("clamp") ? std::min<Word>(s[2], 32) : s[2] & 31, pair = s[1] << 32 | s[0];
    return (op.has("l") ? (n == 32 ? s[0] : pair << n >> 32) : pair >> n) & ones(32);
  });
}

static void addFields(Forms &forms) {
  forms.add("field", "bfe.{u32|u64|s32|s64}", "T", {"T", "u32:shift", "u32:shift"}, [](const Opcode &op, const Word *s) {
    unsigned last = bitsOf(op.type()) - 1, pos = s[1] & 0xFF, len = s[2] & 0xFF; // the pseudocode of 9.7.1.18
    bool sign = !isSigned(op.type()) || len == 0 ? false : bitAt(s[0], std::min(pos + len - 1, last));
    Word result = 0;
    for (unsigned i = 0; i <= last; ++i)
      result |= Word(i < len && pos + i <= last ? bitAt(s[0], pos + i) : sign) << i;
    return result;
  });
  forms.add("field", "bfi.{b32|b64}", "T", {"T", "T", "u32:shift", "u32:shift"}, [](const Opcode &op, const Word *s) {
    unsigned last = bitsOf(op.type()) - 1, pos = s[2] & 0xFF, len = s[3] & 0xFF;
    Word result = s[1];
    for (unsigned i = 0; i < len && pos + i <= last; ++i)
      result = (result & ~(Word(1) << (pos + i))) | Word(bitAt(s[0], i)) << (pos + i);
    return result;
  });
  forms.add("field", "bfind{.shiftamt|}.{u32|u64|s32|s64}", "u32", {"T"}, [](const Opcode &op, const Word *s) {
    unsigned last = bitsOf(op.type()) - 1;
    Word a = isSigned(op.type()) && bitAt(s[0], last) ? ~s[0] & ones(last + 1) : s[0];
    for (unsigned i = last + 1; i-- > 0;)
      if (bitAt(a, i))
        return Word(op.has("shiftamt") ? last - i : i);
    return Word(0xFFFFFFFF);
  });
  forms.add("field", "bmsk.{clamp|wrap}.b32", "b32", {"u32:shift", "u32:shift"}, [](const Opcode &op, const Word *s) {
    bool clamp = op.has("clamp");
    Word at = clamp ? std::min<Word>(s[0], 32) : s[0] & 31, width = clamp ? std::min<Word>(s[1], 32) : s[1] & 31;
    Word result = 0;
    for (Word i = at; i < at + width && i < 32; ++i)
      result |= Word(1) << i;
    return result;
  });
  forms.add("field", "szext.{clamp|wrap}.{u32|s32}", "T", {"T", "u32:shift"}, [](const Opcode &op, const Word *s) {
    unsigned width = static_cast<unsigned>(op.has("clamp") ? std::min<Word>(s[1], 32) : s[1] & 31);
    bool sign = isSigned(op.type()) && width > 0 && bitAt(s[0], width - 1);
    return (s[0] & ones(width)) | (sign ? ones(32) & ~ones(width) : 0);
  });
}

static void addCounts(Forms &forms) {
  forms.add("count", "brev.{b32|b64}", "T", {"T"}, [](const Opcode &op, const Word *s) {
    Word result = 0;
    for (unsigned i = 0, bits = bitsOf(op.type()); i < bits; ++i)
      result |= Word(bitAt(s[0], bits - 1 - i)) << i;
    return result;
  });
  forms.add("count", "popc.{b32|b64}", "u32", {"T"}, [](const Opcode &, const Word *s) { return Word(std::popcount(s[0])); });
  forms.add("count", "clz.{b32|b64}", "u32", {"T"}, [](const Opcode &op, const Word *s) {
    Word count = 0;
    for (unsigned i = bitsOf(op.type()); i-- > 0 && !bitAt(s[0], i);)
      ++count;
    return count;
  });
}

/// The table of prmt's modes (PTX ISA 9.7.9.7): which byte goes to each place, highest place first.
static const std::array<std::array<const char *, 4>, 6> kPermutations = {{{"3210", "4321", "5432", "6543"},
                                                                          {"5670", "6701", "7012", "0123"},
                                                                          {"0000", "1111", "2222", "3333"},
                                                                          {"3210", "3211", "3222", "3333"},
                                                                          {"0000", "1110", "2210", "3210"},
                                                                          {"1010", "3232", "1010", "3232"}}};

static void addPermutations(Forms &forms) {
  auto byteOf = [](const Word *s, unsigned index) { return (index < 4 ? s[0] >> (8 * index) : s[1] >> (8 * (index - 4))) & 0xFF; };
  forms.add("permute", "prmt.b32", "b32", {"b32", "b32", "b32"}, [byteOf](const Opcode &, const Word *s) {
    Word result = 0;
    for (unsigned i = 0; i < 4; ++i) {
      Word select = s[2] >> (4 * i) & 15, byte = byteOf(s, select & 7);
      result |= (select & 8 ? (byte & 0x80 ? Word(0xFF) : 0) : byte) << (8 * i);
    }
    return result;
  });
  const char *modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
  for (unsigned mode = 0; mode < 6; ++mode)
    forms.add("permute", std::string("prmt.b32.") + modes[mode], "b32", {"b32", "b32", "b32"},
              [byteOf, mode](const Opcode &, const Word *s) {
                Word result = 0;
                for (unsigned i = 0; i < 4; ++i)
                  result |= byteOf(s, static_cast<unsigned>(kPermutations[mode][s[2] & 3][3 - i] - '0')) << (8 * i);
                return result;
              });
}

void addBitForms(Forms &forms) {
  addLogic(forms);
  addShifts(forms);
  addFields(forms);
  addCounts(forms);
  addPermutations(forms);
}

} // namespace attn::emulator::testing
