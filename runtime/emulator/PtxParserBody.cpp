// Function bodies: declarations, labels, instructions and their operands. Names follow the braces: inline assembly opens
// a block of its own, so the same label or register may stand in many blocks.
#include "runtime/emulator/InstructionTable.h"
#include "runtime/emulator/PtxParser.h"

#include <fmt/format.h>

#include <limits>

namespace attn::emulator::ptx {

static constexpr unsigned kMaxOperandDepth = 4;
static constexpr std::size_t kMaxScopes = 1'000'000;
static constexpr std::size_t kMaxDepth = 64;
static constexpr std::uint32_t kNoPosition = std::numeric_limits<std::uint32_t>::max();

void Parser::pushScope() {
  Scope scope;
  scope.parent = currentScope;
  currentScope = static_cast<std::int32_t>(scopes.size());
  scopes.push_back(std::move(scope));
}

bool Parser::popScope() {
  currentScope = scopes[currentScope].parent;
  return true;
}

bool Parser::declare(std::string_view name, Name entry, std::uint32_t line) {
  if (scopes[currentScope].names.emplace(name, entry).second)
    return true;
  return fail(fmt::format("`{}` is declared twice", name), line);
}

/// `%r12` of `.reg .b32 %r<44>`: makes the register on first use.
const Parser::Name *Parser::lookupRange(std::string_view name, Scope &scope) {
  for (const RegisterRange &range : scope.ranges) {
    if (name.size() <= range.prefix.size() || name.substr(0, range.prefix.size()) != range.prefix)
      continue;
    std::string_view digits = name.substr(range.prefix.size());
    if (digits.size() > 1 && digits[0] == '0')
      continue;
    std::uint64_t number = 0;
    bool isNumber = digits.size() < 10;
    for (char c : digits) {
      isNumber &= c >= '0' && c <= '9';
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (!isNumber || number >= range.count)
      continue;
    function->registers.push_back({std::string(name), range.type});
    Name entry{Name::Kind::Register, static_cast<std::uint32_t>(function->registers.size() - 1)};
    return &scope.names.emplace(name, entry).first->second;
  }
  return nullptr;
}

const Parser::Name *Parser::lookup(std::string_view name, std::int32_t scope) {
  for (; scope >= 0; scope = scopes[scope].parent) {
    auto found = scopes[scope].names.find(name);
    if (found != scopes[scope].names.end())
      return &found->second;
    if (function)
      if (const Name *entry = lookupRange(name, scopes[scope]))
        return entry;
  }
  return nullptr;
}

bool Parser::parseBody(Function &target) {
  function = &target;
  target.hasBody = true;
  location = {};
  pending.clear();
  std::size_t depth = 0;
  if (!expect('{'))
    return false;
  pushScope();
  for (;;) {
    if (peek().kind == Token::Kind::End)
      return fail(fmt::format("the body of `{}` has no end", target.name));
    if (accept('{')) {
      if (scopes.size() > kMaxScopes || depth > kMaxDepth)
        return fail("too many blocks");
      pushScope();
      ++depth;
    } else if (accept('}')) {
      popScope();
      if (depth-- == 0)
        break;
    } else if (!parseStatement()) {
      return false;
    }
  }
  bool finished = resolvePending() && finishInstructions();
  function = nullptr;
  return finished;
}

bool Parser::parseStatement() {
  const Token &token = peek();
  if (accept(';'))
    return true;
  if (token.kind != Token::Kind::Word || token.text.front() != '.')
    return parseLabelOrInstruction();
  std::string_view word = token.text;
  if (word == ".loc")
    return parseLocation();
  take();
  if (word == ".reg")
    return parseRegisters();
  if (word == ".local")
    return parseLocalVariable(Space::Local);
  if (word == ".shared")
    return parseLocalVariable(Space::Shared);
  if (word == ".param")
    return parseLocalVariable(Space::Param);
  if (word == ".pragma") {
    while (peek().kind != Token::Kind::End && !peek().is(';'))
      take();
    return expect(';');
  }
  return fail(fmt::format("X01 unsupported directive `{}`", word));
}

bool Parser::parseRegisters() {
  std::uint32_t line = peek().line;
  std::string_view word;
  if (!expectWord(word, "the type of a register"))
    return false;
  ScalarType type = word.front() == '.' ? parseScalarType(word.substr(1)) : ScalarType::None;
  if (type == ScalarType::None)
    return fail(fmt::format("X01 unsupported register type `{}`", word), line);
  do {
    std::string_view name;
    line = peek().line;
    if (!expectWord(name, "the name of a register"))
      return false;
    if (accept('<')) {
      std::uint64_t count = 0;
      if (!parseUnsigned(count) || !expect('>'))
        return false;
      scopes[currentScope].ranges.push_back({std::string(name), count, type});
      continue;
    }
    function->registers.push_back({std::string(name), type});
    if (!declare(name, {Name::Kind::Register, static_cast<std::uint32_t>(function->registers.size() - 1)}, line))
      return false;
  } while (accept(','));
  return expect(';');
}

bool Parser::parseLocalVariable(Space space) {
  Variable prototype;
  prototype.space = space;
  if (!parseVariableType(prototype))
    return false;
  do {
    Variable variable = prototype;
    std::string_view name;
    std::uint32_t line = peek().line;
    if (!parseVariableName(variable, name))
      return false;
    std::uint32_t index = addVariable(std::move(variable));
    function->locals.push_back(index);
    if (!declare(name, {Name::Kind::Variable, index}, line))
      return false;
  } while (accept(','));
  return expect(';');
}

/// `.loc file line column[, function_name label[+offset], inlined_at file line column]`
bool Parser::parseLocation() {
  std::uint32_t line = take().line;
  std::uint64_t file = 0, number = 0;
  if (!parseUnsigned(file) || !parseUnsigned(number))
    return false;
  location = {static_cast<std::uint32_t>(std::min<std::uint64_t>(file, kNoPosition)),
              static_cast<std::uint32_t>(std::min<std::uint64_t>(number, kNoPosition))};
  skipToLineEnd(line);
  return true;
}

std::uint32_t Parser::labelIndex(std::string_view name) {
  function->labels.push_back({std::string(name), kNoPosition, {}});
  return static_cast<std::uint32_t>(function->labels.size() - 1);
}

bool Parser::parseLabelOrInstruction() {
  if (peek().kind == Token::Kind::Word && peek(1).is(':')) {
    std::uint32_t line = peek().line;
    std::string_view name = take().text;
    take();
    if (peek().isWord(".branchtargets"))
      return parseBranchTargets(name);
    if (peek().isWord(".callprototype") || peek().isWord(".calltargets"))
      return fail("X01 unsupported: an indirect call");
    std::uint32_t index = labelIndex(name);
    function->labels[index].position = static_cast<std::uint32_t>(function->instructions.size());
    return declare(name, {Name::Kind::Label, index}, line);
  }
  return parseInstruction();
}

bool Parser::parseBranchTargets(std::string_view name) {
  std::uint32_t line = take().line;
  std::uint32_t index = labelIndex(name);
  if (!declare(name, {Name::Kind::Label, index}, line))
    return false;
  do {
    std::string_view target;
    if (!expectWord(target, "a label"))
      return false;
    std::uint32_t slot = static_cast<std::uint32_t>(function->labels[index].targets.size());
    function->labels[index].targets.push_back(kNoPosition);
    pending.push_back({kNoPosition, {index, slot}, target, currentScope, line});
  } while (accept(','));
  return expect(';');
}

bool Parser::parseGuard(Instruction &instruction) {
  instruction.guardNegated = accept('!');
  std::string_view name;
  if (!expectWord(name, "a predicate register"))
    return false;
  const Name *entry = lookup(name, currentScope);
  if (!entry || entry->kind != Name::Kind::Register || function->registers[entry->index].type != ScalarType::Pred)
    return fail(fmt::format("`{}` is not a predicate register", name));
  instruction.guard = static_cast<std::int32_t>(entry->index);
  return true;
}

static void splitOpcode(Instruction &instruction) {
  std::string_view rest = instruction.opcode;
  bool first = true;
  while (!rest.empty()) {
    std::size_t end = std::min(rest.find('.'), rest.size());
    if (first)
      instruction.root = rest.substr(0, end);
    else
      instruction.modifiers.push_back(rest.substr(0, end));
    first = false;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

bool Parser::parseInstruction() {
  Instruction instruction;
  if (accept('@') && !parseGuard(instruction))
    return false;
  instruction.line = peek().line;
  instruction.location = location;
  if (!expectWord(instruction.opcode, "an instruction"))
    return false;
  splitOpcode(instruction);
  std::vector<std::uint32_t> path;
  while (!accept(';')) {
    if (peek().kind == Token::Kind::End || (!instruction.operands.empty() && !expect(',')))
      return fail("an instruction ends with `;`");
    path.assign(1, static_cast<std::uint32_t>(instruction.operands.size()));
    Operand operand;
    if (!parseOperand(operand, path, 0))
      return false;
    instruction.operands.push_back(std::move(operand));
  }
  function->instructions.push_back(std::move(instruction));
  return true;
}

bool Parser::parseOperand(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth) {
  if (depth > kMaxOperandDepth)
    return fail("an operand is nested too deeply");
  if (!parseSimpleOperand(operand, path, depth))
    return false;
  if (!accept('|'))
    return true;
  operand.isPair = true;
  path.push_back(static_cast<std::uint32_t>(operand.parts.size()));
  Operand second;
  if (!parseSimpleOperand(second, path, depth + 1))
    return false;
  operand.parts.push_back(std::move(second));
  path.pop_back();
  return true;
}

bool Parser::parseSimpleOperand(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth) {
  if (accept('!')) {
    operand.negated = true;
    return parseNamedOperand(operand, path);
  }
  if (accept('{'))
    return parseOperandList(operand, '}', path, depth);
  if (accept('('))
    return parseOperandList(operand, ')', path, depth);
  if (accept('['))
    return parseAddress(operand, path, depth);
  if (accept('-'))
    return parseNumberOperand(operand, true);
  if (peek().kind == Token::Kind::Number)
    return parseNumberOperand(operand, false);
  return parseNamedOperand(operand, path);
}

bool Parser::parseOperandList(Operand &operand, char close, std::vector<std::uint32_t> &path, unsigned depth) {
  operand.kind = Operand::Kind::Vector;
  if (accept(close))
    return true;
  do {
    path.push_back(static_cast<std::uint32_t>(operand.parts.size()));
    Operand part;
    if (!parseOperand(part, path, depth + 1))
      return false;
    operand.parts.push_back(std::move(part));
    path.pop_back();
  } while (accept(','));
  return expect(close);
}

bool Parser::parseOffset(std::int64_t &value) {
  while (peek().is('+') || peek().is('-')) {
    bool negative = take().is('-');
    std::int64_t term = 0;
    if (!parseConstant(term))
      return false;
    value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) +
                                      (negative ? 0 - static_cast<std::uint64_t>(term) : static_cast<std::uint64_t>(term)));
  }
  return true;
}

bool Parser::parseAddress(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth) {
  operand.kind = Operand::Kind::Address;
  do {
    path.push_back(static_cast<std::uint32_t>(operand.parts.size()));
    Operand part;
    if (!parseOperand(part, path, depth + 1))
      return false;
    if (operand.parts.empty() && part.kind == Operand::Kind::Register && !parseOffset(operand.value))
      return false;
    operand.parts.push_back(std::move(part));
    path.pop_back();
  } while (accept(','));
  return expect(']');
}

bool Parser::parseNumberOperand(Operand &operand, bool negative) {
  NumberValue number;
  if (peek().kind != Token::Kind::Number || !parseNumber(peek().text, number))
    return fail(fmt::format("`{}` is not a number", peek().text));
  take();
  std::uint64_t bits = number.bits;
  switch (number.kind) {
  case NumberValue::Kind::Integer:
    operand.kind = Operand::Kind::Integer;
    bits = negative ? 0 - bits : bits;
    break;
  case NumberValue::Kind::Float32:
    operand.kind = Operand::Kind::Float32;
    bits ^= negative ? 0x80000000u : 0;
    break;
  case NumberValue::Kind::Float64:
    operand.kind = Operand::Kind::Float64;
    bits ^= negative ? std::uint64_t(1) << 63 : 0;
    break;
  }
  operand.value = static_cast<std::int64_t>(bits);
  return true;
}

bool Parser::parseNamedOperand(Operand &operand, const std::vector<std::uint32_t> &path) {
  std::uint32_t line = peek().line;
  std::string_view name;
  if (!expectWord(name, "an operand"))
    return false;
  if (name == "_") {
    operand.kind = Operand::Kind::Sink;
    return true;
  }
  if (name == "WARP_SZ") {
    operand.kind = Operand::Kind::Integer;
    operand.value = 32;
    return true;
  }
  if (const Name *entry = lookup(name, currentScope); entry && entry->kind != Name::Kind::Label) {
    operand.index = entry->index;
    operand.kind = entry->kind == Name::Kind::Register   ? Operand::Kind::Register
                   : entry->kind == Name::Kind::Variable ? Operand::Kind::Symbol
                                                         : Operand::Kind::Function;
    return operand.kind != Operand::Kind::Symbol || parseOffset(operand.value);
  }
  if (int special = specialRegisterIndex(name); special >= 0) {
    operand.kind = Operand::Kind::Special;
    operand.index = static_cast<std::uint32_t>(special);
    return true;
  }
  if (name.front() == '%')
    return fail(fmt::format("unknown register `{}`", name), line);
  operand.kind = Operand::Kind::Label;
  pending.push_back({static_cast<std::uint32_t>(function->instructions.size()), path, name, currentScope, line});
  return true;
}

bool Parser::resolvePending() {
  for (const Pending &use : pending) {
    const Name *entry = lookup(use.name, use.scope);
    if (!entry || entry->kind != Name::Kind::Label)
      return fail(fmt::format("unknown name `{}`", use.name), use.line);
    if (use.instruction == kNoPosition) {
      function->labels[use.path[0]].targets[use.path[1]] = entry->index;
      continue;
    }
    Operand *operand = &function->instructions[use.instruction].operands[use.path[0]];
    for (std::size_t i = 1; i < use.path.size(); ++i)
      operand = &operand->parts[use.path[i]];
    operand->index = entry->index;
  }
  return true;
}

bool Parser::finishInstructions() {
  for (Instruction &instruction : function->instructions) {
    std::string message;
    instruction.row = findRow(module, *function, instruction, message);
    if (!instruction.row)
      return fail(std::move(message), instruction.line);
  }
  return true;
}

} // namespace attn::emulator::ptx
