// Recursive-descent parser of PTX text.
#pragma once

#include "runtime/emulator/PtxAst.h"
#include "runtime/emulator/PtxLexer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace attn::emulator::ptx {

/// What is wrong with a text, and where.
struct ParseError {
  std::uint32_t line = 0;
  std::string message; ///< empty when all is well
};

/// Parses `text`. On failure returns null and fills `error`. Never throws on bad input and never recurses with its depth.
std::unique_ptr<Module> parseModule(std::string_view text, std::string_view name, ParseError &error);

/// The parser's state. Every parse function returns false after `fail`.
class Parser {
public:
  Parser(Module &module, std::vector<Token> tokens) : module(module), tokens(std::move(tokens)) {}
  bool parseModule();
  const ParseError &error() const { return firstError; }

private:
  /// Names visible in one pair of braces.
  struct Name {
    enum class Kind : std::uint8_t { Register, Variable, Label, Function } kind;
    std::uint32_t index;
  };
  /// `.reg .b32 %r<44>`: registers are made when first named.
  struct RegisterRange {
    std::string prefix;
    std::uint64_t count;
    ScalarType type;
  };
  struct Scope {
    std::unordered_map<std::string_view, Name> names;
    std::vector<RegisterRange> ranges;
    std::int32_t parent = -1;
  };
  /// A name that was not known yet when it was used: a label further down.
  struct Pending {
    std::uint32_t instruction;
    std::vector<std::uint32_t> path; ///< operand index, then part indices
    std::string_view name;
    std::int32_t scope;
    std::uint32_t line;
  };

  const Token &peek(std::size_t ahead = 0) const { return tokens[std::min(cursor + ahead, tokens.size() - 1)]; }
  const Token &take() {
    const Token &token = peek();
    if (cursor + 1 < tokens.size())
      ++cursor;
    return token;
  }
  bool fail(std::string message, std::uint32_t line = 0);
  bool expect(char punctuation);
  bool accept(char punctuation);
  bool expectWord(std::string_view &word, std::string_view what);
  bool parseUnsigned(std::uint64_t &value);
  bool parseConstant(std::int64_t &value);
  void skipToLineEnd(std::uint32_t line);

  // PtxParser.cpp: the module level
  bool parseTopLevel();
  bool parseVersion();
  bool parseTarget();
  bool parseFile();
  bool skipSection();
  bool parseLinked();
  bool parseModuleVariable(std::string_view linkage, Space space);
  bool parseFunction(std::string_view linkage, bool isEntry);
  bool parseParameterList(Function &function, std::vector<std::uint32_t> &list);
  bool parseDirectives(Function &function);
  bool parseBlockDirective(Function &function, std::string_view word, std::uint64_t (&values)[3]);
  Function *declareFunction(std::string_view name, bool isEntry);

  // PtxParserVariables.cpp: variable declarations and initialisers
  bool parseVariableType(Variable &variable);
  bool parsePointerAttribute(Variable &variable);
  bool parseVariableName(Variable &variable, std::string_view &name);
  bool parseInitialiser(Variable &variable);
  bool parseInitialiserList(Variable &variable, std::uint64_t &offset);
  bool parseInitialiserValue(Variable &variable, std::uint64_t &offset);
  bool storeInitial(Variable &variable, std::uint64_t offset, std::uint64_t bits, unsigned bytes);
  std::uint32_t addVariable(Variable variable);

  // PtxParserBody.cpp: function bodies
  bool parseBody(Function &function);
  bool parseStatement();
  bool parseRegisters();
  bool parseLocalVariable(Space space);
  bool parseLocation();
  bool parseLabelOrInstruction();
  bool parseBranchTargets(std::string_view name);
  bool parseInstruction();
  bool parseGuard(Instruction &instruction);
  bool parseOperand(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth);
  bool parseSimpleOperand(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth);
  bool parseOperandList(Operand &operand, char close, std::vector<std::uint32_t> &path, unsigned depth);
  bool parseAddress(Operand &operand, std::vector<std::uint32_t> &path, unsigned depth);
  bool parseNumberOperand(Operand &operand, bool negative);
  bool parseNamedOperand(Operand &operand, const std::vector<std::uint32_t> &path);
  bool parseOffset(std::int64_t &value);
  bool resolvePending();
  bool finishInstructions();
  void pushScope();
  bool popScope();
  bool declare(std::string_view name, Name entry, std::uint32_t line);
  const Name *lookup(std::string_view name, std::int32_t scope);
  const Name *lookupRange(std::string_view name, Scope &scope);
  std::uint32_t labelIndex(std::string_view name);

  Module &module;
  std::vector<Token> tokens;
  std::size_t cursor = 0;
  ParseError firstError;
  std::vector<Scope> scopes; ///< scopes[0] is the module's
  std::int32_t currentScope = 0;
  Function *function = nullptr;
  SourceLocation location;
  std::vector<Pending> pending;
};

} // namespace attn::emulator::ptx
