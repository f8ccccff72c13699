// From the typed AST to the `attn` dialect: a specification becomes a plan of one `attn.attention`.
//
//     TypedSpec → module { func.func @name(tensors, scalars) attributes {attn.plan} { attn.attention … ; return } }
//
// Every operation carries the place in the specification it comes from. The files AstToAttn*.cpp are the only ones of
// this folder that include `ir/`.
#pragma once

#include "dsl/TypedSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace attn::dsl {

/// A verified module with the plan of `spec`; null after an error has been reported. What the dialect cannot say is
/// refused at its place. The dialects of ir/AllDialects.h must be registered with `context`.
mlir::OwningOpRef<mlir::ModuleOp> astToAttn(mlir::MLIRContext &context, const TypedSpec &spec);

} // namespace attn::dsl
