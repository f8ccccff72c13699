// The `attn` dialect: attention as scalar mathematics of one (query, key). Types, attributes and ops are defined in the
// .td files beside this one; docs/rationale/attn.md says why they are as they are.
#pragma once

#include "support/SizeExpr.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <optional>

namespace attn::ir {

/// A size of a type as an expression over extents, and back: an i64 integer attribute where it is a number, else a
/// string attribute with its text.
SizeExpr sizeExprOf(mlir::Attribute size);
mlir::Attribute sizeAttr(mlir::MLIRContext *context, const SizeExpr &size);

/// The values that the single block of `region` yields; the region must not be empty.
mlir::OperandRange yieldedBy(mlir::Region &region);

} // namespace attn::ir

// mlir-tblgen writes parameters it does not use.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

#include "ir/attn/AttnDialect.h.inc"
#include "ir/attn/AttnEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/attn/AttnAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/attn/AttnTypes.h.inc"

#define GET_OP_CLASSES
#include "ir/attn/AttnOps.h.inc"

#pragma GCC diagnostic pop
