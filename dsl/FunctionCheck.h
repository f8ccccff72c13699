// Names inside one function's body, checked without a call: unknown names, hidden names, unused `let`s.
#pragma once

#include "dsl/Program.h"

namespace attn::dsl {

class FunctionCheck {
public:
  using NameSet = std::set<std::string, std::less<>>;
  /// `sizeNames` may be new extents, which functions see; `localNames` are known to attentions alone.
  FunctionCheck(const Program &program, const NameSet &sizeNames, const NameSet &localNames, DiagnosticSink &diagnostics)
      : program(program), sizeNames(sizeNames), localNames(localNames), diagnostics(diagnostics) {}

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
  const NameSet &sizeNames, &localNames;
  DiagnosticSink &diagnostics;
  std::uint32_t file = 0;
  std::string functionName;
  std::vector<Local> locals;
};

} // namespace attn::dsl
