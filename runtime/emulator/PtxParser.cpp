// The module level of the PTX parser: version, target, linkage, functions and their directives.
#include "runtime/emulator/PtxParser.h"

#include <fmt/format.h>

namespace attn::emulator::ptx {

/// A text with more tokens than this is refused: it bounds time and memory on hostile input.
static constexpr std::size_t kMaxTokens = 20'000'000;

std::unique_ptr<Module> parseModule(std::string_view text, std::string_view name, ParseError &error) {
  auto module = std::make_unique<Module>();
  module->text = text;
  module->name = name;
  module->lineStart.push_back(0);
  for (std::size_t i = 0; i < module->text.size(); ++i)
    if (module->text[i] == '\n')
      module->lineStart.push_back(static_cast<std::uint32_t>(i + 1));
  std::vector<Token> tokens;
  LexError lexError = tokenize(module->text, tokens);
  if (!lexError.message.empty()) {
    error = {lexError.line, lexError.message};
    return nullptr;
  }
  if (tokens.size() > kMaxTokens) {
    error = {1, "the module is too large"};
    return nullptr;
  }
  Parser parser(*module, std::move(tokens));
  if (!parser.parseModule()) {
    error = parser.error();
    return nullptr;
  }
  return module;
}

bool Parser::fail(std::string message, std::uint32_t line) {
  if (firstError.message.empty())
    firstError = {line ? line : peek().line, std::move(message)};
  return false;
}

bool Parser::accept(char punctuation) {
  if (!peek().is(punctuation))
    return false;
  take();
  return true;
}

bool Parser::expect(char punctuation) {
  if (accept(punctuation))
    return true;
  const Token &token = peek();
  return fail(fmt::format("expected `{}`, found {}", punctuation,
                          token.kind == Token::Kind::End ? "the end of the text" : fmt::format("`{}`", token.text)));
}

bool Parser::expectWord(std::string_view &word, std::string_view what) {
  if (peek().kind != Token::Kind::Word)
    return fail(fmt::format("expected {}", what));
  word = take().text;
  return true;
}

bool Parser::parseUnsigned(std::uint64_t &value) {
  NumberValue number;
  if (peek().kind != Token::Kind::Number || !parseNumber(peek().text, number) ||
      number.kind != NumberValue::Kind::Integer)
    return fail("expected an integer");
  take();
  value = number.bits;
  return true;
}

bool Parser::parseConstant(std::int64_t &value) {
  bool negative = accept('-');
  std::uint64_t bits = 0;
  if (!parseUnsigned(bits))
    return false;
  value = static_cast<std::int64_t>(negative ? 0 - bits : bits);
  return true;
}

void Parser::skipToLineEnd(std::uint32_t line) {
  while (peek().kind != Token::Kind::End && peek().line == line)
    take();
}

bool Parser::parseModule() {
  scopes.emplace_back();
  while (peek().kind != Token::Kind::End)
    if (!parseTopLevel())
      return false;
  if (module.version == 0)
    return fail("the module has no `.version`", 1);
  if (module.target.empty())
    return fail("the module has no `.target`", 1);
  return true;
}

bool Parser::parseTopLevel() {
  const Token &token = peek();
  if (token.is(';')) { // nvcc prints one after the prototype of an extern function
    take();
    return true;
  }
  if (token.kind != Token::Kind::Word || token.text.front() != '.')
    return fail(fmt::format("expected a directive, found `{}`", token.text));
  if (token.text == ".version")
    return parseVersion();
  if (module.version == 0 && token.text != ".file")
    return fail("`.version` has to come first");
  if (token.text == ".target")
    return parseTarget();
  if (token.text == ".address_size") {
    take();
    std::uint64_t bits = 0;
    return parseUnsigned(bits) && (bits == 64 || fail("only `.address_size 64` is supported"));
  }
  if (token.text == ".file")
    return parseFile();
  if (token.text == ".section")
    return skipSection();
  if (token.text == ".pragma") {
    while (peek().kind != Token::Kind::End && !peek().is(';'))
      take();
    return expect(';');
  }
  return parseLinked();
}

bool Parser::parseVersion() {
  take();
  std::string_view text = peek().text;
  std::size_t dot = text.find('.');
  std::uint64_t major = 0, minor = 0;
  NumberValue first, second;
  if (peek().kind != Token::Kind::Number || dot == std::string_view::npos || !parseNumber(text.substr(0, dot), first) ||
      !parseNumber(text.substr(dot + 1), second))
    return fail("expected a version such as 7.8");
  major = first.bits, minor = second.bits;
  if (major < 3 || major > 9 || minor > 9 || major * 10 + minor > 90)
    return fail(fmt::format("PTX version {} is not supported (3.0 to 9.0 are)", text));
  take();
  module.version = static_cast<unsigned>(major * 10 + minor);
  return true;
}

bool Parser::parseTarget() {
  take();
  do {
    std::string_view word;
    if (!expectWord(word, "a target such as sm_80"))
      return false;
    if (word.substr(0, 3) != "sm_")
      continue; // `debug`, `texmode_independent`
    module.target = word;
    unsigned number = 0;
    std::size_t i = 3;
    for (; i < word.size() && word[i] >= '0' && word[i] <= '9' && number < 10000; ++i)
      number = number * 10 + static_cast<unsigned>(word[i] - '0');
    std::string_view suffix = word.substr(i);
    if (number < 30 || (!suffix.empty() && suffix != "a" && suffix != "f"))
      return fail(fmt::format("unknown target `{}`", word));
    module.smVersion = number;
    module.architectureSpecific = !suffix.empty();
  } while (accept(','));
  return !module.target.empty() || fail("`.target` names no sm_XX");
}

bool Parser::parseFile() {
  take();
  std::uint64_t number = 0;
  if (!parseUnsigned(number))
    return false;
  if (number > 100'000)
    return fail("file number is too large");
  if (peek().kind != Token::Kind::String)
    return fail("expected a file name");
  if (module.files.size() <= number)
    module.files.resize(number + 1);
  module.files[number] = take().text;
  while (accept(',')) { // time stamp and size
    std::uint64_t ignored = 0;
    if (!parseUnsigned(ignored))
      return false;
  }
  return true;
}

/// Debug sections describe the kernel to a debugger; `.loc` is all that reports need.
bool Parser::skipSection() {
  take();
  std::string_view name;
  if (!expectWord(name, "a section name") || !expect('{'))
    return false;
  while (!peek().is('}')) {
    if (peek().kind == Token::Kind::End)
      return fail("section without end");
    take();
  }
  return expect('}');
}

bool Parser::parseLinked() {
  std::string_view linkage;
  std::string_view word = take().text;
  if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common") {
    linkage = word;
    if (!expectWord(word, "a declaration"))
      return false;
  }
  if (word == ".entry" || word == ".func")
    return parseFunction(linkage, word == ".entry");
  if (word == ".global")
    return parseModuleVariable(linkage, Space::Global);
  if (word == ".const")
    return parseModuleVariable(linkage, Space::Const);
  if (word == ".shared")
    return parseModuleVariable(linkage, Space::Shared);
  return fail(fmt::format("X01 unsupported directive `{}`", word), tokens[cursor ? cursor - 1 : 0].line);
}

bool Parser::parseModuleVariable(std::string_view linkage, Space space) {
  Variable prototype;
  prototype.space = space;
  prototype.linkage = linkage;
  prototype.isExtern = linkage == ".extern";
  if (!parseVariableType(prototype))
    return false;
  do {
    Variable variable = prototype;
    std::string_view name;
    std::uint32_t line = peek().line;
    if (!parseVariableName(variable, name) || (accept('=') && !parseInitialiser(variable)))
      return false;
    if (!firstError.message.empty())
      return false;
    if (variable.isExtern && space != Space::Shared)
      return fail(fmt::format("X01 unsupported: `{}` is defined in another module", name), line);
    std::uint32_t index = addVariable(std::move(variable));
    module.moduleVariables.push_back(index);
    if (!declare(name, {Name::Kind::Variable, index}, line))
      return false;
  } while (accept(','));
  return expect(';');
}

Function *Parser::declareFunction(std::string_view name, bool isEntry) {
  auto known = scopes[0].names.find(name);
  if (known != scopes[0].names.end()) {
    if (known->second.kind != Name::Kind::Function) {
      fail(fmt::format("`{}` is declared twice", name));
      return nullptr;
    }
    Function *prior = module.functions[known->second.index].get();
    if (prior->hasBody || prior->isEntry != isEntry) {
      fail(fmt::format("`{}` is defined twice", name));
      return nullptr;
    }
    prior->parameters.clear();
    prior->results.clear();
    return prior;
  }
  module.functions.push_back(std::make_unique<Function>());
  Function *created = module.functions.back().get();
  created->name = name;
  created->isEntry = isEntry;
  scopes[0].names[name] = {Name::Kind::Function, static_cast<std::uint32_t>(module.functions.size() - 1)};
  return created;
}

bool Parser::parseFunction(std::string_view linkage, bool isEntry) {
  pushScope();
  std::vector<std::uint32_t> results;
  Function scratch;
  if (!isEntry && accept('(') && !parseParameterList(scratch, results))
    return false;
  std::uint32_t line = peek().line;
  std::string_view name;
  if (!expectWord(name, "the name of a function"))
    return false;
  Function *declared = declareFunction(name, isEntry);
  if (!declared)
    return false;
  declared->linkage = linkage;
  declared->line = line;
  declared->results = std::move(results);
  if (accept('(') && !parseParameterList(*declared, declared->parameters))
    return false;
  if (!parseDirectives(*declared))
    return false;
  if (accept(';'))
    return popScope();
  return parseBody(*declared) && popScope();
}

bool Parser::parseParameterList(Function &, std::vector<std::uint32_t> &list) {
  if (accept(')'))
    return true;
  do {
    Variable variable;
    variable.isParameter = true;
    variable.space = Space::Param;
    std::string_view word, name;
    if (!expectWord(word, "`.param`"))
      return false;
    if (word != ".param" && word != ".reg")
      return fail(fmt::format("expected `.param`, found `{}`", word));
    if (word == ".reg")
      return fail("X01 unsupported: a function parameter in a register");
    std::uint32_t line = peek().line;
    if (!parseVariableType(variable) || !parseVariableName(variable, name))
      return false;
    std::uint32_t index = addVariable(std::move(variable));
    list.push_back(index);
    if (!declare(name, {Name::Kind::Variable, index}, line))
      return false;
  } while (accept(','));
  return expect(')');
}

bool Parser::parseBlockDirective(Function &target, std::string_view word, std::uint64_t (&values)[3]) {
  std::string text(word);
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && !accept(','))
      break;
    if (!parseUnsigned(values[i]))
      return false;
    if (values[i] > 0x7FFFFFFF)
      return fail("value is too large");
    text += fmt::format("{}{}", i ? ", " : " ", values[i]);
  }
  target.directives.push_back(std::move(text));
  return true;
}

bool Parser::parseDirectives(Function &target) {
  while (peek().kind == Token::Kind::Word) {
    std::string_view word = take().text;
    std::uint64_t values[3] = {1, 1, 1};
    if (word == ".noreturn" || word == ".explicitcluster") {
      target.directives.emplace_back(word);
      continue;
    }
    if (word == ".pragma") {
      while (!peek().is(';') && peek().kind != Token::Kind::End)
        take();
      if (!expect(';'))
        return false;
      continue;
    }
    bool isSize = word == ".reqntid" || word == ".maxntid";
    if (!isSize && word != ".minnctapersm" && word != ".maxnreg" && word != ".reqnctapercluster" &&
        word != ".maxclusterrank" && word != ".maxnctapersm")
      return fail(fmt::format("X01 unsupported directive `{}`", word));
    if (!parseBlockDirective(target, word, values))
      return false;
    if (word == ".maxnreg")
      target.maxRegisters = static_cast<std::uint32_t>(values[0]);
    if (isSize && values[0] * values[1] > 1024 * 1024)
      return fail("more threads than a block can have");
    if (word == ".reqntid")
      for (int i = 0; i < 3; ++i)
        target.requiredBlock[i] = static_cast<std::uint32_t>(values[i]);
    if (word == ".maxntid")
      target.maxThreads = static_cast<std::uint32_t>(std::min<std::uint64_t>(values[0] * values[1] * values[2], 1 << 20));
    if (word == ".reqnctapercluster" && values[0] * values[1] * values[2] != 1)
      return fail("X01 unsupported: thread block clusters");
  }
  return true;
}

} // namespace attn::emulator::ptx
