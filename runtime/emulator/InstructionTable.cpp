// Builds the rows from Instructions.def and matches instructions against them.
#include "runtime/emulator/InstructionTable.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace attn::emulator::ptx {

static std::vector<std::string_view> splitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0)
      parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

static std::vector<ModifierGroup> parseGroups(std::string_view pattern) {
  std::vector<ModifierGroup> groups;
  for (std::string_view part : splitAt(pattern, ' ')) {
    bool isChoice = part.front() == '{' || part.front() == '[';
    ModifierGroup group;
    group.required = part.front() != '[';
    group.choices = isChoice ? splitAt(part.substr(1, part.size() - 2), '|') : std::vector{part};
    groups.push_back(std::move(group));
  }
  return groups;
}

static std::vector<InstructionRow> buildRows() {
  std::vector<InstructionRow> rows;
#define ATTN_PTX(row, root, modifiers, operands, ptx, sm, family)                                                      \
  rows.push_back({#row, root, operands, parseGroups(modifiers), ptx, sm, Family::family});
#include "runtime/emulator/Instructions.def"
#undef ATTN_PTX
  return rows;
}

std::span<const InstructionRow> instructionRows() {
  static const std::vector<InstructionRow> rows = buildRows();
  return rows;
}

namespace {
/// The rows by root word.
struct RowIndex {
  std::unordered_map<std::string_view, std::vector<const InstructionRow *>> byRoot;
  RowIndex() {
    for (const InstructionRow &row : instructionRows())
      byRoot[row.root].push_back(&row);
  }
};

/// Walks groups and modifiers together, trying to skip optional groups.
struct ModifierMatch {
  const std::vector<ModifierGroup> &groups;
  const std::vector<std::string_view> &modifiers;
  std::size_t furthest = 0;

  bool from(std::size_t group, std::size_t modifier) {
    furthest = std::max(furthest, modifier);
    if (group == groups.size())
      return modifier == modifiers.size();
    const ModifierGroup &current = groups[group];
    bool fits = modifier < modifiers.size() &&
                std::find(current.choices.begin(), current.choices.end(), modifiers[modifier]) != current.choices.end();
    if (fits && from(group + 1, modifier + 1))
      return true;
    return !current.required && from(group + 1, modifier);
  }
};
} // namespace

static bool isRegister(const Function &function, const Operand &operand, bool predicate) {
  return operand.kind == Operand::Kind::Register &&
         (function.registers[operand.index].type == ScalarType::Pred) == predicate;
}

static bool isLiteral(const Operand &operand) {
  return operand.kind == Operand::Kind::Integer || operand.kind == Operand::Kind::Float32 ||
         operand.kind == Operand::Kind::Float64;
}

static bool isScalarSource(const Function &function, const Operand &operand) {
  return !operand.negated && !operand.isPair &&
         (isRegister(function, operand, false) || isLiteral(operand) || operand.kind == Operand::Kind::Special ||
          operand.kind == Operand::Kind::Symbol || operand.kind == Operand::Kind::Function);
}

static bool isVector(const Function &function, const Operand &operand, bool destination) {
  return operand.kind == Operand::Kind::Vector && !operand.parts.empty() &&
         std::all_of(operand.parts.begin(), operand.parts.end(), [&](const Operand &part) {
           return destination ? isRegister(function, part, false) || part.kind == Operand::Kind::Sink
                              : isScalarSource(function, part);
         });
}

static bool fitsDestination(const Function &function, const Operand &operand, bool predicate) {
  if (operand.negated)
    return false;
  return isRegister(function, operand, predicate) || operand.kind == Operand::Kind::Sink;
}

static bool fitsPair(const Function &function, const Operand &operand, bool predicateFirst) {
  return fitsDestination(function, operand, predicateFirst) &&
         (!operand.isPair || fitsDestination(function, operand.parts.back(), true));
}

static bool fitsPredicateSource(const Function &function, const Operand &operand) {
  return !operand.isPair && (isRegister(function, operand, true) || operand.kind == Operand::Kind::Integer);
}

static bool fitsOperand(const Function &function, char code, const Operand &operand) {
  switch (code) {
  case 'D':
    return !operand.isPair && fitsDestination(function, operand, false);
  case 'E':
    return (!operand.isPair && fitsDestination(function, operand, false)) || isVector(function, operand, true);
  case 'R':
    return fitsPair(function, operand, false);
  case 'Q':
    return fitsPair(function, operand, true);
  case 'S':
    return isScalarSource(function, operand);
  case 'W':
    return isScalarSource(function, operand) || isVector(function, operand, false);
  case 'V':
    return isVector(function, operand, false);
  case 'P':
    return fitsPredicateSource(function, operand);
  case 'A':
    return operand.kind == Operand::Kind::Address && operand.parts.size() == 1;
  case 'T':
    return operand.kind == Operand::Kind::Address && operand.parts.size() == 2 && isVector(function, operand.parts[1], false);
  case 'I':
    return operand.kind == Operand::Kind::Integer && !operand.negated;
  case 'L':
    return operand.kind == Operand::Kind::Label;
  case 'X':
    return isScalarSource(function, operand) || fitsPredicateSource(function, operand);
  case 'N':
    return operand.kind == Operand::Kind::Function || operand.kind == Operand::Kind::Vector;
  default:
    return false;
  }
}

static bool fitsOperands(const Function &function, std::string_view pattern, std::span<const Operand> operands) {
  if (pattern.empty())
    return operands.empty();
  bool optional = pattern.size() > 1 && pattern[1] == '?';
  std::string_view rest = pattern.substr(optional ? 2 : 1);
  if (!operands.empty() && fitsOperand(function, pattern[0], operands[0]) &&
      fitsOperands(function, rest, operands.subspan(1)))
    return true;
  return optional && fitsOperands(function, rest, operands);
}

static std::string refuse(const Instruction &instruction, std::string_view why) {
  return fmt::format("X01 unsupported instruction `{}`{}{}", instruction.opcode, why.empty() ? "" : ": ", why);
}

static std::string checkTarget(const Module &module, const Instruction &instruction, const InstructionRow &row) {
  if (module.version < row.minPtx)
    return refuse(instruction, fmt::format("it needs PTX {}.{}, the module says {}.{}", row.minPtx / 10, row.minPtx % 10,
                                           module.version / 10, module.version % 10));
  if (module.smVersion < row.minSm)
    return refuse(instruction, fmt::format("it needs sm_{}, the module is for {}", row.minSm, module.target));
  const bool onlyHopper = row.family == Family::Product || row.family == Family::ProductSync || row.family == Family::MaxRegisters;
  if (onlyHopper && (!module.architectureSpecific || module.smVersion != 90))
    return refuse(instruction, fmt::format("it needs sm_90a, the module is for {}", module.target));
  return {};
}

const InstructionRow *findRow(const Module &module, const Function &function, const Instruction &instruction,
                              std::string &message) {
  static const RowIndex index;
  auto rows = index.byRoot.find(instruction.root);
  if (rows == index.byRoot.end()) {
    message = refuse(instruction, {});
    return nullptr;
  }
  std::size_t furthest = 0;
  bool operandsDiffer = false;
  for (const InstructionRow *row : rows->second) {
    ModifierMatch match{row->groups, instruction.modifiers};
    bool fits = match.from(0, 0);
    furthest = std::max(furthest, match.furthest);
    if (!fits)
      continue;
    if (!fitsOperands(function, row->operands, instruction.operands)) {
      operandsDiffer = true;
      continue;
    }
    message = checkTarget(module, instruction, *row);
    return message.empty() ? row : nullptr;
  }
  if (operandsDiffer)
    message = refuse(instruction, "its operands are not of the kinds or the number that it takes");
  else if (furthest < instruction.modifiers.size())
    message = refuse(instruction, fmt::format("modifier `.{}` is not supported here", instruction.modifiers[furthest]));
  else
    message = refuse(instruction, "a modifier is missing");
  return nullptr;
}

} // namespace attn::emulator::ptx
