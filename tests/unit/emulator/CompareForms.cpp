// setp, set, selp and slct (PTX ISA 9.7.6, 9.7.7).
#include "tests/unit/emulator/Exact.h"
#include "tests/unit/emulator/Forms.h"

namespace attn::emulator::testing {

using oracle::Format;

static bool isFloat(const std::string &type) { return type.find('f') != std::string::npos; }

static const Format &formatOf(const std::string &type) {
  return type.starts_with("bf16") ? oracle::kBF16 : type.starts_with("f16") ? oracle::kF16 : type == "f64" ? oracle::kF64 : oracle::kF32;
}

namespace {
enum class Order { Less, Equal, Greater, Unordered };
} // namespace

static Order orderOf(const Opcode &op, const std::string &type, Word a, Word b) {
  if (!isFloat(type)) {
    unsigned unused = 64 - bitsOf(type);
    std::int64_t x = static_cast<std::int64_t>(a << unused), y = static_cast<std::int64_t>(b << unused);
    if (isSigned(type))
      return x < y ? Order::Less : x > y ? Order::Greater : Order::Equal;
    return a < b ? Order::Less : a > b ? Order::Greater : Order::Equal;
  }
  const Format &format = formatOf(type);
  if (op.has("ftz"))
    a = oracle::flushed(format, a), b = oracle::flushed(format, b);
  if (format.isNan(a) || format.isNan(b))
    return Order::Unordered;
  double x = oracle::toDouble(format, a), y = oracle::toDouble(format, b);
  return x < y ? Order::Less : x > y ? Order::Greater : Order::Equal;
}

/// Whether the comparison named by the first modifier holds.
static bool holds(const Opcode &op, Order order) {
  std::string name = op.parts[0];
  if (name == "num" || name == "nan")
    return (order == Order::Unordered) == (name == "nan");
  if (name.size() == 3) { // equ, neu, ltu …: true for NaN
    if (order == Order::Unordered)
      return true;
    name.pop_back();
  }
  if (order == Order::Unordered)
    return false;
  if (name == "eq" || name == "ne")
    return (order == Order::Equal) == (name == "eq");
  bool less = name == "lt" || name == "le" || name == "lo" || name == "ls";
  bool orEqual = name == "le" || name == "ge" || name == "ls" || name == "hs";
  return order == (less ? Order::Less : Order::Greater) || (orEqual && order == Order::Equal);
}

static bool joined(const Opcode &op, bool first, bool second) {
  return op.has("and") ? first && second : op.has("or") ? first || second : op.has("xor") ? first != second : first;
}

static bool compareHalf(const Opcode &op, const Word *s, unsigned part) {
  return holds(op, orderOf(op, op.type(), s[0] >> (16 * part) & 0xFFFF, s[1] >> (16 * part) & 0xFFFF));
}

static const std::string kSignedComparisons = "{eq|ne|lt|le|gt|ge}", kUnsignedComparisons = "{eq|ne|lo|ls|hi|hs|lt|le|gt|ge}",
                         kFloatComparisons = "{eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan}";

static void addSetp(Forms &forms) {
  auto plain = [](const Opcode &op, const Word *s) { return Word(holds(op, orderOf(op, op.type(), s[0], s[1]))); };
  auto pair = [](const Opcode &op, const Word *s) {
    bool result = holds(op, orderOf(op, op.type(), s[0], s[1]));
    return Word(joined(op, result, s[2])) | Word(joined(op, !result, s[2])) << 1;
  };
  auto first = [pair](const Opcode &op, const Word *s) { return pair(op, s) & 1; };
  auto negated = [](const Opcode &op, const Word *s) {
    return Word(joined(op, holds(op, orderOf(op, op.type(), s[0], s[1])), !s[2]));
  };
  struct Group {
    std::string comparisons, ftz, types;
  };
  const Group groups[] = {{"{eq|ne}", "", "{b16|b32|b64}"},
                          {kUnsignedComparisons, "", "{u16|u32|u64}"},
                          {kSignedComparisons, "", "{s16|s32|s64}"},
                          {kFloatComparisons, "{.ftz|}", "f32"},
                          {kFloatComparisons, "", "f64"},
                          {kFloatComparisons, "{.ftz|}", "f16"},
                          {kFloatComparisons, "", "bf16"}};
  for (const Group &group : groups) {
    std::string end = group.ftz + "." + group.types;
    forms.add("setp", "setp." + group.comparisons + end, "pred", {"T", "T"}, plain);
    bool isHalf = group.types.ends_with("f16"); // these have one result
    forms.add("setp", "setp." + group.comparisons + ".{and|or|xor}" + end, isHalf ? "pred" : "pred2", {"T", "T", "pred"},
              isHalf ? Oracle(first) : Oracle(pair));
  }
  forms.add("setp", "setp.lt.{and|or|xor}.{s32|f32|f16}", "pred", {"T", "T", "pred"}, negated, "$d, $0, $1, !$2");
  forms.add("setp", "setp." + kFloatComparisons + "{.ftz.f16x2|.f16x2|.bf16x2}", "pred2", {"T", "T"},
            [](const Opcode &op, const Word *s) { return Word(compareHalf(op, s, 0)) | Word(compareHalf(op, s, 1)) << 1; });
  forms.add("setp", "setp." + kFloatComparisons + ".{and|or|xor}{.ftz.f16x2|.f16x2|.bf16x2}", "pred2", {"T", "T", "pred"},
            [](const Opcode &op, const Word *s) {
              return Word(joined(op, compareHalf(op, s, 0), s[2])) | Word(joined(op, compareHalf(op, s, 1), s[2])) << 1;
            });
}

static void addSet(Forms &forms) {
  auto word = [](const Opcode &op, bool result) {
    const std::string &type = op.type(1);
    Word one = type == "f32" ? 0x3F800000 : type.starts_with("bf16") ? 0x3F80 : type.starts_with("f16") ? 0x3C00 : 0xFFFFFFFF;
    return result ? one : Word(0);
  };
  auto plain = [word](const Opcode &op, const Word *s) { return word(op, holds(op, orderOf(op, op.type(), s[0], s[1]))); };
  auto combined = [word](const Opcode &op, const Word *s) {
    return word(op, joined(op, holds(op, orderOf(op, op.type(), s[0], s[1])), s[2]));
  };
  struct Group {
    std::string comparisons, ftz, types;
  };
  const Group groups[] = {{"{eq|ne}", "", "{b16|b32|b64}"},     {kUnsignedComparisons, "", "{u16|u32|u64}"},
                          {kSignedComparisons, "", "{s16|s32|s64}"}, {kFloatComparisons, "{.ftz|}", "f32"},
                          {kFloatComparisons, "", "f64"}};
  for (const Group &group : groups) {
    std::string end = group.ftz + ".{u32|s32|f32}." + group.types;
    forms.add("set", "set." + group.comparisons + end, "U", {"T", "T"}, plain);
    forms.add("set", "set." + group.comparisons + ".{and|or|xor}" + end, "U", {"T", "T", "pred"}, combined);
  }
  forms.add("set", "set." + kFloatComparisons + "{.ftz|}.{u32|s32}.f16", "U", {"T", "T"}, plain);
  forms.add("set", "set." + kFloatComparisons + ".{u32|s32}.bf16", "U", {"T", "T"}, plain);
  forms.add("set", "set." + kFloatComparisons + ".{and|or|xor}.{u32|s32}.{f16|bf16}", "U", {"T", "T", "pred"}, combined);
  forms.add("set", "set." + kFloatComparisons + "{.ftz.f16.f16|.f16.f16|.bf16.bf16}", "U", {"T", "T"}, plain);
  forms.add("set", "set." + kFloatComparisons + "{.ftz.f16x2.f16x2|.f16x2.f16x2|.bf16x2.bf16x2}", "U", {"T", "T"},
            [word](const Opcode &op, const Word *s) {
              return word(op, compareHalf(op, s, 0)) | word(op, compareHalf(op, s, 1)) << 16;
            });
}

static void addSelections(Forms &forms) {
  const std::string types = "{b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64}";
  forms.add("select", "selp." + types, "T", {"T", "T", "pred"}, [](const Opcode &, const Word *s) { return s[2] ? s[0] : s[1]; });
  auto bySign = [](const Opcode &op, const Word *s) -> Expected {
    if (op.type() == "s32")
      return s[2] >> 31 & 1 ? s[1] : s[0];
    Word c = op.has("ftz") ? oracle::flushed(oracle::kF32, s[2]) : s[2];
    if (oracle::kF32.isNan(c))
      return s[1]; // "if c is NaN, the comparison is unordered and operand b is selected"
    return (c >> 31) && (c << 33) ? s[1] : s[0]; // −0 counts as 0
  };
  forms.add("select", "slct." + types + ".s32", "U", {"U", "U", "s32"}, bySign);
  forms.add("select", "slct{.ftz|}." + types + ".f32", "U", {"U", "U", "f32"}, bySign);
}

void addCompareForms(Forms &forms) {
  addSetp(forms);
  addSet(forms);
  addSelections(forms);
}

} // namespace attn::emulator::testing
