// Decoding of what sm_90 brought: transaction barriers, the tensor memory accelerator, products of warpgroups.
#include "runtime/emulator/AsyncEngine.h"
#include "runtime/emulator/Decode.h"

#include <fmt/format.h>

#include <charconv>

namespace attn::emulator {

using ptx::Operand;
using ptx::ScalarType;
using ptx::Space;

/// Shared memory where the instruction names it in any form; else generic.
static Space barrierSpace(const ptx::Instruction &instruction) {
  for (std::string_view modifier : instruction.modifiers)
    if (modifier == "shared" || modifier == "shared::cta" || modifier == "shared::cluster")
      return Space::Shared;
  return Space::Generic;
}

bool Decoder::addressRegister(const Operand &operand, Space space, std::uint32_t &reg, std::int64_t &displacement, bool &wide) {
  Draft parsed;
  if (!address(operand, space, parsed))
    return false;
  reg = parsed.inst.a;
  displacement = parsed.inst.imm;
  wide = parsed.inst.flags & kWideAddress;
  return true;
}

bool Decoder::decodeMbarrier() {
  countAs(InstructionClass::Synchronization);
  const auto &operands = instruction->operands;
  if (has("pending_count"))
    return emitArithmetic(mbarrierPendingHandler, ScalarType::B32, {ScalarType::B64});
  Draft draft = make(mbarrierHandler);
  const bool arrives = has("arrive") || has("arrive_drop");
  const std::size_t at = arrives ? 1 : 0;
  if (!address(operands[at], barrierSpace(*instruction), draft))
    return false;
  MbarrierOp op = MbarrierOp::Init;
  if (arrives)
    op = has("arrive_drop") ? MbarrierOp::ArriveDrop : has("expect_tx") ? MbarrierOp::ArriveExpectBytes : MbarrierOp::Arrive;
  else if (!has("init"))
    op = has("inval") ? MbarrierOp::Invalidate : has("expect_tx") ? MbarrierOp::ExpectBytes : MbarrierOp::CompleteBytes;
  draft.inst.kind = static_cast<std::uint8_t>(op);
  if (operands.size() > at + 1)
    draft.inst.b = source(operands[at + 1], ScalarType::B32);
  if (arrives && operands[0].kind != Operand::Kind::Sink) {
    draft.inst.d = destination(operands[0], ScalarType::B64);
    draft.definesD = true;
  }
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeMbarrierWait() {
  countAs(InstructionClass::Synchronization);
  const auto &operands = instruction->operands;
  Draft draft = make(mbarrierWaitHandler);
  if (!address(operands[1], barrierSpace(*instruction), draft))
    return false;
  draft.inst.b = source(operands[2], has("parity") ? ScalarType::B32 : ScalarType::B64);
  draft.inst.flags |= (has("parity") ? kParity : 0) | (has("try_wait") ? kMayBlock : 0);
  draft.inst.p0 = predicateDestination(operands[0]);
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeCopyArrival() {
  countAs(InstructionClass::Synchronization);
  Draft draft = make(copyArrivalHandler);
  draft.inst.flags |= has("noinc") ? kNoIncrement : 0;
  if (!address(instruction->operands[0], barrierSpace(*instruction), draft))
    return false;
  emit(std::move(draft));
  return true;
}

/// load: [shared], [map, {…}], [barrier]; store: [map, {…}], [shared]; prefetch: [map, {…}]
bool Decoder::decodeTensorCopy() {
  countAs(InstructionClass::AsyncCopy);
  const auto &operands = instruction->operands;
  const bool prefetches = has("prefetch"), stores = has("bulk_group");
  Draft draft = make(prefetches ? tensorPrefetchHandler : tensorCopyHandler);
  const Operand &map = operands[prefetches || stores ? 0 : 1];
  bool wide = false;
  if (!prefetches) {
    if (!addressRegister(operands[stores ? 1 : 0], Space::Shared, draft.inst.a, draft.inst.imm, wide))
      return false;
    draft.inst.flags |= wide ? kWideAddress : 0;
  }
  if (!stores && !prefetches) {
    std::int64_t displacement = 0;
    if (!addressRegister(operands[2], Space::Shared, draft.inst.c, displacement, wide))
      return false;
    if (displacement != static_cast<std::int32_t>(displacement))
      return refuse("a displacement of more than 32 bits");
    draft.inst.target = static_cast<std::uint32_t>(displacement);
    draft.inst.flags |= wide ? kWideBarrier : 0;
  }
  draft.inst.b = source(map.parts[0], ScalarType::U64);
  if (map.value != 0)
    return refuse("a tensor map with a displacement");
  const std::size_t rank = map.parts[1].parts.size();
  if (!has(fmt::format("{}d", rank)))
    return refuse(fmt::format("{} coordinates", rank));
  for (const Operand &coordinate : map.parts[1].parts)
    draft.list.push_back(source(coordinate, ScalarType::S32));
  draft.inst.count = static_cast<std::uint8_t>(rank);
  draft.inst.kind = static_cast<std::uint8_t>(stores ? Transfer::Kind::Store : Transfer::Kind::Load);
  const std::size_t fixed = prefetches ? 1 : stores ? 2 : 3;
  if (operands.size() != fixed + (has("L2::cache_hint") ? 1 : 0))
    return refuse("a cache policy goes with `.L2::cache_hint`");
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeBulkGroup() {
  countAs(InstructionClass::AsyncCopy);
  Draft draft = make(has("commit_group") ? bulkCommitHandler : bulkWaitHandler);
  draft.inst.imm = instruction->operands.empty() ? 0 : instruction->operands[0].value;
  if (draft.inst.imm < 0)
    return refuse("a negative number of groups");
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeMapPrefetch() {
  countAs(InstructionClass::AsyncCopy);
  Draft draft = make(mapPrefetchHandler);
  const Operand &operand = instruction->operands[0];
  if (operand.value != 0)
    return refuse("a tensor map with a displacement");
  draft.inst.b = source(operand.parts[0], ScalarType::U64);
  emit(std::move(draft));
  return true;
}

/// The N of m64nNk16 and m64nNk32.
static unsigned columnsOf(std::string_view shape) {
  unsigned columns = 0;
  std::from_chars(shape.data() + 4, shape.data() + shape.size(), columns);
  return columns;
}

/// wgmma.mma_async.sync.aligned.shape.f32.type.type {D}, a, b-desc, scale-d, scale-a, scale-b[, trans-a], trans-b
bool Decoder::decodeProduct() {
  countAs(InstructionClass::Tensor);
  const auto &operands = instruction->operands;
  const unsigned columns = columnsOf(instruction->modifiers[3]);
  const bool registerA = operands[1].kind == Operand::Kind::Vector;
  if (operands[0].parts.size() != columns / 2 || (registerA && operands[1].parts.size() != 4))
    return refuse(fmt::format("D needs {} registers and A, in registers, four", columns / 2));
  const bool isFloat8 = type(1) == ScalarType::E4M3 || type(1) == ScalarType::E5M2; // whose depth lies along the rows
  if (operands.size() != (isFloat8 ? 6u : registerA ? 7u : 8u))
    return refuse(isFloat8 ? "expects two scales and nothing behind them" : "the scales and transpositions are not complete");
  Draft draft = make(productHandler);
  auto pin = [&](std::uint32_t reg) {
    if (reg != kNoRegister && !registers[reg].fixed)
      registers[reg].pinned = true;
    draft.list.push_back(reg);
  };
  for (const Operand &part : operands[0].parts)
    pin(destination(part, ScalarType::F32));
  draft.listDefines = static_cast<unsigned>(draft.list.size());
  for (const Operand &part : operands[1].parts)
    pin(source(part, ScalarType::B32));
  if (!registerA)
    draft.inst.a = source(operands[1], ScalarType::B64);
  draft.inst.b = source(operands[2], ScalarType::B64);
  bool negated = false;
  draft.inst.p1 = predicateSource(operands[3], negated);
  draft.inst.flags |= negated ? kNegateP1 : 0;
  std::uint8_t kind = registerA ? kProductRegisterA : 0;
  for (std::size_t i = 4; i < 6; ++i) {
    if (operands[i].value != 1 && operands[i].value != -1)
      return refuse(fmt::format("a scale is 1 or -1, but got {}", operands[i].value));
    kind |= operands[i].value == 1 ? 0 : i == 4 ? kProductNegateA : kProductNegateB;
  }
  for (std::size_t i = 6; i < operands.size(); ++i) {
    if (operands[i].value != 0 && operands[i].value != 1)
      return refuse(fmt::format("a transposition is 0 or 1, but got {}", operands[i].value));
    const bool ofA = i == 6 && !registerA;
    kind |= operands[i].value == 0 ? 0 : ofA ? kProductTransposeA : kProductTransposeB;
  }
  draft.inst.kind = kind;
  draft.inst.space = static_cast<std::uint8_t>(type(1));
  draft.inst.bytes = static_cast<std::uint8_t>(type(2));
  draft.inst.count = static_cast<std::uint8_t>(columns / 8);
  origin().macs = 64 * columns * 16 / 4; // of one of the four warps; of 8 bits twice as many, in the same time
  origin().sharedOperandBytes = columns * 16 * 2 / 4 + (registerA ? 0 : 16 * 16 * 2); // B is read once for all four
  program.hasProducts = true;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeProductSync() {
  if (has("fence"))
    return decodeSimple(productFenceHandler, InstructionClass::Synchronization);
  if (has("commit_group"))
    return decodeSimple(productCommitHandler, InstructionClass::Synchronization);
  countAs(InstructionClass::Synchronization);
  Draft draft = make(productWaitHandler);
  draft.inst.imm = instruction->operands[0].value;
  if (draft.inst.imm < 0 || draft.inst.imm > 7)
    return refuse("0 to 7 groups may stay pending");
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeElect() {
  countAs(InstructionClass::Shuffle);
  const auto &operands = instruction->operands;
  if (!operands[0].isPair)
    return refuse("the predicate is missing");
  Draft draft = make(electHandler);
  draft.inst.a = source(operands[1], ScalarType::B32);
  if (operands[0].kind != Operand::Kind::Sink) {
    draft.inst.d = destination(operands[0], ScalarType::B32);
    draft.definesD = true;
  }
  draft.inst.p0 = predicateDestination(operands[0].parts.back());
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeMaxRegisters() {
  const std::int64_t count = instruction->operands[0].value;
  if (count < 24 || count > 256 || count % 8 != 0)
    return refuse(fmt::format("a number of registers is a multiple of 8 from 24 to 256, but got {}", count));
  countAs(InstructionClass::Synchronization);
  Draft draft = make(maxRegistersHandler);
  draft.inst.imm = count;
  draft.inst.kind = has("inc") ? 1 : 0;
  emit(std::move(draft));
  return true;
}

bool Decoder::decodeStoreMatrix() {
  countAs(InstructionClass::SharedMemory);
  const auto &operands = instruction->operands;
  const unsigned count = has("x4") ? 4 : has("x2") ? 2 : 1;
  Draft draft = make(storeMatrixHandler);
  if (!address(operands[0], memorySpace(), draft))
    return false;
  std::vector<Operand> parts = operands[1].kind == Operand::Kind::Vector ? operands[1].parts : std::vector{operands[1]};
  if (parts.size() != count)
    return refuse(fmt::format("{} registers, but it stores {} matrices", parts.size(), count));
  for (const Operand &part : parts)
    draft.list.push_back(source(part, ScalarType::B32));
  draft.inst.count = static_cast<std::uint8_t>(count);
  draft.inst.flags |= has("trans") ? kTranspose : 0;
  emit(std::move(draft));
  return true;
}

} // namespace attn::emulator
