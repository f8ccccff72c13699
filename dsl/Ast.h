// The tree that the parser makes of a file: names unresolved, types unknown, every node with its place.
#pragma once

#include "dsl/Token.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace attn::dsl::ast {

struct Identifier {
  std::string text;
  SourceRange range;
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class ExprKind : std::uint8_t { Number, Boolean, Name, Call, Lambda, Index, Unary, Binary, If };

/// One argument of a call: `[name =] value`; the value may be a Lambda.
struct Argument {
  std::optional<Identifier> name;
  ExprPtr value;
};

/// One item between `[` and `]`: an index, or with `end` the slice `first:end`.
struct IndexItem {
  ExprPtr first, end;
};

/// One expression; which members mean something follows from `kind`.
struct Expr {
  ExprKind kind = ExprKind::Number;
  SourceRange range;                  ///< all of it
  SourceRange focus;                  ///< where the caret points: the operator, the name
  double number = 0;                  ///< of a Number
  bool isInteger = false;             ///< of a Number: i32, else f32
  bool boolean = false;               ///< of a Boolean
  Identifier name;                    ///< of a Name and a Call; the variable of a Lambda
  TokenKind op = TokenKind::Plus;     ///< of a Unary (Minus, Not) and a Binary
  std::vector<ExprPtr> operands;      ///< Unary 1, Binary 2, If 3 (condition, then, else), Lambda 1 (body), Index 1 (base)
  std::vector<Argument> arguments;    ///< of a Call
  std::vector<IndexItem> indices;     ///< of an Index
  unsigned height = 1;
};

/// The tallest expression; one that is deeper is refused, so that no walk over a tree runs out of stack.
inline constexpr unsigned kMaxHeight = 300;

enum class StatementKind : std::uint8_t { Property, Let, Definition };

/// `name: values`, `let name = value` or `name = value`.
struct Statement {
  StatementKind kind = StatementKind::Let;
  Identifier name;
  SourceRange separator;              ///< the `:` or `=` of a property or definition
  std::vector<ExprPtr> values;        ///< one but for properties
  SourceRange range;
};

struct Parameter {
  Identifier name, element;
  bool isTensor = false;
  std::vector<ExprPtr> dims;
  ExprPtr lowest, highest;            ///< of `in`, both or none
  std::optional<SourceRange> ascending;
  ExprPtr defaultValue;
  SourceRange range;
};

struct Attention {
  Identifier name;
  std::vector<Parameter> parameters;
  std::vector<Statement> statements;
  SourceRange range;
};

struct FunctionArgument {
  Identifier name;
  ExprPtr defaultValue;
};

struct Function {
  Identifier name;
  std::vector<FunctionArgument> arguments;
  std::vector<Statement> lets;
  ExprPtr body;
  SourceRange range;
};

struct Import {
  std::string path;
  SourceRange range;
};

struct File {
  std::vector<Import> imports;
  std::vector<Function> functions;
  std::vector<Attention> attentions;
};

/// An indented tree, one node a line (`attn-front --emit=ast`).
std::string print(const File &file);
/// One expression in the language's words, with parentheses only where the tree needs them.
std::string print(const Expr &expr);

} // namespace attn::dsl::ast
