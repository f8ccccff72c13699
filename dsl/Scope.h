// What names stand for while an expression is analysed: values, and the frames of the functions being inlined.
#pragma once

#include "dsl/Ast.h"
#include "dsl/ExprBuilder.h"

#include <map>
#include <string>

namespace attn::dsl {

/// One function being inlined; the outermost, of the attention itself, has no function.
struct Frame {
  const Frame *caller = nullptr;
  SourceRange call;
  const ast::Function *function = nullptr;
  std::uint32_t file = 0;
  unsigned depth = 0;
};

struct Scope;

/// What an expression or name stands for: a typed node, a whole tensor parameter, or a lambda not yet applied.
struct Value {
  enum class Kind : std::uint8_t { None, Expr, Tensor, Lambda };
  Kind kind = Kind::None;                  ///< None: an error was reported
  ExprRef expr = nullptr;
  std::uint32_t tensor = 0;
  const ast::Expr *lambda = nullptr;
  const Scope *lambdaScope = nullptr;

  static Value of(ExprRef expr) { return {expr ? Kind::Expr : Kind::None, expr, 0, nullptr, nullptr}; }
  static Value ofTensor(std::uint32_t tensor) { return {Kind::Tensor, nullptr, tensor, nullptr, nullptr}; }
  static Value ofLambda(const ast::Expr &lambda, const Scope &scope) {
    return {Kind::Lambda, nullptr, 0, &lambda, &scope};
  }
};

/// Names of one function or lambda. A lambda's scope has that of its place as parent; a function's has none, since a
/// function sees nothing of its caller.
struct Scope {
  const Scope *parent = nullptr;
  const Frame *frame = nullptr;
  std::map<std::string, Value, std::less<>> names;

  const Value *find(std::string_view name) const {
    for (const Scope *scope = this; scope; scope = scope->parent)
      if (auto found = scope->names.find(name); found != scope->names.end())
        return &found->second;
    return nullptr;
  }
};

} // namespace attn::dsl
