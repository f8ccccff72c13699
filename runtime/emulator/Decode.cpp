// The frame of decoding: functions, instructions, jumps, calls (see Decode.h).
#include "runtime/emulator/Decode.h"

#include "runtime/emulator/sanitizer/Sanitizer.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn::emulator {

using ptx::Family;
using ptx::Operand;
using ptx::ScalarType;
using ptx::Space;

/// Inlining stops here: more means calls that multiply without end.
static constexpr std::size_t kMaxDrafts = 1'000'000;

bool decodeEntry(const ptx::Module &module, const ptx::Function &entry, const LaneHandlers &lanes, Program &program,
                 DecodeError &error) {
  Decoder decoder(module, entry, lanes, program);
  bool done = decoder.run();
  error = decoder.error;
  return done;
}

bool Decoder::fail(std::string message) {
  if (error.message.empty())
    error = {instruction ? instruction->line : entry.line, std::move(message)};
  return false;
}

bool Decoder::refuse(std::string_view why) {
  return fail(fmt::format("X01 unsupported instruction `{}`: {}", instruction->opcode, why));
}

bool Decoder::has(std::string_view modifier) const {
  const auto &modifiers = instruction->modifiers;
  return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
}

ScalarType Decoder::type(unsigned n) const {
  for (std::string_view modifier : instruction->modifiers)
    if (ScalarType found = ptx::parseScalarType(modifier); found != ScalarType::None && n-- == 0)
      return found;
  return ScalarType::None;
}

ScalarType Decoder::lastType() const {
  ScalarType last = ScalarType::None;
  for (std::string_view modifier : instruction->modifiers)
    if (ScalarType found = ptx::parseScalarType(modifier); found != ScalarType::None)
      last = found;
  return last;
}

Rounding Decoder::rounding() const {
  if (has("rz") || has("rzi"))
    return Rounding::Zero;
  if (has("rm") || has("rmi"))
    return Rounding::Down;
  if (has("rp") || has("rpi"))
    return Rounding::Up;
  return has("rna") ? Rounding::NearestAway : Rounding::Nearest;
}

std::uint32_t Decoder::commonFlags() const {
  return (has("ftz") ? kFtz : 0) | (has("sat") || has("satfinite") ? kSat : 0) | (has("relu") ? kRelu : 0) |
         (has("NaN") ? kNaN : 0) | (has("xorsign") ? kXorSign : 0) | (has("aligned") ? kAligned : 0);
}

void Decoder::countAs(InstructionClass kind) { origin().kind = kind; }

Draft Decoder::make(Handler handler) const {
  Draft draft;
  draft.inst.fn = handler;
  draft.inst.guard = guard;
  draft.inst.flags = guardFlags;
  draft.inst.origin = static_cast<std::uint32_t>(program.origins.size() - 1);
  return draft;
}

void Decoder::emit(Draft draft) {
  drafts.push_back(std::move(draft));
}

/// Static shared variables follow the reserved block; dynamic memory comes last, at its own alignment.
void Decoder::layOutShared() {
  program.variableOffset.assign(module.variables.size(), 0);
  std::uint32_t next = kReservedSharedBytes;
  auto place = [&](std::uint32_t index) {
    const ptx::Variable &variable = module.variables[index];
    if (variable.space != Space::Shared || variable.isExtern)
      return;
    next = (next + variable.alignment - 1) / variable.alignment * variable.alignment;
    program.variableOffset[index] = next;
    next += static_cast<std::uint32_t>(std::min<std::uint64_t>(variable.bytes, 1 << 28));
  };
  for (std::uint32_t index : module.moduleVariables)
    place(index);
  for (const auto &function : module.functions)
    if (function.get() == &entry || !function->isEntry)
      for (std::uint32_t index : function->locals)
        place(index);
  for (std::uint32_t index : module.moduleVariables)
    if (module.variables[index].space == Space::Shared && module.variables[index].isExtern)
      program.dynamicSharedAlignment = std::max(program.dynamicSharedAlignment, module.variables[index].alignment);
  next = (next + program.dynamicSharedAlignment - 1) / program.dynamicSharedAlignment * program.dynamicSharedAlignment;
  program.staticSharedBytes = next;
  for (std::uint32_t index : module.moduleVariables)
    if (module.variables[index].space == Space::Shared && module.variables[index].isExtern)
      program.variableOffset[index] = next;
}

bool Decoder::run() {
  program.module = &module;
  program.entry = &entry;
  std::fill(std::begin(program.specialSlots), std::end(program.specialSlots), kNoRegister);
  layOutShared();
  Instance top;
  top.function = &entry;
  std::uint32_t offset = 0;
  for (std::uint32_t index : entry.parameters) {
    const ptx::Variable &variable = module.variables[index];
    offset = (offset + variable.alignment - 1) / variable.alignment * variable.alignment;
    program.variableOffset[index] = offset;
    offset += static_cast<std::uint32_t>(std::min<std::uint64_t>(variable.bytes, 1 << 20));
  }
  if (!decodeFunction(top))
    return false;
  allocateRegisters(program, drafts, registers);
  return true;
}

bool Decoder::decodeFunction(Instance &made) {
  const ptx::Function *function = made.function;
  if (std::find(callStack.begin(), callStack.end(), function) != callStack.end())
    return refuse("recursive call");
  callStack.push_back(function);
  Instance *outer = instance;
  const ptx::Instruction *call = instruction;
  std::uint16_t outerGuard = guard;
  std::uint32_t outerFlags = guardFlags;
  instance = &made;
  for (const ptx::Register &reg : function->registers)
    made.registers.push_back(reg.type == ScalarType::Pred ? newPredicate() : newRegister(ptx::bitWidth(reg.type) == 64));
  // A 128-bit register is two of 64 bits, the second right after the first.
  for (std::size_t i = 0; i < function->registers.size(); ++i)
    if (function->registers[i].type == ScalarType::B128) {
      made.registers[i] = newRegister(true);
      newRegister(true);
    }
  for (const ptx::Instruction &each : function->instructions) {
    made.draftOf.push_back(static_cast<std::uint32_t>(drafts.size()));
    if (!decodeInstruction(made, each))
      return false;
    if (drafts.size() > kMaxDrafts)
      return fail("the program is too large once calls are inlined");
  }
  made.draftOf.push_back(static_cast<std::uint32_t>(drafts.size()));
  instruction = call;
  guard = outerGuard;
  guardFlags = outerFlags;
  if (!outer) { // falling off the end of an entry is an exit
    static const ptx::Instruction kEnd = [] {
      ptx::Instruction end;
      end.opcode = "ret";
      end.root = "ret";
      return end;
    }();
    program.origins.push_back({function, function->instructions.empty() ? &kEnd : &function->instructions.back(),
                               InstructionClass::Control});
    Draft end = make(exitHandler);
    end.inst.guard = kNoPredicate;
    end.inst.flags = 0;
    end.endsPath = true;
    emit(end);
  }
  bool resolved = resolveJumps(made);
  instance = outer;
  callStack.pop_back();
  return resolved;
}

bool Decoder::resolveJumps(Instance &made) {
  std::uint32_t end = made.draftOf.back();
  auto place = [&](std::uint32_t label) { return made.draftOf[made.function->labels[label].position]; };
  for (auto [draft, label] : made.jumps) {
    const ptx::Label &target = made.function->labels[label];
    Draft &jump = drafts[draft];
    if (target.targets.empty()) {
      jump.inst.target = place(label);
      jump.targets = {jump.inst.target};
      continue;
    }
    std::vector<std::uint32_t> table;
    for (std::uint32_t each : target.targets) {
      if (!made.function->labels[each].targets.empty())
        return fail("a list of branch targets names another list");
      table.push_back(place(each));
    }
    jump.targets = table;
    jump.inst.target = static_cast<std::uint32_t>(program.branchTables.size());
    program.branchTables.push_back(std::move(table));
  }
  for (std::size_t draft : made.returns) {
    drafts[draft].inst.target = end;
    drafts[draft].targets = {end};
  }
  return true;
}

bool Decoder::decodeInstruction(Instance &made, const ptx::Instruction &each) {
  instruction = &each;
  program.origins.push_back({made.function, &each, InstructionClass::Other});
  guard = each.guard >= 0 ? static_cast<std::uint16_t>(made.registers[each.guard]) : kNoPredicate;
  guardFlags = each.guardNegated ? kGuardNegated : 0;
  after.clear();
  std::size_t first = drafts.size();
  bool done = false;
  switch (each.row->family) {
  case Family::Integer: done = decodeInteger(); break;
  case Family::Carry: done = decodeCarry(); break;
  case Family::PredicateLogic: done = decodePredicateLogic(); break;
  case Family::Float: done = decodeFloat(); break;
  case Family::FloatTest: done = decodeFloatTest(); break;
  case Family::Half: done = decodeHalf(); break;
  case Family::Compare: done = decodeCompare(); break;
  case Family::Set: done = decodeSet(); break;
  case Family::Select: done = decodeSelect(); break;
  case Family::Move: done = decodeMove(); break;
  case Family::Convert: done = decodeConvert(); break;
  case Family::ConvertPack: done = decodeConvertPack(); break;
  case Family::ConvertFloat8: done = decodeConvertFloat8(); break;
  case Family::AddressConvert: done = decodeAddressConvert(); break;
  case Family::IsSpace: done = decodeIsSpace(); break;
  case Family::Load: done = decodeLoad(); break;
  case Family::Store: done = decodeStore(); break;
  case Family::Nothing: done = decodeSimple(nothingHandler, InstructionClass::Other); break;
  case Family::Atomic: done = decodeAtomic(); break;
  case Family::CreatePolicy: done = decodeCreatePolicy(); break;
  case Family::Shuffle: done = decodeShuffle(); break;
  case Family::Vote: done = decodeVote(); break;
  case Family::Match: done = decodeMatch(); break;
  case Family::WarpReduce: done = decodeWarpReduce(); break;
  case Family::ActiveMask:
    done = emitArithmetic(activeMaskHandler, ScalarType::B32, {});
    countAs(InstructionClass::Shuffle);
    break;
  case Family::WarpBarrier: {
    Draft draft = make(warpBarrierHandler);
    draft.inst.a = source(each.operands[0], ScalarType::B32);
    emit(draft);
    countAs(InstructionClass::Synchronization);
    done = true;
    break;
  }
  case Family::MoveMatrix:
    done = emitArithmetic(moveMatrixHandler, ScalarType::B32, {ScalarType::B32});
    countAs(InstructionClass::Shuffle);
    break;
  case Family::Barrier: done = decodeBarrier(); break;
  case Family::Fence: done = decodeFence(); break;
  case Family::AsyncCopy: done = decodeAsyncCopy(); break;
  case Family::AsyncCommit: done = decodeSimple(asyncCommitHandler, InstructionClass::AsyncCopy); break;
  case Family::AsyncWait: done = decodeAsyncWait(); break;
  case Family::LoadMatrix: done = decodeLoadMatrix(); break;
  case Family::Mma: done = decodeMma(); break;
  case Family::Branch: done = decodeBranch(); break;
  case Family::BranchIndexed: done = decodeBranchIndexed(); break;
  case Family::Call: done = decodeCall(); break;
  case Family::Return: done = decodeReturn(); break;
  case Family::Exit: done = decodeSimple(exitHandler, InstructionClass::Control); break;
  case Family::Trap: done = decodeSimple(trapHandler, InstructionClass::Other); break;
  case Family::StoreMatrix: done = decodeStoreMatrix(); break;
  case Family::Mbarrier: done = decodeMbarrier(); break;
  case Family::MbarrierWait: done = decodeMbarrierWait(); break;
  case Family::CopyArrival: done = decodeCopyArrival(); break;
  case Family::TensorCopy: done = decodeTensorCopy(); break;
  case Family::BulkGroup: done = decodeBulkGroup(); break;
  case Family::MapPrefetch: done = decodeMapPrefetch(); break;
  case Family::Product: done = decodeProduct(); break;
  case Family::ProductSync: done = decodeProductSync(); break;
  case Family::Elect: done = decodeElect(); break;
  case Family::MaxRegisters: done = decodeMaxRegisters(); break;
  case Family::Sleep: done = decodeSimple(nothingHandler, InstructionClass::Other); break;
  }
  if (!done || !error.message.empty())
    return done ? false : fail(fmt::format("X01 unsupported instruction `{}`", each.opcode));
  if (each.row->family != Family::Call && drafts.size() > first)
    drafts.back().inst.flags |= kCounted;
  if ((each.row->family == Family::Exit || each.row->family == Family::Trap) && guard == kNoPredicate)
    drafts.back().endsPath = true;
  for (Draft &move : after)
    drafts.push_back(std::move(move));
  return true;
}

bool Decoder::decodeFence() {
  countAs(InstructionClass::Synchronization);
  Draft draft = make(fenceHandler);
  const FenceKind kind = has("mbarrier_init") ? FenceKind::BarrierInit
                         : !has("proxy")      ? FenceKind::Memory
                         : has("global")      ? FenceKind::ProxyGlobal
                                              : FenceKind::Proxy;
  draft.inst.kind = static_cast<std::uint8_t>(kind);
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeSimple(Handler handler, InstructionClass kind) {
  emit(make(handler));
  countAs(kind);
  return true;
}

bool Decoder::decodeBranch() {
  const Operand &label = instruction->operands[0];
  if (!instance->function->labels[label.index].targets.empty())
    return refuse("the label names a list of branch targets");
  countAs(InstructionClass::Control);
  Draft draft = make(branchHandler);
  draft.endsPath = guard == kNoPredicate;
  instance->jumps.emplace_back(drafts.size(), label.index);
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeBranchIndexed() {
  countAs(InstructionClass::Control);
  Draft draft = make(branchIndexedHandler);
  draft.inst.a = source(instruction->operands[0], ScalarType::U32);
  draft.endsPath = guard == kNoPredicate;
  const Operand &label = instruction->operands[1];
  if (instance->function->labels[label.index].targets.empty())
    return refuse("its label is no list of branch targets");
  instance->jumps.emplace_back(drafts.size(), label.index);
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeReturn() {
  countAs(InstructionClass::Control);
  bool isEntry = callStack.size() == 1;
  Draft draft = make(isEntry ? exitHandler : branchHandler);
  draft.endsPath = guard == kNoPredicate;
  if (!isEntry)
    instance->returns.push_back(drafts.size());
  emit(std::move(draft));
  return true;
}

static bool areVariables(const std::vector<Operand> &operands) {
  return std::all_of(operands.begin(), operands.end(), [](const Operand &operand) {
    return operand.kind == Operand::Kind::Symbol && operand.value == 0;
  });
}

/// The callee's parameters and results are the caller's `.param` variables under other names: the body is decoded in place.
bool Decoder::decodeCall() {
  countAs(InstructionClass::Control);
  const Operand *callee = nullptr;
  std::vector<Operand> lists[2];
  bool seen = false;
  for (const Operand &operand : instruction->operands) {
    if (operand.kind == Operand::Kind::Function) {
      callee = &operand;
      seen = true;
    } else {
      lists[seen ? 1 : 0] = operand.parts;
    }
  }
  if (!callee)
    return refuse("an indirect call");
  const ptx::Function &function = *module.functions[callee->index];
  if (!areVariables(lists[0]) || !areVariables(lists[1]))
    return refuse("an argument that is not a `.param` variable");
  if (!function.hasBody)
    return decodeBuiltin(function, lists[0], lists[1]);
  if (guard != kNoPredicate)
    return refuse("a call under a guard");
  if (function.isEntry || lists[0].size() != function.results.size() || lists[1].size() != function.parameters.size())
    return refuse(fmt::format("its arguments do not fit `{}`", function.name));
  Instance inner;
  inner.function = &function;
  for (std::size_t i = 0; i < lists[0].size(); ++i)
    inner.frameOffset[function.results[i]] = frameOffset(lists[0][i].index);
  for (std::size_t i = 0; i < lists[1].size(); ++i) {
    if (module.variables[function.parameters[i]].bytes != module.variables[lists[1][i].index].bytes)
      return refuse(fmt::format("argument {} has another size than the parameter of `{}`", i + 1, function.name));
    inner.frameOffset[function.parameters[i]] = frameOffset(lists[1][i].index);
  }
  return decodeFunction(inner);
}

bool Decoder::decodeBuiltin(const ptx::Function &callee, const std::vector<Operand> &results,
                            const std::vector<Operand> &arguments) {
  auto load = [&](const Operand &argument) {
    Draft draft = make(loadHandler);
    draft.inst.space = static_cast<std::uint8_t>(Space::Local);
    draft.inst.imm = frameOffset(argument.index);
    draft.inst.bytes = 8;
    draft.inst.count = 1;
    draft.inst.d = newRegister(true);
    draft.definesD = true;
    std::uint32_t loaded = draft.inst.d;
    emit(std::move(draft));
    return loaded;
  };
  if (callee.name == "vprintf" && arguments.size() == 2 && results.size() <= 1) {
    Draft draft = make(printHandler);
    draft.inst.a = load(arguments[0]);
    draft.inst.b = load(arguments[1]);
    draft.inst.flags |= kCounted;
    emit(std::move(draft));
    if (results.empty())
      return true;
    Draft store = make(storeHandler);
    store.inst.space = static_cast<std::uint8_t>(Space::Local);
    store.inst.imm = frameOffset(results[0].index);
    store.inst.bytes = 4;
    store.inst.count = 1;
    store.inst.d = constant(0, false);
    emit(std::move(store));
    return true;
  }
  if (callee.name == "__assertfail" && !arguments.empty()) {
    Draft draft = make(assertFailHandler);
    draft.inst.a = load(arguments[0]);
    draft.inst.flags |= kCounted;
    emit(std::move(draft));
    return true;
  }
  return refuse(fmt::format("`{}` has no body in this module", callee.name));
}

} // namespace attn::emulator
