// Typed expressions as operations of a region: what `AstToAttn.cpp` fills the regions of `attn.attention` with.
#pragma once

#include "dsl/DistributeDots.h"
#include "dsl/TypedSpec.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

#include "llvm/ADT/DenseMap.h"

namespace attn::dsl {

/// A place of the specification as MLIR's location; the attention's own where `position` is nowhere.
mlir::Location locationOf(mlir::MLIRContext *context, const TypedSpec &spec, SourcePosition position);

/// The arguments of the plan's function.
struct PlanArguments {
  mlir::Value inputs[3];                       ///< query, key, value; null where not asked for
  llvm::SmallVector<mlir::Value> tensors;      ///< by number; null where unused
  llvm::SmallVector<mlir::Value> scalars;
  mlir::Value softmaxScale;
  mlir::Type real;                             ///< what regions compute in: f32, or f64 for f64 operands
};

/// Emits expressions at the end of one region's block. All that returns a Value returns null after an error has been
/// reported. An expression is emitted once and shared; conditions become selects.
///
/// Three ways to emit what depends on the variable of a `map`, `vec` or `rotate`: in row and column regions a whole
/// vector at once (*lanes*; i32 as f32, which is exact for channel numbers), at points a scalar for each channel
/// (*unrolled*), for there a vector would be one per element of a tile.
///
/// Numbers are f32 (all f64 where `real` is), but for those that decide an integer or a bool and hold a constant that f32
/// does not: they are f64 (*wide*), else `floor(log(x / 8) / log(16) * 8)` would miss its steps by the rounding of log(16). So are angles.
class ExprEmitter {
public:
  ExprEmitter(mlir::OpBuilder &builder, const TypedSpec &spec, const PlanArguments &arguments)
      : builder(builder), spec(spec), arguments(arguments) {}

  /// In this region the row of `input` is `value`.
  void bindInput(InputKind input, mlir::Value value) { inputs[static_cast<unsigned>(input)] = value; }
  /// In this region `expr` is `value`: a feature, the weight, the weighted sum.
  void bind(const TypedExpr *expr, mlir::Value value) { emitted[expr] = value; }
  /// Products of query and key are made of the bound features, and vectors are unrolled.
  void setPoint() { isPoint = true; }

  mlir::Value emit(const TypedExpr *expr);
  /// Of a term of a vector, times its factors; `product` is what they multiply, a number or a row.
  mlir::Value emitFactors(const VectorTerm &term, mlir::Value product, mlir::Location location);
  mlir::Location locationOf(const TypedExpr *expr) const {
    return dsl::locationOf(builder.getContext(), spec, expr->position);
  }

private:
  mlir::Value emitNew(const TypedExpr *expr);
  mlir::Value emitWide(const TypedExpr *expr);
  mlir::Value widen(mlir::Location location, mlir::Value narrow);
  /// The type of numbers that are emitted now.
  mlir::Type realType();
  /// An operand of what gives an integer or a bool: in f64 where its constants need it (`needsWide`).
  mlir::Value emitExact(const TypedExpr *expr, bool wide);
  bool needsWide(const TypedExpr *expr);
  mlir::Value refuse(const TypedExpr *expr, const llvm::Twine &why);

  // Leaves.
  mlir::Value emitNumber(const TypedExpr *expr);
  mlir::Value emitRead(const TypedExpr *expr);
  mlir::Value emitVariable(const TypedExpr *expr);
  mlir::Value loadRow(const TypedExpr *read, llvm::ArrayRef<const TypedExpr *> indices);

  // Scalars, and vectors by element (AstToAttnScalar.cpp).
  mlir::Value emitUnary(const TypedExpr *expr);
  mlir::Value emitToI32(const TypedExpr *expr, mlir::Value rounded);
  mlir::Value emitBinary(const TypedExpr *expr);
  mlir::Value emitInteger(const TypedExpr *expr, mlir::Value lhs, mlir::Value rhs);
  mlir::Value emitFloat(const TypedExpr *expr, mlir::Value lhs, mlir::Value rhs);
  mlir::Value emitPower(const TypedExpr *expr);
  mlir::Value emitCompare(const TypedExpr *expr);
  mlir::Value emitLogic(const TypedExpr *expr);
  mlir::Value emitIf(const TypedExpr *expr);

  // Vectors (AstToAttnVector.cpp).
  mlir::Value emitVector(const TypedExpr *expr);
  mlir::Value emitProduct(const TypedExpr *expr);
  mlir::Value emitFeatureProduct(const TypedExpr *expr);
  mlir::Value emitSum(const TypedExpr *expr);
  mlir::Value emitSlice(const TypedExpr *expr);
  mlir::Value emitConcat(const TypedExpr *expr);
  mlir::Value emitMap(const TypedExpr *expr);
  mlir::Value emitVec(const TypedExpr *expr);
  mlir::Value emitRotate(const TypedExpr *expr);
  mlir::Value emitLanes(const TypedExpr *owner, const TypedExpr *body, std::int64_t count, mlir::Value variable);
  mlir::Value emitDropout(const TypedExpr *expr);
  /// Channel `channel` of a vector as a scalar.
  mlir::Value emitChannel(const TypedExpr *vector, std::int64_t channel);
  mlir::Value emitBody(const TypedExpr *owner, const TypedExpr *body, mlir::Value variable);
  bool canUnroll(const TypedExpr *expr, std::int64_t channels);

  /// Operands of one shape: a scalar beside a vector is broadcast.
  void unify(mlir::Location location, mlir::Value &lhs, mlir::Value &rhs);
  mlir::Value broadcast(mlir::Location location, mlir::Value scalar, std::int64_t length);
  mlir::Value constant(mlir::Location location, double value, mlir::Type like);

  mlir::OpBuilder &builder;
  const TypedSpec &spec;
  const PlanArguments &arguments;
  mlir::Value inputs[3];
  bool isPoint = false;
  bool isWide = false;                                              ///< f32 expressions are emitted in f64
  std::int64_t laneCount = 0;                                       ///< of the enclosing lanes; 0: none
  llvm::DenseMap<const TypedExpr *, mlir::Value> emitted;           ///< what no variable changes
  llvm::DenseMap<const TypedExpr *, mlir::Value> emittedWide;       ///< the same in f64
  llvm::DenseMap<const TypedExpr *, mlir::Value> emittedInBody;     ///< what holds a variable, in the present body
  llvm::DenseMap<const TypedExpr *, mlir::Value> variables;
  llvm::DenseMap<const TypedExpr *, bool> wideNeeds;
};

} // namespace attn::dsl
