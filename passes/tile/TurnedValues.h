// Products of probs and values in 8-bit floats, for which warpgroups need keys along the rows of the values and sums that
// begin with each block (passes/Float8Products.h):
//
//   fill %vr[%i] from %value         →   acquire %raw[%i]   fill %raw[%i] from %value   %bytes = await %raw[%i]
//                                        widen %vt[%i] from %bytes                      release %raw[%i]
//   %f = dot_async %p, %v, %o        →   %f = dot_async %p, trans %vt, 0
//   %r = wait %f                     →   %s = wait %f      %r = map %o + %s
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace attn {

/// All such products of a kernel. Requires OverlapDots; before warps have roles.
void turnFloat8Values(mlir::func::FuncOp kernel);

} // namespace attn
