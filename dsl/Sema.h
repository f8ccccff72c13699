// Analysis of one attention: properties, parameters, then its statements from top to bottom, into a TypedSpec.
// The parts are in Sema.cpp (order of work, messages, names), SemaProperties.cpp, SemaParameters.cpp, SemaExpr.cpp
// (expressions), SemaCalls.cpp (functions), SemaBuiltins.cpp and SemaFlow.cpp (definitions).
#pragma once

#include "dsl/Diagnostics.h"
#include "dsl/ExprBuilder.h"
#include "dsl/Names.h"
#include "dsl/Program.h"
#include "dsl/Scope.h"
#include "dsl/TypedSpec.h"

#include <array>
#include <bitset>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace attn::dsl {

/// A parsed `-D name=value`.
struct Define {
  const ast::Expr *value = nullptr;
  SourceRange range;
  bool used = false;        ///< some attention of the file knows the name
};
using Defines = std::map<std::string, Define, std::less<>>;

class Sema {
public:
  Sema(const Program &program, const ast::Attention &attention, Defines &defines, DiagnosticSink &diagnostics);

  /// Null after errors, all of them reported.
  std::unique_ptr<TypedSpec> run();

private:
  /// What an expression may name.
  enum class Mode : std::uint8_t {
    Constant,   ///< numbers, properties, what `-D` fixes
    Size,       ///< also extents
    Value,      ///< everything
  };
  using FlowSet = std::bitset<kFlowNameCount>;

  /// A `let` or definition, and what it was made of. `version` of a flow name: the statement, or -1 for the default.
  struct StatementRecord {
    const ast::Statement *statement = nullptr;
    std::set<int> builtOn;                         ///< statements it uses, directly or through others
    std::set<std::pair<FlowName, int>> used;       ///< flow names it uses, by version; through defaults too
    FlowSet named;                                 ///< flow names it names, itself or through `let`s
  };
  struct Let {
    ExprRef value = nullptr;
    int statement = 0;
    bool used = false;
  };
  struct Flow {
    ExprRef value = nullptr;                       ///< null: the default
    int version = -1;
  };
  /// A parameter's name: tensor, launch scalar, or a constant that `-D` fixed.
  struct ParameterEntry {
    const ast::Parameter *parameter = nullptr;
    Value value;
    ExprRef fixed = nullptr;
    bool used = false;
  };
  /// The state of a number-valued property that is evaluated when first asked for.
  struct NumberProperty {
    enum class State : std::uint8_t { Unknown, Evaluating, Known } state = State::Unknown;
    ExprRef value = nullptr;                       ///< null: `any`, `runtime`, or an error
  };

  // Sema.cpp
  Diagnostic &report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments = {});
  /// The place in the user's text of what is at `range` in the function being inlined.
  SourceRange userRange(SourceRange range) const;
  void place(SourceRange range);
  void collectStatements();
  void checkUnused();
  void markUses();
  /// An unknown name, with what was likely meant; true where something was.
  bool reportUnknown(DiagnosticKind kind, const ast::Identifier &name, const std::vector<std::string> &candidates);
  bool failed() const { return diagnostics.errorCount() != errorsBefore; }
  std::string_view textAt(SourceRange range) const;

  // SemaHelp.cpp: what messages offer instead, in the attention's own text
  std::string signatureOf(const ast::Function &function) const;
  std::string operandText(const ast::Expr &expr) const;
  void helpCall(const ast::Identifier &name);
  void helpChoice(const ast::Expr &call);
  void helpParameter(const ast::Identifier &name);
  void helpIndex(const ast::Expr &tree, const TypedExpr &index);
  void helpMask(const ast::Expr &tree, const TypedExpr *value);
  void helpOperands(const ast::Expr &expr, std::array<ExprRef, 2> operands, bool failed);
  void helpQuotients(const ast::Expr &expr, std::array<ExprRef, 2> operands);
  void checkIndexOrder(std::uint32_t tensor, const ast::Expr &expr, const std::vector<ExprRef> &indices);

  // Names (SemaNames.cpp)
  Value resolve(const ast::Identifier &name, const Scope *scope);
  Value resolveExtent(const ast::Identifier &name);
  Value resolveGiven(const ast::Identifier &name, bool &known);
  Value resolveLocal(const ast::Identifier &name, bool &known);
  Value resolveUnknown(const ast::Identifier &name, const Scope *scope);
  Value resolveStart(const ast::Identifier &name);
  bool requireMode(const ast::Identifier &name);
  /// Reports a name that the language or the attention already uses.
  bool refuseKnownName(const ast::Identifier &name, const Scope *scope);
  std::vector<std::string> visibleNames(const Scope *scope) const;

  // SemaProperties.cpp
  void analyzeProperties();
  ExprRef numberProperty(PropertyName name);
  ExprRef evaluateNumberProperty(PropertyName name, const ast::Statement &statement);
  ExprRef defaultNumberProperty(PropertyName name);
  std::optional<std::int64_t> positiveProperty(PropertyName name, const ast::Expr &value);
  const ast::Expr *singleValue(PropertyName name);
  bool isWord(const ast::Expr &value, std::string_view word) const;
  std::optional<ElementType> dtypeProperty(PropertyName name);
  ScaleProperty scaleProperty(PropertyName name);
  SizeExpr headsProperty(PropertyName name);
  void dtypeProperties();
  void layoutProperty();
  void outputsProperty();
  void gradProperty();
  void softmaxScaleProperty();
  void checkHeads();
  SourcePosition propertyPosition(PropertyName name) const;
  void unknownChoice(PropertyName name, const ast::Expr &value, const std::vector<std::string> &choices);

  // SemaParameters.cpp
  void fixParameters();
  void unknownElement(const ast::Parameter &parameter, const std::vector<std::string> &choices);
  void fixParameter(const ast::Parameter &parameter, ParameterEntry &entry, ElementType element);
  void analyzeParameters();
  void analyzeTensor(const ast::Parameter &parameter, ElementType element);
  void analyzeScalar(const ast::Parameter &parameter, ElementType element);
  void analyzeRange(const ast::Parameter &parameter, ElementType element, std::optional<RangePromise> &range);
  std::optional<double> constantOfType(const ast::Expr &value, ElementType element, std::string_view what);
  void checkInRange(const ast::Parameter &parameter, double value, SourceRange range,
                    const std::optional<RangePromise> &promise);
  std::optional<SizeExpr> sizeOf(const ast::Expr &expr, bool mayAddExtents);
  std::optional<SizeExpr> toSize(ExprRef expr, SourceRange range);
  void checkArgumentNames();

  // SemaScales.cpp
  ExprRef scaleOf(PropertyName name);
  std::uint32_t pageTable();
  ExprRef scaledInput(InputKind kind);
  ExprRef storedOut(ExprRef out);

  // SemaExpr.cpp
  Value evaluate(const ast::Expr &expr, const Scope &scope);
  Value stopWork(SourceRange range);
  ExprRef evaluateExpr(const ast::Expr &expr, const Scope &scope);
  ExprRef toExpr(const Value &value, SourceRange range);
  ExprRef evaluateNumber(const ast::Expr &expr);
  ExprRef evaluateUnary(const ast::Expr &expr, const Scope &scope);
  ExprRef evaluateBinary(const ast::Expr &expr, const Scope &scope);
  ExprRef evaluateIf(const ast::Expr &expr, const Scope &scope);
  ExprRef evaluateUnreached(const ast::Expr &expr, const Scope &scope, bool unreached);
  Value evaluateIndex(const ast::Expr &expr, const Scope &scope);
  ExprRef evaluateRead(std::uint32_t tensor, const ast::Expr &expr, const Scope &scope);
  ExprRef readRow(std::uint32_t tensor, std::vector<ExprRef> indices, SourceRange range);
  ExprRef evaluateSlice(ExprRef vector, const ast::IndexItem &item, SourceRange range, const Scope &scope);
  std::optional<std::int64_t> constantInteger(ExprRef expr, std::string_view what, SourceRange range);

  // SemaCalls.cpp
  using BoundArguments = std::vector<const ast::Argument *>;
  bool bindArguments(const ast::Expr &call, const std::vector<std::string> &names, const std::vector<bool> &optional,
                     BoundArguments &bound);
  Value evaluateCall(const ast::Expr &call, const Scope &scope);
  Value inlineFunction(const FunctionRef &ref, const ast::Expr &call, const Scope &scope);
  bool bindFunction(const FunctionRef &ref, const ast::Expr &call, const Scope &scope, Scope &inner);
  Value evaluateArgument(const ast::Expr &value, const Scope &scope);
  ExprRef applyLambda(const Value &lambda, ExprRef argument);

  // SemaBuiltins.cpp
  Value evaluateBuiltin(Builtin builtin, const ast::Expr &call, const Scope &scope);
  ExprRef evaluateMinMax(BinaryOp op, const ast::Expr &call, const Scope &scope);
  ExprRef evaluateMap(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope);
  ExprRef evaluateVec(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope);
  ExprRef evaluateRotate(const BoundArguments &arguments, const ast::Expr &call, const Scope &scope);
  std::optional<Value> lambdaArgument(const ast::Argument &argument, std::string_view what, const Scope &scope);
  ExprRef applyBound(const Value &lambda, ExprRef variable);

  // SemaFlow.cpp
  void analyzeStatement(int number);
  void analyzeDefinition(int number, FlowName name, ExprRef value);
  ExprRef checkDefinition(FlowName name, ExprRef value, const StatementRecord &record, SourceRange range);
  bool checkMayUse(FlowName name, const StatementRecord &record, SourceRange range);
  bool checkDependence(FlowName name, ExprRef value, SourceRange range);
  void checkReadingOrder(int number, FlowName name);
  ExprRef useFlow(FlowName name, bool byName);
  ExprRef defaultOf(FlowName name);
  ExprRef refuseLengths(ExprRef query, ExprRef key);
  void finish();
  bool findWeight(ExprRef probs, SourceRange range);

  const Program &program;
  const ast::Attention &attention;
  Defines &defines;
  DiagnosticSink &diagnostics;
  std::size_t errorsBefore = 0;
  std::unique_ptr<TypedSpec> spec;
  ExprBuilder builder;
  SourceRange currentRange;

  Frame outerFrame;
  Scope outerScope;
  const Frame *frame = nullptr;
  Mode mode = Mode::Value;
  bool mayAddExtents = false;
  const ast::Expr *indexed = nullptr;     ///< the `t[…]` whose `t` is being looked up
  unsigned lambdaDepth = 0;
  std::size_t work = 0;                   ///< expressions evaluated, to bound calls that double
  bool stopped = false;                   ///< the bound was passed and reported

  std::map<PropertyName, const ast::Statement *> properties;
  std::array<NumberProperty, kPropertyNameCount> numbers;
  std::map<std::string, ParameterEntry, std::less<>> parameters;
  std::map<std::string, ExprRef, std::less<>> fixedExtents;
  std::set<std::string, std::less<>> newExtents;
  std::map<std::string, Let, std::less<>> lets;
  std::array<Flow, kFlowNameCount> flow;
  std::map<PropertyName, ExprRef> scales;           ///< made when first asked for
  std::array<ExprRef, kFlowNameCount> defaults{};   ///< made when first asked for
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::optional<std::string>> intendedAt;   ///< by file and place, of unknown names
  std::vector<StatementRecord> records;
  StatementRecord *current = nullptr;     ///< of the statement being analysed
  bool usesWeightedSum = false;
};

} // namespace attn::dsl
