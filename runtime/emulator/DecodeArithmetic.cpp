// Decoding of arithmetic, comparison, selection, moves and conversions.
#include "runtime/emulator/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace attn::emulator {

using ptx::Operand;
using ptx::ScalarType;

/// Emits `handler` with the operands in order: result first, then sources of the given types.
bool Decoder::emitArithmetic(Handler handler, ScalarType result, std::initializer_list<ScalarType> sources,
                             std::uint32_t flags, std::int64_t imm, std::uint8_t kind) {
  if (!handler)
    return refuse("this combination of types");
  std::uint32_t inputs[4] = {kNoRegister, kNoRegister, kNoRegister, kNoRegister};
  std::size_t count = 0;
  for (ScalarType each : sources)
    inputs[count] = source(instruction->operands[count + 1], each), ++count;
  Draft draft = make(handler);
  draft.inst.a = inputs[0], draft.inst.b = inputs[1], draft.inst.c = inputs[2];
  if (inputs[3] != kNoRegister)
    draft.list = {inputs[3]};
  draft.inst.flags |= flags;
  draft.inst.imm = imm;
  draft.inst.kind = kind;
  draft.inst.d = destination(instruction->operands[0], result);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

namespace {
struct IntegerName {
  std::string_view root, modifier;
  IntegerOp op;
};
} // namespace

// A row matches when the root is equal and the modifier, if any, is there; first match wins.
static constexpr IntegerName kIntegerNames[] = {
    {"add", "sat", IntegerOp::AddSat},   {"add", "", IntegerOp::Add},
    {"sub", "sat", IntegerOp::SubSat},   {"sub", "", IntegerOp::Sub},
    {"mul", "lo", IntegerOp::MulLo},     {"mul", "hi", IntegerOp::MulHi},
    {"mul", "wide", IntegerOp::MulWide}, {"mad", "lo", IntegerOp::MadLo},
    {"mad", "sat", IntegerOp::MadHiSat}, {"mad", "hi", IntegerOp::MadHi},
    {"mad", "wide", IntegerOp::MadWide}, {"mul24", "lo", IntegerOp::Mul24Lo},
    {"mul24", "hi", IntegerOp::Mul24Hi}, {"mad24", "lo", IntegerOp::Mad24Lo},
    {"mad24", "hi", IntegerOp::Mad24Hi}, {"div", "", IntegerOp::Div},
    {"rem", "", IntegerOp::Rem},         {"abs", "", IntegerOp::Abs},
    {"neg", "", IntegerOp::Neg},         {"min", "relu", IntegerOp::MinRelu},
    {"min", "", IntegerOp::Min},         {"max", "relu", IntegerOp::MaxRelu},
    {"max", "", IntegerOp::Max},         {"sad", "", IntegerOp::Sad},
    {"and", "", IntegerOp::And},         {"or", "", IntegerOp::Or},
    {"xor", "", IntegerOp::Xor},         {"not", "", IntegerOp::Not},
    {"cnot", "", IntegerOp::Cnot},       {"shl", "", IntegerOp::Shl},
    {"shr", "", IntegerOp::Shr},         {"lop3", "", IntegerOp::Lop3},
    {"bfe", "", IntegerOp::Bfe},         {"bfi", "", IntegerOp::Bfi},
    {"bfind", "shiftamt", IntegerOp::BfindShift}, {"bfind", "", IntegerOp::Bfind},
    {"bmsk", "clamp", IntegerOp::BmskClamp}, {"bmsk", "wrap", IntegerOp::BmskWrap},
    {"szext", "clamp", IntegerOp::SzextClamp}, {"szext", "wrap", IntegerOp::SzextWrap},
    {"brev", "", IntegerOp::Brev},       {"popc", "", IntegerOp::Popc},
    {"clz", "", IntegerOp::Clz},         {"prmt", "f4e", IntegerOp::PrmtF4e},
    {"prmt", "b4e", IntegerOp::PrmtB4e}, {"prmt", "rc8", IntegerOp::PrmtRc8},
    {"prmt", "ecl", IntegerOp::PrmtEcl}, {"prmt", "ecr", IntegerOp::PrmtEcr},
    {"prmt", "rc16", IntegerOp::PrmtRc16}, {"prmt", "", IntegerOp::Prmt},
    {"dp4a", "", IntegerOp::Dp4a},       {"dp2a", "lo", IntegerOp::Dp2aLo},
    {"dp2a", "hi", IntegerOp::Dp2aHi},
};

static ScalarType widened(ScalarType type) {
  switch (type) {
  case ScalarType::U16: return ScalarType::U32;
  case ScalarType::S16: return ScalarType::S32;
  case ScalarType::U32: return ScalarType::U64;
  default: return ScalarType::S64;
  }
}

bool Decoder::decodeBitInsert() {
  ScalarType t = type();
  return emitArithmetic(lanes.integer(IntegerOp::Bfi, t, t), t, {t, t, ScalarType::U32, ScalarType::U32});
}

bool Decoder::decodeInteger() {
  countAs(InstructionClass::Integer);
  std::string_view root = instruction->root;
  ScalarType t = type();
  IntegerOp op{};
  bool known = false;
  for (const IntegerName &name : kIntegerNames)
    if (!known && name.root == root && (name.modifier.empty() || has(name.modifier)))
      op = name.op, known = true;
  if (root == "shf") {
    bool left = has("l"), clamp = has("clamp");
    op = left ? (clamp ? IntegerOp::ShfLeftClamp : IntegerOp::ShfLeftWrap)
              : (clamp ? IntegerOp::ShfRightClamp : IntegerOp::ShfRightWrap);
    known = true;
  }
  if (!known)
    return refuse("not decoded");
  if (op == IntegerOp::Bfi)
    return decodeBitInsert();
  Handler handler = lanes.integer(op, t, lastType());
  ScalarType u32 = ScalarType::U32;
  switch (op) {
  case IntegerOp::MulWide:
    return emitArithmetic(handler, widened(t), {t, t});
  case IntegerOp::MadWide:
    return emitArithmetic(handler, widened(t), {t, t, widened(t)});
  case IntegerOp::Shl: case IntegerOp::Shr: case IntegerOp::SzextClamp: case IntegerOp::SzextWrap:
    return emitArithmetic(handler, t, {t, u32});
  case IntegerOp::Bfe:
    return emitArithmetic(handler, t, {t, u32, u32});
  case IntegerOp::Bfind: case IntegerOp::BfindShift: case IntegerOp::Popc: case IntegerOp::Clz:
    return emitArithmetic(handler, u32, {t});
  case IntegerOp::Lop3:
    return emitArithmetic(handler, t, {t, t, t}, 0, instruction->operands[4].value);
  default:
    break;
  }
  switch (instruction->operands.size()) {
  case 2: return emitArithmetic(handler, t, {t});
  case 3: return emitArithmetic(handler, t, {t, t});
  default: return emitArithmetic(handler, t, {t, t, t});
  }
}

bool Decoder::decodeCarry() {
  countAs(InstructionClass::Integer);
  ScalarType t = type();
  bool out = has("cc"), high = has("hi");
  IntegerOp op{};
  std::string_view root = instruction->root;
  if (root == "add")
    op = IntegerOp::AddCc;
  else if (root == "addc")
    op = out ? IntegerOp::AddcCc : IntegerOp::Addc;
  else if (root == "sub")
    op = IntegerOp::SubCc;
  else if (root == "subc")
    op = out ? IntegerOp::SubcCc : IntegerOp::Subc;
  else if (root == "mad")
    op = high ? IntegerOp::MadHiCc : IntegerOp::MadLoCc;
  else
    op = high ? (out ? IntegerOp::MadcHiCc : IntegerOp::MadcHi) : (out ? IntegerOp::MadcLoCc : IntegerOp::MadcLo);
  Handler handler = lanes.integer(op, t, t);
  return instruction->operands.size() == 4 ? emitArithmetic(handler, t, {t, t, t}) : emitArithmetic(handler, t, {t, t});
}

bool Decoder::decodePredicateLogic() {
  countAs(InstructionClass::Predicate);
  static constexpr std::string_view kRoots[] = {"and", "or", "xor", "not", "mov"};
  Draft draft = make(predicateLogicHandler);
  bool negated = false;
  draft.inst.p1 = predicateSource(instruction->operands[1], negated);
  draft.inst.flags |= negated ? kNegateP1 : 0;
  if (instruction->operands.size() > 2) {
    draft.inst.p2 = predicateSource(instruction->operands[2], negated);
    draft.inst.flags |= negated ? kNegateP2 : 0;
  }
  draft.inst.kind = static_cast<std::uint8_t>(
      std::find(std::begin(kRoots), std::end(kRoots), instruction->root) - std::begin(kRoots));
  draft.inst.p0 = predicateDestination(instruction->operands[0]);
  emit(std::move(draft));
  return true;
}

namespace {
struct FloatName {
  std::string_view root;
  FloatOp op;
  bool special; ///< counted as special function
};
} // namespace

static constexpr FloatName kFloatNames[] = {
    {"add", FloatOp::Add, false},     {"sub", FloatOp::Sub, false},    {"mul", FloatOp::Mul, false},
    {"fma", FloatOp::Fma, false},     {"mad", FloatOp::Fma, false},    {"min", FloatOp::Min, false},
    {"max", FloatOp::Max, false},     {"neg", FloatOp::Neg, false},    {"abs", FloatOp::Abs, false},
    {"div", FloatOp::Div, false},     {"rcp", FloatOp::Reciprocal, true}, {"sqrt", FloatOp::Sqrt, true},
    {"rsqrt", FloatOp::Rsqrt, true},  {"ex2", FloatOp::Exp2, true},    {"lg2", FloatOp::Log2, true},
    {"sin", FloatOp::Sin, true},      {"cos", FloatOp::Cos, true},     {"tanh", FloatOp::Tanh, true},
    {"copysign", FloatOp::CopySign, false},
};

static const FloatName *floatName(std::string_view root) {
  auto found = std::find_if(std::begin(kFloatNames), std::end(kFloatNames),
                            [&](const FloatName &name) { return name.root == root; });
  return found == std::end(kFloatNames) ? nullptr : found;
}

bool Decoder::decodeFloat() {
  const FloatName *name = floatName(instruction->root);
  if (!name)
    return refuse("not decoded");
  bool special = name->special && has("approx");
  FloatOp op = name->op;
  bool isMinMax = op == FloatOp::Min || op == FloatOp::Max || op == FloatOp::Neg || op == FloatOp::Abs;
  special |= op == FloatOp::Div && (has("approx") || has("full")); // a reciprocal and products
  ScalarType t = type();
  countAs(special                 ? InstructionClass::SpecialFunction
          : t == ScalarType::F64 ? InstructionClass::DoubleArithmetic
          : isMinMax             ? InstructionClass::FloatMinMax
                                 : InstructionClass::FloatArithmetic);
  origin().specialFunctionsPerLane = special;
  if (op == FloatOp::Div && has("approx"))
    op = FloatOp::DivApprox;
  else if (op == FloatOp::Reciprocal && special && t == ScalarType::F64)
    op = FloatOp::ReciprocalCoarse;
  else if (op == FloatOp::Rsqrt && t == ScalarType::F64 && has("ftz"))
    op = FloatOp::RsqrtCoarse;
  Handler handler = lanes.floating(op, t, rounding(), has("ftz"));
  switch (instruction->operands.size()) {
  case 2: return emitArithmetic(handler, t, {t}, commonFlags());
  case 3: return emitArithmetic(handler, t, {t, t}, commonFlags());
  default: return emitArithmetic(handler, t, {t, t, t}, commonFlags());
  }
}

bool Decoder::decodeHalf() {
  const FloatName *name = floatName(instruction->root);
  if (!name)
    return refuse("not decoded");
  countAs(name->special ? InstructionClass::SpecialFunction : InstructionClass::PackedHalf);
  ScalarType t = type();
  origin().specialFunctionsPerLane = !name->special ? 0 : t == ScalarType::F16x2 || t == ScalarType::BF16x2 ? 2 : 1;
  Handler handler = lanes.half(name->op, t);
  switch (instruction->operands.size()) {
  case 2: return emitArithmetic(handler, t, {t}, commonFlags());
  case 3: return emitArithmetic(handler, t, {t, t}, commonFlags());
  default: return emitArithmetic(handler, t, {t, t, t}, commonFlags());
  }
}

bool Decoder::decodeFloatTest() {
  countAs(InstructionClass::Predicate);
  static constexpr std::string_view kTests[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
  Draft draft = make(floatTestHandler);
  for (std::size_t i = 0; i < std::size(kTests); ++i)
    if (has(kTests[i]))
      draft.inst.count = static_cast<std::uint8_t>(i);
  ScalarType t = type();
  draft.inst.a = source(instruction->operands[1], t);
  draft.inst.flags |= t == ScalarType::F64 ? kWideData : 0;
  draft.inst.p0 = predicateDestination(instruction->operands[0]);
  emit(std::move(draft));
  return true;
}

static CompareOp compareOp(const ptx::Instruction &instruction) {
  static constexpr std::string_view kNames[] = {"eq", "ne", "lt",  "le",  "gt",  "ge",  "lo",  "ls",  "hi",
                                                "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  auto found = std::find(std::begin(kNames), std::end(kNames), instruction.modifiers[0]);
  return static_cast<CompareOp>(found - std::begin(kNames));
}

static Combine combineOf(const ptx::Instruction &instruction) {
  if (instruction.modifiers.size() < 2)
    return Combine::None;
  std::string_view word = instruction.modifiers[1];
  return word == "and" ? Combine::And : word == "or" ? Combine::Or : word == "xor" ? Combine::Xor : Combine::None;
}

bool Decoder::decodeCompare() {
  ScalarType t = type();
  countAs(t == ScalarType::F64 ? InstructionClass::DoubleArithmetic : InstructionClass::Predicate);
  Handler handler = lanes.compare(compareOp(*instruction), t);
  if (!handler)
    return refuse("this comparison of this type");
  const auto &operands = instruction->operands;
  bool isPacked = t == ScalarType::F16x2 || t == ScalarType::BF16x2;
  bool isHalf = t == ScalarType::F16 || t == ScalarType::BF16;
  if (operands[0].isPair ? isHalf : isPacked)
    return refuse(isHalf ? "a second predicate result" : "one predicate result for two halves");
  Draft draft = make(handler);
  draft.inst.a = source(operands[1], t);
  draft.inst.b = source(operands[2], t);
  draft.inst.kind = static_cast<std::uint8_t>(combineOf(*instruction));
  draft.inst.flags |= commonFlags();
  if (operands.size() > 3) {
    bool negated = false;
    draft.inst.p1 = predicateSource(operands[3], negated);
    draft.inst.flags |= negated ? kNegateP1 : 0;
  }
  draft.inst.p0 = predicateDestination(operands[0]);
  if (operands[0].isPair)
    draft.inst.p2 = predicateDestination(operands[0].parts.back());
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeSet() {
  countAs(InstructionClass::Predicate);
  ScalarType result = type(0), t = type(1);
  Handler handler = lanes.set(compareOp(*instruction), t, result);
  if (!handler)
    return refuse("this comparison of this type");
  const auto &operands = instruction->operands;
  Draft draft = make(handler);
  draft.inst.a = source(operands[1], t);
  draft.inst.b = source(operands[2], t);
  draft.inst.kind = static_cast<std::uint8_t>(combineOf(*instruction));
  draft.inst.flags |= commonFlags();
  if (operands.size() > 3) {
    bool negated = false;
    draft.inst.p1 = predicateSource(operands[3], negated);
    draft.inst.flags |= negated ? kNegateP1 : 0;
  }
  bool brain = result == ScalarType::BF16 || result == ScalarType::BF16x2;
  draft.inst.imm = result == ScalarType::F32 ? 0x3F800000 : !ptx::isFloat(result) ? 0xFFFFFFFF : brain ? 0x3F80 : 0x3C00;
  draft.inst.d = destination(operands[0], result);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeSelect() {
  countAs(InstructionClass::Select);
  ScalarType t = type();
  const auto &operands = instruction->operands;
  if (instruction->root == "slct") {
    ScalarType sign = type(1);
    return emitArithmetic(lanes.selectBySign(t, sign), t, {t, t, sign}, commonFlags());
  }
  Draft draft = make(lanes.select(t));
  draft.inst.a = source(operands[1], t);
  draft.inst.b = source(operands[2], t);
  bool negated = false;
  draft.inst.p1 = predicateSource(operands[3], negated);
  draft.inst.flags |= negated ? kNegateP1 : 0;
  draft.inst.d = destination(operands[0], t);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeMove() {
  countAs(InstructionClass::Move);
  const auto &operands = instruction->operands;
  ScalarType t = type();
  if (operands[0].kind == Operand::Kind::Vector || operands[1].kind == Operand::Kind::Vector)
    return decodeMoveVector();
  if (t == ScalarType::B128) {
    if (operands[0].kind != Operand::Kind::Register || operands[1].kind != Operand::Kind::Register ||
        instance->function->registers[operands[0].index].type != t ||
        instance->function->registers[operands[1].index].type != t)
      return refuse("operands that are not 128-bit registers");
    for (std::uint32_t half = 0; half < 2; ++half) {
      Draft draft = make(lanes.move64);
      draft.inst.a = instance->registers[operands[1].index] + half;
      draft.inst.d = instance->registers[operands[0].index] + half;
      draft.definesD = true;
      emit(std::move(draft));
    }
    return true;
  }
  return emitArithmetic(ptx::bitWidth(t) == 64 ? lanes.move64 : lanes.move32, t, {t});
}

/// mov between one register and a vector of its pieces.
bool Decoder::decodeMoveVector() {
  const auto &operands = instruction->operands;
  bool pack = operands[1].kind == Operand::Kind::Vector;
  if (pack && operands[0].kind == Operand::Kind::Vector)
    return refuse("a vector on both sides");
  const std::vector<Operand> &pieces = pack ? operands[1].parts : operands[0].parts;
  ScalarType t = type();
  unsigned bits = ptx::bitWidth(t), pieceBits = bits / static_cast<unsigned>(std::max<std::size_t>(pieces.size(), 1));
  ScalarType piece = pieceBits == 64 ? ScalarType::B64 : pieceBits == 32 ? ScalarType::B32 : ScalarType::B16;
  if (pieces.size() * ptx::bitWidth(piece) != bits)
    return refuse("a vector of this many elements");
  if (t == ScalarType::B128) {
    const Operand &whole = pack ? operands[0] : operands[1];
    if (pieces.size() != 2 || whole.kind != Operand::Kind::Register ||
        instance->function->registers[whole.index].type != t)
      return refuse("this split of 128 bits");
    for (std::uint32_t half = 0; half < 2; ++half) {
      std::uint32_t wholeHalf = instance->registers[whole.index] + half;
      Draft draft = make(lanes.move64);
      draft.inst.a = pack ? source(pieces[half], piece) : wholeHalf;
      draft.inst.d = pack ? wholeHalf : destination(pieces[half], piece);
      draft.definesD = true;
      emit(std::move(draft));
    }
    return true;
  }
  bool four = pieces.size() == 4, wide = bits == 64;
  Draft draft = make(four   ? (pack ? lanes.pack16x4 : lanes.unpack16x4)
                     : wide ? (pack ? lanes.pack64 : lanes.unpack64)
                            : (pack ? lanes.pack16 : lanes.unpack16));
  if (!pack) {
    draft.inst.a = source(operands[1], t);
    for (const Operand &each : pieces)
      draft.list.push_back(destination(each, piece));
    draft.listDefines = static_cast<unsigned>(draft.list.size());
  } else if (four) {
    for (const Operand &each : pieces)
      draft.list.push_back(source(each, piece));
  } else {
    draft.inst.a = source(pieces[0], piece);
    draft.inst.b = source(pieces[1], piece);
  }
  if (pack) {
    draft.inst.d = destination(operands[0], t);
    draft.definesD = true;
  }
  emit(std::move(draft));
  return true;
}

/// Whether every integer of type `from` is one of type `to`.
static bool holdsAll(ScalarType to, ScalarType from) {
  if (ptx::isSigned(from))
    return ptx::isSigned(to) && ptx::bitWidth(from) <= ptx::bitWidth(to);
  return ptx::bitWidth(from) + (ptx::isSigned(to) ? 1 : 0) <= ptx::bitWidth(to);
}

/// Modifiers and types that the rows admit together and PTX does not; empty when there is nothing to say.
static std::string_view refuseConversion(ScalarType to, ScalarType from, bool sat) {
  if (!ptx::isFloat(to) && !ptx::isFloat(from))
    return sat && holdsAll(to, from) ? "`.sat` on a conversion that cannot leave the range" : "";
  if ((to == ScalarType::BF16 && !ptx::isFloat(from)) || (from == ScalarType::BF16 && !ptx::isFloat(to)))
    return sat ? "`.sat` between bf16 and integers" : ptx::bitWidth(to == ScalarType::BF16 ? from : to) == 8 ? "bf16 and 8 bits" : "";
  return "";
}

bool Decoder::decodeConvert() {
  countAs(InstructionClass::Conversion);
  ScalarType to = type(0), from = type(1);
  if (std::string_view why = refuseConversion(to, from, has("sat")); !why.empty())
    return refuse(why);
  bool integral = has("rni") || has("rzi") || has("rmi") || has("rpi");
  Rounding mode = rounding();
  std::uint32_t flags = commonFlags();
  const auto &operands = instruction->operands;
  std::uint32_t input = source(operands[1], from, true);
  // Half precision to integer goes by way of f32, which holds it exactly.
  if (ptx::bitWidth(from) == 16 && ptx::isFloat(from) && !ptx::isFloat(to)) {
    Draft widen = make(lanes.convertPlain(ScalarType::F32, from, Rounding::Nearest));
    widen.inst.a = input;
    widen.inst.d = newRegister(false);
    widen.definesD = true;
    input = widen.inst.d;
    from = ScalarType::F32;
    flags &= ~std::uint32_t(kFtz);
    emit(std::move(widen));
  }
  bool plain = (flags & (kFtz | kSat | kRelu)) == 0 && (!integral || !ptx::isFloat(to));
  Handler handler = plain ? lanes.convertPlain(to, from, mode) : nullptr;
  if (!handler)
    handler = lanes.convert(to, from, mode, integral);
  if (!handler)
    return refuse("this combination of types");
  bool narrowing = ptx::isFloat(to) && ptx::isFloat(from) && ptx::bitWidth(to) < ptx::bitWidth(from);
  if ((narrowing && !integral && mode == Rounding::Nearest && !has("rn") && to != ScalarType::TF32) ||
      (narrowing && !integral && instruction->modifiers[0] == spelling(to)))
    return refuse("a conversion that loses digits needs a rounding mode");
  Draft draft = make(handler);
  draft.inst.a = input;
  draft.inst.kind = static_cast<std::uint8_t>(mode);
  draft.inst.flags |= flags;
  draft.inst.d = destination(operands[0], to, true);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeConvertPack() {
  countAs(InstructionClass::Conversion);
  ScalarType to = type(0), f32 = ScalarType::F32;
  return emitArithmetic(lanes.convertPack(to, rounding()), to, {f32, f32}, commonFlags());
}

/// Pairs of 8-bit floats lie in 16 bits.
bool Decoder::decodeConvertFloat8() {
  countAs(InstructionClass::Conversion);
  ScalarType to = type(0), from = lastType();
  Handler handler = lanes.convertFloat8(to, from);
  if (from == ScalarType::F32)
    return emitArithmetic(handler, ScalarType::B16, {from, from}, commonFlags());
  bool widens = to == ScalarType::F16x2;
  return emitArithmetic(handler, widens ? to : ScalarType::B16, {widens ? ScalarType::B16 : from}, commonFlags());
}

} // namespace attn::emulator
