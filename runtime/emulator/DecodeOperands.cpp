// Operands to virtual registers: registers, literals, special registers, addresses of variables.
#include "runtime/emulator/Decode.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

namespace attn::emulator {

using ptx::Operand;
using ptx::ScalarType;
using ptx::Space;

std::uint32_t Decoder::newRegister(bool wide) {
  registers.push_back({wide, false});
  return static_cast<std::uint32_t>(registers.size() - 1);
}

std::uint16_t Decoder::newPredicate() {
  if (predicateCount >= kNoPredicate - 1u) {
    fail("X01 unsupported: more than 65534 predicate registers");
    return 0;
  }
  program.predicates = predicateCount + 1;
  return static_cast<std::uint16_t>(predicateCount++);
}

std::uint32_t Decoder::constant(std::uint64_t value, bool wide) {
  if (!wide)
    value &= 0xFFFFFFFF;
  auto [entry, added] = constants.try_emplace({value, wide}, 0);
  if (added) {
    entry->second = newRegister(wide);
    registers.back().fixed = true;
    program.constants.push_back({entry->second, value, wide});
  }
  return entry->second;
}

/// A static special register has a slot of its own; clocks are read where they stand; the wide form is extended.
std::uint32_t Decoder::special(std::uint32_t which, bool wide) {
  bool isClock = which >= kClock && which <= kGlobaltimerHi;
  if (isClock) {
    bool clockIsWide = which == kClock64 || which == kGlobaltimer;
    bool high = which == kClockHi || which == kGlobaltimerHi;
    if (clockIsWide != wide) {
      refuse("the register has another size than the clock");
      return kNoRegister;
    }
    Draft draft = make(clockHandler);
    draft.inst.kind = static_cast<std::uint8_t>(clockIsWide ? ClockKind::Wide : high ? ClockKind::High : ClockKind::Low);
    draft.inst.d = newRegister(wide);
    draft.definesD = true;
    std::uint32_t value = draft.inst.d;
    emit(std::move(draft));
    return value;
  }
  std::uint32_t &slot = program.specialSlots[which];
  if (slot == kNoRegister) {
    slot = newRegister(false);
    registers.back().fixed = true;
  }
  if (!wide)
    return slot;
  Draft draft = make(lanes.convert(ScalarType::U64, ScalarType::U32, Rounding::Nearest, false));
  draft.inst.a = slot;
  draft.inst.d = newRegister(true);
  draft.definesD = true;
  std::uint32_t value = draft.inst.d;
  emit(std::move(draft));
  return value;
}

/// Where a `.param` or `.local` variable of the current function instance lies in the thread's local memory.
std::uint32_t Decoder::frameOffset(std::uint32_t index) {
  auto [entry, added] = instance->frameOffset.try_emplace(index, 0);
  if (added) {
    const ptx::Variable &variable = module.variables[index];
    std::uint32_t start = (program.localBytes + variable.alignment - 1) / variable.alignment * variable.alignment;
    std::uint64_t end = start + variable.bytes;
    if (end > (512 << 10)) {
      fail(fmt::format("`{}`: a thread has at most 512 KB of local memory", variable.name));
      return 0;
    }
    entry->second = start;
    program.localBytes = static_cast<std::uint32_t>((end + 15) / 16 * 16);
  }
  return entry->second;
}

std::uint32_t Decoder::symbolAddress(const Operand &operand, bool wide) {
  const ptx::Variable &variable = module.variables[operand.index];
  std::uint64_t offset = static_cast<std::uint64_t>(operand.value);
  switch (variable.space) {
  case Space::Shared:
    return constant(program.variableOffset[operand.index] + offset, wide);
  case Space::Local:
    return constant(frameOffset(operand.index) + offset, wide);
  case Space::Param:
    if (variable.isParameter && callStack.size() == 1)
      return constant(program.variableOffset[operand.index] + offset, wide);
    refuse("the address of a function's parameter");
    return kNoRegister;
  default:
    break;
  }
  auto [entry, added] = symbols.try_emplace({operand.index, operand.value, wide}, 0);
  if (added) {
    entry->second = newRegister(wide);
    registers.back().fixed = true;
    program.symbols.push_back({entry->second, operand.index, operand.value, wide});
  }
  return entry->second;
}

std::uint64_t Decoder::literal(const Operand &operand, ScalarType type, bool &valid) const {
  std::uint64_t bits = static_cast<std::uint64_t>(operand.value);
  valid = true;
  switch (operand.kind) {
  case Operand::Kind::Integer:
    valid = !ptx::isFloat(type) || ptx::bitWidth(type) == 16 || type == ScalarType::F16x2 || type == ScalarType::BF16x2;
    return bits;
  case Operand::Kind::Float32:
    if (ptx::bitWidth(type) == 64)
      return std::bit_cast<std::uint64_t>(double(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
    valid = ptx::bitWidth(type) == 32;
    return bits;
  default: // Float64
    if (ptx::bitWidth(type) == 64)
      return bits;
    valid = ptx::bitWidth(type) == 32;
    return std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
  }
}

std::uint32_t Decoder::source(const Operand &operand, ScalarType type, bool relaxed) {
  bool wide = ptx::bitWidth(type) == 64;
  switch (operand.kind) {
  case Operand::Kind::Register: {
    ScalarType declared = instance->function->registers[operand.index].type;
    unsigned have = ptx::bitWidth(declared), need = ptx::bitWidth(type);
    std::uint32_t reg = instance->registers[operand.index];
    if (have == need || (relaxed && have > need && have <= 32))
      return reg;
    if (relaxed && have == 64 && need < 64) {
      Draft draft = make(lanes.convert(ScalarType::U32, ScalarType::U64, Rounding::Nearest, false));
      draft.inst.a = reg;
      draft.inst.d = newRegister(false);
      draft.definesD = true;
      std::uint32_t low = draft.inst.d;
      emit(std::move(draft));
      return low;
    }
    refuse(fmt::format("register `{}` has {} bits where {} are needed", instance->function->registers[operand.index].name,
                       have, need));
    return kNoRegister;
  }
  case Operand::Kind::Special:
    return special(operand.index, wide);
  case Operand::Kind::Symbol:
    return symbolAddress(operand, wide);
  case Operand::Kind::Integer:
  case Operand::Kind::Float32:
  case Operand::Kind::Float64: {
    bool valid = false;
    std::uint64_t bits = literal(operand, type, valid);
    if (valid)
      return constant(bits, wide);
    refuse("a literal of another kind than the operand");
    return kNoRegister;
  }
  default:
    refuse("an operand of this kind");
    return kNoRegister;
  }
}

std::uint32_t Decoder::destination(const Operand &operand, ScalarType type, bool relaxed) {
  bool wide = ptx::bitWidth(type) == 64;
  if (operand.kind == Operand::Kind::Sink)
    return newRegister(wide);
  if (operand.kind != Operand::Kind::Register) {
    refuse("a destination that is no register");
    return kNoRegister;
  }
  ScalarType declared = instance->function->registers[operand.index].type;
  unsigned have = ptx::bitWidth(declared), need = ptx::bitWidth(type);
  std::uint32_t reg = instance->registers[operand.index];
  if (have == need || (relaxed && have > need && have <= 32))
    return reg;
  if (!relaxed || have != 64 || need > 32) {
    refuse(fmt::format("register `{}` has {} bits, the result has {}", instance->function->registers[operand.index].name, have,
                       need));
    return kNoRegister;
  }
  ScalarType from = ptx::isSigned(type) && !ptx::isFloat(type) ? ScalarType::S32 : ScalarType::U32;
  ScalarType to = from == ScalarType::S32 ? ScalarType::S64 : ScalarType::U64;
  Draft draft = make(lanes.convert(to, from, Rounding::Nearest, false));
  draft.inst.a = newRegister(false);
  draft.inst.d = reg;
  draft.definesD = true;
  std::uint32_t narrow = draft.inst.a;
  after.push_back(std::move(draft));
  return narrow;
}

std::uint16_t Decoder::predicateSource(const Operand &operand, bool &negated) {
  negated = operand.negated;
  if (operand.kind == Operand::Kind::Register)
    return static_cast<std::uint16_t>(instance->registers[operand.index]);
  // A literal: a predicate set just before.
  Draft draft = make(predicateConstantHandler);
  draft.inst.p0 = newPredicate();
  draft.inst.imm = operand.value != 0;
  std::uint16_t predicate = draft.inst.p0;
  emit(std::move(draft));
  return predicate;
}

std::uint16_t Decoder::predicateDestination(const Operand &operand) {
  if (operand.kind == Operand::Kind::Register)
    return static_cast<std::uint16_t>(instance->registers[operand.index]);
  return newPredicate();
}

bool Decoder::address(const Operand &operand, Space space, Draft &draft) {
  const Operand &base = operand.parts[0];
  draft.inst.space = static_cast<std::uint8_t>(space);
  draft.inst.imm = operand.value;
  switch (base.kind) {
  case Operand::Kind::Register: {
    unsigned bits = ptx::bitWidth(instance->function->registers[base.index].type);
    if (bits != 32 && bits != 64)
      return refuse("an address in a register of less than 32 bits");
    if (bits == 32 && (space == Space::Global || space == Space::Generic))
      return refuse("a 32-bit register as global or generic address");
    draft.inst.a = instance->registers[base.index];
    draft.inst.flags |= bits == 64 ? kWideAddress : 0;
    return true;
  }
  case Operand::Kind::Integer:
    draft.inst.imm += base.value;
    return true;
  case Operand::Kind::Symbol: {
    const ptx::Variable &variable = module.variables[base.index];
    if (variable.space == Space::Param && (!variable.isParameter || callStack.size() > 1)) {
      draft.inst.space = static_cast<std::uint8_t>(Space::Local);
      draft.inst.imm += static_cast<std::int64_t>(frameOffset(base.index)) + base.value;
      return true;
    }
    if (space != variable.space && space != Space::Generic)
      return refuse(fmt::format("`{}` is in another space", variable.name));
    if (space == Space::Generic && variable.space != Space::Global && variable.space != Space::Const)
      return refuse(fmt::format("`{}` is not a generic address", variable.name));
    draft.inst.flags |= kWideAddress;
    draft.inst.a = symbolAddress(base, true);
    if (variable.space == Space::Param) { // a fixed place in the parameter block
      draft.inst.a = kNoRegister;
      draft.inst.imm += static_cast<std::int64_t>(program.variableOffset[base.index]) + base.value;
    }
    return error.message.empty();
  }
  default:
    return refuse("an address of this kind");
  }
}

} // namespace attn::emulator
