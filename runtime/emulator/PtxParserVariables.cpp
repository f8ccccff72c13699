// Variable declarations and their initialisers.
#include "runtime/emulator/PtxParser.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

namespace attn::emulator::ptx {

/// Module variables larger than this are refused, so that a short hostile text cannot take all memory.
static constexpr std::uint64_t kMaxVariableBytes = std::uint64_t(1) << 30;

static std::string_view spanning(std::string_view first, std::string_view last) {
  return {first.data(), static_cast<std::size_t>(last.data() + last.size() - first.data())};
}

bool Parser::parsePointerAttribute(Variable &variable) {
  std::string_view first = peek().text, last = first;
  take();
  while (peek().kind == Token::Kind::Word && peek().text.front() == '.') {
    last = peek().text;
    if (take().text != ".align")
      continue;
    last = peek().text;
    std::uint64_t ignored = 0;
    if (!parseUnsigned(ignored))
      return false;
  }
  variable.pointee = spanning(first, last);
  return true;
}

bool Parser::parseVariableType(Variable &variable) {
  variable.line = peek().line;
  std::uint64_t alignment = 0;
  bool haveType = false;
  while (peek().kind == Token::Kind::Word && peek().text.front() == '.') {
    std::string_view word = peek().text;
    if (word == ".ptr" && haveType) {
      if (!parsePointerAttribute(variable))
        return false;
      continue;
    }
    take();
    if (word == ".align") {
      if (!parseUnsigned(alignment))
        return false;
      if (alignment == 0 || alignment > 4096 || !std::has_single_bit(alignment))
        return fail("alignment has to be a power of two up to 4096");
    } else if (word == ".v2" || word == ".v4") {
      variable.vectorWidth = word == ".v2" ? 2 : 4;
    } else if (ScalarType type = parseScalarType(word.substr(1)); type != ScalarType::None && type != ScalarType::Pred) {
      variable.type = type;
      haveType = true;
    } else {
      return fail(fmt::format("X01 unsupported attribute `{}` of a variable", word));
    }
  }
  if (!haveType)
    return fail("expected the type of a variable");
  std::uint64_t natural = bitWidth(variable.type) / 8 * variable.vectorWidth;
  variable.alignment = static_cast<std::uint32_t>(alignment ? alignment : natural);
  variable.bytes = natural;
  return true;
}

bool Parser::parseVariableName(Variable &variable, std::string_view &name) {
  if (!expectWord(name, "the name of a variable"))
    return false;
  variable.name = name;
  std::uint64_t element = variable.bytes;
  while (accept('[')) {
    std::uint64_t count = 0;
    if (!peek().is(']') && !parseUnsigned(count))
      return false;
    if (!expect(']'))
      return false;
    if (count != 0 && variable.bytes > kMaxVariableBytes / count)
      return fail(fmt::format("`{}` is too large", name));
    variable.bytes *= count;
    variable.isArray = true;
  }
  if (element > kMaxVariableBytes)
    return fail(fmt::format("`{}` is too large", name));
  return true;
}

bool Parser::storeInitial(Variable &variable, std::uint64_t offset, std::uint64_t bits, unsigned bytes) {
  if (variable.bytes == 0 && variable.isArray) { // `x[] = {…}`: the size follows from the values
    if (offset + bytes > kMaxVariableBytes)
      return fail("initialiser is too long");
  } else if (offset + bytes > variable.bytes) {
    return fail("more initial values than elements");
  }
  if (variable.initial.size() < offset + bytes)
    variable.initial.resize(offset + bytes);
  for (unsigned i = 0; i < bytes; ++i)
    variable.initial[offset + i] = static_cast<std::uint8_t>(bits >> (8 * i));
  return true;
}

static std::uint64_t floatBits(const NumberValue &number, ScalarType type) {
  double value = number.kind == NumberValue::Kind::Float64
                     ? std::bit_cast<double>(number.bits)
                     : static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(number.bits)));
  if (type == ScalarType::F64)
    return std::bit_cast<std::uint64_t>(value);
  if (number.kind == NumberValue::Kind::Float32)
    return number.bits;
  return std::bit_cast<std::uint32_t>(static_cast<float>(value));
}

bool Parser::parseInitialiserValue(Variable &variable, std::uint64_t &offset) {
  unsigned bytes = bitWidth(variable.type) / 8;
  if (peek().kind == Token::Kind::Word) { // a symbol, or generic(symbol)
    bool generic = peek().text == "generic" && peek(1).is('(');
    if (generic)
      take(), take();
    std::uint32_t line = peek().line;
    std::string_view name = take().text;
    if (generic && !expect(')'))
      return false;
    const Name *entry = lookup(name, 0);
    if (!entry || entry->kind != Name::Kind::Variable)
      return fail(fmt::format("`{}` is not a variable declared above", name), line);
    if (module.variables[entry->index].space != Space::Global && module.variables[entry->index].space != Space::Const)
      return fail("X01 unsupported: the address of a variable that is not global in an initialiser", line);
    Relocation relocation{offset, entry->index, 0, static_cast<std::uint8_t>(bytes)};
    if (accept('+') && !parseConstant(relocation.addend))
      return false;
    variable.relocations.push_back(relocation);
    bool stored = storeInitial(variable, offset, 0, bytes);
    offset += bytes;
    return stored;
  }
  bool negative = accept('-');
  NumberValue number;
  if (peek().kind != Token::Kind::Number || !parseNumber(peek().text, number))
    return fail("expected an initial value");
  take();
  std::uint64_t bits = number.bits;
  if (number.kind != NumberValue::Kind::Integer || isFloat(variable.type)) {
    if (number.kind == NumberValue::Kind::Integer)
      number = {NumberValue::Kind::Float64, std::bit_cast<std::uint64_t>(static_cast<double>(number.bits))};
    if (bytes < 4)
      return fail("X01 unsupported: a float literal of less than 32 bits");
    bits = floatBits(number, variable.type);
    if (negative)
      bits ^= std::uint64_t(1) << (8 * bytes - 1);
  } else if (negative) {
    bits = 0 - bits;
  }
  bool stored = storeInitial(variable, offset, bits, bytes);
  offset += bytes;
  return stored;
}

/// Nested braces only group: the values follow one another. Iterative, so that depth costs no stack.
bool Parser::parseInitialiserList(Variable &variable, std::uint64_t &offset) {
  std::uint64_t depth = 1;
  while (depth > 0) {
    if (peek().kind == Token::Kind::End)
      return fail("initialiser without end");
    if (accept('{'))
      ++depth;
    else if (accept('}'))
      --depth;
    else if (accept(','))
      continue;
    else if (!parseInitialiserValue(variable, offset))
      return false;
  }
  return true;
}

bool Parser::parseInitialiser(Variable &variable) {
  std::uint64_t offset = 0;
  bool parsed = accept('{') ? parseInitialiserList(variable, offset) : parseInitialiserValue(variable, offset);
  if (!parsed)
    return false;
  if (variable.bytes == 0)
    variable.bytes = variable.initial.size();
  return true;
}

std::uint32_t Parser::addVariable(Variable variable) {
  module.variables.push_back(std::move(variable));
  return static_cast<std::uint32_t>(module.variables.size() - 1);
}

} // namespace attn::emulator::ptx
