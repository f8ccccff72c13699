// Tables of constants in global memory, and the frequencies of rotations that are known when compiling: functions of the
// pair's number and constants.
#pragma once

#include "codegen/nvvm/Emitter.h"

#include "mlir/IR/BuiltinAttributes.h"

#include <optional>

namespace attn::codegen {

/// Pointer to a constant of the module with these contents; one for equal contents.
mlir::Value constantTable(Emitter &e, mlir::DenseElementsAttr contents);

/// `value`, a scalar in a region, in f64, with the i32 `argument` of the region being `number`; nothing when it depends on
/// anything else.
std::optional<double> foldScalar(mlir::Value value, mlir::Value argument, double number);

/// A table in constant global memory of the frequency `value` (radians) of pairs 0 … count - 1: two f32 each, high and low
/// part, in quarter turns; with `inDouble` one f64, in radians. Nothing when the frequency is not known when compiling.
std::optional<mlir::Value> makeFrequencyTable(Emitter &e, mlir::Value value, mlir::Value pair, int count, bool inDouble);

} // namespace attn::codegen
