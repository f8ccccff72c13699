// Scalars that feed an integer, a mask or an angle, computed in f64.
#pragma once

namespace mlir {
namespace func {
class FuncOp;
}
} // namespace mlir

namespace attn::codegen {

/// Rewrites, in a kernel of the `tile` dialect, the f32 computation before each `floor`, `ceil`, `roundeven`, `fptosi`, `cmpf`
/// and angle of a rotation into f64 where an inexact function or a division is part of it, so that an integer next to a
/// boundary falls as in exact arithmetic. Chains that begin at an element of a tile (a score) stay as they are.
void widenExactChains(mlir::func::FuncOp kernel);

} // namespace attn::codegen
