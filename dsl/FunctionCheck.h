// Names inside one function's body, checked without a call: unknown names, hidden names, unused `let`s.
#pragma once

#include "dsl/Program.h"

namespace attn::dsl {

class FunctionCheck {
public:
  FunctionCheck(const Program &program, const std::set<std::string, std::less<>> &sizeNames, DiagnosticSink &diagnostics)
      : program(program), sizeNames(sizeNames), diagnostics(diagnostics) {}

  void check(const FunctionRef &ref);

private:
  struct Local {
    std::string name;
    SourceRange range;
    bool isLet = false, used = false;
  };
  void declare(const ast::Identifier &name, bool isLet);
  void visit(const ast::Expr &expr);
  void visitName(const ast::Identifier &name);
  void visitCall(const ast::Expr &call);
  Local *findLocal(std::string_view name);

  const Program &program;
  const std::set<std::string, std::less<>> &sizeNames;
  DiagnosticSink &diagnostics;
  std::uint32_t file = 0;
  std::string functionName;
  std::vector<Local> locals;
};

} // namespace attn::dsl
