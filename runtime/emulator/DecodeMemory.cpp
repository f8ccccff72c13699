// Decoding of memory, warp, barrier and matrix instructions.
#include "runtime/emulator/Cta.h"
#include "runtime/emulator/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace attn::emulator {

using ptx::Operand;
using ptx::ScalarType;
using ptx::Space;

Space Decoder::memorySpace() const {
  for (std::string_view modifier : instruction->modifiers) {
    if (modifier == "global")
      return Space::Global;
    if (modifier == "shared" || modifier == "shared::cta")
      return Space::Shared;
    if (modifier == "local")
      return Space::Local;
    if (modifier == "const")
      return Space::Const;
    if (modifier.substr(0, 5) == "param")
      return Space::Param;
  }
  return Space::Generic;
}

static InstructionClass memoryClass(std::uint8_t space) {
  switch (static_cast<Space>(space)) {
  case Space::Shared: return InstructionClass::SharedMemory;
  case Space::Local: return InstructionClass::LocalMemory;
  case Space::Param: return InstructionClass::ParameterMemory;
  default: return InstructionClass::GlobalMemory;
  }
}

/// A 128-bit element is two of 64 bits.
static unsigned elementBytes(ScalarType type) { return std::min(ptx::bitWidth(type) / 8, 8u); }

bool Decoder::decodeLoad() {
  ScalarType t = lastType();
  const auto &operands = instruction->operands;
  Draft draft = make(loadHandler);
  Space space = instruction->root == "ldu" && memorySpace() == Space::Generic ? Space::Generic : memorySpace();
  if (!address(operands[1], space, draft))
    return false;
  countAs(memoryClass(draft.inst.space));
  draft.inst.bytes = static_cast<std::uint8_t>(elementBytes(t));
  draft.inst.flags |= ptx::isSigned(t) && !ptx::isFloat(t) ? kSigned : 0;
  unsigned width = has("v2") ? 2 : has("v4") ? 4 : 1;
  bool isVector = operands[0].kind == Operand::Kind::Vector;
  if (isVector != (width > 1) || (isVector && operands[0].parts.size() != width))
    return refuse("a vector of another length than the instruction's");
  if (t == ScalarType::B128) {
    if (isVector || operands[0].kind != Operand::Kind::Register ||
        instance->function->registers[operands[0].index].type != t)
      return refuse("a destination that is not one 128-bit register");
    std::uint32_t low = instance->registers[operands[0].index];
    draft.list = {low, low + 1};
  } else if (isVector) {
    for (const Operand &part : operands[0].parts)
      draft.list.push_back(destination(part, t, true));
  } else {
    draft.inst.d = destination(operands[0], t, true);
    draft.definesD = true;
  }
  draft.listDefines = static_cast<unsigned>(draft.list.size());
  draft.inst.count = static_cast<std::uint8_t>(std::max<std::size_t>(draft.list.size(), 1));
  if (draft.inst.count * draft.inst.bytes > 16)
    return refuse("a vector of more than 16 bytes");
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeStore() {
  ScalarType t = lastType();
  const auto &operands = instruction->operands;
  Draft probe = make(storeHandler);
  if (!address(operands[0], memorySpace(), probe))
    return false;
  countAs(memoryClass(probe.inst.space));
  unsigned width = has("v2") ? 2 : has("v4") ? 4 : 1;
  bool isVector = operands[1].kind == Operand::Kind::Vector;
  if (isVector != (width > 1) || (isVector && operands[1].parts.size() != width))
    return refuse("a vector of another length than the instruction's");
  if (t == ScalarType::B128) {
    if (isVector || operands[1].kind != Operand::Kind::Register ||
        instance->function->registers[operands[1].index].type != t)
      return refuse("a source that is not one 128-bit register");
    std::uint32_t low = instance->registers[operands[1].index];
    probe.list = {low, low + 1};
  } else if (isVector) {
    for (const Operand &part : operands[1].parts)
      probe.list.push_back(source(part, t, true));
  } else {
    probe.inst.d = source(operands[1], t, true);
  }
  probe.inst.bytes = static_cast<std::uint8_t>(elementBytes(t));
  probe.inst.count = static_cast<std::uint8_t>(std::max<std::size_t>(probe.list.size(), 1));
  if (probe.inst.count * probe.inst.bytes > 16)
    return refuse("a vector of more than 16 bytes");
  emit(std::move(probe));
  return true;
}

static AtomicOp atomicOp(std::string_view word) {
  static constexpr std::string_view kNames[] = {"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"};
  auto found = std::find(std::begin(kNames), std::end(kNames), word);
  return static_cast<AtomicOp>(found - std::begin(kNames));
}

bool Decoder::decodeAtomic() {
  countAs(InstructionClass::Atomic);
  ScalarType t = lastType();
  const auto &operands = instruction->operands;
  bool isReduction = instruction->root == "red";
  std::size_t first = isReduction ? 0 : 1;
  Draft draft = make(atomicHandler);
  if (!address(operands[first], memorySpace(), draft))
    return false;
  AtomicOp op = AtomicOp::Add;
  for (std::string_view modifier : instruction->modifiers)
    if (AtomicOp found = atomicOp(modifier); found <= AtomicOp::Cas)
      op = found;
  if (ptx::isFloat(t))
    op = ptx::bitWidth(t) == 64 || t == ScalarType::F32                ? AtomicOp::AddFloat
         : t == ScalarType::BF16 || t == ScalarType::BF16x2 ? AtomicOp::AddBrain
                                                            : AtomicOp::AddHalf;
  if ((op == AtomicOp::Inc || op == AtomicOp::Dec) && t != ScalarType::U32)
    return refuse("inc and dec are for u32");
  draft.inst.b = source(operands[first + 1], t);
  if (op == AtomicOp::Cas)
    draft.inst.c = source(operands[first + 2], t);
  draft.inst.kind = static_cast<std::uint8_t>(op);
  draft.inst.bytes = static_cast<std::uint8_t>(ptx::bitWidth(t) / 8);
  draft.inst.count = 1;
  draft.inst.flags |= (ptx::isSigned(t) ? kSigned : 0) | (isReduction ? kNoResult : 0);
  if (!isReduction) {
    draft.inst.d = destination(operands[0], t);
    draft.definesD = true;
  }
  emit(std::move(draft));
  return true;
}

/// A cache policy is an opaque value; we keep no caches.
bool Decoder::decodeCreatePolicy() {
  countAs(InstructionClass::Other);
  Draft draft = make(lanes.move64);
  draft.inst.a = constant(0, true);
  draft.inst.d = destination(instruction->operands[0], ScalarType::B64);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeAddressConvert() {
  countAs(InstructionClass::Integer);
  Draft draft = make(addressConvertHandler);
  switch (memorySpace()) {
  case Space::Shared: draft.inst.imm = static_cast<std::int64_t>(kSharedWindow); break;
  case Space::Local: draft.inst.imm = static_cast<std::int64_t>(kLocalWindow); break;
  case Space::Param: draft.inst.imm = static_cast<std::int64_t>(kParamWindow); break;
  default: break; // global and const are generic addresses
  }
  draft.inst.flags |= has("to") ? kToSpace : 0;
  draft.inst.a = source(instruction->operands[1], ScalarType::U64);
  draft.inst.d = destination(instruction->operands[0], ScalarType::U64);
  draft.definesD = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeIsSpace() {
  countAs(InstructionClass::Predicate);
  Draft draft = make(isSpaceHandler);
  draft.inst.space = static_cast<std::uint8_t>(memorySpace());
  draft.inst.a = source(instruction->operands[1], ScalarType::U64);
  draft.inst.p0 = predicateDestination(instruction->operands[0]);
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeAsyncCopy() {
  countAs(InstructionClass::AsyncCopy);
  const auto &operands = instruction->operands;
  std::int64_t bytes = operands[2].value;
  bool valid = bytes == 16 || (has("ca") && (bytes == 4 || bytes == 8));
  if (!valid)
    return refuse(fmt::format("a copy of {} bytes", bytes));
  Draft draft = make(asyncCopyHandler), from = make(asyncCopyHandler);
  if (!address(operands[0], Space::Shared, draft) || !address(operands[1], Space::Global, from))
    return false;
  draft.inst.b = from.inst.a;
  if (from.inst.imm != static_cast<std::int32_t>(from.inst.imm))
    return refuse("a displacement of more than 32 bits");
  draft.inst.target = static_cast<std::uint32_t>(from.inst.imm);
  draft.inst.bytes = static_cast<std::uint8_t>(bytes);
  std::size_t extra = operands.size() - 3 - (has("L2::cache_hint") ? 1 : 0);
  if (extra > 1)
    return refuse("more operands than it takes");
  if (extra == 1) {
    const Operand &operand = operands[3];
    bool isPredicate = operand.kind == Operand::Kind::Register &&
                       instance->function->registers[operand.index].type == ScalarType::Pred;
    if (isPredicate) {
      bool negated = false;
      draft.inst.p1 = predicateSource(operand, negated);
      draft.inst.flags |= kHasIgnore | (negated ? kNegateP1 : 0);
    } else {
      draft.inst.c = source(operand, ScalarType::U32);
      draft.inst.flags |= kHasSourceSize;
    }
  }
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeAsyncWait() {
  countAs(InstructionClass::AsyncCopy);
  Draft draft = make(asyncWaitHandler);
  draft.inst.imm = has("wait_all") ? -1 : instruction->operands[0].value;
  if (!has("wait_all") && draft.inst.imm < 0)
    return refuse("a negative number of groups");
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeLoadMatrix() {
  countAs(InstructionClass::SharedMemory);
  const auto &operands = instruction->operands;
  unsigned count = has("x4") ? 4 : has("x2") ? 2 : 1;
  Draft draft = make(loadMatrixHandler);
  if (!address(operands[1], memorySpace(), draft))
    return false;
  std::vector<Operand> parts = operands[0].kind == Operand::Kind::Vector ? operands[0].parts : std::vector{operands[0]};
  if (parts.size() != count)
    return refuse(fmt::format("{} destination registers, but it loads {} matrices", parts.size(), count));
  for (const Operand &part : parts)
    draft.list.push_back(destination(part, ScalarType::B32));
  if (count == 1) {
    draft.inst.d = draft.list[0];
    draft.definesD = true;
    draft.list.clear();
  }
  draft.listDefines = static_cast<unsigned>(draft.list.size());
  draft.inst.count = static_cast<std::uint8_t>(count);
  draft.inst.bytes = 16;
  draft.inst.flags |= has("trans") ? kTranspose : 0;
  emit(std::move(draft));
  return true;
}

namespace {
/// What a row of the mma table says about operands: types and how many registers each has.
struct MmaForm {
  MmaKind kind = MmaKind::F16;
  unsigned m = 16, k = 16;
  ScalarType input = ScalarType::B32, accumulatorD = ScalarType::F32, accumulatorC = ScalarType::F32;
  unsigned countA = 4, countB = 2, countC = 4, countD = 4;
};
} // namespace

static MmaForm mmaForm(std::string_view shape, ScalarType d, ScalarType a, ScalarType c) {
  MmaForm form;
  form.k = shape == "m16n8k32" ? 32 : shape == "m16n8k16" ? 16 : shape == "m16n8k8" ? 8 : 4;
  bool isFloat8 = a == ScalarType::E4M3 || a == ScalarType::E5M2;
  bool eightBit = a == ScalarType::S8 || a == ScalarType::U8 || isFloat8;
  unsigned perRegister = eightBit ? 4 : a == ScalarType::TF32 ? 1 : 2;
  if (a == ScalarType::F64) {
    form = {MmaKind::Double, 8, 4, ScalarType::F64, ScalarType::F64, ScalarType::F64, 1, 1, 2, 2};
    if (shape != "m8n8k4") {
      unsigned depth = shape == "m16n8k16" ? 16 : shape == "m16n8k8" ? 8 : 4;
      form = {MmaKind::TallDouble, 16, depth, ScalarType::F64, ScalarType::F64, ScalarType::F64, depth / 2, depth / 4, 4, 4};
    }
    return form;
  }
  form.countA = 16 * form.k / 32 / perRegister;
  form.countB = 8 * form.k / 32 / perRegister;
  form.kind = isFloat8                  ? MmaKind::Float8
              : eightBit                ? MmaKind::Integer
              : a == ScalarType::TF32 ? MmaKind::TF32
              : a == ScalarType::BF16 ? MmaKind::BF16
                                      : MmaKind::F16;
  form.countD = d == ScalarType::F16 ? 2 : 4;
  form.countC = c == ScalarType::F16 ? 2 : 4;
  form.accumulatorD = d == ScalarType::F16 ? ScalarType::B32 : d;
  form.accumulatorC = c == ScalarType::F16 ? ScalarType::B32 : c;
  return form;
}

bool Decoder::decodeMma() {
  countAs(InstructionClass::Tensor);
  ScalarType d = type(0), a = type(1), b = type(2), c = type(3);
  if (d != c)
    return refuse("accumulators of two types");
  MmaForm form = mmaForm(instruction->modifiers[2], d, a, c);
  origin().macs = form.m * 8 * form.k * (form.kind == MmaKind::TF32 ? 2 : 1); // tf32 has half the rate of f16
  origin().macs /= form.kind == MmaKind::Float8 ? 2 : 1;                                      // and 8 bits twice of it
  origin().macs *= form.input == ScalarType::F64 ? 16 : 1;                                    // and f64 a sixteenth (A100, H100)
  Draft draft = make(alignedMmaHandler);
  draft.inst.inner = lanes.mma(form.kind, form.k, d == ScalarType::F16);
  draft.inst.flags |= commonFlags();
  draft.inst.kind = static_cast<std::uint8_t>((a == ScalarType::S8 || a == ScalarType::E5M2 ? 1 : 0) |
                                             (b == ScalarType::S8 || b == ScalarType::E5M2 ? 2 : 0));
  const unsigned counts[4] = {form.countD, form.countA, form.countB, form.countC};
  const ScalarType types[4] = {form.accumulatorD, form.input, form.input, form.accumulatorC};
  for (unsigned i = 0; i < 4; ++i) {
    const Operand &operand = instruction->operands[i];
    bool isVector = operand.kind == Operand::Kind::Vector;
    if ((isVector ? operand.parts.size() : 1) != counts[i])
      return refuse(fmt::format("operand {} has {} registers, but {} are needed", i + 1, isVector ? operand.parts.size() : 1,
                                counts[i]));
    for (unsigned part = 0; part < counts[i]; ++part) {
      const Operand &each = isVector ? operand.parts[part] : operand;
      draft.list.push_back(i == 0 ? destination(each, types[i]) : source(each, types[i]));
    }
  }
  draft.listDefines = form.countD;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeShuffle() {
  countAs(InstructionClass::Shuffle);
  static constexpr std::string_view kModes[] = {"up", "down", "bfly", "idx"};
  const auto &operands = instruction->operands;
  Draft draft = make(shuffleHandler);
  for (std::size_t i = 0; i < std::size(kModes); ++i)
    if (has(kModes[i]))
      draft.inst.kind = static_cast<std::uint8_t>(i);
  draft.inst.a = source(operands[1], ScalarType::B32);
  draft.inst.b = source(operands[2], ScalarType::B32);
  draft.inst.c = source(operands[3], ScalarType::B32);
  draft.list = {source(operands[4], ScalarType::B32)};
  draft.inst.d = destination(operands[0], ScalarType::B32);
  draft.definesD = true;
  if (operands[0].isPair)
    draft.inst.p0 = predicateDestination(operands[0].parts.back());
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeVote() {
  countAs(InstructionClass::Shuffle);
  static constexpr std::string_view kModes[] = {"all", "any", "uni", "ballot"};
  const auto &operands = instruction->operands;
  Draft draft = make(voteHandler);
  for (std::size_t i = 0; i < std::size(kModes); ++i)
    if (has(kModes[i]))
      draft.inst.kind = static_cast<std::uint8_t>(i);
  bool negated = false;
  draft.inst.p1 = predicateSource(operands[1], negated);
  draft.inst.flags |= negated ? kNegateP1 : 0;
  draft.inst.a = source(operands[2], ScalarType::B32);
  if (has("ballot")) {
    draft.inst.d = destination(operands[0], ScalarType::B32);
    draft.definesD = true;
  } else {
    draft.inst.p0 = predicateDestination(operands[0]);
  }
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeMatch() {
  countAs(InstructionClass::Shuffle);
  const auto &operands = instruction->operands;
  ScalarType t = type();
  Draft draft = make(has("any") ? matchAnyHandler : matchAllHandler);
  draft.inst.a = source(operands[1], t);
  draft.inst.b = source(operands[2], ScalarType::B32);
  draft.inst.flags |= t == ScalarType::B64 ? kWideData : 0;
  draft.inst.d = destination(operands[0], ScalarType::B32);
  draft.definesD = true;
  if (operands[0].isPair)
    draft.inst.p0 = predicateDestination(operands[0].parts.back());
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeWarpReduce() {
  countAs(InstructionClass::Shuffle);
  ScalarType t = type();
  std::uint8_t kind = static_cast<std::uint8_t>(atomicOp(instruction->modifiers[1]));
  return emitArithmetic(warpReduceHandler, t, {t, ScalarType::B32}, t == ScalarType::S32 ? kSigned : 0, 0, kind);
}

/// bar.sync, arrive and red; `bar` means the aligned form of `barrier`.
bool Decoder::decodeBarrier() {
  countAs(InstructionClass::Synchronization);
  const auto &operands = instruction->operands;
  bool reduces = has("red"), arrives = has("arrive");
  std::size_t next = reduces ? 1 : 0;
  Draft draft = make(barrierHandler);
  draft.inst.a = source(operands[next++], ScalarType::B32);
  bool hasCount = reduces ? operands.size() == 4 : operands.size() == 2;
  if (hasCount) {
    draft.inst.b = source(operands[next++], ScalarType::B32);
    draft.inst.flags |= kHasCount;
  }
  NamedBarrier::Use use = NamedBarrier::Use::Plain;
  if (reduces) {
    use = has("popc") ? NamedBarrier::Use::CountReduce
          : has("and") ? NamedBarrier::Use::AndReduce
                       : NamedBarrier::Use::OrReduce;
    bool negated = false;
    draft.inst.p1 = predicateSource(operands[next], negated);
    draft.inst.flags |= negated ? kNegateP1 : 0;
    if (has("popc")) {
      draft.inst.d = destination(operands[0], ScalarType::U32);
      draft.definesD = true;
    } else {
      draft.inst.p0 = predicateDestination(operands[0]);
    }
  }
  draft.inst.kind = static_cast<std::uint8_t>(use);
  draft.inst.flags |= (arrives ? kArriveOnly : 0) | (instruction->root == "bar" || has("aligned") ? kAligned : 0);
  emit(std::move(draft));
  return true;
}

} // namespace attn::emulator
