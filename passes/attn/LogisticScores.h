// Hyperbolic tangents whose absolute error is all that counts, as reciprocals; or, where the caller asks for it, by the target's
// instruction.
#pragma once

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace attn {

/// A score without a constant that is the same for all points: score = rest + shift.
struct ShiftedScore {
  mlir::Value rest;
  double shift = 0;
};

/// The constant factor of a product by one, which it takes off `value`; 1 without one.
double takeConstantFactor(mlir::Value &value);

/// What a value is but for a factor that is the same for all points, and that factor times a number.
using PeelFactor = llvm::function_ref<std::pair<mlir::Value, mlir::Value>(mlir::Value value, double by)>;

/// What takes the place of a `tanh`: a reciprocal, or the instruction of the target.
enum class TangentForm { Logistic, Instruction };

/// Rewrites each `tanh` that reaches `score` by sums and constant factors alone: `rest` has another form in its place.
ShiftedScore rewriteTangents(mlir::OpBuilder &builder, mlir::Value score, PeelFactor peel, TangentForm form);

} // namespace attn
